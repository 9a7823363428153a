"""A partition is fetched only while nobody has a reason against it."""

from collections.abc import Mapping, Sequence

from tests.doubles.seeing import CountingMetrics, RememberingJournal

from hookstream.core.model.record import Record, TopicPartition
from hookstream.pipeline.partitions import Partitions

HERE = TopicPartition("hookstream.retry.5s", 0)


class FetchedSource:
    """A RecordSource that remembers whether it fetches."""

    def __init__(self) -> None:
        self.paused: set[TopicPartition] = set()
        self.commits: list[dict[TopicPartition, int]] = []

    async def take(self, most: int) -> Sequence[Record]:
        raise NotImplementedError(most)

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.commits.append(dict(offsets))

    def pause(self, partition: TopicPartition) -> None:
        self.paused.add(partition)

    def resume(self, partition: TopicPartition) -> None:
        self.paused.discard(partition)


def partitions_of(source: FetchedSource) -> Partitions:
    partitions = Partitions(RememberingJournal(), CountingMetrics())
    partitions.source = source
    partitions.assigned({HERE: 0})
    return partitions


def test_room_in_the_waiting_room_does_not_resume_a_partition_that_is_stopped() -> None:
    """It stands still since something of it cannot be written; more records would only pile up."""
    source = FetchedSource()
    partitions = partitions_of(source)
    partitions.fill(HERE)
    partitions.stop(HERE)

    partitions.drain(HERE)

    assert source.paused == {HERE}


def test_a_partition_is_fetched_again_when_every_reason_has_gone() -> None:
    source = FetchedSource()
    partitions = partitions_of(source)
    partitions.stop(HERE)
    partitions.stop(HERE)
    partitions.fill(HERE)
    partitions.drain(HERE)
    partitions.go_on(HERE)
    assert source.paused == {HERE}

    partitions.go_on(HERE)

    assert source.paused == set()
    assert partitions.blocked == 0


def test_a_batch_is_counted_by_topic_and_received_in_order() -> None:
    source = FetchedSource()
    metrics = CountingMetrics()
    partitions = Partitions(RememberingJournal(), metrics)
    partitions.source = source
    partitions.assigned({HERE: 0})
    elsewhere = Record("other", 0, 0, 0, None, b"", ())
    batch = [Record(HERE.topic, 0, offset, 0, None, b"v", ()) for offset in (0, 1)]

    receipts = partitions.receive([*batch, elsewhere])

    assert [receipt.record.offset for receipt in receipts] == [0, 1]
    assert metrics.taken == {HERE.topic: 2, "other": 1}
