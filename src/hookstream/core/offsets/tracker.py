"""Tracks which received offsets of a partition are settled, and the offset that can be committed.

It tracks the offsets received and does not count up: transaction markers and compaction leave gaps
in the log, and a tracker that waited for the missing offsets would never commit again.
"""

from collections import deque
from collections.abc import Sequence

from hookstream.core.model.instant import Millis
from hookstream.core.offsets.commit_metadata import NOTHING, CommitPosition, Span, encode_metadata
from hookstream.errors import InvariantBroken

_ROOMY = 0.75
"""The share of the metadata's maximum length below which a crowded partition is resumed."""


class OffsetTracker:
    """The unsettled records of one partition during one assignment.

    Receiving and settling update one dict. `committable` is the offset of the first unsettled record,
    or the one after the last settled record if nothing is unsettled.
    """

    def __init__(self, start: int, generation: int, settled: Sequence[Span] = ()) -> None:
        """Track from `start`, the offset of the next record, for one assignment generation.

        Args:
            start: The committed offset.
            generation: Distinguishes this assignment of the partition from others.
            settled: Spans above `start` that an earlier assignment settled: they are read again and
                skipped.
        """
        self.generation = generation
        self.crowded = False
        """The last metadata could not cover everything, and has not become short enough since."""
        self._timestamps: dict[int, Millis] = {}
        """The unsettled records in offset order."""
        self._known = deque(settled)
        self._known_until = settled[-1][1] if settled else 0
        self._upto = start
        self._committed: CommitPosition | None = CommitPosition(start)
        self._looked_at: tuple[int, int, int] | None = (start, start, 0)
        self._bare = False

    def receive(self, offset: int, timestamp: Millis) -> bool:
        """Track a record that was received. Return False if it is already settled.

        Raises:
            InvariantBroken: The offset is not above every offset received before.
        """
        if offset < self._upto:
            raise InvariantBroken(f"offset {offset} was received after {self._upto - 1}")
        self._upto = offset + 1
        if offset < self._known_until and self._was_settled(offset):
            return False
        self._timestamps[offset] = timestamp
        return True

    def _was_settled(self, offset: int) -> bool:
        known = self._known
        while known and known[0][1] <= offset:
            known.popleft()
        return bool(known) and known[0][0] <= offset

    def pass_over(self, first: int, next_offset: int) -> None:
        """Count offsets without records as settled. Records before them may still arrive."""
        spans: list[Span] = []
        for start, end in sorted([*self._known, (first, next_offset)]):
            if spans and start <= spans[-1][1]:
                spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
            else:
                spans.append((start, end))
        self._known = deque(spans)
        self._known_until = spans[-1][1]

    def settle(self, offset: int) -> None:
        """Settle an offset: the outcome of its record is durable.

        Raises:
            InvariantBroken: The offset was not received, or is settled already.
        """
        if self._timestamps.pop(offset, None) is None:
            raise InvariantBroken(f"offset {offset} was settled without being unsettled")

    @property
    def committable(self) -> int:
        """The offset that may be committed: everything before it is settled."""
        for offset in self._timestamps:
            return offset
        known = self._known
        if known and known[0][0] <= self._upto < known[0][1]:
            return known[0][1]
        return self._upto

    def position(self, room: int) -> CommitPosition:
        """Return the position to commit now, with metadata of at most `room` characters."""
        base = self.committable
        metadata = (
            NOTHING if self._bare else encode_metadata(base, self._settled_above(base), room)
        )
        if not metadata.whole:
            self.crowded = True
        elif len(metadata.text) <= room * _ROOMY:
            self.crowded = False
        return CommitPosition(base, metadata.text)

    def _settled_above(self, base: int) -> list[Span]:
        """Return the spans that need not be delivered again. Offsets without records count as settled."""
        spans: list[Span] = []
        if self._upto - base != len(self._timestamps):
            after = base
            for offset in self._timestamps:
                if offset > after:
                    spans.append((after, offset))
                after = offset + 1
            if self._upto > after:
                spans.append((after, self._upto))
        for start, end in self._known:
            first = max(start, self._upto, base)
            if spans and spans[-1][1] == first < end:
                spans[-1] = (spans[-1][0], end)
            elif first < end:
                spans.append((first, end))
        return spans

    def to_commit(self, room: int) -> CommitPosition | None:
        """Return the position to commit, or None if it has not changed."""
        looked_at = (self.committable, self._upto, len(self._timestamps))
        if looked_at == self._looked_at:
            return None
        position = self.position(room)
        # After a commit without metadata, one with it is due although nothing else has changed.
        self._looked_at = None if self._bare else looked_at
        self._bare = False
        if position == self._committed:
            return None
        self._committed = position
        return position

    def never_committed(self) -> None:
        """Record that the group's commit differs from the start: a commit is due."""
        self._committed = self._looked_at = None

    def forget_commit(self) -> None:
        """Record that the last commit failed: commit the position again.

        Without its metadata, because the broker may have rejected that.
        """
        self._committed = self._looked_at = None
        self._bare = True

    @property
    def unsettled(self) -> int:
        """How many received records are not settled."""
        return len(self._timestamps)

    @property
    def oldest_unsettled(self) -> Millis | None:
        """The timestamp of the lowest unsettled record; None if all are settled."""
        for timestamp in self._timestamps.values():
            return timestamp
        return None
