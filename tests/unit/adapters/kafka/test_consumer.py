"""What the loop's side of a group member forwards to its thread."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

from tests.doubles.clock import HandClock
from tests.doubles.listener import BookkeepingListener
from tests.doubles.logger import BookkeepingLogger

from hookstream.adapters.kafka.consumer import KafkaSource
from hookstream.adapters.kafka.consumer_thread import ConsumerThread
from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.core.offsets.start import StartPolicy

HERE, THERE, ELSEWHERE = (TopicPartition("t", n) for n in range(3))


class OrderedMember:
    """A member that executes orders at once, and remembers what operators named."""

    def __init__(self) -> None:
        self.started: list[tuple[TopicPartition, str | int]] = []
        self.assignment = SimpleNamespace(start_at=self._start_at)

    def _start_at(self, partition: TopicPartition, at: str | int, *, blocked: bool) -> None:
        assert not blocked
        self.started.append((partition, at))

    def order(self, order: Callable[[], None]) -> None:
        order()


async def test_an_operators_request_reaches_a_partition_before_its_fault_is_reported() -> None:
    """The member alone knows of the fault by then; one that is not assigned here is another member's."""
    member = OrderedMember()
    source = KafkaSource(
        {"bootstrap.servers": "127.0.0.1:1"},
        "g",
        protocol="consumer",
        instance_id=None,
        topics=list,
        starts=StartPolicy(wanted_from=lambda _: 0, wait=lambda _: 0, grace=0),
        logger=BookkeepingLogger(),
        clock=HandClock(),
    )
    source._thread = cast("ConsumerThread", member)  # noqa: SLF001  a real one begins to poll
    source._listener = BookkeepingListener()  # noqa: SLF001  as `start` does
    source.on_assigned({HERE: CommitPosition(10)})
    source.on_stopped(THERE, "say where to begin")

    for at in (HERE, THERE, ELSEWHERE):
        source.start_partition(at, "latest")

    assert member.started == [(HERE, "latest"), (THERE, "latest")]
