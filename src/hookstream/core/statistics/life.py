"""What one run of a delivery counts as, from records in any order, with copies.

A run's state only ever grows: each record that mentions it is joined into what is known. Joining is
commutative, associative and idempotent, so neither order, nor copies after a crash, nor reading the same
records again changes a count.
"""

from enum import IntEnum
from typing import NamedTuple

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.model.delivery import DeferReason, Delivery, Trigger
from hookstream.core.model.instant import MINUTE, SECOND, Millis
from hookstream.core.model.record import Origin

AT_ONCE: Millis = 2 * SECOND
"""A delivery counts as delivered at once if its first 2xx came at most so long after its event's append."""


class Ending(IntEnum):
    """How a run has ended so far; where records disagree, the larger one counts."""

    OPEN = 0
    """No record says that it ended."""
    SKIPPED = 1
    """Nor will one: an operator skipped the record that it was, or would have been, in. Any record that
    says more counts, since a skip that was requested need not have been needed."""
    DEAD_LETTERED = 2
    """It stays that while it is redriven, until it is delivered."""
    CANCELLED = 3
    DELIVERED = 4
    DELIVERED_AT_ONCE = 5
    """Its first 2xx came within `AT_ONCE`."""


class RunKind(IntEnum):
    """Whether a run is counted, or why it is left out."""

    COUNTED = 0
    """The delivery's first life, redrives included."""
    HELD = 1
    """Likewise, but it waited for a hold or for its paused subscription: that is not the endpoint's doing."""
    REPLAY = 2
    """A replay's or resend's run."""
    TEST = 3


class LifeState(NamedTuple):
    """All that is counted of one run."""

    ending: Ending = Ending.OPEN
    held: bool = False
    """Whether it was ever deferred for a hold or for its paused subscription."""
    attempts: int = 0
    """The largest number of an attempt: attempts are numbered from 1, and counted in records."""

    def join(self, other: "LifeState") -> "LifeState":
        """Return what both together say."""
        return LifeState(
            max(self.ending, other.ending),
            self.held or other.held,
            max(self.attempts, other.attempts),
        )

    @property
    def retries(self) -> int:
        """Attempts after the first."""
        return max(0, self.attempts - 1)


class LifeKey(NamedTuple):
    """What identifies a run: the event's place, whom it is for, and the job."""

    origin: Origin
    subscription_id: str
    job: str | None
    """None: the first life, redrives included."""


_HELD = frozenset({DeferReason.HELD, DeferReason.PAUSED})
_ENDINGS = {"dead_letter": Ending.DEAD_LETTERED, "cancel": Ending.CANCELLED}


def key_of_entry(entry: AuditEntry) -> LifeKey:
    """Return the run that an audit entry is about."""
    return LifeKey(entry.origin, entry.subscription_id, entry.job_id)


def key_of_waiting(delivery: Delivery) -> LifeKey:
    """Return the run that a tier record is about."""
    return LifeKey(delivery.origin, delivery.subscription_id, delivery.job)


def state_of_entry(entry: AuditEntry) -> LifeState:
    """Return what an audit entry says of its run."""
    if entry.disposition == "complete":
        answered_at = entry.started_at + entry.duration_us // 1000
        at_once = answered_at - entry.origin.timestamp <= AT_ONCE
        ending = Ending.DELIVERED_AT_ONCE if at_once else Ending.DELIVERED
    else:
        ending = _ENDINGS.get(entry.disposition, Ending.OPEN)
    return LifeState(ending, held=False, attempts=entry.attempt)


def state_of_waiting(delivery: Delivery) -> LifeState:
    """Return what a tier record says of its run: that it waited, and whether for a hold or a pause."""
    return LifeState(Ending.OPEN, delivery.deferred_reason in _HELD, delivery.attempt)


def state_of_skipped(delivery: Delivery) -> LifeState:
    """Return what an operator's skip of a tier record says of its run."""
    return state_of_waiting(delivery)._replace(ending=Ending.SKIPPED)


def kind_of(state: LifeState, job: str | None, *, test: bool) -> RunKind:
    """Return whether a run is counted.

    Args:
        state: All that is known of it.
        job: Its job; None: its first life.
        test: Whether its trigger is a test's.
    """
    if test:
        return RunKind.TEST
    if job is not None:
        return RunKind.REPLAY
    return RunKind.HELD if state.held else RunKind.COUNTED


def is_test(trigger: str) -> bool:
    """Return whether a run of this trigger is a test; a test's never changes."""
    return trigger == Trigger.TEST.value


def minute_of(instant: Millis) -> Millis:
    """Return the minute of an instant, by which deliveries are counted."""
    return instant - instant % MINUTE
