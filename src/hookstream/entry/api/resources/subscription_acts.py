"""Routes of actions on a subscription: pause, resume, enable, rotate a secret, test, release."""

from collections.abc import Sequence
from typing import Any

import msgspec

from hookstream.adapters.json_bytes import json_bytes
from hookstream.core.access.scopes import Scope
from hookstream.core.model.instant import parse_duration, to_rfc3339
from hookstream.core.model.record import OutgoingRecord
from hookstream.core.model.subscription import SigningScheme, Subscription
from hookstream.core.model.subscription_status import DisabledStatus, Held
from hookstream.core.planning.rotation import LONGEST_OVERLAP
from hookstream.entry.admin import gaps, ownership, subscriptions
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.delivery_tests import (
    OnceOnly,
    PreparedTest,
    SentTest,
    prepare_test,
)
from hookstream.entry.admin.event_lines import in_words_of_a_line, read_line, refusal
from hookstream.entry.admin.gaps import EndedGap, FillOptions
from hookstream.entry.admin.ownership import ReleasedTo
from hookstream.entry.admin.signing_secrets import rotate_secret
from hookstream.entry.api.caller import granted_types, subscription_of
from hookstream.entry.api.fields import ApiOutput
from hookstream.entry.api.problems import ProblemKind, RequestRefused, invalid
from hookstream.entry.api.resources.delivery_views import AttemptShown, shown_attempt
from hookstream.entry.api.resources.subscription_bodies import (
    EndedGapOptions,
    MatchGiven,
    ReleaseQuery,
    RotationGiven,
    SubscriptionTestGiven,
)
from hookstream.entry.api.resources.subscription_views import (
    SubscriptionWritten,
    shown_generated,
    status_in,
)
from hookstream.entry.api.resources.subscriptions import written_subscription
from hookstream.entry.api.routes import ApiAnswer, Call, Route
from hookstream.entry.api.services import HeavyWork
from hookstream.errors import InputRefused

_TAG = "subscriptions"
_PATH = "/v1/subscriptions/{subscription_id}"


class SentTestShown(ApiOutput, frozen=True):
    """A test that was sent."""

    delivery: str
    """Its `webhook-id`."""
    job: str
    """The id of its run."""
    expires_at: str
    """It is not attempted from then on."""
    delivered: bool
    outcome: str | None
    """Its outcome; null: nothing is recorded yet."""
    status: int | None
    error: str | None
    duration_ms: float | None
    event_type: str
    event: str
    """The event's id."""
    environment: str
    """The environment with which the filter was evaluated."""
    attempt: AttemptShown | None
    """Its audit record."""
    matches: bool
    """Whether the subscription's filter matches the event."""
    why: str
    """The part of the filter that does not match; empty: none."""


class MatchShown(ApiOutput, frozen=True):
    """A test that was not sent: its event, and whether the filter matches it."""

    delivery: str
    """The `webhook-id` that it would have."""
    event_type: str
    event: str
    """The event's id."""
    environment: str
    """The environment with which the filter was evaluated."""
    matches: bool
    why: str
    """The part of the filter that does not match; empty: none."""


def pause_subscription(call: Call[Any, None]) -> ApiAnswer:
    """Pause a subscription."""
    found = subscription_of(call)

    def act(writer: ChangeWriter) -> tuple[Subscription, bool]:
        return subscriptions.pause(writer, found.id, call.revision)

    def answer(paused: tuple[Subscription, bool], writer: ChangeWriter) -> ApiAnswer:
        after, changed = paused
        body = written_subscription(call, after, writer, changed=changed)
        return ApiAnswer(body, revision=after.revision)

    return call.change(act, answer)


def resume_subscription(call: Call[Any, EndedGapOptions]) -> ApiAnswer:
    """End the pause of a subscription, and fill its gap."""
    found, options = subscription_of(call), _fill_options(call)

    def act(writer: ChangeWriter) -> EndedGap:
        return gaps.resume(writer, found.id, call.revision, options)

    return call.change(act, lambda ended, writer: _ended(call, ended, writer))


