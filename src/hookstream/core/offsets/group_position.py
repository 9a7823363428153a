"""A group's position in a partition says who holds it, and how much of the log it has not settled."""

from dataclasses import dataclass

from hookstream.core.model.instant import Millis
from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition, Span, read_note


@dataclass(slots=True, frozen=True)
class GroupMember:
    """A member of a group, as the brokers describe it."""

    id: str
    """What the protocol calls it: made by the client at each start."""
    client_id: str
    host: str
    """The address that the brokers see it at."""
    instance_id: str | None = None
    """The name that stays over restarts, where membership is static."""


@dataclass(slots=True, frozen=True)
class GroupPosition:
    """How far a group is in one partition, at the moment that the brokers were asked."""

    group: str
    at: TopicPartition
    holder: GroupMember | None
    """None: the group gives the partition to nobody, and nobody reads it."""
    committed: CommitPosition | None
    """None: nothing was committed yet."""
    start: int
    """The first offset that the log still has."""
    end: int
    """The offset after the last record, those of open transactions included."""
    oldest: Millis | None
    """When the first unsettled record was appended; None: no record is unsettled."""

    @property
    def unsettled(self) -> int:
        """How many offsets are not settled, at most: markers of transactions among them count."""
        if self.oldest is None:
            return 0
        return max(0, self.end - self.unread_from - self.settled_above)

    @property
    def beyond_end(self) -> bool:
        """Whether more is committed than the log has: it was created again or truncated, and stops."""
        return self.committed is not None and self.committed.offset > self.end

    @property
    def settled_above(self) -> int:
        """How many offsets are settled behind the committed one, by the commit's note."""
        return sum(
            max(0, min(end, self.end) - max(begin, self.start)) for begin, end in self.spans
        )

    @property
    def unread_from(self) -> int:
        """The first offset that is not settled, or that the log still has behind it."""
        return self.start if self.committed is None else max(self.committed.offset, self.start)

    def settles(self, offset: int) -> bool:
        """Return whether a record is settled, or gone from the log."""
        if offset < self.unread_from:
            return True
        return any(begin <= offset < end for begin, end in self.spans)

    @property
    def spans(self) -> tuple[Span, ...]:
        """What is settled behind the committed offset, by the commit's note."""
        return (
            () if self.committed is None else read_note(self.committed.note, self.committed.offset)
        )
