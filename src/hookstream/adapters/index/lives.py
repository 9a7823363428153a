"""What records say of runs of deliveries, and a run's row in its event's hour."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hookstream.adapters.index.attempt_rows import Indexed, Row
from hookstream.adapters.index.packing import Packed, packed_delivery
from hookstream.core.audit.run_states import PendingRecord
from hookstream.core.model.delivery import Trigger
from hookstream.core.statistics.life import (
    Ending,
    LifeKey,
    LifeState,
    is_test,
    key_of_entry,
    key_of_waiting,
    state_of_entry,
    state_of_waiting,
)

_HELD, _TEST = 8, 16
"""Bits of a stored state above its ending."""

_TEST_TRIGGER = Trigger.TEST.value
LIFE_COLUMNS = 6
"""The columns of a run's key."""


class Life(NamedTuple):
    """A run that a record mentions, and what it says of it."""

    key: LifeKey
    partner_id: str
    delivery: Packed
    """Its delivery's id as it is stored."""
    state: LifeState
    test: bool

    def joined(self, other: "Life") -> "Life":
        """Return what both together say of the run."""
        return self._replace(state=self.state.join(other.state), test=self.test or other.test)


class LifePlace(NamedTuple):
    """A run's key in numbers, and its partner's."""

    sub: int
    at: int
    partition: int
    offset: int
    topic: int
    job: int
    """0: its first life."""
    partner: int


def packed_state(state: LifeState, *, test: bool) -> int:
    """Return a state as it is stored, without its attempts."""
    return int(state.ending) | (_HELD if state.held else 0) | (_TEST if test else 0)


def read_state(stored: int, attempts: int) -> tuple[LifeState, bool]:
    """Return a stored state, and whether it is a test's."""
    return LifeState(Ending(stored & 7), bool(stored & _HELD), attempts), bool(stored & _TEST)


def lives_of(attempts: Iterable[Indexed], deliveries: Iterable[Packed]) -> Iterator[Life]:
    """Return what attempts say of their runs, whose deliveries' ids are given as they are stored."""
    for each, delivery in zip(attempts, deliveries, strict=True):
        entry = each.entry
        yield Life(
            key_of_entry(entry),
            entry.partner_id,
            delivery,
            state_of_entry(entry),
            entry.trigger == _TEST_TRIGGER,
        )


def life_row(place: LifePlace, life: Life) -> Row:
    """Return a run's row."""
    state = life.state
    packed = packed_state(state, test=life.test)
    return (*place[:LIFE_COLUMNS], packed, state.attempts, life.delivery)


def life_of(pending: PendingRecord) -> Life:
    """Return what a tier record says of its run."""
    delivery = pending.delivery
    return Life(
        key_of_waiting(delivery),
        delivery.partner_id,
        packed_delivery(delivery.delivery_id),
        state_of_waiting(delivery),
        is_test(delivery.trigger.value),
    )
