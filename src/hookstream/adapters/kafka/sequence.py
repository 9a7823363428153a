"""A partition is read from its seat on, each record once: what comes otherwise is found out here.

Clients move a position by themselves now and then. A pause that meets a fetch rewinds it, and then
records come a second time. A late answer about a log's end can move it ahead, and then records are
passed over: whoever takes the first one that comes for the beginning would commit past all between.
So the first record must stand at the seat. Where it stands behind it, as with a transaction's marker
or a compacted log, it must be the first one twice.

After the first one a gap is believed. A pause makes none, whatever thread asks for it: the client goes
on at its position, which moves only with what it hands out, after it has dropped what the pause made
void. So a pause can repeat records, and never pass one over.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from hookstream.core.model.record import TopicPartition

_Place: TypeAlias = tuple[str, int]
"""Topic and partition: a `TopicPartition` is equal to it."""


class SequenceCheck:
    """What comes next in each partition that is read."""

    __slots__ = ("_doubted", "_unproven", "expected")

    def __init__(self) -> None:
        """Expect nothing yet."""
        self.expected: dict[_Place, int] = {}
        """The least offset that may come next."""
        self._unproven: dict[_Place, int | None] = {}
        """Seats without a record yet; the first record that came before, where it was doubted."""
        self._doubted: dict[_Place, int] = {}

    def seated(self, positions: Mapping[TopicPartition, int]) -> None:
        """Expect these offsets next."""
        for at, offset in positions.items():
            self.expected[at] = offset
            self._unproven[at] = None

    def remember(self, at: _Place, seen: int) -> None:
        """Note which record came first from this seat: once more, and it is the first."""
        self._unproven[at] = seen

    def forget(self, gone: Iterable[_Place]) -> None:
        """Expect nothing of partitions that were given up."""
        for at in gone:
            self.expected.pop(at, None)
            self._unproven.pop(at, None)
            self._doubted.pop(at, None)

    def admits(self, at: _Place, offset: int) -> bool:
        """Return whether a record that came may be handed out."""
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
        """Return, once, the partitions that must be read again from their seats, and what came."""
        doubted, self._doubted = self._doubted, {}
        return doubted
