"""Runs an executor of jobs until it is stopped, and hands every job back within one deadline.

1. Read the jobs table to its end, and follow it.
2. Take over jobs without a holder, until SIGTERM or SIGINT.
3. Hand back unfinished jobs, between two steps. A second signal ends the process at once.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

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
from hookstream.entry.job_process import TABLES_DEADLINE, JobProcessHealth, until_stopped
from hookstream.entry.process import raise_first
from hookstream.entry.shutdown import Shutdown, stop_on_signals
from hookstream.pipeline.job_kind import Executor
from hookstream.pipeline.job_pool import JobPool
from hookstream.settings import Settings


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
        health = JobProcessHealth(pool, tables)
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
            failures = await until_stopped(pool, tables, health.heartbeat.run)
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
        await tables.read_to_end(TABLES_DEADLINE)
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
