"""Routes that start replays, redrives and purges, and count what they would take."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from msgspec import Meta

from hookstream.core.access.scopes import Scope
from hookstream.core.jobs.job import Job
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.record import OutgoingRecord
from hookstream.core.redrive.job import TopicEnds
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.redrive.preview import MAX_TOKEN, BulkAct, Preview
from hookstream.core.redrive.purge import purge_reason
from hookstream.core.redrive.selector import read_selector
from hookstream.core.replay.interval import Interval
from hookstream.core.replay.preview import LONGEST, ReplayPreview, read_replay_preview
from hookstream.core.replay.request import ReplayRequest
from hookstream.core.replay.survey import ReplaySurvey
from hookstream.core.topology.plan import taken_topics
from hookstream.entry.admin.purges import new_purge_until
from hookstream.entry.admin.redrives import new_redrive_until
from hookstream.entry.admin.replays import new_replay, new_replay_of, replayable
from hookstream.entry.admin.tables import refuse_not_started
from hookstream.entry.api.caller import granted_types, subscription_of
from hookstream.entry.api.fields import (
    OPERATORS_ASK,
    OPERATORS_SEE,
    OPERATORS_SET,
    ApiInput,
    ApiOutput,
    Identifier,
    Instant,
)
from hookstream.entry.api.filters import at_hosts, instant, time_text
from hookstream.entry.api.problems import ProblemKind, RequestRefused, invalid
from hookstream.entry.api.resources.job_limits import most_events_of, refuse_beyond_limits
from hookstream.entry.api.resources.jobs import JobShown, Rate, shown_job
from hookstream.entry.api.routes import ApiAnswer, Call, Route
from hookstream.entry.api.services import HeavyWork
from hookstream.errors import InputRefused

_TAG = "jobs"
PreviewToken = Annotated[str, Meta(min_length=1, max_length=MAX_TOKEN)]
ReplayToken = Annotated[str, Meta(min_length=1, max_length=LONGEST)]
SomeWords = Annotated[tuple[Identifier, ...], Meta(min_length=1, max_length=1_000)]


class ReplayGiven(ApiInput, frozen=True):
    """The past events to deliver again."""

    since: Instant
    """Events recorded then or later."""
    until: Instant | None = None
    """Events recorded before then; default: now."""
    event_types: SomeWords | None = None
    rate: Rate | None = None
    """The most events per second."""
    most_events: Annotated[int, Meta(ge=1, le=1_000_000_000)] | None = None
    """It ends after so many events. A partner's also ends when its events per day are used up."""
    as_granted_today: Annotated[bool, OPERATORS_SET] = False
    preview: Annotated[ReplayToken | None, OPERATORS_SET] = None
    """The `preview` of an earlier count: exactly the counted events are delivered."""


class ReplayPreviewGiven(ApiInput, frozen=True):
    """The past events to count."""

    since: Instant
    """Events recorded then or later."""
    until: Instant | None = None
    """Events recorded before then; default: now."""
    event_types: SomeWords | None = None
    as_granted_today: Annotated[bool, OPERATORS_SET] = False


class TypeCountShown(ApiOutput, frozen=True):
    """Events of one type that would be delivered."""

    event_type: str
    events: int
    first: str | None
    """When the oldest was recorded; null: there are none."""
    last: str | None
    not_granted: Annotated[int, OPERATORS_SEE]
    """How many are left out."""


class RetainedShown(ApiOutput, frozen=True):
    """A partition that may have lost records of the interval to retention."""

    topic: str
    partition: int
    since: str
    """The time of its first record."""


class LostShown(ApiOutput, frozen=True):
    """Offsets that were gone before they were read."""

    topic: str
    partition: int
    first: int
    end: int
    why: str


class ReplayPreviewShown(ApiOutput, frozen=True):
    """What a replay would deliver."""

    events: int
    since: str
    until: str
    event_types: tuple[TypeCountShown, ...]
    whole: bool
    """Whether no record of the interval is known to be gone."""
    undecodable: Annotated[int, OPERATORS_SEE]
    """Records of the interval that are not events."""
    retained_from: Annotated[tuple[RetainedShown, ...], OPERATORS_SEE]
    lost: Annotated[tuple[LostShown, ...], OPERATORS_SEE]
    producers_times: Annotated[tuple[str, ...], OPERATORS_SEE]
    """Topics whose records have their producers' timestamps, for which the interval is not exact."""
    preview: Annotated[str | None, OPERATORS_SEE]
    """Identifies what was counted, for `preview` of a replay; null: it would be too long."""


