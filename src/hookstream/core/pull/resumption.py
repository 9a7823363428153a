"""Where a reader goes on, given its cursor and the topics that there are; and what it may have missed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hookstream.core.model.instant import Millis
from hookstream.core.model.record import TopicPartition
from hookstream.core.model.subscription import Subscription
from hookstream.core.pull.cursor import Cursor
from hookstream.core.pull.page import GapReason


class KnownTopic(NamedTuple):
    """One event topic."""

    topic_id: str
    """32 hex digits."""
    partitions: int


@dataclass(slots=True, frozen=True)
class Resumption:
    """Where a reader goes on."""

    positions: Mapping[TopicPartition, int]
    """The next offset of each partition that it has read of."""
    unread: Sequence[TopicPartition]
    """Partitions that it has not read of."""
    gone: Sequence[str] = ()
    """Ids of topics that it has read of and that are not there any more."""
    unlisted: Mapping[TopicPartition, int] = field(default_factory=dict)
    """The next offset of partitions that it has read of and that the list of topics, an older one, has not."""


def resumed_at(cursor: Cursor | None, topics: Mapping[str, KnownTopic]) -> Resumption:
    """Return where a reader goes on.

    Args:
        cursor: Its cursor; None: it has read nothing.
        topics: The event topics by their names.
    """
    read = {} if cursor is None else cursor.topics
    positions: dict[TopicPartition, int] = {}
    unlisted: dict[TopicPartition, int] = {}
    unread: list[TopicPartition] = []
    for name, topic in sorted(topics.items()):
        offsets = read.get(topic.topic_id, {})
        for number in range(topic.partitions):
            at = TopicPartition(name, number)
            if number in offsets:
                positions[at] = offsets[number]
            else:
                unread.append(at)
        for number, offset in offsets.items():
            # A topic never loses partitions.
            if number >= topic.partitions:
                unlisted[TopicPartition(name, number)] = offset
    present = {topic.topic_id for topic in topics.values()}
    gone = [each for each in read if each not in present]
    return Resumption(positions, unread, gone, unlisted)


def first_offset(low: int, first: int, end: int) -> int:
    """Return the offset at which a partition is begun.

    Args:
        low: The first offset that it has.
        first: The first offset whose record is not older than the subscription. Where there is none, it
            is any offset that was the end, or may be behind it.
        end: The end of the log, asked for before `first`.
    """
    return max(low, min(first, end))


def begins_behind(low: int, begin: int) -> bool:
    """Return whether retention may have taken records that are younger than the subscription.

    Args:
        low: The first offset that the partition has.
        begin: Where the partition is begun.
    """
    return 0 < low >= begin


class LogFound(NamedTuple):
    """What becomes of a position that cannot be read."""

    offset: int | None
    """Where to go on; None: nowhere, the topic is another or none."""
    gap: GapReason | None
    """None: it can be read after all."""


def found_again(
    position: int, topic_id: str, present_id: str | None, low: int, high: int
) -> LogFound:
    """Return how to go on where a position cannot be read.

    Args:
        position: The next offset of a reader.
        topic_id: The id of the topic that it reads.
        present_id: The id that the topic of this name has; None: there is none.
        low: The first offset that the partition has.
        high: The end of its log.
    """
    if present_id != topic_id:
        return LogFound(None, GapReason.TOPIC_GONE)
    if position < low:
        return LogFound(low, GapReason.RETENTION)
    if position > high:
        return LogFound(high, GapReason.TRUNCATED)
    return LogFound(position, None)


def is_asked_at(subscription: Subscription, timestamp: Millis) -> bool:
    """Return whether a subscription asks for records of a time, by the pull door.

    It asks for all after its `active_from`. Pauses and disablings are about its endpoint, which the door does
    not need: a reader that was not given what they cover would never learn of it.
    """
    return timestamp > subscription.active_from


@dataclass(slots=True)
class Reading:
    """A reader's positions while one page is read."""

    positions: dict[TopicPartition, int]
    ids: Mapping[str, str]
    """The topics' ids by their names."""
    unlisted: Mapping[TopicPartition, int] = field(default_factory=dict)
    """The next offset of partitions that are not read now."""
    cut: set[TopicPartition] = field(default_factory=set)
    """Partitions of which this page gets nothing more."""

    def passes(self, at: TopicPartition, offset: int) -> bool:
        """Return whether a record is the reader's next of its partition, or behind that."""
        return at not in self.cut and offset >= self.positions.get(at, offset + 1)

    def stop(self, at: TopicPartition, offset: int) -> None:
        """Get nothing more of a partition: its next record is this one."""
        self.positions[at] = offset
        self.cut.add(at)

    def moved(self, positions: Mapping[TopicPartition, int]) -> None:
        """Note up to where partitions were read, transaction markers included."""
        for at, position in positions.items():
            if at in self.positions and at not in self.cut:
                self.positions[at] = max(self.positions[at], position)

    def leave(self, topics: Iterable[str]) -> None:
        """Read no more of topics that are gone."""
        left = set(topics)
        self.unlisted = {at: each for at, each in self.unlisted.items() if at.topic not in left}
        for at in [at for at in self.positions if at.topic in left]:
            del self.positions[at]
            self.cut.discard(at)

    def cursor(self, active_from: Millis) -> Cursor:
        """Return the cursor that goes on from here."""
        topics: dict[str, dict[int, int]] = {}
        for at, position in (*self.unlisted.items(), *self.positions.items()):
            topics.setdefault(self.ids[at.topic], {})[at.partition] = position
        return Cursor(active_from, topics)
