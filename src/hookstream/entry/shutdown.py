"""Bounds a whole shutdown (draining, committing, closing) by one deadline, whatever hangs.

The last part of it is reserved for closing. If closing hangs too, a thread ends the process: then
nothing more is settled, as after a kill.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable

from hookstream.core.model.instant import Millis
from hookstream.pipeline.ports import Clock

_CLOSING = 2.0
"""Seconds of the deadline reserved for closing: with an available broker it takes 0.3."""
_CLOSING_SHARE = 0.25
"""The share reserved for closing of a short deadline."""
_CLOSE_AT_MOST = 5.0
"""Seconds that one close may take, even if more of the deadline is left."""
_CLOSE_AT_LEAST = 0.25
_FORCE_AFTER = 1.0
"""Seconds after the deadline after which the process is ended by force."""

FORCED_EXIT = 1
_IMPATIENT_EXIT = 1


class Shutdown:
    """The remaining time since the signal."""

    def __init__(
        self, clock: Clock, deadline: Millis, force: Callable[[float], None] | None = None
    ) -> None:
        """Allow `deadline` milliseconds from `begin` on.

        Args:
            clock: Measures elapsed time.
            deadline: The most time for a clean shutdown.
            force: Ends the process after the given seconds, unless it has ended by then.
        """
        self._clock = clock
        self._force = force or end_process_after
        self._seconds = deadline / 1000
        self._began: float | None = None

    @property
    def drain(self) -> Millis:
        """Time for draining: the deadline minus the part reserved for closing."""
        kept = min(_CLOSING, self._seconds * _CLOSING_SHARE)
        return round((self._seconds - kept) * 1000)

    def begin(self) -> None:
        """Start the deadline; the process is ended by force shortly after it."""
        self._began = self._clock.monotonic()
        self._force(self._seconds + _FORCE_AFTER)

    @property
    def took(self) -> float:
        """Seconds since it began, 0 before that."""
        return 0.0 if self._began is None else self._clock.monotonic() - self._began

    @property
    def left(self) -> float:
        """Seconds that the next step may take."""
        return min(_CLOSE_AT_MOST, max(_CLOSE_AT_LEAST, self._seconds - self.took))


def end_process_after(seconds: float) -> None:
    """End the process by force after a time, without keeping it alive if it ends earlier."""
    timer = threading.Timer(seconds, os._exit, (FORCED_EXIT,))
    timer.daemon = True
    timer.start()


def stop_on_signals(stop: asyncio.Event, shutdown: Shutdown) -> None:
    """Stop at the first SIGTERM or SIGINT, which starts the deadline; end at once at the second."""
    loop = asyncio.get_running_loop()

    def stopping() -> None:
        if stop.is_set():
            os._exit(_IMPATIENT_EXIT)
        shutdown.begin()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping)
