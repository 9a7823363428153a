"""Derives the lives of deliveries' runs from records, and stores them as rows in their events' hours.

A row also has the place of its run's newest audit entry, in whatever hour's file: so a list of runs looks up each
by its place, not by an id. Its times are relative to the event's, which makes them short.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from hookstream.adapters.index.attempt_rows import Indexed, Row
from hookstream.adapters.index.packing import Packed, packed_delivery
from hookstream.core.audit.run_states import PendingRecord
from hookstream.core.model.delivery import Trigger
from hookstream.core.model.instant import Millis
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
_NONE_KNOWN = None, None, None, None


class NewestEntry(NamedTuple):
    """The place of the audit entry that gives a run's state: the newest, or the newest that completed it.

    Of two, the larger one counts.
    """

    completes: bool
    began: Millis
    """When its attempt began."""
    at: Millis
    """When it was appended, but not before the start of the hour whose file has it."""
    partition: int
    offset: int


class Life(NamedTuple):
    """A run that a record mentions, with the record's information."""

    key: LifeKey
    partner_id: str
    delivery: Packed
    """Its delivery's id as it is stored."""
    state: LifeState
    test: bool
    newest: NewestEntry | None = None
    """None: no audit entry is known."""

    def joined(self, other: "Life") -> "Life":
        """Return the information of both about the run."""
        return self._replace(
            state=self.state.join(other.state),
            test=self.test or other.test,
            newest=newer_of(self.newest, other.newest),
        )


def newer_of(one: NewestEntry | None, other: NewestEntry | None) -> NewestEntry | None:
    """Return the entry that gives a run's state."""
    if one is None or other is None:
        return one or other
    return max(one, other)


class LifePlace(NamedTuple):
    """A run's key as numbers, and its partner's number."""

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


def lives_of(
    attempts: Iterable[Indexed], deliveries: Iterable[Packed], hour: Millis
) -> Iterator[Life]:
    """Return the lives of attempts' runs.

    Args:
        attempts: The attempts.
        deliveries: The ids of their deliveries as they are stored.
        hour: The start of the hour whose file has them.
    """
    for each, delivery in zip(attempts, deliveries, strict=True):
        at, partition, offset, entry = each
        yield Life(
            key_of_entry(entry),
            entry.partner_id,
            delivery,
            state_of_entry(entry),
            entry.trigger == _TEST_TRIGGER,
            NewestEntry(
                entry.disposition == "complete",
                entry.started_at,
                max(hour, at),
                partition,
                offset,
            ),
        )


def life_row(place: LifePlace, life: Life) -> Row:
    """Return a run's row."""
    state = life.state
    packed = packed_state(state, test=life.test)
    newest = newest_columns(life.newest, life.key.origin.timestamp)
    return (*place[:LIFE_COLUMNS], packed, state.attempts, life.delivery, *newest)


def newest_columns(newest: NewestEntry | None, origin_at: Millis) -> Row:
    """Return the last four columns of a run's row; `origin_at` is its event's time."""
    if newest is None:
        return _NONE_KNOWN
    _, began, at, partition, offset = newest
    return at - origin_at, at - began, partition, offset


def read_newest(
    columns: Sequence[int | None], origin_at: Millis, state: LifeState
) -> NewestEntry | None:
    """Return the newest entry from the last four columns of a run's row.

    Args:
        columns: The columns.
        origin_at: Its event's time.
        state: Its state; if it is delivered, the entry completed it.
    """
    after, took, partition, offset = columns
    if after is None or took is None or partition is None or offset is None:
        return None
    at = origin_at + after
    return NewestEntry(state.ending >= Ending.DELIVERED, at - took, at, partition, offset)


def life_of(pending: PendingRecord) -> Life:
    """Return the life of a tier record's run."""
    delivery = pending.delivery
    return Life(
        key_of_waiting(delivery),
        delivery.partner_id,
        packed_delivery(delivery.delivery_id),
        state_of_waiting(delivery),
        is_test(delivery.trigger.value),
    )