def enable_subscription(call: Call[Any, EndedGapOptions]) -> ApiAnswer:
    """Enable a disabled subscription, and fill its gap."""
    found, options = subscription_of(call), _fill_options(call)

    def act(writer: ChangeWriter) -> EndedGap:
        return gaps.enable(writer, found.id, call.revision, options)

    return call.change(act, lambda ended, writer: _ended(call, ended, writer, is_enabling=True))


def rotate_subscription_secret(call: Call[Any, RotationGiven]) -> ApiAnswer:
    """Replace the signing secret by a generated one; the old one keeps signing too for a while."""
    found = subscription_of(call)
    try:
        overlap = parse_duration(call.body.overlap)
    except ValueError as why:
        raise invalid(str(why), "overlap") from None
    if not 0 <= overlap <= LONGEST_OVERLAP:
        raise invalid("must be 0s to 30d", "overlap")
    scheme = None if call.body.scheme is None else SigningScheme(call.body.scheme)

    def answer(done: Any, writer: ChangeWriter) -> ApiAnswer:  # noqa: ANN401  Replaced
        body = written_subscription(
            call, done.subscription, writer, generated=shown_generated((done.new,))
        )
        kept = msgspec.structs.replace(body, generated=())
        return ApiAnswer(body, revision=done.subscription.revision, kept=kept)

    return call.change(
        lambda writer: rotate_secret(writer, found.id, call.revision, overlap, scheme), answer
    )


def send_subscription_test(call: Call[Any, SubscriptionTestGiven]) -> ApiAnswer:
    """Send a test to a subscription's endpoint."""
    prepared = _prepared(call)
    turn = call.turn()

    def kept(sent: SentTest) -> Sequence[OutgoingRecord]:
        return call.records(_tested(call, prepared, sent))

    once = None if turn is None else OnceOnly(turn, kept)
    return _tested(call, prepared, call.services.send_test(prepared, float(call.body.wait), once))


def preview_subscription_test(call: Call[Any, MatchGiven]) -> ApiAnswer:
    """Return whether the event of a test matches, without sending anything."""
    prepared = _prepared(call)
    body = MatchShown(
        delivery=prepared.delivery_id,
        event_type=prepared.event_type,
        event=prepared.event_id,
        environment=prepared.filter.environment,
        matches=prepared.filter.matches,
        why=prepared.filter.why,
    )
    return ApiAnswer(body)


def _prepared(call: Call[Any, Any]) -> PreparedTest:
    """Return the test of a request, which may be sent."""
    state = call.services.state()
    found = subscription_of(call, state)
    event_type = call.body.event_type
    if event_type is not None and event_type not in granted_types(call):
        raise invalid(f"there is no event type {event_type!r}, or it is not granted", "event_type")
    _refuse_status(call, found)
    settings = call.services.settings
    if call.body.event is None:
        return prepare_test(settings, state, found.id, event_type, None)
    given: Any = call.document["event"]
    text = given.encode() if isinstance(given, str) else json_bytes(given)
    try:
        return prepare_test(settings, state, found.id, event_type, read_line(text))
    except RequestRefused:
        raise
    except InputRefused as refused:
        raise invalid(in_words_of_a_line(refusal(refused))) from None


def _tested(
    call: Call[Any, SubscriptionTestGiven], prepared: PreparedTest, sent: SentTest
) -> ApiAnswer:
    entry = sent.entry
    body = SentTestShown(
        delivery=prepared.delivery_id,
        job=sent.job,
        expires_at=to_rfc3339(sent.expires_at),
        delivered=sent.is_delivered,
        outcome=None if entry is None else entry.outcome or entry.reason,
        status=None if entry is None else entry.status,
        error=None if entry is None else entry.error,
        duration_ms=None if entry is None else entry.duration_us / 1_000,
        event_type=prepared.event_type,
        event=prepared.event_id,
        environment=prepared.filter.environment,
        attempt=None if entry is None else shown_attempt(entry, to_operator=call.by_operator),
        matches=prepared.filter.matches,
        why=prepared.filter.why,
    )
    return ApiAnswer(body, status=_status(sent))


