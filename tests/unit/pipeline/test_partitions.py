"""A partition is fetched only while it has no reason to be paused."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from tests.doubles.listener import OwnedListener
from tests.doubles.seeing import CountingMetrics, RememberingLogger
from tests.doubles.virtual_time import VirtualTimeLoop

from hookstream.core.model.record import Record, TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition, encode_metadata
from hookstream.core.offsets.pauses import PauseReason
from hookstream.pipeline.partitions import Partitions

HERE = TopicPartition("hookstream.retry.5s", 0)


class FetchedSource:
    """A RecordSource that remembers whether it fetches."""

    def __init__(self) -> None:
        self.paused: set[TopicPartition] = set()
        self.commits: list[dict[TopicPartition, CommitPosition]] = []

    @property
    def exist(self) -> int:
        return 1

    async def take(self, most: int) -> Sequence[Record]:
        raise NotImplementedError(most)

    def commit(self, offsets: Mapping[TopicPartition, CommitPosition]) -> None:
        self.commits.append(dict(offsets))

    def pause(self, partition: TopicPartition) -> None:
        self.paused.add(partition)

    def resume(self, partition: TopicPartition) -> None:
        self.paused.discard(partition)


def partitions_of(source: FetchedSource, listener: OwnedListener | None = None) -> Partitions:
    partitions = Partitions(
        source, listener or OwnedListener(), RememberingLogger(), CountingMetrics()
    )
    partitions.on_assigned({HERE: CommitPosition(0)})
    return partitions


def test_room_in_the_waiting_room_does_not_resume_a_partition_that_is_stopped() -> None:
    """It is stopped because something of it cannot be written; more records would only accumulate."""
    source = FetchedSource()
    partitions = partitions_of(source)
    partitions.pause(HERE, PauseReason.FULL)
    partitions.pause(HERE, PauseReason.BLOCKED)

    partitions.resume(HERE, PauseReason.FULL)

    assert source.paused == {HERE}


def test_a_partition_is_fetched_again_when_every_reason_has_gone() -> None:
    source = FetchedSource()
    partitions = partitions_of(source)
    partitions.pause(HERE, PauseReason.BLOCKED)
    partitions.pause(HERE, PauseReason.BLOCKED)
    partitions.pause(HERE, PauseReason.FULL)
    partitions.resume(HERE, PauseReason.FULL)
    partitions.resume(HERE, PauseReason.BLOCKED)
    assert source.paused == {HERE}

    partitions.resume(HERE, PauseReason.BLOCKED)

    assert source.paused == set()
    assert partitions.blocked == 0


def test_a_batch_is_counted_by_topic_and_received_in_order() -> None:
    source = FetchedSource()
    metrics = CountingMetrics()
    partitions = Partitions(source, OwnedListener(), RememberingLogger(), metrics)
    partitions.on_assigned({HERE: CommitPosition(0)})
    elsewhere = Record("other", 0, 0, 0, None, b"", ())
    batch = [Record(HERE.topic, 0, offset, 0, None, b"v", ()) for offset in (0, 1)]

    receipts = partitions.receive([*batch, elsewhere])

    assert [receipt.record.offset for receipt in receipts] == [0, 1]
    assert metrics.taken == {HERE.topic: 2, "other": 1}


def records(*offsets: int) -> list[Record]:
    return [Record(HERE.topic, 0, offset, 0, None, b"v", ()) for offset in offsets]


def test_a_record_that_an_earlier_assignment_settled_is_consumed_and_not_processed() -> None:
    """It is read again, since the commit is below it; its partner has it already."""
    source = FetchedSource()
    partitions = partitions_of(source)
    partitions.on_assigned({HERE: CommitPosition(10, encode_metadata(10, [(11, 13)], 100).text)})

    receipts = partitions.receive(records(10, 11, 12, 13))

    assert [receipt.record.offset for receipt in receipts] == [10, 13]
    for receipt in receipts:
        receipt.release()
    partitions.commit()
    assert source.commits == [{HERE: CommitPosition(14)}]


def test_a_partition_whose_progress_does_not_fit_into_a_commit_waits_until_it_does() -> None:
    """What is settled and does not fit into the metadata would be delivered again after a crash."""
    source = FetchedSource()
    partitions = partitions_of(source)
    receipts = partitions.receive(records(*range(0, 400_000, 100)))
    for receipt in receipts[1::2]:
        receipt.release()

    partitions.commit()

    [commit] = source.commits
    assert commit[HERE].offset == 0
    assert 2_900 < len(commit[HERE].metadata) <= 3_000
    assert source.paused == {HERE}

    for receipt in receipts[0:3_000:2]:
        receipt.release()
    partitions.commit()

    assert source.paused == set()


def test_the_metadata_of_one_commit_stays_within_what_a_broker_accepts_in_one_request() -> None:
    source = FetchedSource()
    partitions = partitions_of(source)
    places = [TopicPartition("wide", number) for number in range(400)]
    partitions.on_assigned(dict.fromkeys(places, CommitPosition(0)))
    for at in places:
        batch = [Record("wide", at.partition, n * 40, 0, None, b"", ()) for n in range(1_600)]
        for receipt in partitions.receive(batch)[1::2]:
            receipt.release()

    partitions.commit()

    [commit] = source.commits
    assert 400_000 < sum(len(position.metadata) for position in commit.values()) <= 512 << 10


def test_a_failed_commit_is_repeated_without_metadata_and_then_with_it() -> None:
    """Perhaps the broker refused the metadata; no commit may fail for its metadata twice."""
    source = FetchedSource()
    partitions = partitions_of(source)
    receipts = partitions.receive(records(0, 1, 2))
    receipts[1].release()
    partitions.commit()
    with_metadata = source.commits[0][HERE]
    partitions.on_commit_failed([HERE])

    for _ in range(3):
        partitions.commit()

    assert with_metadata.metadata
    assert source.commits[1:] == [{HERE: CommitPosition(0)}, {HERE: with_metadata}]


def test_progress_that_came_with_a_partition_is_not_forgotten_before_it_was_reached() -> None:
    """A second crash soon after the first must not deliver what the first one had kept."""
    source = FetchedSource()
    partitions = partitions_of(source)
    partitions.on_assigned(
        {HERE: CommitPosition(10, encode_metadata(10, [(11, 13), (20, 30)], 100).text)}
    )
    first, _ = partitions.receive(records(10, 13))
    partitions.commit()
    assert source.commits == [
        {HERE: CommitPosition(10, encode_metadata(10, [(11, 13), (20, 30)], 100).text)}
    ]

    first.release()
    partitions.commit()

    assert source.commits[1] == {
        HERE: CommitPosition(13, encode_metadata(13, [(20, 30)], 100).text)
    }


def test_a_gap_is_committed_when_it_is_reported_though_no_record_follows() -> None:
    """Otherwise a restart would stop the partition again before the skipped batch."""
    source = FetchedSource()
    listener = OwnedListener()
    partitions = partitions_of(source, listener)
    for receipt in partitions.receive(records(0)):
        receipt.release()
    partitions.on_gap(HERE, 1, 60)
    partitions.commit()
    assert source.commits == []

    partitions.gap_published(HERE, listener.gaps[0])
    partitions.commit()

    assert source.commits == [{HERE: CommitPosition(60)}]


async def test_nothing_new_is_started_for_a_partition_that_is_being_revoked() -> None:
    """What is started while its last attempts end would be interrupted, and made twice."""
    source = FetchedSource()
    listener = OwnedListener()
    partitions = partitions_of(source, listener)
    [taken] = partitions.receive(records(0))
    assert taken.may_start
    during: list[object] = []

    def going() -> None:
        during.extend([taken.assigned, taken.may_start, partitions.receive(records(1))])
        taken.release()

    listener.gone = going

    offsets = await partitions.on_revoked([HERE])

    assert during == [True, False, []]
    assert offsets == {HERE: CommitPosition(1)}
    assert not taken.assigned


class BusyLoop(VirtualTimeLoop):
    """A loop that has 30 ms of other work in each turn."""

    def _run_once(self) -> None:
        self._seconds += 0.03
        super()._run_once()


def test_a_revocation_takes_no_longer_when_the_loop_is_busy() -> None:
    """The group does not wait: what is settled would not be committed, and all be made twice."""
    partitions = partitions_of(FetchedSource())
    partitions.receive(records(0))

    async def give_up() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await partitions.on_revoked([HERE])
        return loop.time() - began

    with asyncio.Runner(loop_factory=BusyLoop) as runner:
        took = runner.run(give_up())

    assert 0.4 < took < 0.6


async def test_a_partition_whose_revocation_was_cut_off_is_revoked() -> None:
    """Its source waits no longer and another member has it: nothing of it may be settled here."""
    source = FetchedSource()
    partitions = partitions_of(source)
    [taken] = partitions.receive(records(0))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await partitions.on_revoked([HERE])

    assert (partitions.owned, taken.assigned) == (frozenset(), False)


def test_no_earlier_request_is_applied_to_a_stopped_partition_that_cannot_be_fetched() -> None:
    """It was about an earlier stop: `latest` would now skip what nobody decided to skip."""
    listener = OwnedListener()
    partitions = partitions_of(FetchedSource(), listener)

    partitions.on_stopped(HERE, "its records cannot be fetched")
    assert listener.stopped == []
    partitions.on_lost([HERE])
    partitions.on_stopped(HERE, "its offsets were lost")

    assert listener.stopped == [HERE]


class StubbornSource:
    """A source that can neither pause nor resume."""

    exist = 1

    async def take(self, most: int) -> Sequence[Record]:
        del most
        return ()

    def commit(self, offsets: Mapping[TopicPartition, CommitPosition]) -> None:
        del offsets

    def pause(self, partition: TopicPartition) -> None:
        raise RuntimeError(f"{partition} cannot be paused")

    def resume(self, partition: TopicPartition) -> None:
        raise RuntimeError(f"{partition} cannot be read on")


def test_a_partition_that_cannot_be_paused_is_logged_and_ends_nothing() -> None:
    logger = RememberingLogger()
    partitions = Partitions(StubbornSource(), OwnedListener(), logger, CountingMetrics())
    where = TopicPartition("orders", 0)
    partitions.on_assigned({where: CommitPosition(0)})

    partitions.pause(where, PauseReason.BLOCKED)
    partitions.resume(where, PauseReason.BLOCKED)

    assert not partitions.is_blocked(where)
    assert logger.events("error") == ["defect.found", "defect.found"]
