"""Runs an executor of jobs until it is stopped, and hands every job back within one deadline.

1. Read the jobs table to its end, and follow it.
2. Take over jobs without a holder, until SIGTERM or SIGINT.
3. Hand back unfinished jobs, between two steps. A second signal ends the process at once.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from hookstream.adapters.avro.accelerator import implementation
from hookstream.adapters.kafka.jobs import KafkaJobs
from hookstream.adapters.kafka.reach import wait_for_brokers
from hookstream.adapters.kafka.tables.log import TableRecord
from hookstream.adapters.kafka.tables.reader import TableReader
from hookstream.adapters.system import SystemChance, SystemClock
from hookstream.adapters.telemetry.gauges import GaugeMetrics
from hookstream.adapters.telemetry.health_server import HealthServer
from hookstream.adapters.telemetry.log import StructuredLogger
from hookstream.core.jobs.book import JobBook
from hookstream.entry.admin.job_ids import executor_name
from hookstream.entry.admin.job_kinds import job_kinds
from hookstream.entry.cluster import client_of
from hookstream.entry.process import causes_of, raise_first
from hookstream.entry.shutdown import Shutdown, stop_on_signals
from hookstream.pipeline.job_kind import Executor
from hookstream.pipeline.job_pool import JobPool
from hookstream.settings import Settings

_TABLES_DEADLINE = 60.0
"""Seconds to read the jobs table to its end at the start."""
_BEAT = 1.0
_DEAD_AFTER = 30.0
"""Seconds without an event loop iteration after which the process is unhealthy."""


async def run(settings: Settings, ready: Callable[[str], None]) -> int:
    """Run an executor and return its exit code: 0 after a clean end; the deadline forces 1.

    Args:
        settings: All settings.
        ready: Called once with the address of metrics and health, when it listens.

    Raises:
        ConfigurationError: Settings or topics must change, or the accelerator that is required is
            not there.
        DependencyUnavailable: The brokers cannot be reached at the start.
    """
    logger, avro = StructuredLogger(settings.log.level, settings.log.format), implementation()
    stop, clock = asyncio.Event(), SystemClock()
    shutdown = Shutdown(clock, settings.jobs.drain_deadline)
    await wait_for_brokers(client_of(settings), logger)
    async with _opened(settings, logger, stop) as (pool, tables):
        health = _Health(pool, tables)
        metrics = GaugeMetrics(pool.gauges, avro=avro.name)
        async with HealthServer(
            settings.jobs.listen, metrics, health.live, health.ready, setting="jobs.listen"
        ) as server:
            stop_on_signals(stop, shutdown)
            logger.info(
                "jobs.starting",
                listen=server.address,
                executor=pool.executor.name,
                avro=avro.name,
                avro_because=avro.because,
            )
            ready(server.address)
            failures = await until_stopped(pool, tables, health.beat)
        raise_first(failures, logger, "jobs")
        logger.info("jobs.stopped", seconds=round(shutdown.took, 3))
    return 0


@asynccontextmanager
async def _opened(
    settings: Settings, logger: StructuredLogger, stop: asyncio.Event
) -> AsyncIterator[tuple[JobPool, TableReader]]:
    """Read the jobs table and follow it, as long as the block runs."""
    client, topics, clock, book = (
        client_of(settings),
        settings.topics_names,
        SystemClock(),
        JobBook(),
    )

    def take(records: Sequence[TableRecord]) -> None:
        for record in records:
            book.put(record.key, record.value, record.timestamp)

    jobs = KafkaJobs(client, topics, threads=2 * settings.jobs.at_once + 2)
    tables = TableReader(client, [topics.jobs], take, logger, clock)
    tables.start()
    try:
        await tables.read_to_end(_TABLES_DEADLINE)
        executor = Executor(
            name=executor_name(),
            topics=topics,
            table=jobs,
            kinds=job_kinds(settings),
            clock=clock,
            lease=settings.jobs.lease,
        )
        yield JobPool(executor, book, settings.jobs.at_once, SystemChance(), logger, stop), tables
    finally:
        await tables.close()
        await jobs.close()


async def until_stopped(
    pool: JobPool, tables: TableReader, beat: Callable[[], Coroutine[Any, Any, None]]
) -> list[BaseException]:
    """Work until the pool has stopped, or until the tables cannot be followed any more.

    Args:
        pool: The jobs.
        tables: The reader of the tables.
        beat: Runs concurrently, until the end.

    Returns:
        The exceptions that ended it, the first cause first; empty: it was asked to stop.
    """
    async with asyncio.TaskGroup() as tasks:
        beating = tasks.create_task(beat())
        working = tasks.create_task(_caught(pool))
        following = asyncio.shield(tables.failed)
        await asyncio.wait((working, following), return_when=asyncio.FIRST_COMPLETED)
        pool.stop.set()
        came_first = following.done()
        failures = await working
        beating.cancel()
    unfollowed = following.exception() if following.done() else None
    following.cancel()
    if unfollowed is None:
        return failures
    return [unfollowed, *failures] if came_first else [*failures, unfollowed]


async def _caught(pool: JobPool) -> list[BaseException]:
    """Run a pool; return the exceptions that ended it."""
    try:
        await pool.run()
    except ExceptionGroup as group:
        return causes_of(group)
    return []


class _Health:
    """The facts behind /healthz and /readyz."""

    def __init__(self, pool: JobPool, tables: TableReader) -> None:
        self._pool = pool
        self._tables = tables
        self._clock = pool.executor.clock
        self._beat = self._clock.monotonic()

    async def beat(self) -> None:
        """Record event loop iterations, forever."""
        while True:
            self._beat = self._clock.monotonic()
            await asyncio.sleep(_BEAT)

    def live(self) -> tuple[bool, Mapping[str, object]]:
        """Return whether the event loop runs; the brokers may be unavailable."""
        silence = self._clock.monotonic() - self._beat
        return silence < _DEAD_AFTER, {"seconds_since_turn": round(silence, 3)}

    def ready(self) -> tuple[bool, Mapping[str, object]]:
        """Return whether the jobs table is current."""
        current = self._tables.current()
        return current, {"tables_current": current, "jobs_held": len(self._pool.active)}
