"""Runs a worker until it is stopped, drains it within one deadline, and returns how it ended.

1. Open every part: read the tables to their ends, then join the groups.
2. Run until SIGTERM or SIGINT; a fatal error of any part ends the run with nothing settled.
3. Drain: stop intake, finish attempts in flight, make their results durable, commit.
4. Leave the groups and close, within the same deadline. A second signal ends the process at once.
"""

import asyncio
from collections.abc import Awaitable, Callable

from hookstream.adapters.system import worker_name
from hookstream.adapters.telemetry.health_server import HealthServer, Lanes
from hookstream.adapters.telemetry.lane_reports import MOST_NAMED, lane_report, lanes_report
from hookstream.entry.process import causes_of
from hookstream.entry.shutdown import Shutdown, stop_on_signals
from hookstream.entry.worker.health import Health
from hookstream.entry.worker.wiring import Wired, wired
from hookstream.pipeline.endless import endless
from hookstream.settings import Settings


async def run(settings: Settings, ready: Callable[[str], None]) -> int:
    """Run a worker and return its exit code: 0 after a clean end, 1 at the deadline.

    Args:
        settings: All settings.
        ready: Called once with the address of metrics and health, when it listens.

    Raises:
        HookstreamError: Configuration must change, a dependency is unavailable, or continuing could
            lose a delivery.
    """
    stop = asyncio.Event()
    async with wired(settings) as parts:
        shutdown = Shutdown(parts.clock, settings.worker.drain_deadline)
        health = Health(parts, settings.worker.stuck_after)
        parts.metrics.observe(health.gauges)
        parts.metrics.observe_breakers(lambda: parts.engine.lanes.open_breakers)
        async with HealthServer(
            settings.worker.listen,
            parts.metrics,
            health.live,
            health.ready,
            lanes=_lanes(parts, worker_name(settings.worker.name)),
        ) as server:
            stop_on_signals(stop, shutdown)
            parts.logger.info(
                "worker.starting",
                listen=server.address,
                avro=parts.avro.name,
                avro_because=parts.avro.because,
            )
            ready(server.address)
            await parts.events.start(parts.engine.events)
            await parts.tiers.start(parts.engine.tiers)
            in_time = await _run(parts, health, stop, shutdown)
            parts.logger.info("worker.stopped", drained="yes" if in_time else "no")
            return 0 if in_time else 1


def _lanes(parts: Wired, name: str) -> Lanes:
    """Return the function that reports the lanes of the worker with this name."""
    lanes, directory = parts.engine.lanes, parts.directory

    def partner_of(subscription_id: str) -> str:
        found = directory.partner_of(subscription_id)
        return "" if found is None else found.id

    def said(subscription_id: str | None) -> bytes:
        if subscription_id is None:
            return lanes_report(lanes.to_look_at(MOST_NAMED, partner_of))
        return lane_report(name, lanes.status(subscription_id))

    return said


async def _run(parts: Wired, health: Health, stop: asyncio.Event, shutdown: Shutdown) -> bool:
    """Run, drain and close; return whether everything finished in time."""
    closed = False
    try:
        async with asyncio.TaskGroup() as tasks:
            watchers = [
                tasks.create_task(_end_with(parts.sink.failed)),
                tasks.create_task(_end_with(parts.tables.failed)),
                tasks.create_task(endless("the heartbeat", health.beat)),
            ]
            in_time = await parts.engine.run(stop, shutdown.drain)
            for watcher in watchers:
                watcher.cancel()
        flushed = await parts.sink.flush(shutdown.left / 2)
        parts.engine.commit()
        parts.logger.info("worker.drained", seconds=round(shutdown.took, 3))
    except BaseExceptionGroup as group:
        # Closing revokes partitions, which would commit; after a failure nothing may be committed.
        parts.events.distrust()
        parts.tiers.distrust()
        raise cause_of(group) from group
    finally:
        closed = await _close(parts, shutdown.left)
    return in_time and flushed and closed


async def _close(parts: Wired, seconds: float) -> bool:
    """Leave the groups and close every client; return False if one did not close in time.

    They close concurrently: without a broker, each takes all of its time.
    """
    async with asyncio.TaskGroup() as closing:
        left = [
            closing.create_task(parts.events.close(seconds)),
            closing.create_task(parts.tiers.close(seconds)),
        ]
        closing.create_task(parts.sink.close(seconds))
        closing.create_task(parts.tables.close(seconds))
    return all(task.result() for task in left)


def cause_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first failure, which ended the worker and cancelled all other tasks.

    Task groups are nested, and so are their exceptions; an operator needs only the innermost one.
    """
    return causes_of(group)[0]


async def _end_with(failed: Awaitable[None]) -> None:
    """Raise the exception of a failed part, which ends the whole worker."""
    # Shielded: cancelling this task must not cancel the future that the part reports its state with.
    await asyncio.shield(failed)
