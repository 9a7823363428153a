"""Runs a console until it is stopped: the API and its pages, over tables that it follows, and jobs.

1. Read the tables to their ends, and follow them.
2. Serve the API and the pages, and take over jobs without a holder, until SIGTERM or SIGINT.
3. Hand the jobs back, answer waiting readers, accept no new connection, finish the requests. A second signal ends the
   process at once.

A console has no state of its own: any number of them may run behind one address.
"""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from aiohttp import web

from hookstream.adapters.avro.accelerator import implementation
from hookstream.adapters.kafka.jobs import KafkaJobs
from hookstream.adapters.kafka.reach import wait_for_brokers
from hookstream.adapters.kafka.tables.reader import TableReader
from hookstream.adapters.system import SystemChance, SystemClock, new_id, spare_collector
from hookstream.adapters.telemetry.api_metrics import ApiMetrics
from hookstream.adapters.telemetry.asked_workers import asked_workers
from hookstream.adapters.telemetry.failure_metrics import FailureMetrics
from hookstream.adapters.telemetry.gauges import GaugeMetrics
from hookstream.adapters.telemetry.health_server import HealthServer
from hookstream.adapters.telemetry.log import StructuredLogger
from hookstream.adapters.telemetry.tracers import tracer_of
from hookstream.core.failures.book import MOST_GROUPS
from hookstream.core.model.listen_address import host_and_port
from hookstream.entry.admin.index_process import IndexProcess
from hookstream.entry.admin.job_ids import executor_name
from hookstream.entry.admin.job_kinds import job_kinds
from hookstream.entry.admin.pull import pull_door
from hookstream.entry.admin.tables import operators_tables
from hookstream.entry.api.dispatch import Dispatcher, RequestReport
from hookstream.entry.api.rates import TokenRates
from hookstream.entry.api.table import TABLE
from hookstream.entry.api.transport import Answering, ConnectionBounds, api_server
from hookstream.entry.cluster import client_of
from hookstream.entry.console.live_tables import LiveTables
from hookstream.entry.console.request_threads import RequestThreads
from hookstream.entry.console.services import KafkaServices
from hookstream.entry.console.sessions import ConsoleSessions
from hookstream.entry.job_process import TABLES_DEADLINE, JobProcessHealth, until_stopped
from hookstream.entry.keys import key_ring
from hookstream.entry.pages.composition import pages_over
from hookstream.entry.process import raise_first
from hookstream.entry.shutdown import Shutdown, stop_on_signals
from hookstream.errors import ConfigurationError, HookstreamError
from hookstream.pipeline.job_kind import Executor
from hookstream.pipeline.job_pool import JobPool
from hookstream.settings import Settings

_INDEX_EVERY = 5.0
"""Seconds between two checks of the index process."""
_NOTE_EVERY = 10.0
"""Seconds between two writes of the uses of tokens."""
_LOOK_EVERY = 30.0
"""Seconds between two searches for failures, half more or less, so that consoles seldom search at the same time."""
_REQUESTS_SHARE = 0.3
"""The share of the deadline in which requests may finish. aiohttp waits twice this time before it cancels one."""


async def run(settings: Settings, ready: Callable[[str], None]) -> int:
    """Run a console and return its exit code: 0 after a clean end; the deadline forces 1.

    Args:
        settings: All settings.
        ready: Called once with the address of metrics and health, when everything listens.

    Raises:
        ConfigurationError: Settings or topics must change, or the accelerator that is required is
            not there.
        DependencyUnavailable: The brokers cannot be reached at the start.
    """
    logger, avro = StructuredLogger(settings.log.level, settings.log.format), implementation()
    keys = key_ring(settings)
    stop, shutdown = asyncio.Event(), Shutdown(SystemClock(), settings.console.drain_deadline)
    await wait_for_brokers(client_of(settings), logger)
    async with (
        _folder(settings) as folder,
        _opened(settings, logger, stop) as parts,
        pull_door(settings, logger) as door,
        asked_workers(settings.console.workers) as workers,
    ):
        services = KafkaServices(settings, keys, parts.live, parts.reader, folder, door, workers)
        index = IndexProcess(settings, folder, settings.console.index_bytes)
        requests = ApiMetrics()
        tracer = tracer_of(settings.tracing, SystemChance())
        groups = FailureMetrics(parts.live.failure_counts)
        metrics = GaugeMetrics(parts.pool.gauges, (requests, groups), avro.name)
        health = JobProcessHealth(parts.pool, parts.reader)
        threads = RequestThreads(settings.console.threads)
        dispatcher = Dispatcher(
            TABLE,
            services,
            threads,
            TokenRates(parts.live.requests_a_second, SystemClock.monotonic),
            logger,
            SystemClock.monotonic,
            new_id,
            lambda report: _count(requests, report),
            tracer=tracer,
        )
        site = pages_over(
            dispatcher,
            services,
            ConsoleSessions(services, SystemClock.monotonic),
            threads,
            logger,
            SystemClock.monotonic,
            new_id,
            lambda report: _count(requests, report),
        )
        async with (
            HealthServer(
                settings.console.health_listen,
                metrics,
                health.live,
                health.ready,
                setting="console.health_listen",
            ) as server,
            _served(settings, site) as address,
        ):
            stop_on_signals(stop, shutdown)
            logger.info(
                "console.starting",
                api=address,
                listen=server.address,
                avro=avro.name,
                avro_because=avro.because,
            )
            ready(server.address)

            async def beside() -> None:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(health.heartbeat.run())
                    tasks.create_task(_note_uses(services, logger))
                    tasks.create_task(_watch_failures(services, logger))
                    tasks.create_task(_keep_index(index, logger))

            try:
                failures = await until_stopped(parts.pool, parts.reader, beside)
            finally:
                door.leave()
                await asyncio.to_thread(index.stop)
        # The writer is closed last of the services: it writes the last uses, and no handler runs any more.
        threads.close()
        await _note_uses_once(services, logger, all_of_them=True)
        await asyncio.to_thread(services.close)
        await asyncio.to_thread(tracer.shutdown)
        raise_first(failures, logger, "console")
        logger.info("console.stopped", seconds=round(shutdown.took, 3))
    return 0