class SelectorGiven(ApiInput, frozen=True):
    """Selects the open dead letters that meet every given condition."""

    subscriptions: SomeWords | None = None
    event_types: SomeWords | None = None
    reasons: SomeWords | None = None
    statuses: SomeWords | None = None
    """HTTP statuses of the last answer."""
    hosts: SomeWords | None = None
    """Only of subscriptions whose endpoint is at these hosts now."""
    since: Instant | None = None
    until: Instant | None = None
    partners: Annotated[SomeWords | None, OPERATORS_ASK] = None
    topics: Annotated[SomeWords | None, OPERATORS_ASK] = None
    positions: Annotated[SomeWords | None, OPERATORS_ASK] = None


class RedriveGiven(ApiInput, frozen=True):
    """The dead letters to deliver again."""

    selector: SelectorGiven
    source: Annotated[Literal["dead-letters", "undecodable"], OPERATORS_ASK] = "dead-letters"
    rate: Rate | None = None
    preview: Annotated[PreviewToken | None, OPERATORS_SET] = None
    """The `preview` of an earlier count: exactly what it counted is taken. The selector is the same, or empty."""


class PurgeGiven(ApiInput, frozen=True):
    """The dead letters that are not to be delivered any more, and the reason."""

    selector: SelectorGiven
    why: Annotated[str, Meta(min_length=1, max_length=500)]
    source: Literal["dead-letters", "undecodable"] = "dead-letters"
    preview: PreviewToken | None = None
    """As for a redrive."""


class PreviewGiven(ApiInput, frozen=True):
    """The act and the records to count."""

    selector: SelectorGiven
    act: Literal["redrive", "purge"] = "redrive"
    source: Annotated[Literal["dead-letters", "undecodable"], OPERATORS_ASK] = "dead-letters"
    preview: Annotated[PreviewToken | None, OPERATORS_ASK] = None
    """That of an earlier preview: only what it counted is counted."""


class PreviewGroup(ApiOutput, frozen=True):
    """Records that would be taken, of one subscription or topic and one reason."""

    of: str
    reason: str
    records: int
    oldest: str
    newest: str


class PreviewShown(ApiOutput, frozen=True):
    """The records that a redrive or purge would take now."""

    records: int
    groups: tuple[PreviewGroup, ...]
    left_out: dict[str, int]
    """How many are left out, by the reason."""
    preview: Annotated[str | None, OPERATORS_SEE]
    """Identifies what was counted, for `preview` of a redrive or purge; null: it would be too long."""


def start_replay(call: Call[Any, ReplayGiven]) -> ApiAnswer:
    """Replay past events to a subscription."""
    state, given, now = call.services.state(), call.body, call.services.now()
    request = _replay_request(call, given)
    if request.subscription_id in state.current.disabled and not call.by_operator:
        raise invalid("the subscription is disabled: enable it first")
    refuse_not_started(replayable(state, request), "a replay", now)
    if given.preview is not None:
        if given.most_events is not None:
            raise invalid("is not taken with a preview, which has its number", "most_events")
        preview = _previewed(call, given.preview, request)
        job = new_replay_of(request, preview.extent, now, given.rate, preview.events)
        return _offered(call, job)
    most = most_events_of(call, given.most_events)
    return _offered(call, new_replay(replace(request, most_events=most), now, given.rate), most)


def preview_replay(call: Call[Any, ReplayPreviewGiven]) -> ApiAnswer:
    """Count what a replay would deliver."""
    state = call.services.state()
    request = _replay_request(call, call.body)
    # What a gap has may be counted before the subscription is enabled.
    replayable(replace(state, current=replace(state.current, disabled={})), request)
    found, extent = call.services.survey_replay(request, call.caller)
    token = ReplayPreview(request, extent, found.events).token() if call.by_operator else None
    return ApiAnswer(shown_survey(request, found, token, to_operator=call.by_operator))


def _replay_request(
    call: Call[Any, Any], given: ReplayGiven | ReplayPreviewGiven
) -> ReplayRequest:
    subscription, now = subscription_of(call), call.services.now()
    since = instant(given.since, "since") or 0
    until = instant(given.until, "until")
    until = now if until is None else until
    if not 0 <= since < until:
        raise invalid("is not before `until`, or before 1970", "since")
    if not call.by_operator:
        _refuse_unknown_types(call, given.event_types or ())
    types = frozenset(given.event_types or ())
    return ReplayRequest(subscription.id, Interval(since, until), types, given.as_granted_today)


