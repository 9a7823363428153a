"""Finds out what a group's consumer must know to decide where to begin a partition."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from hookstream.core.model.instant import Millis
from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.core.offsets.start import Start, start

_SECONDS = 5.0

Window = tuple[Millis, Millis] | None
"""As `StartPolicy.telltale` returns it."""


def find_starts(
    consumer: Consumer, partitions: Sequence[TopicPartition], windows: Mapping[str, Window]
) -> dict[TopicPartition, Start]:
    """Return where each partition begins, by what the broker says of it now.

    Four requests for all partitions together; two more where some have no commit.

    Args:
        consumer: A member of the group.
        partitions: What was assigned.
        windows: By topic, the append times of records that show that offsets were lost.

    Raises:
        KafkaException: The broker did not answer, or refused.
    """
    committed = _committed(consumer, partitions)
    lows = offsets_at(consumer, dict.fromkeys(partitions, OFFSET_BEGINNING))
    highs = offsets_at(consumer, dict.fromkeys(partitions, OFFSET_END))
    suspects = {
        at: window
        for at in partitions
        if committed[at] is None and (window := windows.get(at.topic)) is not None
    }
    since = offsets_at(consumer, {at: window[0] for at, window in suspects.items()})
    before = offsets_at(consumer, {at: window[1] for at, window in suspects.items()})
    return {
        at: start(
            at,
            committed[at],
            lows[at],
            highs[at],
            telltale=at in suspects and since[at] < before[at],
        )
        for at in partitions
    }


def offset_at(consumer: Consumer, partition: TopicPartition, at: "str | Millis") -> int:
    """Return the offset of `earliest`, `latest`, or the first record appended at a time or later.

    Raises:
        KafkaException: The broker did not answer, or refused.
    """
    match at:
        case "earliest":
            time = OFFSET_BEGINNING
        case "latest":
            time = OFFSET_END
        case _:
            time = int(at)
    return offsets_at(consumer, {partition: time})[partition]


def offsets_at(
    consumer: Consumer, times: Mapping[TopicPartition, Millis]
) -> dict[TopicPartition, int]:
    """Return the first offset at or after each time; the log's end where no record is so young.

    OFFSET_BEGINNING and OFFSET_END are times too, in Kafka's protocol as here. The end is the last
    stable offset: what stands behind it is not to be read yet.
    """
    found = _look_up(consumer, times)
    late = {at: OFFSET_END for at, offset in found.items() if offset < 0}
    return found | _look_up(consumer, late)


class End(NamedTuple):
    """Where a log ends."""

    stable: int
    """After the last record that may be read: behind it an open transaction hides what there is."""
    high: int
    """After the last record, as the client saw it; negative where it saw none yet."""


def ends(consumer: Consumer, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, End]:
    """Return the ends of partitions that are assigned, but for those that have no leader or the like.

    One request.

    Raises:
        KafkaException: The broker did not answer.
    """
    highs = {}
    for at in partitions:
        seen = consumer.get_watermark_offsets(
            KafkaPartition(at.topic, at.partition), timeout=0, cached=True
        )
        if seen is not None:
            highs[at] = seen[1]
    found = {}
    for told in _asked(consumer, dict.fromkeys(highs, OFFSET_END)):
        if told.error is None:
            at = TopicPartition(told.topic, told.partition)
            found[at] = End(told.offset, highs[at])
    return found


def _look_up(
    consumer: Consumer, times: Mapping[TopicPartition, Millis]
) -> dict[TopicPartition, int]:
    return {
        TopicPartition(told.topic, told.partition): told.offset
        for told in _checked(_asked(consumer, times))
    }


def _asked(consumer: Consumer, times: Mapping[TopicPartition, Millis]) -> list[KafkaPartition]:
    if not times:
        return []
    asked = [KafkaPartition(at.topic, at.partition, time) for at, time in times.items()]
    return consumer.offsets_for_times(asked, timeout=_SECONDS)


def _committed(
    consumer: Consumer, partitions: Sequence[TopicPartition]
) -> dict[TopicPartition, CommitPosition | None]:
    asked = [KafkaPartition(at.topic, at.partition) for at in partitions]
    return {
        TopicPartition(told.topic, told.partition): (
            CommitPosition(told.offset, told.metadata or "") if told.offset >= 0 else None
        )
        for told in _checked(consumer.committed(asked, timeout=_SECONDS))
    }


def _checked(partitions: list[KafkaPartition]) -> list[KafkaPartition]:
    for partition in partitions:
        if partition.error is not None:
            raise KafkaException(partition.error)
    return partitions