@dataclass(slots=True, frozen=True)
class _Parts:
    live: LiveTables
    reader: TableReader
    pool: JobPool


@asynccontextmanager
async def _folder(settings: Settings) -> AsyncIterator[Path]:
    """Create the index's folder; a temporary one is removed when the block ends."""
    if settings.console.folder is not None:
        await asyncio.to_thread(settings.console.folder.mkdir, parents=True, exist_ok=True)
        yield settings.console.folder
        return
    made = await asyncio.to_thread(TemporaryDirectory, prefix="hookstream-console-")
    try:
        yield Path(made.name)
    finally:
        await asyncio.to_thread(made.cleanup)


@asynccontextmanager
async def _opened(
    settings: Settings, logger: StructuredLogger, stop: asyncio.Event
) -> AsyncIterator[_Parts]:
    """Read the tables and follow them, as long as the block runs."""
    client, topics, clock = client_of(settings), settings.topics_names, SystemClock()
    live = LiveTables(topics)
    followed = (*operators_tables(topics), topics.jobs, topics.console)
    jobs = KafkaJobs(client, topics, threads=2 * settings.jobs.at_once + 2)
    reader = TableReader(client, followed, live.take, logger, clock)
    reader.start()
    try:
        await reader.read_to_end(TABLES_DEADLINE)
        await asyncio.to_thread(live.state)
        # Otherwise each full garbage collection would traverse all tables during some request.
        spare_collector()
        executor = Executor(
            name=executor_name(),
            topics=topics,
            table=jobs,
            kinds=job_kinds(settings) if settings.console.runs_jobs else {},
            clock=clock,
            lease=settings.jobs.lease,
        )
        at_once = settings.jobs.at_once if settings.console.runs_jobs else 0
        pool = JobPool(executor, live.running, at_once, SystemChance(), logger, stop)
        yield _Parts(live, reader, pool)
    finally:
        await reader.close()
        await jobs.close()


@asynccontextmanager
async def _served(settings: Settings, answering: Answering) -> AsyncIterator[str]:
    """Serve the API and the pages; at the end accept no new connection, and let requests finish."""
    console = settings.console
    proxies = [ipaddress.ip_network(each) for each in console.trusted_proxies]
    runner = web.ServerRunner(
        api_server(
            answering,
            proxies,
            ConnectionBounds(console.max_connections, console.max_connections_per_address),
        ),
        shutdown_timeout=console.drain_deadline / 1_000 * _REQUESTS_SHARE,
        handle_signals=False,
    )
    await runner.setup()
    host, port = host_and_port(console.listen, bare=True)
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        raise ConfigurationError(
            f"console.listen {console.listen!r} cannot be listened on: {error.strerror}"
        ) from error
    try:
        name, at, *_ = runner.addresses[0]
        yield f"[{name}]:{at}" if ":" in name else f"{name}:{at}"
    finally:
        await runner.cleanup()


async def _note_uses(services: KafkaServices, logger: StructuredLogger) -> None:
    """Write the uses of tokens, at most one for each token and day, and the operations events of uses, forever."""
    while True:
        await asyncio.sleep(_NOTE_EVERY)
        await _note_uses_once(services, logger, all_of_them=False)


async def _note_uses_once(
    services: KafkaServices, logger: StructuredLogger, *, all_of_them: bool
) -> None:
    """Write them once; `all_of_them`: also those of the current minute."""
    try:
        await asyncio.to_thread(services.note_uses)
        await asyncio.to_thread(services.write_uses, all_of_them=all_of_them)
    except HookstreamError as error:
        logger.warning("console.uses_not_noted", detail=str(error))


async def _watch_failures(services: KafkaServices, logger: StructuredLogger) -> None:
    """Search for failures, and write the changes of failure groups, forever."""
    fraction, refused = SystemChance().fraction, 0
    while True:
        await asyncio.sleep(_LOOK_EVERY * (0.5 + fraction()))
        try:
            found = await asyncio.to_thread(services.look_for_failures)
        except HookstreamError as error:
            logger.warning("failures.not_written", detail=str(error))
            continue
        if found.changed:
            logger.info("failures.changed", groups=len(found.changed), left=found.left)
        if found.refused > refused:
            logger.warning("failures.too_many", refused=found.refused, most=MOST_GROUPS)
        refused = found.refused


async def _keep_index(index: IndexProcess, logger: StructuredLogger) -> None:
    """Keep the index process running, forever."""
    before = index.pid
    while True:
        if not await asyncio.to_thread(index.ensure_running):
            log = logger.info if before is None else logger.warning
            log("console.index_started", pid=index.pid)
            before = index.pid
        await asyncio.sleep(_INDEX_EVERY)


def _count(metrics: ApiMetrics, report: RequestReport) -> None:
    metrics.count(report.method, report.route, report.status, report.seconds)
