"""The extent of a replay: the offsets that it reads of each partition, from a start up to a fixed end.

The end is the partition's high watermark at an instant after the interval: records appended later are not part of
it, and the replay waits for open transactions below it. The start is the first offset whose record is not older
than the interval, by the broker's time index: every record below it is older, whatever the order of times. So the
start is safe, and its cost is the records above it that do not belong to the interval: if a clock was ahead once,
or producers set the times, that may be the whole remaining log. An end by time would not be safe, because records
after it may belong to the interval.

Topics are identified by their ids: one that was created again is another topic.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.record import TopicPartition
from hookstream.core.model.row_fields import OBJECT, TEXT, WHOLE, WrongType

MOST_PARTITIONS: Final = 4_000
"""The most partitions that one replay reads: the job's row has two offsets of each."""
NO_ID: Final = ""
"""The id of topics for which the brokers give none."""

_ID = re.compile(r"(?:[0-9a-f]{32})?\Z")
_LARGEST = 2**63 - 1


class OffsetSpan(NamedTuple):
    """The offsets of one partition that are still to be read."""

    next: int
    end: int
    """Excluded."""

    @property
    def is_read(self) -> bool:
        """Whether nothing is left of it."""
        return self.next >= self.end


class LostOffsets(NamedTuple):
    """Offsets that were gone before they were read."""

    at: TopicPartition
    first: int
    end: int
    """Excluded."""
    why: str
    """In a few words: `retention took them`."""


class LogBounds(NamedTuple):
    """The bounds of one partition's log, as the brokers report them."""

    topic_id: str | None
    """None: there is no such topic."""
    low: int
    """The first offset that it has."""
    high: int
    """Its high watermark."""


@dataclass(slots=True, frozen=True)
class Extent:
    """The spans that are still to be read, by partition. One that was read to its end has none."""

    ids: Mapping[str, str] = field(default_factory=dict)
    """The id of each topic, 32 hex digits; `NO_ID`: it has none."""
    spans: Mapping[TopicPartition, OffsetSpan] = field(default_factory=dict)

    @property
    def offsets(self) -> int:
        """How many offsets remain: an upper bound of the records."""
        return sum(max(0, span.end - span.next) for span in self.spans.values())

    @property
    def topics(self) -> frozenset[str]:
        """The topics with remaining offsets."""
        return frozenset(at.topic for at in self.spans)

    def moved(self, positions: Mapping[TopicPartition, int]) -> "Extent":
        """Return the extent after partitions were read up to these offsets."""
        spans = dict(self.spans)
        for at, position in positions.items():
            span = spans.get(at)
            if span is not None and position > span.next:
                spans[at] = span._replace(next=position)
                if position >= span.end:
                    del spans[at]
        return _kept(self.ids, spans)

    def checked(
        self, logs: Mapping[TopicPartition, LogBounds]
    ) -> tuple["Extent", list[LostOffsets]]:
        """Return the extent without the offsets that logs no longer have, and those offsets.

        Args:
            logs: What the brokers say of some of its partitions.
        """
        spans, lost = dict(self.spans), []
        for at, log in logs.items():
            span = spans.get(at)
            if span is None:
                continue
            left, gone = _left(at, span, log, self.ids[at.topic])
            lost += gone
            if left is None:
                del spans[at]
            else:
                spans[at] = left
        return _kept(self.ids, spans), lost

    def document(self) -> JsonObject:
        """Return it as JSON, for a job's row or a preview."""
        topics: JsonObject = {}
        for topic in sorted(self.topics):
            spans: JsonObject = {
                str(at.partition): [span.next, span.end]
                for at, span in sorted(self.spans.items())
                if at.topic == topic
            }
            topics[topic] = {"id": self.ids[topic], "offsets": spans}
        return topics


