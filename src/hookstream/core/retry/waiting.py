"""The waiting room keeps records that are not due yet: bounded in bytes, ordered by due time, fair.

Its records are unsettled in the log, so it may be dropped at any time. Each partition has a
guaranteed floor, so that a day's backlog in one tier starves no other; above the floors, partitions
with records share the budget evenly. A record that waits only for a slot has an owner, which may
take it early. The bound is enforced by pausing partitions, not by rejecting records: a partition
exceeds its share by what was already fetched.

Background records (a replay's) have a queue of their own, so that nothing else waits for them.
"""

import heapq
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from hookstream.core.model.instant import Millis
from hookstream.core.model.record import TopicPartition
from hookstream.errors import ConfigurationError, InvariantBroken

T = TypeVar("T")

_STALE_ENTRIES_KEPT = 1024
"""Up to this many dropped entries are left in the heap for `due` to skip."""

_STALE_ENTRIES_OF_AN_OWNER = 32
"""Dropped entries that an owner keeps, in addition to as many as records wait. There are thousands of owners."""

_MUCH_LONGER = 8
"""A heap that is this many times as long as the new entries is cheaper to add to than to build again."""


class Owner(NamedTuple):
    """The lane that may take a record early."""

    lane: str
    """The subscription's id."""
    background: bool = False
    """Whether it is a background record: others of the lane are taken first."""


@dataclass(slots=True, eq=False)
class _ByDue(Generic[T]):
    """Records by due time; dropped ones stay in the heap until they are popped or swept."""

    heap: "list[tuple[Millis, int, _WaitingEntry[T]]]" = field(default_factory=list)
    stale: int = 0

    def __len__(self) -> int:
        """Return how many records wait."""
        return len(self.heap) - self.stale

    def first(self) -> Millis | None:
        """Return when the next record is due, or None if none waits."""
        heap = self.heap
        while heap and heap[0][2].item is None:
            heapq.heappop(heap)
            self.stale -= 1
        return heap[0][0] if heap else None

    def sweep(self) -> None:
        """Remove dropped entries if there are many."""
        if self.stale > max(len(self), _STALE_ENTRIES_KEPT):
            self.heap = [place for place in self.heap if place[2].item is not None]
            heapq.heapify(self.heap)
            self.stale = 0


@dataclass(slots=True, eq=False)
class _WaitingEntry(Generic[T]):
    """One record that waits; `item` is None once it is dropped."""

    queue: _ByDue[T]
    share: "_Share[T]"
    offset: int
    size: int
    item: T | None
    key: Hashable | None
    rank: int
    owned: "_Owned[T] | None"


@dataclass(slots=True, eq=False)
class _Owned(Generic[T]):
    """The records that wait for one owner, which may take them before they are due.

    They are sorted only when the owner takes them, which it does not while its endpoint is down.
    """

    owner: Owner
    left: int = 0
    heap: list[tuple[Millis, int, _WaitingEntry[T]]] = field(default_factory=list)
    fresh: list[tuple[Millis, int, _WaitingEntry[T]]] = field(default_factory=list)
    """Those that came since the last sort."""

    def add(self, place: tuple[Millis, int, _WaitingEntry[T]]) -> None:
        """Add a record, and forget dropped ones if there are many."""
        self.fresh.append(place)
        self.left += 1
        if len(self.fresh) + len(self.heap) > 2 * self.left + _STALE_ENTRIES_OF_AN_OWNER:
            self.heap = [each for each in self.heap if each[2].item is not None]
            self.fresh = [each for each in self.fresh if each[2].item is not None]
            heapq.heapify(self.heap)

    def earliest(self) -> _WaitingEntry[T]:
        """Remove and return the entry that is due first, which may be a dropped one."""
        if self.fresh:
            if len(self.fresh) < len(self.heap) // _MUCH_LONGER:
                for place in self.fresh:
                    heapq.heappush(self.heap, place)
            else:
                self.heap += self.fresh
                heapq.heapify(self.heap)
            self.fresh.clear()
        return heapq.heappop(self.heap)[2]