def _previewed(call: Call[Any, Any], token: str, request: ReplayRequest) -> ReplayPreview:
    try:
        preview = read_replay_preview(token)
    except InputRefused as refused:
        raise invalid(str(refused), "preview") from None
    if preview.request != request:
        raise invalid(
            "it is the preview of another subscription, interval or other conditions",
            "preview",
            "send the previewed request, with the preview's `since` and `until`",
        )
    settings = call.services.settings
    known = taken_topics(settings.events.topics, settings.topics_names, preview.extent.topics)
    if strange := preview.extent.topics.difference(known):
        # It is untrusted input.
        raise invalid(f"it names {min(strange)}, of which workers read no events", "preview")
    return preview


def shown_survey(
    request: ReplayRequest, found: ReplaySurvey, token: str | None, *, to_operator: bool
) -> ReplayPreviewShown:
    """Return the counts of a replay that the caller may see."""
    return ReplayPreviewShown(
        events=found.events,
        since=to_rfc3339(request.interval.since),
        until=to_rfc3339(request.interval.until),
        event_types=tuple(
            TypeCountShown(
                event_type=event_type,
                events=count.events,
                first=time_text(count.first),
                last=time_text(count.last),
                not_granted=count.not_granted,
            )
            for event_type, count in sorted(found.by_type.items())
            # A partner does not learn whether a type that is not granted has events.
            if to_operator or count.events
        ),
        whole=not (found.retained_from or found.lost),
        undecodable=found.undecodable,
        retained_from=tuple(
            RetainedShown(topic=at.topic, partition=at.partition, since=to_rfc3339(since))
            for at, since in sorted(found.retained_from.items())
        ),
        lost=tuple(
            LostShown(
                topic=each.at.topic,
                partition=each.at.partition,
                first=each.first,
                end=each.end,
                why=each.why,
            )
            for each in found.lost
        ),
        producers_times=tuple(sorted(found.producers_times)),
        preview=token,
    )


def start_redrive(call: Call[Any, RedriveGiven]) -> ApiAnswer:
    """Deliver dead letters again."""
    source = RedriveSource(call.body.source)
    row, until = _fixed(call, source, BulkAct.REDRIVE)
    return _offered(call, new_redrive_until(source, row, until, call.body.rate))


def start_purge(call: Call[Any, PurgeGiven]) -> ApiAnswer:
    """Resolve dead letters that are not to be delivered any more."""
    source, why = RedriveSource(call.body.source), purge_reason(call.body.why)
    row, until = _fixed(call, source, BulkAct.PURGE)
    return _offered(call, new_purge_until(source, row, until, why))


def preview_selection(call: Call[Any, PreviewGiven]) -> ApiAnswer:
    """Count what a redrive or purge would take now."""
    source, act = RedriveSource(call.body.source), BulkAct(call.body.act)
    known = _known(call, source, act)
    row = _selector(call, source) if known is None else known.selector
    until = None if known is None else known.topic_ends
    found = call.services.survey(source, row, act, until, call.caller)
    groups = tuple(
        PreviewGroup(
            of=group.of,
            reason=group.reason,
            records=count.records,
            oldest=to_rfc3339(count.oldest),
            newest=to_rfc3339(count.newest),
        )
        for group, count in found.tally.largest_first()
    )
    left_out, token = found.left_out, None
    if call.by_operator:
        token = call.services.preview(source, act, row, found).token()
    else:
        left_out = {}
    return ApiAnswer(
        PreviewShown(
            records=found.tally.records, groups=groups, left_out={**left_out}, preview=token
        )
    )


def _fixed(
    call: Call[Any, Any], source: RedriveSource, act: BulkAct
) -> tuple[JsonObject, TopicEnds]:
    """Return the conditions, and the end of the topic, now or at a preview.

    Raises:
        InputRefused: The preview is of another request, or more would be taken than it counted.
    """
    known = _known(call, source, act)
    if known is None:
        return _selector(call, source), call.services.topic_ends(source)
    found = call.services.survey(source, known.selector, act, known.topic_ends, call.caller)
    known.refuse_more(found.tally.records)
    return known.selector, known.topic_ends


def _known(call: Call[Any, Any], source: RedriveSource, act: BulkAct) -> Preview | None:
    token = call.body.preview
    if token is None:
        return None
    try:
        known = call.services.known_preview(source, act, token, _selector(call, source))
        # It is untrusted input.
        return replace(known, selector=read_selector(known.selector, source).row())
    except InputRefused as refused:
        raise invalid(str(refused), "preview") from None


