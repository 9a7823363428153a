"""One deadline bounds a whole shutdown: draining, committing and closing, whatever hangs.

The last part of it is kept for closing. Should even that not end, a thread ends the process: then
nothing more is settled, as if it had been killed.
"""

import os
import threading
from collections.abc import Callable

from hookstream.core.model.instant import Millis
from hookstream.pipeline.ports import Clock

_CLOSING = 2.0
"""Seconds of the deadline that are kept for closing: with a broker that answers it takes 0.3."""
_CLOSING_SHARE = 0.25
"""Of a short deadline."""
_CLOSE_AT_MOST = 5.0
"""Seconds that one close may take, however much of the deadline is left."""
_CLOSE_AT_LEAST = 0.25
_LAST_WORDS = 1.0
"""Seconds after the deadline at which the process is ended by force."""

FORCED_EXIT = 1


class Shutdown:
    """The time that is left, from the signal on."""

    def __init__(
        self, clock: Clock, deadline: Millis, force: Callable[[float], None] | None = None
    ) -> None:
        """Allow `deadline` milliseconds from `begin` on.

        Args:
            clock: For what has passed.
            deadline: What a clean end may take.
            force: Ends the process after so many seconds, unless it has ended by then.
        """
        self._clock = clock
        self._force = force or end_process_after
        self._seconds = deadline / 1000
        self._began: float | None = None

    @property
    def drain(self) -> Millis:
        """How long draining may take: the deadline without what closing needs."""
        kept = min(_CLOSING, self._seconds * _CLOSING_SHARE)
        return round((self._seconds - kept) * 1000)

    def begin(self) -> None:
        """Count from now, and end the process by force soon after the deadline."""
        self._began = self._clock.monotonic()
        self._force(self._seconds + _LAST_WORDS)

    @property
    def took(self) -> float:
        """Seconds since it began, 0 where it did not."""
        return 0.0 if self._began is None else self._clock.monotonic() - self._began

    @property
    def left(self) -> float:
        """Seconds that the next step may take."""
        return min(_CLOSE_AT_MOST, max(_CLOSE_AT_LEAST, self._seconds - self.took))


def end_process_after(seconds: float) -> None:
    """End the process by force when the time is over; nothing keeps a process that ends earlier."""
    timer = threading.Timer(seconds, os._exit, (FORCED_EXIT,))
    timer.daemon = True
    timer.start()
