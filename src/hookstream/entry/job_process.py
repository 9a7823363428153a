"""Works on jobs in a process until it is stopped or its tables cannot be followed, and reports its health."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from hookstream.adapters.kafka.tables.reader import TableReader
from hookstream.entry.heartbeat import DEAD_AFTER, Heartbeat
from hookstream.entry.process import causes_of
from hookstream.pipeline.job_pool import JobPool

TABLES_DEADLINE: Final = 60.0
"""Seconds to read the tables to their ends at the start."""


class JobProcessHealth:
    """The facts behind /healthz and /readyz of an executor or a console."""

    def __init__(self, pool: JobPool, tables: TableReader) -> None:
        self._pool = pool
        self._tables = tables
        self.heartbeat = Heartbeat(pool.executor.clock.monotonic)

    def live(self) -> tuple[bool, Mapping[str, object]]:
        """Return whether the event loop runs; the brokers may be unavailable."""
        silence = self.heartbeat.silence
        return silence < DEAD_AFTER, {"seconds_since_turn": round(silence, 3)}

    def ready(self) -> tuple[bool, Mapping[str, object]]:
        """Return whether the tables are current."""
        current = self._tables.current()
        return current, {"tables_current": current, "jobs_held": len(self._pool.active)}


async def until_stopped(
    pool: JobPool, tables: TableReader, beside: Callable[[], Coroutine[Any, Any, None]]
) -> list[BaseException]:
    """Work until the pool has stopped, or until the tables cannot be followed any more.

    Args:
        pool: The jobs.
        tables: The reader of the tables.
        beside: Runs concurrently, until the end.

    Returns:
        The exceptions that ended it, the first cause first; empty: it was asked to stop.
    """
    async with asyncio.TaskGroup() as tasks:
        other = tasks.create_task(beside())
        working = tasks.create_task(_caught(pool))
        following = asyncio.shield(tables.failed)
        await asyncio.wait((working, following), return_when=asyncio.FIRST_COMPLETED)
        pool.stop.set()
        came_first = following.done()
        failures = await working
        other.cancel()
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
