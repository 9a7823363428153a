"""Checks that a partition is read from its start offset on, each record once.

A client sometimes moves a position unasked. A pause during a fetch rewinds it, and records come a
second time. A late answer about a log's end can move it ahead, and records are skipped: if the first
record that comes were taken as the start, all of them would be committed. So the first record must have the
start offset. If its offset is higher, because of a transaction's marker or compaction, the same record
must come first twice.

After the first record, gaps are trusted. A pause, from any thread, makes none: the client continues at
its position, which moves only with the records that it hands out, after it has dropped what the pause
invalidated. So a pause can repeat records but never skips one.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from hookstream.core.model.record import TopicPartition

_Place: TypeAlias = tuple[str, int]
"""Topic and partition: a `TopicPartition` is equal to it."""


class SequenceCheck:
    """The next offset of each partition that is read."""

    __slots__ = ("_doubted", "_unproven", "expected")

    def __init__(self) -> None:
        self.expected: dict[_Place, int] = {}
        """The lowest offset that may come next."""
        self._unproven: dict[_Place, int | None] = {}
        """Partitions without a record since their start, with the first one that came if it was doubted."""
        self._doubted: dict[_Place, int] = {}

    def expect(self, positions: Mapping[TopicPartition, int]) -> None:
        """Expect these offsets next."""
        for at, offset in positions.items():
            self.expected[at] = offset
            self._unproven[at] = None

    def remember(self, at: _Place, seen: int) -> None:
        """Note the record that came first from this start offset: if it comes first again, it is accepted."""
        self._unproven[at] = seen

    def forget(self, gone: Iterable[_Place]) -> None:
        """Drop partitions that were released."""
        for at in gone:
            self.expected.pop(at, None)
            self._unproven.pop(at, None)
            self._doubted.pop(at, None)

    def admits(self, at: _Place, offset: int) -> bool:
        """Return whether a fetched record may be handed out."""
        expected = self.expected.get(at)
        if expected is None:
            return True
        if offset < expected or at in self._doubted:
            return False
        if at in self._unproven:
            if offset > expected and self._unproven[at] != offset:
                self._doubted[at] = offset
                return False
            del self._unproven[at]
        self.expected[at] = offset + 1
        return True

    def take_doubted(self) -> dict[_Place, int]:
        """Return, once, the partitions to read again from their start, and the offset that came."""
        doubted, self._doubted = self._doubted, {}
        return doubted
