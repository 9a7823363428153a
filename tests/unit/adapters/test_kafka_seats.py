"""Where partitions stand that a member was given, and which of their offsets it commits."""

from collections.abc import Callable, Mapping
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition
from tests.doubles.clock import HandClock
from tests.doubles.journal import BookkeepingJournal

from hookstream.adapters.kafka_seats import PartitionsTold, Seats
from hookstream.adapters.loop_bridge import LoopBridge
from hookstream.core.intake.progress import Progress
from hookstream.core.model.record import TopicPartition


class AssignedConsumer:
    """A client that remembers what it was assigned, and what of it is paused."""

    def __init__(self) -> None:
        self.offsets: dict[tuple[str, int], int] = {}
        self.paused: set[tuple[str, int]] = set()
        self.commits: list[dict[tuple[str, int], int]] = []
        self.broken = False

    def commit(self, *, offsets: list[KafkaPartition], asynchronous: bool) -> None:
        assert asynchronous
        if self.broken:
            raise KafkaException(KafkaError(KafkaError._STATE))  # noqa: SLF001
        self.commits.append({(p.topic, p.partition): p.offset for p in offsets})

    def incremental_unassign(self, partitions: list[KafkaPartition]) -> None:
        for p in partitions:
            self.offsets.pop((p.topic, p.partition), None)

    def resume(self, partitions: list[KafkaPartition]) -> None:
        self.paused.difference_update((p.topic, p.partition) for p in partitions)

    def incremental_assign(self, partitions: list[KafkaPartition]) -> None:
        self.offsets.update({(p.topic, p.partition): p.offset for p in partitions})

    def pause(self, partitions: list[KafkaPartition]) -> None:
        self.paused.update((p.topic, p.partition) for p in partitions)


class BusyLoop:
    """A loop that answers nobody in time, and keeps a book of what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []
        self.settled: Mapping[TopicPartition, Progress] = {}
        """What a revocation finds settled."""

    def do(self, _: object, __: float) -> Mapping[TopicPartition, Progress]:
        return self.settled

    def ask(self, _: Callable[[], object], __: float) -> object:
        raise TimeoutError

    def tell(self, _: Callable[..., None], *arguments: object) -> None:
        self.told.append(arguments)


class Told:
    """Hears of partitions; the loop of these tests never calls it."""

    def hear(self) -> None: ...

    def lost(self) -> None: ...

    def revoked(self, _: list[TopicPartition]) -> None: ...

    def uncommitted(self) -> None: ...


HERE = TopicPartition("t", 0)
THERE = TopicPartition("t", 1)


class Member:
    """Seats over a client in memory, with two partitions that are read."""

    def __init__(self) -> None:
        self.consumer = AssignedConsumer()
        self.loop = BusyLoop()
        self.told = Told()
        self.clock = HandClock()
        self.client = cast("Consumer", self.consumer)
        self.seats = Seats(
            self.client,
            cast("PartitionsTold", self.told),
            cast("LoopBridge", self.loop),
            BookkeepingJournal(),
            self.clock,
        )
        self.seats.seat({HERE: 10, THERE: 20})


def test_a_parked_partition_stands_at_a_number_that_the_client_never_looks_up() -> None:
    """A look-up of the log's end may be answered when reading has begun, and moves it there."""
    member = Member()

    member.seats.on_assign(member.client, [KafkaPartition("u", 0), KafkaPartition("u", 1)])

    offsets = member.consumer.offsets
    assert [offsets["u", partition] > 1 << 60 for partition in (0, 1)] == [True, True]
    assert member.consumer.paused == {("u", 0), ("u", 1)}


def test_the_loop_hands_offsets_over_and_the_thread_commits_the_last_of_each() -> None:
    """The client makes a commit wait for a poll of another thread: up to 0.2 s for the loop."""
    member = Member()

    member.seats.commits.settled({HERE: Progress(11), THERE: Progress(21)})
    member.seats.commits.settled({HERE: Progress(12)})
    assert member.consumer.commits == []
    member.seats.commit_settled()
    member.seats.commits.answered({HERE: 12, THERE: 21})
    member.seats.commit_settled()

    assert member.consumer.commits == [{HERE: 12, THERE: 21}]


def test_a_commit_waits_for_the_answer_to_the_one_before() -> None:
    """One that the client tries again could land upon a younger one, and take offsets back."""
    member = Member()
    member.seats.commits.settled({HERE: Progress(11), THERE: Progress(21)})
    member.seats.commit_settled()

    member.seats.commits.settled({HERE: Progress(12)})
    member.seats.commit_settled()
    member.seats.commits.settled({HERE: Progress(13), THERE: Progress(22)})
    member.seats.commits.answered({HERE: 7})
    member.seats.commit_settled()
    assert member.consumer.commits == [{HERE: 11, THERE: 21}]
    member.seats.commits.answered({HERE: 11, THERE: 21})
    member.seats.commit_settled()

    assert member.consumer.commits == [{HERE: 11, THERE: 21}, {HERE: 13, THERE: 22}]


def test_a_commit_that_is_never_answered_does_not_hold_up_others_for_ever() -> None:
    member = Member()
    member.seats.commits.settled({HERE: Progress(11)})
    member.seats.commit_settled()
    member.seats.commits.settled({HERE: Progress(12)})

    member.clock.forward(29_999)
    member.seats.commit_settled()
    assert len(member.consumer.commits) == 1
    member.clock.forward(1)
    member.seats.commit_settled()

    assert member.consumer.commits == [{HERE: 11}, {HERE: 12}]


def test_a_revocation_commits_what_is_settled_whatever_is_under_way() -> None:
    """The group waits for it, and what it does not commit is delivered again by another member."""
    member = Member()
    member.seats.commits.settled({HERE: Progress(11), THERE: Progress(21)})
    member.seats.commit_settled()
    member.seats.commits.settled({HERE: Progress(12), THERE: Progress(22)})
    member.loop.settled = {HERE: Progress(13)}

    member.seats.on_revoke(member.client, [KafkaPartition(*HERE)])
    member.seats.commits.answered({HERE: 11, THERE: 21})
    member.seats.commit_settled()

    assert member.consumer.commits == [{HERE: 11, THERE: 21}, {HERE: 13}, {THERE: 22}]


def test_nothing_is_committed_of_a_partition_that_was_given_up_since() -> None:
    """Another member may have committed more of it by now."""
    member = Member()
    member.seats.commits.settled({HERE: Progress(12), THERE: Progress(21)})

    member.seats.on_lost(member.client, [KafkaPartition(*HERE)])
    member.seats.seat({HERE: 30})
    member.seats.commit_settled()

    assert member.consumer.commits == [{THERE: 21}]


def test_what_is_not_trusted_any_more_is_not_committed() -> None:
    member = Member()
    member.seats.commits.settled({HERE: Progress(12)})
    member.seats.commits.forget()
    member.seats.commit_settled()
    assert member.consumer.commits == []


def test_a_commit_that_the_client_does_not_take_is_told() -> None:
    member = Member()
    member.consumer.broken = True
    member.seats.commits.settled({HERE: Progress(12)})
    member.seats.commit_settled()
    assert member.loop.told == [(member.told.uncommitted, [HERE])]
