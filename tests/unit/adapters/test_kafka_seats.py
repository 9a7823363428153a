"""Where partitions stand that a member was given, before it is known where they begin."""

from collections.abc import Callable
from typing import cast

from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as KafkaPartition
from tests.doubles.clock import HandClock
from tests.doubles.journal import BookkeepingJournal

from hookstream.adapters.kafka_seats import PartitionsTold, Seats
from hookstream.adapters.loop_bridge import LoopBridge


class AssignedConsumer:
    """A client that remembers what it was assigned, and what of it is paused."""

    def __init__(self) -> None:
        self.offsets: dict[tuple[str, int], int] = {}
        self.paused: set[tuple[str, int]] = set()

    def incremental_assign(self, partitions: list[KafkaPartition]) -> None:
        self.offsets.update({(p.topic, p.partition): p.offset for p in partitions})

    def pause(self, partitions: list[KafkaPartition]) -> None:
        self.paused.update((p.topic, p.partition) for p in partitions)


class BusyLoop:
    """A loop that answers nobody in time."""

    def ask(self, _: Callable[[], object], __: float) -> object:
        raise TimeoutError


def test_a_parked_partition_stands_at_a_number_that_the_client_never_looks_up() -> None:
    """A look-up of the log's end may be answered when reading has begun, and moves it there."""
    consumer = AssignedConsumer()
    client = cast("Consumer", consumer)
    told, loop = cast("PartitionsTold", None), cast("LoopBridge", BusyLoop())
    seats = Seats(client, told, loop, BookkeepingJournal(), HandClock())

    seats.on_assign(client, [KafkaPartition("t", 0), KafkaPartition("t", 1)])

    assert [offset > 1 << 60 for offset in consumer.offsets.values()] == [True, True]
    assert consumer.paused == {("t", 0), ("t", 1)}
