"""The gate holds matching back while the tables are not current, and raises an alarm when that lasts."""

import asyncio

from hookstream.core.matching.directory import Directory
from hookstream.pipeline.ports import Clock, Journal, Tables

_ALARM_AFTER = 30.0
"""Seconds."""

_LOOK_AGAIN = 0.05
"""Seconds between looks at tables that are not current."""


class Gate:
    """Open while every table is current and every row's envelope can be read."""

    def __init__(
        self, tables: Tables, directory: Directory, clock: Clock, journal: Journal
    ) -> None:
        """Say nothing before the tables have been stale for half a minute."""
        self._tables = tables
        self._directory = directory
        self._clock = clock
        self._journal = journal

    async def open(self) -> None:
        """Wait until records may be matched."""
        since = self._clock.monotonic()
        alarm = since + _ALARM_AFTER
        while not self._tables.current() or self._directory.blind:
            await asyncio.sleep(_LOOK_AGAIN)
            now = self._clock.monotonic()
            if now >= alarm:
                alarm = now + _ALARM_AFTER
                self._journal.error(
                    "matching.waits",
                    seconds=round(now - since),
                    detail=self._why(),
                )

    def _why(self) -> str:
        blind = self._directory.blind
        if blind:
            key, why = next(iter(blind.items()))
            return f"{len(blind)} rows cannot be read, among them {key}: {why}"
        return "the tables are not current: the broker does not answer, or a transaction hangs"
