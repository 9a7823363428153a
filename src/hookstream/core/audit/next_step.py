"""What comes next for a delivery: its next attempt with the time and the reason, or none and the remedy."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from hookstream.core.audit.history import DeliveryHistory, DeliveryState
from hookstream.core.audit.run_states import PendingRecord
from hookstream.core.model.delivery import Trigger
from hookstream.core.model.instant import Millis
from hookstream.core.model.subscription_status import (
    Absent,
    Deleted,
    DisabledStatus,
    Held,
    Live,
    Paused,
    SubscriptionStatus,
    Unreadable,
)


class Coming(StrEnum):
    """What comes next."""

    ATTEMPT = "attempt"
    """It is attempted by itself when it is due."""
    STOPPED = "stopped"
    """It is due by itself, but its subscription is not delivered to: see `NextStep.stopped_by`."""
    IN_HAND = "in-hand"
    """A worker has it, or what settled it last is not read yet."""
    NOTHING = "nothing"


class Remedy(StrEnum):
    """What somebody can do about it."""

    NONE = "none"
    """Nothing need be done, or can be."""
    RESEND = "resend"
    """Send it again, in a run of its own."""
    REDRIVE = "redrive"
    """Put its dead letter back into its run."""
    RESUME = "resume"
    """Resume its subscription."""
    ENABLE = "enable"
    """Enable its subscription."""
    CLEAR_HOLD = "clear-hold"
    """Clear the hold, which operators do."""
    TEST_AGAIN = "test-again"
    """It is a test: send another one."""


class StoppedBy(StrEnum):
    """Why nothing is delivered to a subscription."""

    HELD = "held"
    SUSPENDED = "suspended"
    """What partners see of a hold."""
    PAUSED = "paused"
    DISABLED = "disabled"
    DELETED = "deleted"
    UNREADABLE = "unreadable"
    ABSENT = "absent"


@dataclass(slots=True, frozen=True)
class NextStep:
    """What comes next, of several runs that wait for the one that is due first."""

    coming: Coming
    remedy: Remedy
    at: Millis | None = None
    """When its next attempt is due; None: at once, or there is none."""
    attempt: int = 0
    """The number of its next attempt; 0: there is none."""
    job: str | None = None
    """The run that is attempted."""
    reason: str = ""
    """Why it waits: the reason of its deferral, else why the attempt is made."""
    stopped_by: StoppedBy | None = None
    """None: nothing, or it is not known."""
    early: bool = False
    """Whether it may be attempted before `at`, as soon as its lane has room."""
    place: str = ""
    """The dead letter that can be redriven, `3@7`."""


_REMEDIES = {
    StoppedBy.HELD: Remedy.CLEAR_HOLD,
    StoppedBy.SUSPENDED: Remedy.NONE,
    StoppedBy.PAUSED: Remedy.RESUME,
    StoppedBy.DISABLED: Remedy.ENABLE,
    StoppedBy.DELETED: Remedy.NONE,
    StoppedBy.UNREADABLE: Remedy.NONE,
    StoppedBy.ABSENT: Remedy.NONE,
}


def next_step(
    history: DeliveryHistory,
    pending: Sequence[PendingRecord],
    status: SubscriptionStatus | None,
) -> NextStep:
    """Return what comes next.

    Args:
        history: The delivery's history.
        pending: Where its runs wait, the one that is due first before all others.
        status: Its subscription's status under the holds, for the event's type; None: it is not known.
    """
    stopped_by = stopped(status)
    if pending:
        return _of_pending(pending[0], stopped_by)
    if any(entry.trigger == Trigger.TEST for entry in history.entries):
        return NextStep(Coming.NOTHING, Remedy.TEST_AGAIN, stopped_by=stopped_by)
    if history.state is DeliveryState.PENDING:
        return NextStep(Coming.IN_HAND, Remedy.NONE, stopped_by=stopped_by)
    return _ended(history, stopped_by)


def _of_pending(record: PendingRecord, stopped_by: StoppedBy | None) -> NextStep:
    delivery = record.delivery
    return NextStep(
        Coming.ATTEMPT if stopped_by is None else Coming.STOPPED,
        Remedy.NONE if stopped_by is None else _REMEDIES[stopped_by],
        delivery.due_at,
        delivery.attempt + 1,
        delivery.job,
        record.reason,
        stopped_by,
        delivery.has_slot,
    )


def _ended(history: DeliveryHistory, stopped_by: StoppedBy | None) -> NextStep:
    """Return what comes after the end of all runs."""
    open_letters = [death for death in history.deaths if death.is_open]
    letter = open_letters[-1].place if open_letters else ""
    if history.state is not DeliveryState.DEAD_LETTERED or not letter:
        letter, remedy = "", Remedy.RESEND
    else:
        remedy = Remedy.REDRIVE
    if stopped_by is StoppedBy.DELETED:
        remedy = Remedy.NONE
    elif stopped_by is StoppedBy.DISABLED:
        remedy = Remedy.ENABLE
    return NextStep(Coming.NOTHING, remedy, stopped_by=stopped_by, place=letter)


def stopped(status: SubscriptionStatus | None) -> StoppedBy | None:
    """Return why nothing is delivered to a subscription; None: nothing stops it, or it is not known."""
    match status:
        case Held():
            return StoppedBy.HELD
        case Paused():
            return StoppedBy.PAUSED
        case DisabledStatus():
            return StoppedBy.DISABLED
        case Deleted():
            return StoppedBy.DELETED
        case Unreadable():
            return StoppedBy.UNREADABLE
        case Absent():
            return StoppedBy.ABSENT
        case Live() | None:
            return None
