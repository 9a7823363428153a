"""An assignment over a client in memory that remembers what it was assigned, and a loop that records its calls."""

from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from types import SimpleNamespace
from typing import cast

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition
from tests.doubles.clock import HandClock
from tests.doubles.logger import BookkeepingLogger

from hookstream.adapters.kafka.assignment import Assignment
from hookstream.adapters.kafka.listener import ConsumerListener
from hookstream.adapters.kafka.loop_bridge import LoopBridge
from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition


class AssignedConsumer:
    """A client that remembers what it was assigned, and what of it is paused."""

    def __init__(self) -> None:
        self.offsets: dict[tuple[str, int], int] = {}
        self.paused: set[tuple[str, int]] = set()
        self.commits: list[dict[tuple[str, int], int]] = []
        self.starts: list[dict[tuple[str, int], int]] = []
        """Commits that were waited for: only those of starts are."""
        self.broken = False
        self.stands: set[tuple[str, int]] = set()
        """Where a fetch has failed for its offset, so that no seek is taken."""
        self.unassigned: list[tuple[str, int]] = []
        self.end = 100
        self.asked = 0
        """How often it was queried for offsets."""
        self.ask_for: Callable[[list[KafkaPartition]], None] = lambda _: None
        """The broker, which may take its time or give no answer."""

    def seek(self, at: KafkaPartition) -> None:
        place = at.topic, at.partition
        if place not in self.offsets or place in self.stands:
            raise KafkaException(KafkaError(KafkaError._STATE))  # noqa: SLF001
        self.offsets[place] = at.offset

    def offsets_for_times(
        self, asked: list[KafkaPartition], timeout: float
    ) -> list[KafkaPartition]:
        """Return that the log starts at 0 and ends at `end`; a time is its record's offset here."""
        assert timeout > 0
        self.asked += 1
        self.ask_for(asked)
        known = {OFFSET_BEGINNING: 0, OFFSET_END: self.end}
        return [KafkaPartition(p.topic, p.partition, known.get(p.offset, p.offset)) for p in asked]

    def position(self, asked: list[KafkaPartition]) -> list[KafkaPartition]:
        """Return that markers were skipped up to 15 in the first partition."""
        known = {HERE: 15}
        return [
            KafkaPartition(
                p.topic, p.partition, known.get(TopicPartition(p.topic, p.partition), -1)
            )
            for p in asked
        ]

    def list_topics(self, timeout: float) -> SimpleNamespace:
        """Return that each partition has a leader of its own."""
        assert timeout > 0
        topics: dict[str, SimpleNamespace] = {}
        for topic, number in self.offsets:
            known = topics.setdefault(topic, SimpleNamespace(partitions={}))
            known.partitions[number] = SimpleNamespace(leader=number)
        return SimpleNamespace(topics=topics)

    def committed(self, asked: list[KafkaPartition], timeout: float) -> list[KafkaPartition]:
        """Return that 50 is committed everywhere."""
        assert timeout > 0
        return [KafkaPartition(p.topic, p.partition, 50) for p in asked]

    def commit(self, *, offsets: list[KafkaPartition], asynchronous: bool) -> None:
        if not asynchronous:
            self.starts.append({(p.topic, p.partition): p.offset for p in offsets})
            return
        if self.broken:
            raise KafkaException(KafkaError(KafkaError._STATE))  # noqa: SLF001
        self.commits.append({(p.topic, p.partition): p.offset for p in offsets})

    def incremental_unassign(self, partitions: list[KafkaPartition]) -> None:
        for p in partitions:
            if self.offsets.pop((p.topic, p.partition), None) is not None:
                self.unassigned.append((p.topic, p.partition))
            self.stands.discard((p.topic, p.partition))

    def resume(self, partitions: list[KafkaPartition]) -> None:
        self.paused.difference_update((p.topic, p.partition) for p in partitions)

    def incremental_assign(self, partitions: list[KafkaPartition]) -> None:
        self.offsets.update({(p.topic, p.partition): p.offset for p in partitions})

    def pause(self, partitions: list[KafkaPartition]) -> None:
        self.paused.update((p.topic, p.partition) for p in partitions)


class BookkeepingLoop:
    """A loop that records what is posted to it, and may be too busy to answer."""

    def __init__(self) -> None:
        self.posted: list[tuple[object, ...]] = []
        self.settled: Mapping[TopicPartition, CommitPosition] = {}
        """What a revocation finds settled."""
        self.busy = False
        self.ending = False
        """It cancels every call."""

    def run(self, answer: object, _: float) -> object:
        """Return the listener's answer; to a revocation, which it answers by None, what is settled."""
        if self.busy:
            raise TimeoutError
        if self.ending:
            raise CancelledError
        return self.settled if answer is None else answer

    def post(self, *posted: object) -> None:
        self.posted.append(posted)


class SilentListener:
    """A listener of partitions; the loop of these tests never calls it."""

    def on_assigned(self) -> None: ...

    def on_lost(self) -> None: ...

    def on_revoked(self, _: list[TopicPartition]) -> None: ...

    def on_gap(self) -> None: ...

    def on_stopped(self) -> None: ...

    def on_started(self) -> None: ...

    def on_resumed(self) -> None: ...

    def on_commit_failed(self) -> None: ...

    def start_windows(self, _: object) -> dict[str, None]:
        return {}


HERE = TopicPartition("t", 0)
THERE = TopicPartition("t", 1)


class Member:
    """An assignment over a client in memory, with two partitions that are read."""

    def __init__(self) -> None:
        self.consumer = AssignedConsumer()
        self.loop = BookkeepingLoop()
        self.posted = SilentListener()
        self.clock = HandClock()
        self.logger = BookkeepingLogger()
        self.client = cast("Consumer", self.consumer)
        self.assignment = Assignment(
            self.client,
            cast("ConsumerListener", self.posted),
            cast("LoopBridge", self.loop),
            self.logger,
            self.clock,
            group="g",
        )
        self.assignment.seek({HERE: 10, THERE: 20})
        self.consumer.unassigned.clear()

    def hinder_both(self) -> None:
        """Fail to fetch both partitions, and have an operator name where they continue."""
        for at, begin in ((HERE, 15), (THERE, 25)):
            self.assignment.fetch_failed(at, 7, "no such codec")
            self.assignment.start_at(at, begin)

    def fail(self, times: int) -> None:
        """Fail to fetch the first partition at offset 10, and try again, so many times."""
        for _ in range(times):
            self.assignment.fetch_failed(HERE, 7, "no such codec")
            self.clock.forward(1_000)
            self.assignment.try_again()
