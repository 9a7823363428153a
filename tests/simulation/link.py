"""A host's connection to the broker, which may be cut while the broker is up and others reach it."""

import asyncio
from collections.abc import Callable

from hookstream.core.model.record import OutgoingRecord
from hookstream.pipeline.ports import WriteRefused


class Link:
    """Fits `Written`: up while the broker is, unless it was cut."""

    def __init__(self, write: Callable[[OutgoingRecord], WriteRefused | None]) -> None:
        self.up = asyncio.Event()
        self.up.set()
        self.write = write
        self._cuts = 0
        self._broker_up = True
        self._down_at: float | None = None
        self._seconds = asyncio.get_running_loop().time

    def cut(self) -> None:
        self._cuts += 1
        self._look()

    def mend(self) -> None:
        self._cuts -= 1
        self._look()

    def mend_all(self) -> None:
        self._cuts = 0
        self._look()

    def broker(self, *, up: bool) -> None:
        """Note whether the broker is up."""
        self._broker_up = up
        self._look()

    def reached_until(self) -> float:
        """Return when the broker was last reached."""
        return self._seconds() if self._down_at is None else self._down_at

    def _look(self) -> None:
        if self._broker_up and self._cuts <= 0:
            self._down_at = None
            self.up.set()
        elif self.up.is_set():
            self._down_at = self._seconds()
            self.up.clear()
