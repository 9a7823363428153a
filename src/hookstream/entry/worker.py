"""A worker runs until it is told to stop, drains within one deadline, and says how it ended.

1. Open every part: tables read to their ends, then the groups are joined.
2. Run until SIGTERM or SIGINT; a fatal error of any part ends the run with nothing settled.
3. Drain: intake stops, attempts in flight finish, what they came to is made durable, committed.
4. Leave the groups and close. A second signal ends the process at once.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

from hookstream.adapters.health_server import HealthServer
from hookstream.entry.health import Health
from hookstream.entry.wiring import Wired, wired
from hookstream.pipeline.ports import Clock
from hookstream.settings import Settings

_FLUSH_AT_LEAST = 1.0
"""Seconds that acknowledgements may take even where the drain used all its time."""

IMPATIENT_EXIT = 1


async def run(settings: Settings, ready: Callable[[str], None]) -> int:
    """Run a worker and return its exit code: 0 after a clean drain, 1 at the deadline.

    Args:
        settings: Everything that can be set.
        ready: Called once with the address of metrics and health, when it listens.

    Raises:
        HookstreamError: Something must be changed, a dependency is missing, or going on could
            lose a delivery.
    """
    stop = asyncio.Event()
    async with wired(settings) as parts:
        health = Health(parts)
        parts.metrics.observe_gauges(health.gauges)
        async with HealthServer(
            settings.worker.listen, parts.metrics, health.live, health.ready
        ) as server:
            _on_signals(stop)
            parts.journal.info("worker.starting", listen=server.address)
            ready(server.address)
            await parts.events.start()
            await parts.tiers.start()
            in_time = await _run(parts, health, stop, settings)
            parts.journal.info("worker.stopped", drained="yes" if in_time else "no")
            return 0 if in_time else 1


async def _run(parts: Wired, health: Health, stop: asyncio.Event, settings: Settings) -> bool:
    clock = parts.clock
    try:
        async with asyncio.TaskGroup() as tasks:
            watchers = [
                tasks.create_task(_end_with(parts.sink.failed)),
                tasks.create_task(_end_with(parts.tables.failed)),
                tasks.create_task(health.beat()),
            ]
            stopped = tasks.create_task(_when(stop, clock))
            deadline = settings.worker.drain_deadline
            in_time = await parts.engine.run(parts.events, parts.tiers, stop, deadline)
            for watcher in watchers:
                watcher.cancel()
        flushed = await parts.sink.flush(_FLUSH_AT_LEAST)
        parts.engine.commit()
        took = clock.monotonic() - stopped.result()
        parts.journal.info("worker.drained", seconds=round(took, 3))
    except BaseExceptionGroup as group:
        raise cause_of(group) from group
    else:
        return in_time and flushed
    finally:
        # Side by side: where the broker is away, each takes all the time that it may.
        async with asyncio.TaskGroup() as closing:
            closing.create_task(parts.events.close())
            closing.create_task(parts.tiers.close())


def cause_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return what ended a worker: the first failure, which cancelled all other tasks.

    Tasks are nested, and so are their groups; an operator is to read the one sentence within.
    """
    cause: BaseException = group
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    return cause


async def _when(happens: asyncio.Event, clock: Clock) -> float:
    """Wait for an event and return the monotonic second at which it came."""
    await happens.wait()
    return clock.monotonic()


async def _end_with(failed: Awaitable[None]) -> None:
    """Raise what a part failed with, which ends the whole worker."""
    # Shielded: whoever stops watching must not cancel what the part itself tells its state by.
    await asyncio.shield(failed)


def _on_signals(stop: asyncio.Event) -> None:
    """Stop at the first SIGTERM or SIGINT; end at once at the second."""
    loop = asyncio.get_running_loop()

    def stopping() -> None:
        if stop.is_set():
            os._exit(IMPATIENT_EXIT)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping)