def release_subscription(call: Call[ReleaseQuery, None]) -> ApiAnswer:
    """Hand a subscription over, to the API or back to definition files."""
    found, to = subscription_of(call), ReleasedTo(call.query.to)

    def answer(released: tuple[Subscription, str | None], writer: ChangeWriter) -> ApiAnswer:
        after, before = released
        body = written_subscription(call, after, writer, changed=before is not None)
        return ApiAnswer(body, revision=after.revision)

    return call.change(
        lambda writer: ownership.release_subscription(writer, found.id, call.revision, to), answer
    )


def _status(sent: SentTest) -> int:
    return 202 if sent.entry is None else 200


def _refuse_status(call: Call[Any, Any], found: Subscription) -> None:
    """Refuse a test that would not be sent now; a partner does not learn who holds it and why."""
    status = status_in(call.services.state(), found, call.services.now())
    match status:
        case Held() if not call.by_operator:
            raise RequestRefused(ProblemKind.INVALID, "delivery is suspended")
        case DisabledStatus():
            raise invalid(
                f"it is disabled ({status.disabled.reason}): nothing is sent to it",
                remedy=f"first POST /v1/subscriptions/{found.id}/enable",
            )
        case _:
            pass


def _fill_options(call: Call[Any, EndedGapOptions]) -> FillOptions:
    return FillOptions(fill=call.body.fill, rate=call.body.rate)


def _ended(
    call: Call[Any, Any], ended: EndedGap, writer: ChangeWriter, *, is_enabling: bool = False
) -> ApiAnswer:
    body = written_subscription(
        call,
        ended.subscription,
        writer,
        is_enabled=is_enabling and ended.changed,
        changed=ended.changed,
        jobs=tuple(job.id for job in ended.jobs),
    )
    return ApiAnswer(body, revision=ended.subscription.revision)


def _act(name: str, summary: str, handler: Any, **more: Any) -> Route:  # noqa: ANN401
    return Route(
        "POST",
        f"{_PATH}/{name}",
        more.pop("scope", Scope.PARTNER_MANAGE),
        summary,
        handler,
        more.pop("answer", SubscriptionWritten),
        tag=_TAG,
        is_idempotent=True,
        **more,
    )


ROUTES = (
    Route(
        "POST",
        f"{_PATH}/test/preview",
        Scope.PARTNER_READ,
        "Check whether the event of a test matches, without sending it.",
        preview_subscription_test,
        MatchShown,
        body=MatchGiven,
        needs_no_key="it changes nothing",
        work=HeavyWork.TRIAL,
        tag=_TAG,
    ),
    _act(
        "test",
        "Send a test event to its endpoint.",
        send_subscription_test,
        body=SubscriptionTestGiven,
        answer=SentTestShown,
        act="subscription.tested",
        work=HeavyWork.TEST,
    ),
    _act(
        "rotate-secret",
        "Replace its signing secret by a generated one.",
        rotate_subscription_secret,
        body=RotationGiven,
        takes_revision=True,
    ),
    _act(
        "pause",
        "Pause it; the events published meanwhile are a gap.",
        pause_subscription,
        takes_revision=True,
    ),
    _act(
        "resume",
        "End its pause, and fill the gap.",
        resume_subscription,
        body=EndedGapOptions,
        takes_revision=True,
    ),
    _act(
        "enable",
        "Enable it after it was disabled, and fill the gap.",
        enable_subscription,
        body=EndedGapOptions,
        takes_revision=True,
    ),
    _act(
        "release",
        "Take it from the definition files that own it, or give it back to them.",
        release_subscription,
        query=ReleaseQuery,
        scope=Scope.OPERATOR_WRITE,
        takes_revision=True,
    ),
)
