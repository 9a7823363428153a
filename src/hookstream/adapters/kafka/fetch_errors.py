"""Partitions whose next records the client cannot fetch or read: tried again, and told when it lasts.

Left to itself the client does one of two things, by the kind of fault. Before a batch that it cannot
decompress, and where the broker refuses a fetch, it stands and tries for ever. Behind a batch of a
format that it does not know it reads on, and what stands in it would be passed over. Here every such
partition waits for a second and is then fetched again from the record that was to come next.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from hookstream.adapters.kafka.listener import ConsumerListener
from hookstream.adapters.kafka.loop_bridge import LoopBridge
from hookstream.core.model.record import TopicPartition
from hookstream.pipeline.ports import Clock, Journal

_LASTS = 5
"""So many failures, about a second apart, are no passing trouble, such as a broker that starts."""
_OVER_SECONDS = 30.0
"""A partition that was tried for so long without a failure is well, though no record came."""


@dataclass(slots=True)
class _FetchError:
    remedy: str
    offset: int
    """The first record that cannot be had, as the remedy names it."""
    failed_at: float
    """Of the last failure, or since when it has been tried without one."""
    failures: int = 0
    told: bool = False


class FetchErrors:
    """What cannot be read of one member's partitions.

    Args:
        listener: Is notified of partitions that stop, and that are read again.
        loop: Where it is notified.
        journal: Where both are logged.
        clock: Measures for how long there was no failure.
    """

    def __init__(
        self,
        listener: ConsumerListener,
        loop: LoopBridge,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._listener = listener
        self._loop = loop
        self._journal = journal
        self._clock = clock
        self._faults: dict[TopicPartition, _FetchError] = {}

    def __bool__(self) -> bool:
        """Return whether anything is wrong."""
        return bool(self._faults)

    def __contains__(self, at: object) -> bool:
        """Return whether the last that was heard of a partition is a failure."""
        return at in self._faults

    def __iter__(self) -> Iterator[tuple[TopicPartition, str]]:
        """Return what was told as stopped, and the remedies."""
        return ((at, fault.remedy) for at, fault in self._faults.items() if fault.told)

    def failed(self, at: TopicPartition, offset: int, why: str) -> None:
        """A partition's records from about `offset` on cannot be fetched; it waits now."""
        fault = self._faults.get(at)
        if fault is None:
            self._journal.warning("consumer.error", **at._asdict(), offset=str(offset), detail=why)
            fault = self._faults[at] = _FetchError(_remedy(at, offset, why), offset, 0.0)
        fault.failures += 1
        fault.failed_at = self._clock.monotonic()
        if fault.failures >= _LASTS and not fault.told:
            fault.told = True
            self._loop.post(self._listener.on_stopped, at, fault.remedy)

    def offset_of(self, at: TopicPartition) -> int | None:
        """Return the offset that a partition's remedy names; None: nothing is wrong with it."""
        fault = self._faults.get(at)
        return None if fault is None else fault.offset

    def look(self, fetched: Collection[TopicPartition]) -> None:
        """End the errors of what was fetched for long enough without one.

        Args:
            fetched: What is not paused for any reason.
        """
        now = self._clock.monotonic()
        for at, fault in self._faults.items():
            if at not in fetched:
                # Without a try: that it did not fail says nothing.
                fault.failed_at = now
        self.over([at for at, f in self._faults.items() if now - f.failed_at >= _OVER_SECONDS])

    def over(self, read: Iterable[TopicPartition]) -> Collection[TopicPartition]:
        """End the errors of these partitions, and return which had one."""
        ended = self._faults.keys() & set(read)
        for at in ended:
            if self._faults.pop(at).told:
                self._journal.info("partition.read_again", **at._asdict())
                self._loop.post(self._listener.on_resumed, at)
        return ended

    def forget(self, gone: Iterable[TopicPartition]) -> None:
        """Drop partitions that were given up."""
        for at in gone:
            self._faults.pop(at, None)


def _remedy(at: TopicPartition, offset: int, why: str) -> str:
    name = f"{at.topic}/{at.partition}"
    return (
        f"the records of {name} from offset {offset} on cannot be fetched: {why}. It is tried again"
        " every second. Where they are damaged for good, leave them out: hookstream partition start"
        f" {name} --at latest|TIME, or this one alone: hookstream partition skip {name} {offset}"
    )
