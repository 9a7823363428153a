"""Looks up offsets with a group's consumer, and determines where partitions start."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from hookstream.core.model.instant import Millis
from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.core.offsets.start import Start, start

_SECONDS = 5.0

Window = tuple[Millis, Millis] | None
"""As `StartPolicy.telltale` returns it."""
Failed: TypeAlias = dict[TopicPartition, KafkaError]
"""Partitions for which there is no answer, and why."""


def find_starts(
    consumer: Consumer,
    partitions: Sequence[TopicPartition],
    windows: Mapping[str, Window],
    cuts: Mapping[TopicPartition, int],
    failed: Failed,
) -> dict[TopicPartition, Start]:
    """Return where each partition starts, by the broker's present answers.

    Makes three requests for all partitions together; two more if some have no commit, and two after each of these
    two if no record is that recent.

    Args:
        consumer: A member of the group.
        partitions: The assigned partitions.
        windows: By topic, the append times of records that show that offsets were lost.
        cuts: Where logs were cut while they were read, as `start` takes it.
        failed: Takes the partitions for which there is no answer, such as those that no broker leads.

    Raises:
        KafkaException: A broker did not answer, or refused all.
    """
    asked = [KafkaPartition(*at) for at in partitions]
    answers = consumer.committed(asked, timeout=_SECONDS)
    committed = commit_positions(_answered(answers, failed))
    led = [at for at in partitions if at not in failed]
    lows = offsets_at(consumer, dict.fromkeys(led, OFFSET_BEGINNING), failed)
    highs = offsets_at(consumer, dict.fromkeys(lows, OFFSET_END), failed)
    suspects = {
        at: window
        for at in highs
        if at not in committed and (window := windows.get(at.topic)) is not None
    }
    since = offsets_at(consumer, {at: window[0] for at, window in suspects.items()}, failed)
    before = offsets_at(consumer, {at: window[1] for at, window in suspects.items()}, failed)
    return {
        at: start(
            at,
            committed.get(at),
            lows[at],
            highs[at],
            telltale=at in suspects and since[at] < before[at],
            cut=cuts.get(at),
        )
        for at in partitions
        if at not in failed
    }


def by_leader(
    consumer: Consumer, partitions: Collection[TopicPartition]
) -> list[list[TopicPartition]]:
    """Return partitions by the broker that leads them, as the brokers say now; those without one together.

    Raises:
        KafkaException: No broker answered.
    """
    known = consumer.list_topics(timeout=_SECONDS).topics
    found: dict[int, list[TopicPartition]] = {}
    for at in sorted(partitions):
        topic = known.get(at.topic)
        there = None if topic is None else topic.partitions.get(at.partition)
        found.setdefault(-1 if there is None else there.leader, []).append(at)
    return [found[leader] for leader in sorted(found)]


def offset_at(consumer: Consumer, partition: TopicPartition, at: "str | Millis") -> int:
    """Return the offset of `earliest`, `latest`, or the first record appended at a time or later.

    Raises:
        KafkaException: The broker did not answer, or refused.
    """
    time = {"earliest": OFFSET_BEGINNING, "latest": OFFSET_END}.get(str(at))
    return offsets_at(consumer, {partition: int(at) if time is None else time})[partition]


def offsets_at(
    consumer: Consumer, times: Mapping[TopicPartition, Millis], failed: Failed | None = None
) -> dict[TopicPartition, int]:
    """Return the first offset at or after each time; the log's end if no record is that recent.

    OFFSET_BEGINNING and OFFSET_END are times too, in Kafka's protocol as here. The end is the last
    stable offset: records behind it cannot be read yet. Whatever is appended meanwhile, no record of a time
    or later is below its offset.

    Args:
        consumer: The client.
        times: By partition.
        failed: Takes the partitions for which there is no answer; None: all are needed.

    Raises:
        KafkaException: A broker did not answer, or refused.
    """
    found = _look_up(consumer, times, failed)
    late = {at: times[at] for at, offset in found.items() if offset < 0}
    # As in `lookups.ask_offsets`: an end counts if there is still no record after it was requested.
    ends = _look_up(consumer, dict.fromkeys(late, OFFSET_END), failed)
    again = _look_up(consumer, {at: late[at] for at in ends}, failed)
    found |= {at: ends[at] if offset < 0 else offset for at, offset in again.items()}
    return {at: offset for at, offset in found.items() if at not in late or at in again}


class End(NamedTuple):
    """Where a log ends."""

    stable: int
    """After the last record that can be read: an open transaction hides the records behind it."""
    high: int
    """After the last record, as far as the client knows; negative if it knows none yet."""


def ends(consumer: Consumer, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, End]:
    """Return the ends of assigned partitions, without those that have no leader or another error.

    Makes one request.

    Raises:
        KafkaException: The broker did not answer.
    """
    highs = {}
    for at in partitions:
        seen = consumer.get_watermark_offsets(KafkaPartition(*at), timeout=0, cached=True)
        if seen is not None:
            highs[at] = seen[1]
    found = {}
    for answer in _asked(consumer, dict.fromkeys(highs, OFFSET_END)):
        if answer.error is None:
            at = place_of(answer)
            found[at] = End(answer.offset, highs[at])
    return found


def _look_up(
    consumer: Consumer, times: Mapping[TopicPartition, Millis], failed: Failed | None
) -> dict[TopicPartition, int]:
    answers = _asked(consumer, times)
    sound = checked(answers) if failed is None else _answered(answers, failed)
    return {place_of(each): each.offset for each in sound}


def _answered(answers: Sequence[KafkaPartition], failed: Failed) -> list[KafkaPartition]:
    """Return the answers that are no errors; `failed` takes the others."""
    failed |= {place_of(each): each.error for each in answers if each.error is not None}
    return [each for each in answers if each.error is None]


def _asked(consumer: Consumer, times: Mapping[TopicPartition, Millis]) -> list[KafkaPartition]:
    if not times:
        return []
    asked = [KafkaPartition(*at, time) for at, time in times.items()]
    return consumer.offsets_for_times(asked, timeout=_SECONDS)


def place_of(partition: KafkaPartition) -> TopicPartition:
    """Return topic and number of a partition in the client's answers."""
    return TopicPartition(partition.topic, partition.partition)


def commit_positions(
    answers: Sequence[KafkaPartition],
) -> dict[TopicPartition, CommitPosition]:
    """Return a group's commits, without the partitions that have none.

    Raises:
        KafkaException: The broker refused it for a partition.
    """
    return {
        place_of(each): CommitPosition(each.offset, each.metadata or "")
        for each in checked(answers)
        if each.offset >= 0
    }


def checked(answers: Sequence[KafkaPartition]) -> Sequence[KafkaPartition]:
    """Return a client's answers.

    Raises:
        KafkaException: One is an error.
    """
    for answer in answers:
        if answer.error is not None:
            raise KafkaException(answer.error)
    return answers