def _left(
    at: TopicPartition, span: OffsetSpan, log: LogBounds, topic_id: str
) -> tuple[OffsetSpan | None, list[LostOffsets]]:
    """Return the part of a span that a log still has; None: nothing."""
    whole = LostOffsets(at, span.next, span.end, "")
    if log.topic_id is None:
        return None, [whole._replace(why="the topic was deleted")]
    if log.topic_id != topic_id:
        return None, [whole._replace(why="the topic was deleted and created again")]
    lost: list[LostOffsets] = []
    if log.high < span.end:
        # An election of a leader that lacked them: later records get their offsets.
        first = max(span.next, log.high)
        lost.append(LostOffsets(at, first, span.end, "the log was truncated"))
        span = span._replace(end=first)
    if log.low > span.next:
        first, span = span.next, span._replace(next=min(log.low, span.end))
        if span.next > first:
            lost.append(LostOffsets(at, first, span.next, "retention took them"))
    return (None if span.is_read else span), lost


def _kept(ids: Mapping[str, str], spans: Mapping[TopicPartition, OffsetSpan]) -> Extent:
    topics = {at.topic for at in spans}
    return Extent({topic: id_ for topic, id_ in ids.items() if topic in topics}, spans)


def extent_of(
    ids: Mapping[str, str],
    starts: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> Extent:
    """Return the extent between these offsets, without partitions that have nothing to read.

    Args:
        ids: The topics' ids.
        starts: The first offset to read of each partition. It may be above the end, which was asked
            for before.
        ends: The end of each partition.
    """
    spans = {at: OffsetSpan(starts[at], end) for at, end in ends.items() if starts[at] < end}
    return _kept(ids, spans)


def curtailed(
    starts: Mapping[TopicPartition, int], lows: Mapping[TopicPartition, int]
) -> list[TopicPartition]:
    """Return the partitions from which retention may have removed records of the interval already.

    Args:
        starts: The first offset to read of each.
        lows: The first offset that each has.
    """
    return sorted(at for at, low in lows.items() if 0 < low >= starts[at])


def read_extent(found: Json) -> Extent:
    """Read an extent from JSON.

    Raises:
        WrongType: It is none; the message says what is wrong.
    """
    ids: dict[str, str] = {}
    spans: dict[TopicPartition, OffsetSpan] = {}
    for topic, described in OBJECT.read(found).items():
        fields = OBJECT.read(described)
        topic_id = TEXT.read(fields.get("id"))
        if not _ID.match(topic_id):
            raise WrongType("has a topic id that is not 32 hex digits")
        ids[topic] = topic_id
        for partition, offsets in OBJECT.read(fields.get("offsets")).items():
            at = TopicPartition(topic, partition_of(partition))
            spans[at] = _span(offsets)
    if len(spans) > MOST_PARTITIONS:
        raise WrongType(f"has more than {MOST_PARTITIONS:,} partitions")
    return _kept(ids, spans)


def partition_of(text: str) -> int:
    """Return a partition's number from the key of a JSON object.

    Raises:
        WrongType: It is none.
    """
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(_LARGEST)):
        raise WrongType("has a partition that is not a number")
    return int(text)


def offset_of(found: object) -> int:
    """Return an offset from JSON.

    Raises:
        WrongType: It is none.
    """
    offset: int = WHOLE.read(found)
    if not 0 <= offset <= _LARGEST:
        raise WrongType("has an offset out of range")
    return offset


def _span(found: object) -> OffsetSpan:
    match found:
        case [first, end]:
            span = OffsetSpan(offset_of(first), offset_of(end))
        case _:
            raise WrongType("has offsets that are not a first and an end")
    if span.is_read:
        raise WrongType("has offsets whose end is not above the first")
    return span


def lost_text(lost: Iterable[LostOffsets]) -> str:
    """Return the lost offsets as a sentence of bounded length, for operators."""
    all_lost = list(lost)
    shown = [
        f"{each.at.topic}-{each.at.partition} offsets {each.first} to {each.end - 1} ({each.why})"
        for each in all_lost[:_SHOWN]
    ]
    more = f" and {len(all_lost) - _SHOWN} more" if len(all_lost) > _SHOWN else ""
    return f"lost: {'; '.join(shown)}{more}"


_SHOWN = 3
