"""The gate holds matching and sending back while the tables are not current, with an alarm when that lasts."""

import asyncio

from hookstream.core.matching.directory import Directory
from hookstream.pipeline.broker_clock import UNQUESTIONED, Agreement
from hookstream.pipeline.defects import Step, Unexpected
from hookstream.pipeline.ports import Clock, Journal, Tables

_ALARM_AFTER = 30.0
"""Seconds."""

_LOOK_AGAIN = 0.05
"""Seconds between looks at tables that are not current."""


class Gate:
    """Open while every table is current, every row's envelope can be read, and the clock can be trusted.

    Matching waits at it; a lane begins no attempt and a sender writes no request while it is shut.
    """

    def __init__(
        self,
        tables: Tables,
        directory: Directory,
        clock: Clock,
        journal: Journal,
        agreement: Agreement = UNQUESTIONED,
    ) -> None:
        """Say nothing before the tables have been stale for half a minute."""
        self._agreement = agreement
        self._looked_at = float("-inf")
        self._open = False
        self._tables = tables
        self._directory = directory
        self._clock = clock
        self._journal = journal
        self._unexpected = Unexpected(journal)

    def stands_open(self) -> bool:
        """Return whether anything may be matched or sent now."""
        # What is found counts at once for whoever asks `stood_open`: else what was just withheld
        # would begin again and again.
        self._looked_at = self._clock.monotonic()
        try:
            self._open = (
                not self._directory.blind and self._agreement.agrees() and self._tables.current()
            )
        except Exception as error:  # noqa: BLE001  what cannot be known counts as out of date
            self._unexpected.note(error, Step.TELL)
            self._open = False
        return self._open

    def stood_open(self) -> bool:
        """Return whether it stood open when it was last looked at, which is a moment ago.

        For what is asked often and judged once more before anything is sent.
        """
        now = self._clock.monotonic()
        if not 0 <= now - self._looked_at < _LOOK_AGAIN:
            return self.stands_open()
        return self._open

    async def told_time(self) -> None:
        """Wait until the clock shows the brokers' time: nothing may be judged by it before."""
        while not self._agreement.known:  # noqa: ASYNC110  known by a port that has no event for it
            await asyncio.sleep(_LOOK_AGAIN)

    def current(self) -> bool:
        """As Tables says, and whether everything else lets work go on, for whoever watches it."""
        return self.stands_open()

    async def open(self) -> None:
        """Wait until records may be matched."""
        if self.stands_open():
            return
        since = self._clock.monotonic()
        alarm = since + _ALARM_AFTER
        while not self.stands_open():
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
        if not self._agreement.agrees():
            return self._agreement.why()
        return "the tables are not current: the broker does not answer, or a transaction hangs"
