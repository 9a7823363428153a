"""A producer of the broker in memory: writes wait, are appended, are acknowledged, in their order."""

import asyncio
from collections import deque
from typing import Protocol

from hookstream.core.model.record import OutgoingRecord
from hookstream.errors import InvariantBroken
from hookstream.pipeline.ports import Acknowledged, WriteRefused

_LOOK_EVERY = 0.1
"""Seconds between checks of a broker that is down."""


class Written(Protocol):
    """What a producer writes to."""

    up: asyncio.Event

    def write(self, record: OutgoingRecord) -> WriteRefused | None: ...


class BrokerSink:
    """A RecordSink over the broker in memory."""

    def __init__(self, broker: Written, latency: float) -> None:
        self.latency = latency
        """Seconds from a write to its append; acknowledged then."""
        self._loop = asyncio.get_running_loop()
        self.failed: asyncio.Future[None] = self._loop.create_future()
        """Fails where nothing more can be written: the process must end."""
        self.failed.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._broker = broker
        self._waiting: deque[tuple[OutgoingRecord, Acknowledged]] = deque()
        self._overdue = 0
        """Writes whose time came while the broker was away."""
        self._held = False
        self._dead = False
        self._idle = asyncio.Event()
        self._idle.set()

    def write(self, record: OutgoingRecord, acknowledged: Acknowledged) -> None:
        """As in RecordSink."""
        if self._dead:
            return
        self._waiting.append((record, acknowledged))
        self._idle.clear()
        self._loop.call_later(self.latency, self._flush_due)

    def hold(self) -> None:
        """Acknowledge and append nothing until `release`."""
        self._held = True

    def release(self) -> None:
        """Append and acknowledge everything that waits."""
        self._held = False
        self._append_all()

    def fail(self, why: str) -> None:
        """Suffer a fatal producer error: nothing that waits is ever acknowledged."""
        self._dead = True
        self.failed.set_exception(InvariantBroken(why))

    def crash(self, *, appended: bool) -> None:
        """Die with the process; what waits was appended, or was not, and is never acknowledged."""
        self._dead = True
        while self._waiting:
            record, _ = self._waiting.popleft()
            if appended:
                self._broker.write(record)

    async def flush(self, deadline: float) -> bool:
        """Wait for what is written, at most so many seconds; return whether all is acknowledged."""
        try:
            async with asyncio.timeout(deadline):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Take no more."""
        self._dead = True

    def _flush_due(self) -> None:
        if self._held or self._dead or not self._waiting:
            return
        if self._overdue or not self._broker.up.is_set():
            self._overdue += 1
            if self._overdue == 1:
                self._loop.call_later(_LOOK_EVERY, self._look_again)
            return
        self._settle(*self._waiting.popleft())

    def _look_again(self) -> None:
        if self._dead:
            return
        if not self._broker.up.is_set():
            self._loop.call_later(_LOOK_EVERY, self._look_again)
            return
        overdue, self._overdue = self._overdue, 0
        for _ in range(overdue):
            self._flush_due()

    def _append_all(self) -> None:
        while self._waiting and not self._dead:
            self._settle(*self._waiting.popleft())

    def _settle(self, record: OutgoingRecord, acknowledged: Acknowledged) -> None:
        refusal = self._broker.write(record)
        if not self._waiting:  # before the acknowledgement, which may write again
            self._idle.set()
        try:
            acknowledged(refusal)
        except Exception as error:  # noqa: BLE001  as the real one: what is settled is not known
            self.fail(f"an acknowledgement could not be taken: {error!r}")
