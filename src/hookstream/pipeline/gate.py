"""Pauses matching and sending while the tables are not current, and raises an alarm if that lasts."""

import asyncio

from hookstream.core.model.counted import counted
from hookstream.pipeline.defects import Step, Unexpected
from hookstream.pipeline.ports import Ports

_ALARM_AFTER = 30.0
"""Seconds."""

_LOOK_AGAIN = 0.05
"""Seconds between two checks while the tables are not current."""


class Gate:
    """Open while every table is current, every row's envelope can be read, and the clock can be trusted.

    Matching waits for it; while it is closed, lanes begin no attempt and the sender writes no request.
    """

    def __init__(self, ports: Ports) -> None:
        """Raise the first alarm when the tables have been stale for half a minute."""
        self._agreement = ports.agreement
        self._looked_at = float("-inf")
        self._open = False
        self._tables = ports.tables
        self._directory = ports.directory
        self._clock = ports.clock
        self._logger = ports.logger
        self._unexpected = Unexpected(ports.logger)

    def is_open(self) -> bool:
        """Return whether anything may be matched or sent now."""
        # `was_open` must see this at once: otherwise a withheld attempt would start again and again.
        self._looked_at = self._clock.monotonic()
        try:
            self._open = (
                not self._directory.blind and self._agreement.agrees() and self._tables.current()
            )
        except Exception as error:  # noqa: BLE001  tables of unknown age count as out of date
            self._unexpected.note(error, Step.NOTIFY)
            self._open = False
        return self._open

    def was_open(self) -> bool:
        """Return whether it was open at the last check, at most 50 ms ago.

        For frequent callers whose decision is checked again before anything is sent.
        """
        now = self._clock.monotonic()
        if not 0 <= now - self._looked_at < _LOOK_AGAIN:
            return self.is_open()
        return self._open

    async def wait_for_clock(self) -> None:
        """Wait until the brokers' time is known: no decision uses the clock before."""
        while not self._agreement.known:  # noqa: ASYNC110  the port has no event for it
            await asyncio.sleep(_LOOK_AGAIN)

    def current(self) -> bool:
        """Return whether the gate is open: a `Tables` for the health endpoint."""
        return self.is_open()

    async def wait(self) -> None:
        """Wait until the gate is open."""
        if self.is_open():
            return
        since = self._clock.monotonic()
        alarm = since + _ALARM_AFTER
        while not self.is_open():
            await asyncio.sleep(_LOOK_AGAIN)
            now = self._clock.monotonic()
            if now >= alarm:
                alarm = now + _ALARM_AFTER
                self._logger.error(
                    "matching.waits",
                    seconds=round(now - since),
                    detail=self._why(),
                )

    def _why(self) -> str:
        blind = self._directory.blind
        if blind:
            key, why = next(iter(blind.items()))
            return f"{counted(len(blind), 'row')} cannot be read, among them {key}: {why}"
        if not self._agreement.agrees():
            return self._agreement.why()
        return "the tables are not current: a broker does not answer, or an open transaction blocks them"
