"""Retries partitions whose next records cannot be fetched or read, and reports lasting errors.

The client alone does one of two things. If it cannot decompress a batch, or the broker refuses a fetch, it
retries without end. A batch of an unknown format it skips, and continues with the records after it. Here
every such partition is paused for a second and then fetched again from its next record.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from hookstream.adapters.kafka.listener import ConsumerListener
from hookstream.adapters.kafka.loop_bridge import LoopBridge
from hookstream.core.model.record import TopicPartition
from hookstream.pipeline.ports import Clock, Logger

_LASTS = 5
"""After so many failures, about a second apart, they are unlikely to pass like those of a starting broker."""
_OVER_SECONDS = 30.0
"""A partition that was fetched for so long without a failure has recovered, even without a record."""


@dataclass(slots=True)
class _FetchError:
    remedy: str
    offset: int
    """The first record that cannot be fetched, as the remedy names it."""
    failed_at: float
    """Time of the last failure, or from which on it has been fetched without one."""
    failures: int = 0
    reported: bool = False


class FetchErrors:
    """The partitions of one consumer that cannot be read.

    Args:
        listener: Is notified of partitions that stop, and that are read again.
        loop: The loop on which it is notified.
        logger: Logs both.
        clock: Measures the time without a failure.
    """

    def __init__(
        self,
        listener: ConsumerListener,
        loop: LoopBridge,
        logger: Logger,
        clock: Clock,
    ) -> None:
        self._listener = listener
        self._loop = loop
        self._logger = logger
        self._clock = clock
        self._errors: dict[TopicPartition, _FetchError] = {}

    def __bool__(self) -> bool:
        """Return whether any partition has an error."""
        return bool(self._errors)

    def __contains__(self, at: object) -> bool:
        """Return whether a partition's last fetch failed."""
        return at in self._errors

    def __iter__(self) -> Iterator[tuple[TopicPartition, str]]:
        """Return the partitions that were reported as stopped, with their remedies."""
        return ((at, error.remedy) for at, error in self._errors.items() if error.reported)

    def failed(self, at: TopicPartition, offset: int, why: str) -> None:
        """A partition's records from about `offset` on cannot be fetched. The caller pauses it."""
        error = self._errors.get(at)
        if error is None:
            self._logger.warning("consumer.error", **at._asdict(), offset=offset, detail=why)
            error = self._errors[at] = _FetchError(_remedy(at, offset, why), offset, 0.0)
        error.failures += 1
        error.failed_at = self._clock.monotonic()
        if error.failures >= _LASTS and not error.reported:
            error.reported = True
            self._loop.post(self._listener.on_stopped, at, error.remedy)

    def offset_of(self, at: TopicPartition) -> int | None:
        """Return the offset that a partition's remedy names; None: it has no error."""
        error = self._errors.get(at)
        return None if error is None else error.offset

    def look(self, fetched: Collection[TopicPartition]) -> None:
        """Clear the errors of partitions that were fetched for long enough without one.

        Args:
            fetched: The partitions that are not paused.
        """
        now = self._clock.monotonic()
        for at, error in self._errors.items():
            if at not in fetched:
                # Not fetched, so the absence of failures means nothing.
                error.failed_at = now
        self.over(
            [at for at, error in self._errors.items() if now - error.failed_at >= _OVER_SECONDS]
        )

    def over(self, read: Iterable[TopicPartition]) -> Collection[TopicPartition]:
        """Clear the errors of these partitions, and return those that had one."""
        ended = self._errors.keys() & set(read)
        for at in ended:
            if self._errors.pop(at).reported:
                self._logger.info("partition.read_again", **at._asdict())
                self._loop.post(self._listener.on_resumed, at)
        return ended

    def forget(self, gone: Iterable[TopicPartition]) -> None:
        """Drop partitions that were released."""
        for at in gone:
            self._errors.pop(at, None)


def _remedy(at: TopicPartition, offset: int, why: str) -> str:
    name = f"{at.topic}/{at.partition}"
    return (
        f"the records of {name} from offset {offset} on cannot be fetched: {why}. The fetch is"
        " retried every second. If they are permanently damaged, skip them: hookstream partition start"
        f" {name} --at latest|TIME; or skip only this record: hookstream partition skip {name} {offset}"
    )
