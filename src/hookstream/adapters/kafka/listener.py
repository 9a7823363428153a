"""The listener of a consumer thread, notified on the event loop and in order."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from hookstream.adapters.kafka.offsets import Window
from hookstream.core.model.record import Record, TopicPartition
from hookstream.errors import HookstreamError
from hookstream.pipeline.ports import AssignmentListener


class ConsumerListener(AssignmentListener, Protocol):
    """Is notified of the thread and its records, in addition to its partitions."""

    def on_records(self, records: list[Record]) -> None:
        """A request was answered."""

    def on_resumed(self, partition: TopicPartition) -> None:
        """A partition that stopped and stayed assigned is read again."""

    def on_failed(self, error: HookstreamError) -> None:
        """The thread ended."""

    async def start_windows(self, topics: Iterable[str]) -> Mapping[str, Window]:
        """Return `StartPolicy.telltale` of each topic now."""