def _offered(call: Call[Any, Any], job: Job, events: int | None = None) -> ApiAnswer:
    refuse_beyond_limits(call, events)
    # Checked again while no other console starts a job of the partner: two would each not count the other's.
    turn = call.turn(lambda: refuse_beyond_limits(call, events))

    def answer(offered: Job) -> ApiAnswer:
        return ApiAnswer(shown_job(call, offered), status=202, location=f"/v1/jobs/{offered.id}")

    def also(offered: Job) -> Sequence[OutgoingRecord]:
        return call.records(answer(offered))

    return answer(call.services.offer_job(job, also, turn))


def _selector(call: Call[Any, Any], source: RedriveSource) -> JsonObject:
    """Return the conditions of a request as a job's row has them; a partner's select only its own records."""
    found = call.document["selector"]
    row: JsonObject = {} if not isinstance(found, dict) else dict(found)
    for name in ("since", "until"):
        text = row.get(name)
        at = instant(text if isinstance(text, str) else None, f"selector.{name}")
        if at is not None:
            row[name] = to_rfc3339(at)
    row = {name: value for name, value in row.items() if value is not None}
    if call.body.selector.hosts:
        del row["hosts"]
        row["subscriptions"] = _at_hosts(call)
    if call.caller.partner_id is not None:
        _refuse_foreign(call, row)
        known = call.services.state().current.subscriptions.values()
        own = sorted(each.id for each in known if each.partner_id == call.caller.partner_id)
        row = {"subscriptions": [*own], **row, "partners": [call.caller.partner_id]}
    return read_selector(row, source).row()


def _at_hosts(call: Call[Any, Any]) -> list[Json]:
    """Return the subscriptions that a request selects by their hosts, since a job has their ids."""
    given = call.body.selector
    found = at_hosts(call, given.hosts, given.subscriptions)
    if not found:
        raise invalid("no selected subscription has its endpoint there", "selector.hosts")
    return [*sorted(found)]


def _refuse_foreign(call: Call[Any, Any], row: JsonObject) -> None:
    known = call.services.state().current.subscriptions
    names = row.get("subscriptions")
    for name in names if isinstance(names, list) else ():
        found = known.get(name) if isinstance(name, str) else None
        if found is None or found.partner_id != call.caller.partner_id:
            raise RequestRefused(ProblemKind.NOT_FOUND)


def _refuse_unknown_types(call: Call[Any, Any], types: tuple[str, ...]) -> None:
    known = granted_types(call)
    for index, each in enumerate(types):
        if each not in known:
            detail = f"there is no event type {each!r}, or it is not granted"
            raise invalid(detail, f"event_types[{index}]")


ROUTES = (
    Route(
        "POST",
        "/v1/subscriptions/{subscription_id}/replays",
        Scope.PARTNER_MANAGE,
        "Deliver past events to this subscription again.",
        start_replay,
        JobShown,
        body=ReplayGiven,
        status=202,
        is_idempotent=True,
        tag=_TAG,
        act="replay.started",
    ),
    Route(
        "POST",
        "/v1/subscriptions/{subscription_id}/replays/preview",
        Scope.PARTNER_READ,
        "Count what a replay would deliver.",
        preview_replay,
        ReplayPreviewShown,
        body=ReplayPreviewGiven,
        needs_no_key="it changes nothing",
        scans=True,
        work=HeavyWork.COUNT,
        tag=_TAG,
    ),
    Route(
        "POST",
        "/v1/redrives",
        Scope.PARTNER_MANAGE,
        "Deliver dead letters again.",
        start_redrive,
        JobShown,
        body=RedriveGiven,
        status=202,
        is_idempotent=True,
        tag=_TAG,
        act="redrive.started",
    ),
    Route(
        "POST",
        "/v1/purges",
        Scope.OPERATOR_WRITE,
        "Resolve dead letters that are not to be delivered any more.",
        start_purge,
        JobShown,
        body=PurgeGiven,
        status=202,
        is_idempotent=True,
        tag=_TAG,
        act="purge.started",
    ),
    Route(
        "POST",
        "/v1/dead-letters/preview",
        Scope.PARTNER_READ,
        "Count what a redrive or purge would take now.",
        preview_selection,
        PreviewShown,
        body=PreviewGiven,
        needs_no_key="it changes nothing",
        scans=True,
        work=HeavyWork.COUNT,
        tag=_TAG,
    ),
)