@dataclass(slots=True, eq=False)
class _Share(Generic[T]):
    """The records of one partition."""

    partition: TopicPartition
    size: int = 0
    paused: bool = False
    entries: dict[int, _WaitingEntry[T]] = field(default_factory=dict)


class WaitingRoom(Generic[T]):
    """Records that wait, by partition and by due time.

    `T` is the caller's item; it must not be None.

    Args:
        budget_bytes: The budget for all records, above the floors.
        floor_bytes: What each partition may keep regardless of the others.
        is_background: Returns whether an item is a background record; the answer for an item never changes.

    Raises:
        ConfigurationError: A bound is not positive.
    """

    def __init__(
        self,
        budget_bytes: int,
        floor_bytes: int,
        is_background: Callable[[T], bool] = lambda _: False,
    ) -> None:
        if budget_bytes <= 0 or floor_bytes <= 0:
            raise ConfigurationError("the waiting room's budget and floor must be positive")
        self._budget = budget_bytes
        self._floor = floor_bytes
        self._is_background = is_background
        self._size = 0
        self.moves = 0
        """How often a record came or went: until it changes, `to_pause` and `to_resume` return nothing new."""
        self._queue: _ByDue[T] = _ByDue()
        self._background: _ByDue[T] = _ByDue()
        self._order = 0
        self._shares: dict[TopicPartition, _Share[T]] = {}
        self._occupied = 0
        """How many of them have records."""
        self.paused = 0
        """How many partitions are paused now."""
        self._by_key: dict[Hashable, _WaitingEntry[T]] = {}
        self._by_owner: dict[Owner, _Owned[T]] = {}

    def __len__(self) -> int:
        """Return how many records wait."""
        return len(self._queue) + len(self._background)

    @property
    def waiting_bytes(self) -> int:
        """For tests: the bytes of all waiting records."""
        return self._size

    def has(self, partition: TopicPartition, offset: int) -> bool:
        """Return whether a record waits here."""
        share = self._shares.get(partition)
        return share is not None and offset in share.entries

    def admit(
        self,
        partition: TopicPartition,
        offset: int,
        due: Millis,
        size: int,
        item: T,
        key: Hashable | None = None,
        owner: Owner | None = None,
        *,
        rank: int = 0,
    ) -> T | None:
        """Add a record. Of two copies keep one and return the other.

        Args:
            partition: Where it was read from.
            offset: Its offset there.
            due: The earliest time at which `due` returns it.
            size: Its bytes.
            item: The caller's item.
            key: Identifies copies of one record; None if it has no copies.
            owner: Who may take it before it is due, with `early`; None: nobody.
            rank: Of two records with equal keys the higher rank is kept; of equal ranks the earlier.

        Returns:
            None if the record now waits and replaced nothing; otherwise the copy that does not wait
            (`item` or the earlier one), which the caller must settle at once.

        Raises:
            InvariantBroken: The offset already waits: settling either would lose the other.
        """
        share = self._shares.get(partition)
        if share is None:
            share = self._shares[partition] = _Share(partition)
        if offset in share.entries:
            raise InvariantBroken(
                f"{partition.topic}-{partition.partition}@{offset} was added to the waiting room twice"
            )
        queue = self._background if self._is_background(item) else self._queue
        entry = _WaitingEntry(queue, share, offset, size, item, key, rank, None)
        replaced: T | None = None
        if key is not None:
            copy = self._by_key.get(key)
            if copy is not None:
                if copy.rank >= rank:
                    return item
                replaced = self._replace(copy)
            self._by_key[key] = entry
        if not share.entries:
            self._occupied += 1
        share.entries[offset] = entry
        share.size += size
        self._size += size
        self.moves += 1
        self._order += 1
        heapq.heappush(queue.heap, (due, self._order, entry))
        if owner is not None:
            self._own(owner, due, entry)
        return replaced

    def _replace(self, copy: _WaitingEntry[T]) -> T | None:
        """Remove and return a copy in favour of one of higher rank."""
        item = copy.item
        self._take_out(copy)
        copy.queue.stale += 1
        copy.queue.sweep()
        return item

    def _own(self, owner: Owner, due: Millis, entry: _WaitingEntry[T]) -> None:
        owned = self._by_owner.get(owner)
        if owned is None:
            owned = self._by_owner[owner] = _Owned(owner)
        owned.add((due, self._order, entry))
        entry.owned = owned

    def due(self, now: Millis, most: int | None = None, *, background: bool = False) -> list[T]:
        """Remove and return up to `most` records due by `now`, the earliest first.

        Args:
            now: The present.
            most: None: all of them.
            background: True: background records; False: the others.
        """
        found: list[T] = []
        queue = self._background if background else self._queue
        heap = queue.heap
        while heap and heap[0][0] <= now and (most is None or len(found) < most):
            entry = heapq.heappop(heap)[2]
            item = entry.item
            if item is None:
                queue.stale -= 1
                continue
            self._take_out(entry)
            found.append(item)
        return found

    @property
    def owned(self) -> bool:
        """Whether any record waits for an owner."""
        return bool(self._by_owner)

    def owners(self) -> list[Owner]:
        """Return the owners that records wait for."""
        return list(self._by_owner)

    def early(self, owner: Owner, most: int) -> list[T]:
        """Remove and return up to `most` records of an owner before they are due, the earliest first."""
        found: list[T] = []
        owned = self._by_owner.get(owner)
        while owned is not None and owned.left and len(found) < most:
            entry = owned.earliest()
            item = entry.item
            if item is not None:
                self._take_out(entry)
                entry.queue.stale += 1
                found.append(item)
        self._sweep()
        return found

    def _take_out(self, entry: _WaitingEntry[T]) -> None:
        """Remove an entry, except from the heap of due times."""
        share = entry.share
        entry.item = None
        share.size -= entry.size
        self._size -= entry.size
        self.moves += 1
        del share.entries[entry.offset]
        if not share.entries:
            self._occupied -= 1
        self._unlink(entry)

    def _unlink(self, entry: _WaitingEntry[T]) -> None:
        if entry.key is not None:
            del self._by_key[entry.key]
        owned, entry.owned = entry.owned, None
        if owned is not None:
            owned.left -= 1
            if owned.left == 0:
                del self._by_owner[owned.owner]

    def _sweep(self) -> None:
        self._queue.sweep()
        self._background.sweep()

    def next_due(self, *, background: bool | None = None) -> Millis | None:
        """Return when the next record is due, or None if none waits.

        Args:
            background: True: background records only; False: the others only; None: all.
        """
        if background is not None:
            return (self._background if background else self._queue).first()
        known = [due for due in (self._queue.first(), self._background.first()) if due is not None]
        return min(known, default=None)

    def to_pause(self) -> list[TopicPartition]:
        """Return the partitions that became full since the last call, each once.

        The caller pauses them; they stay paused until `to_resume` returns them.
        """
        limit = self._floor if self._size >= self._budget else self._even_share()
        if self._size < limit:
            return []
        full = [
            share for share in self._shares.values() if not share.paused and share.size >= limit
        ]
        for share in full:
            share.paused = True
        self.paused += len(full)
        return [share.partition for share in full]

    def to_resume(self) -> list[TopicPartition]:
        """Return the paused partitions that have at most half of their share, each once."""
        if not self.paused:
            return []
        limit = self._even_share()
        # Only below three quarters of the budget: near the limit a partition would alternate between
        # pause and resume, and each pause discards prefetched records.
        if self._size * 4 > self._budget * 3:
            limit = self._floor
        resumed = [
            share for share in self._shares.values() if share.paused and share.size * 2 <= limit
        ]
        for share in resumed:
            share.paused = False
        self.paused -= len(resumed)
        return [share.partition for share in resumed]

    def drop(self, partition: TopicPartition) -> None:
        """Remove a revoked partition with its records and its pause."""
        share = self._shares.pop(partition, None)
        if share is None:
            return
        self.paused -= share.paused
        self._occupied -= bool(share.entries)
        for entry in share.entries.values():
            entry.item = None
            entry.queue.stale += 1
            self._unlink(entry)
        self._size -= share.size
        self.moves += 1
        self._sweep()

    def _even_share(self) -> int:
        return max(self._floor, self._budget // max(self._occupied, 1))
