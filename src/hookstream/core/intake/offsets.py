"""An offset tracker knows which received offsets of a partition are settled, and what may be committed.

Offsets are tracked as received, never counted up: transaction markers and compaction leave gaps in
the log, and a tracker that waited for the missing numbers would never commit again.
"""

from collections import deque

from hookstream.core.model.instant import Millis
from hookstream.errors import InvariantBroken

_NEVER = -1
"""No offset: nothing that the broker is known to have."""


class OffsetTracker:
    """The unsettled records of one partition during one assignment.

    Every operation is O(1) amortised. `committable` is the offset of the first unsettled record, or
    the one after the last settled record where nothing is unsettled.
    """

    __slots__ = ("_committed", "_order", "_timestamps", "_upto", "generation")

    def __init__(self, start: int, generation: int) -> None:
        """Track from `start`, the offset of the next record, for one assignment generation."""
        self.generation = generation
        self._order: deque[int] = deque()
        self._timestamps: dict[int, Millis] = {}
        self._upto = start
        self._committed = start

    def receive(self, offset: int, timestamp: Millis) -> None:
        """Take note of a record that was handed over and is not settled yet.

        Raises:
            InvariantBroken: The offset is not above every offset received before.
        """
        if offset < self._upto:
            raise InvariantBroken(f"offset {offset} was received after {self._upto - 1}")
        self._order.append(offset)
        self._timestamps[offset] = timestamp
        self._upto = offset + 1

    def settle(self, offset: int) -> None:
        """Free an offset: whatever replaces its record is durable.

        Raises:
            InvariantBroken: The offset was not received, or is settled already.
        """
        if self._timestamps.pop(offset, None) is None:
            raise InvariantBroken(f"offset {offset} was settled without being unsettled")
        order = self._order
        while order and order[0] not in self._timestamps:
            order.popleft()

    @property
    def committable(self) -> int:
        """The offset that may be committed: everything before it is settled."""
        return self._order[0] if self._order else self._upto

    def to_commit(self) -> int | None:
        """Return the offset to commit, or None where that was returned before."""
        offset = self.committable
        if offset == self._committed:
            return None
        self._committed = offset
        return offset

    def forget_commit(self) -> None:
        """Take back what was committed last: the commit failed, so it is due again."""
        self._committed = _NEVER

    @property
    def unsettled(self) -> int:
        """How many received records are not settled."""
        return len(self._timestamps)

    @property
    def oldest_unsettled(self) -> Millis | None:
        """The log timestamp of the lowest unsettled record, None where all are settled."""
        return self._timestamps[self._order[0]] if self._order else None
