"""The views of one delivery: its timeline, its next step and its last request."""

from typing import Annotated

from hookstream.core.audit.history import DeliveryHistory
from hookstream.core.audit.next_step import NextStep, Remedy, StoppedBy
from hookstream.core.audit.timeline import LifeStep, StepKind, timeline
from hookstream.core.model.instant import to_rfc3339
from hookstream.entry.admin.sent_requests import LastSent
from hookstream.entry.api.fields import OPERATORS_SEE, ApiOutput
from hookstream.entry.api.filters import WindowShown, time_text
from hookstream.entry.api.resources.delivery_views import (
    AttemptShown,
    PendingShown,
    shown_attempt,
    shown_reason,
)


class TimelineEntry(ApiOutput, frozen=True):
    """One entry of a delivery's timeline."""

    at: str
    kind: str
    """`published`, `matched`, `began` (a run of a job), `attempt`, `ended` (without an attempt), `completed`,
    `cancelled`, `dead-lettered`, `redriven`, `purged` or `wait`."""
    job: str | None
    text: str
    """In a few words."""
    reason: str | None = None
    """Why it waits or ended; of a run, the act that began it."""
    attempt: AttemptShown | None = None
    copies: int = 1
    """The number of its records: more than one if the attempt was repeated after a crash."""
    attempts: int | None = None
    """The number of attempts before a dead letter."""
    until: str | None = None
    """When a wait ends or was to end; null: at once, or as soon as there is room."""
    is_now: bool = False
    """Whether it waits there now."""
    detail: Annotated[str | None, OPERATORS_SEE] = None
    origin: Annotated[str | None, OPERATORS_SEE] = None
    by: Annotated[str | None, OPERATORS_SEE] = None
    place: Annotated[str | None, OPERATORS_SEE] = None
    tier: Annotated[str | None, OPERATORS_SEE] = None
    """The topic in which it waits now."""
    deferrals: Annotated[int | None, OPERATORS_SEE] = None
    """The number of deferrals without an attempt, in the current wait."""


class NextShown(ApiOutput, frozen=True):
    """The next step of a delivery."""

    coming: str
    """`attempt`; `stopped`: it is due, but delivery to its subscription is stopped; `in-hand`: a worker is processing it,
    or the index has not read its last record yet; `nothing`."""
    at: str | None
    """When its next attempt is due; null: at once, or there is none."""
    attempt: int | None
    """The number of its next attempt."""
    job: str | None
    """The run that is attempted."""
    reason: str | None
    """Why it waits."""
    stopped_by: str | None
    """`paused`, `disabled`, `deleted`, `held` or, for partners, `suspended`, `unreadable`, `absent`."""
    early: bool
    """Whether it may be attempted earlier, as soon as its endpoint has room."""
    remedy: str
    """The remedy: `none`, `resend`, `redrive`, `resume`, `enable`, `clear-hold`, `test-again`."""
    place: Annotated[str | None, OPERATORS_SEE] = None
    """The dead letter that can be redriven."""


class SentHeaderShown(ApiOutput, frozen=True):
    """A header of a request."""

    name: str
    value: str
    """In parentheses: a description of a value that is not stored or not shown."""
    source: str
    """`audit`: the attempt's audit record; `today`: the current subscription; `nothing`: its value is not stored."""


class SentShown(ApiOutput, frozen=True):
    """The last request, as far as its audit record and the current subscription determine it."""

    at: str
    attempt: int
    job: str | None
    """The run that it belongs to; null: the first one."""
    version: int
    """The version of the event's data that was sent."""
    line: str
    headers: tuple[SentHeaderShown, ...]
    subscription_known: bool
    """Whether the subscription can be read today."""
    changed_at: str | None
    """When the subscription changed after it, so that the request may have differed; null: it did not."""


class DeliveryShown(ApiOutput, frozen=True):
    """All details of one delivery within the window."""

    id: str
    subscription: str
    partner: str
    state: str
    pending: tuple[PendingShown, ...]
    timeline: tuple[TimelineEntry, ...]
    next: NextShown
    sent: SentShown | None
    """Null: no request was made."""
    window: WindowShown


def shown_timeline(steps: tuple[LifeStep, ...], *, to_operator: bool) -> tuple[TimelineEntry, ...]:
    """Return the timeline of a delivery, oldest first."""
    return tuple(_entry(each, to_operator=to_operator) for each in steps)


def shown_history(history: DeliveryHistory, *, to_operator: bool) -> tuple[TimelineEntry, ...]:
    """Return the timeline of a delivery from its history alone, oldest first."""
    return shown_timeline(
        timeline(history.entries, history.deaths, (), {}), to_operator=to_operator
    )


def _entry(step: LifeStep, *, to_operator: bool) -> TimelineEntry:
    attempt = step.attempt
    reason = shown_reason(step.reason, to_operator=to_operator)
    by = step.by
    if step.kind is StepKind.PURGED:
        by = f"{step.by}: {step.detail}"
    return TimelineEntry(
        at=to_rfc3339(step.at),
        kind=step.kind.value,
        job=step.job,
        text=_text(step, reason or ""),
        reason=reason or None,
        attempt=None if attempt is None else shown_attempt(attempt, to_operator=to_operator),
        copies=step.copies,
        attempts=step.attempts if step.kind is StepKind.DEAD_LETTERED else None,
        until=time_text(step.until),
        is_now=step.is_now,
        detail=step.detail or None,
        origin=step.origin,
        by=by or None,
        place=step.place,
        tier=step.tier or None,
        deferrals=step.deferrals if step.is_now else None,
    )


def _text(step: LifeStep, reason: str) -> str:
    match step.kind:
        case StepKind.PUBLISHED:
            return "its event was published"
        case StepKind.MATCHED:
            return "its event was matched"
        case StepKind.COMPLETED:
            return "its endpoint accepted it"
        case StepKind.REDRIVEN:
            return "it is delivered again"
        case StepKind.PURGED:
            return "it will not be delivered"
        case StepKind.ATTEMPT | StepKind.ENDED if step.attempt is not None:
            entry = step.attempt
            said = (entry.outcome or reason or entry.disposition, entry.status)
            return " ".join(str(each) for each in said if each is not None)
        case _:
            return reason


def shown_next(coming: NextStep, *, to_operator: bool) -> NextShown:
    """Return the view of the next step: for partners, a hold is `suspended` and has no remedy."""
    stopped_by, remedy = coming.stopped_by, coming.remedy
    if not to_operator and stopped_by is StoppedBy.HELD:
        stopped_by = StoppedBy.SUSPENDED
        remedy = Remedy.NONE if remedy is Remedy.CLEAR_HOLD else remedy
    return NextShown(
        coming=coming.coming.value,
        at=time_text(coming.at),
        attempt=coming.attempt or None,
        job=coming.job,
        reason=shown_reason(coming.reason, to_operator=to_operator) or None,
        stopped_by=None if stopped_by is None else stopped_by.value,
        early=coming.early,
        remedy=remedy.value,
        place=coming.place or None,
    )


def shown_sent(sent: LastSent | None) -> SentShown | None:
    """Return the view of the last request."""
    if sent is None:
        return None
    return SentShown(
        at=to_rfc3339(sent.at),
        attempt=sent.attempt,
        job=sent.job,
        version=sent.version,
        line=sent.request.line,
        headers=tuple(
            SentHeaderShown(name=each.name, value=each.value, source=each.source.value)
            for each in sent.request.headers
        ),
        subscription_known=sent.is_known,
        changed_at=time_text(sent.changed_at),
    )
