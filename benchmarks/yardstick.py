"""A yardstick of the machine: what one known piece of work costs on the worker's core just then.

CPU time is no constant where neighbours share caches, clock and hardware threads: the same
signature takes 2 µs on a quiet machine and ten times that on a crowded one. Figures that were
taken at different yardsticks do not compare.
"""

import hmac
import os
import statistics
import threading
import time
from typing import Self

_KEY, _BODY = b"k" * 24, b"x" * 1024
_SIGNATURES = 100
_PAUSE = 0.25
"""Seconds between two looks, so that the yardstick takes less than 1 % of the core."""


class Yardstick:
    """Measures HMAC-SHA256 of 1 KB on a core, again and again, while a `with` block runs."""

    def __init__(self, core: int) -> None:
        self._core = core
        self._costs: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._measure, name="yardstick")

    @property
    def median_us(self) -> float:
        """Microseconds of CPU a signature, the median of all looks."""
        return round(statistics.median(self._costs), 1) if self._costs else 0.0

    def __enter__(self) -> Self:
        """Begin to measure."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._stop.set()
        self._thread.join()

    def _measure(self) -> None:
        os.sched_setaffinity(0, {self._core})  # of this thread alone
        while True:
            began = time.thread_time()
            for _ in range(_SIGNATURES):
                hmac.digest(_KEY, _BODY, "sha256")
            self._costs.append((time.thread_time() - began) / _SIGNATURES * 1e6)
            # After the first look: some rows take less than a pause.
            if self._stop.wait(_PAUSE):
                return
