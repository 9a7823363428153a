"""Routes of what begins jobs, and of counting before: replays, redrives, purges."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta

from hookstream.core.access.scopes import Scope
from hookstream.core.jobs.job import Job
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import OutgoingRecord
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.redrive.preview import BulkAct
from hookstream.core.redrive.purge import purge_reason
from hookstream.core.redrive.selector import read_selector
from hookstream.core.replay.interval import Interval
from hookstream.core.replay.request import ReplayRequest
from hookstream.entry.admin.purges import new_purge_until
from hookstream.entry.admin.redrives import new_redrive_until
from hookstream.entry.admin.replays import new_replay, replayable
from hookstream.entry.api.caller import granted_types, subscription_of
from hookstream.entry.api.fields import (
    OPERATORS_ASK,
    OPERATORS_SET,
    ApiInput,
    ApiOutput,
    Identifier,
    Instant,
)
from hookstream.entry.api.filters import instant
from hookstream.entry.api.problems import ProblemKind, RequestRefused, invalid
from hookstream.entry.api.resources.job_limits import most_events_of, refuse_beyond_limits
from hookstream.entry.api.resources.jobs import JobShown, Rate, shown_job
from hookstream.entry.api.routes import ApiAnswer, Call, Route

_TAG = "jobs"
SomeWords = Annotated[tuple[Identifier, ...], Meta(min_length=1, max_length=1_000)]


class ReplayGiven(ApiInput, frozen=True):
    """Which events of the past are delivered again."""

    since: Instant
    """Events recorded since then."""
    until: Instant | None = None
    """Events recorded before then; left out: now."""
    event_types: SomeWords | None = None
    rate: Rate | None = None
    """Events a second at most."""
    most_events: Annotated[int, Meta(ge=1, le=1_000_000_000)] | None = None
    """After so many it ends. A partner's ends where its events of a day are used up."""
    as_granted_today: Annotated[bool, OPERATORS_SET] = False


class SelectorGiven(ApiInput, frozen=True):
    """Which open dead letters: those that meet every given condition."""

    subscriptions: SomeWords | None = None
    event_types: SomeWords | None = None
    reasons: SomeWords | None = None
    since: Instant | None = None
    until: Instant | None = None
    partners: Annotated[SomeWords | None, OPERATORS_ASK] = None
    topics: Annotated[SomeWords | None, OPERATORS_ASK] = None
    positions: Annotated[SomeWords | None, OPERATORS_ASK] = None


class RedriveGiven(ApiInput, frozen=True):
    """Which dead letters are delivered again."""

    selector: SelectorGiven
    source: Annotated[Literal["dead-letters", "undecodable"], OPERATORS_ASK] = "dead-letters"
    rate: Rate | None = None


class PurgeGiven(ApiInput, frozen=True):
    """Which dead letters nobody wants delivered any more, and why."""

    selector: SelectorGiven
    why: Annotated[str, Meta(min_length=1, max_length=500)]
    source: Literal["dead-letters", "undecodable"] = "dead-letters"


class PreviewGiven(ApiInput, frozen=True):
    """What would be taken."""

    selector: SelectorGiven
    act: Literal["redrive", "purge"] = "redrive"
    source: Annotated[Literal["dead-letters", "undecodable"], OPERATORS_ASK] = "dead-letters"


class PreviewGroup(ApiOutput, frozen=True):
    """Records that would be taken, with a subscription or topic and a reason in common."""

    of: str
    reason: str
    records: int
    oldest: str
    newest: str


class PreviewShown(ApiOutput, frozen=True):
    """What a redrive or purge would take now."""

    records: int
    groups: tuple[PreviewGroup, ...]
    left_out: dict[str, int]
    """How many are left out, by the reason."""


def start_replay(call: Call[Any, ReplayGiven]) -> ApiAnswer:
    """Replay events of the past to a subscription."""
    state = call.services.state()
    subscription = subscription_of(call, state)
    given, now = call.body, call.services.now()
    since = instant(given.since, "since") or 0
    until = instant(given.until, "until")
    until = now if until is None else until
    if not 0 <= since < until:
        raise invalid("is not before `until`, or before 1970", "since")
    if not call.by_operator:
        _refuse_unknown_types(call, given.event_types or ())
    types = frozenset(given.event_types or ())
    request = ReplayRequest(
        subscription.id,
        Interval(since, until),
        types,
        given.as_granted_today,
        most_events=most_events_of(call, given.most_events),
    )
    if subscription.id in state.current.disabled and not call.by_operator:
        raise invalid("the subscription is disabled: enable it first")
    replayable(state, request)
    return _offered(call, new_replay(request, now, given.rate), request.most_events)


def start_redrive(call: Call[Any, RedriveGiven]) -> ApiAnswer:
    """Deliver dead letters again."""
    source = RedriveSource(call.body.source)
    row = _selector(call, source)
    ends = call.services.ends(source)
    return _offered(call, new_redrive_until(source, row, ends, call.body.rate))


def start_purge(call: Call[Any, PurgeGiven]) -> ApiAnswer:
    """Resolve dead letters that nobody wants delivered any more."""
    source, why = RedriveSource(call.body.source), purge_reason(call.body.why)
    row = _selector(call, source)
    return _offered(call, new_purge_until(source, row, call.services.ends(source), why))


def preview_selection(call: Call[Any, PreviewGiven]) -> ApiAnswer:
    """Count what a redrive or purge would take now."""
    source = RedriveSource(call.body.source)
    found = call.services.survey(source, _selector(call, source), BulkAct(call.body.act))
    call.services.note_scanned(call.caller, found.scanned)
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
    left_out = found.left_out if call.by_operator else {}
    return ApiAnswer(
        PreviewShown(records=found.tally.records, groups=groups, left_out={**left_out})
    )


def _offered(call: Call[Any, Any], job: Job, events: int | None = None) -> ApiAnswer:
    refuse_beyond_limits(call, events)
    # Again, when no other console starts a job of the partner: two would each count without the other.
    turn = call.turn(lambda: refuse_beyond_limits(call, events))

    def answer(offered: Job) -> ApiAnswer:
        return ApiAnswer(shown_job(call, offered), status=202, location=f"/v1/jobs/{offered.id}")

    def also(offered: Job) -> Sequence[OutgoingRecord]:
        return call.records(answer(offered))

    return answer(call.services.offer_job(job, also, turn))


def _selector(call: Call[Any, Any], source: RedriveSource) -> JsonObject:
    """Return the conditions of a request as a job's row has them; a partner's are of its own things alone."""
    found = call.document["selector"]
    row: JsonObject = {} if not isinstance(found, dict) else dict(found)
    for name in ("since", "until"):
        text = row.get(name)
        at = instant(text if isinstance(text, str) else None, f"selector.{name}")
        if at is not None:
            row[name] = to_rfc3339(at)
    row = {name: value for name, value in row.items() if value is not None}
    if call.caller.partner_id is not None:
        _refuse_foreign(call, row)
        known = call.services.state().current.subscriptions.values()
        own = sorted(each.id for each in known if each.partner_id == call.caller.partner_id)
        row = {"subscriptions": [*own], **row, "partners": [call.caller.partner_id]}
    return read_selector(row, source).row()


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
        "Deliver events of the past again, to this subscription.",
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
        "Resolve dead letters that nobody wants delivered any more.",
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
        tag=_TAG,
    ),
)
