"""Reads and writes jobs for an executor: calls block in threads, never on the event loop."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    KafkaError,
    KafkaException,
    Message,
    Producer,
)

from hookstream.adapters.kafka.client import (
    ClientSettings,
    close_within,
    opened,
    producer_properties,
    translated,
)
from hookstream.adapters.kafka.tables.tail import TableTail
from hookstream.adapters.kafka.transactions import JobWriter
from hookstream.core.jobs.job import Job, read_job
from hookstream.core.jobs.row_problem import RowProblem
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import OutgoingRecord
from hookstream.core.model.topics import Topics
from hookstream.errors import ConfigurationError, DependencyUnavailable, HookstreamError
from hookstream.pipeline.job_kind import StepWriter, Written

T = TypeVar("T")

TIME_KEY = b"clock"
"""The key of the records that request the brokers' time. They remove nothing: no job has such an id."""
_ANSWER_SECONDS = 10.0
_CLOSE_SECONDS = 5.0
_TAILS = 16
"""The number of jobs for which a read position is kept; each has a row of at most 256 KB."""


class KafkaJobs:
    """A `JobTable`. Close it after use.

    Args:
        client: librdkafka's settings.
        topics: The names of our topics.
        threads: How many calls may block at once: at least two for each running job, so that none waits
            for another's broker until its own lease is over.
    """

    def __init__(self, client: ClientSettings, topics: Topics, threads: int = 4) -> None:
        self._client = client
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="jobs")
        self._topics = topics
        self._clock: _ClockProducer | None = None
        self._tails: dict[str, TableTail] = {}
        """By job, the most recently read last: a job that is waited for is read every second."""

    async def read(self, job_id: str) -> Job | RowProblem | None:
        """As `JobTable` says."""
        tail = self._tails.pop(job_id, None) or TableTail(self._client, self._topics.jobs, job_id)
        self._tails[job_id] = tail
        if len(self._tails) > _TAILS:
            del self._tails[next(iter(self._tails))]
        row = await self._blocking(tail.newest)
        if row is None or row.value is None:
            return None
        return read_job(job_id, row.value, row.timestamp)

    async def now(self) -> Millis:
        """As `JobTable` says."""
        if self._clock is None:
            self._clock = _ClockProducer(self._client, self._topics.jobs)
        return await self._blocking(self._clock.now)

    async def open_writer(self, job_id: str) -> StepWriter:
        """As `JobTable` says."""
        writer = JobWriter(self._client, self._topics.job(job_id))
        await self._blocking(writer.__enter__)
        return _KafkaSteps(writer, self._topics.jobs, self._blocking)

    async def close(self) -> None:
        """Close everything that was opened for this table; writers are closed by their users."""
        if self._clock is not None:
            await self._blocking(self._clock.close)
            self._clock = None
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _blocking(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


class _KafkaSteps:
    """A `StepWriter`."""

    def __init__(
        self,
        writer: JobWriter,
        jobs: str,
        blocking: Callable[[Callable[[], object]], Awaitable[object]],
    ) -> None:
        self._writer = writer
        self._jobs = jobs
        self._blocking = blocking

    async def write(self, records: Sequence[OutgoingRecord]) -> Written:
        refused: list[int] = []
        await self._blocking(lambda: refused.extend(self._writer.write(records)))
        if refused:
            return Written(refused, None)
        rows = [each for each in self._writer.appended if each.topic() == self._jobs]
        return Written((), append_time(rows[-1]))

    async def close(self) -> None:
        # Whatever it raises, the writer is not used again, and the broker aborts an open transaction.
        with suppress(HookstreamError):
            await self._blocking(self._writer.__exit__)


class _ClockProducer:
    """Requests the brokers' time. Blocks; for one thread at a time."""

    def __init__(self, client: ClientSettings, topic: str) -> None:
        self._topic = topic
        self._producer = opened(Producer, producer_properties(client, None) | {"linger.ms": 0})

    def now(self) -> Millis:
        answers: list[tuple[KafkaError | None, Message]] = []
        try:
            self._producer.produce(
                self._topic,
                key=TIME_KEY,
                value=None,
                on_delivery=lambda error, message: answers.append((error, message)),
            )
            self._producer.flush(_ANSWER_SECONDS)
        except KafkaException as raised:
            raise translated(raised, _CANNOT_READ) from raised
        if not answers:
            raise DependencyUnavailable(f"{_CANNOT_READ}: no answer within {_ANSWER_SECONDS:g} s")
        error, message = answers[0]
        if error is not None:
            raise translated(KafkaException(error), _CANNOT_READ)
        return append_time(message)

    def close(self) -> None:
        close_within(_CLOSE_SECONDS, self._producer.close)


_CANNOT_READ = "cannot read the brokers' time"


def append_time(message: Message) -> Millis:
    """Return when the broker appended an acknowledged record.

    Raises:
        ConfigurationError: Its topic keeps the producers' times.
    """
    kind, stamp = message.timestamp()
    if kind != TIMESTAMP_LOG_APPEND_TIME:
        raise ConfigurationError(
            f"{message.topic()} does not use broker timestamps"
            " (message.timestamp.type=LogAppendTime): run hookstream topics apply"
        )
    return stamp
