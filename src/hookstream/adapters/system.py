"""Access to the machine's clock, randomness, identity and limits; nothing else accesses them."""

import asyncio
import gc
import os
import random
import resource
import socket
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from hookstream.core.model.freshness import Moment
from hookstream.core.model.instant import Millis

_boot = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
_wall = time.time
_new_moment = tuple.__new__

T = TypeVar("T")


class SystemClock:
    """The `Clock` of this machine."""

    def now(self) -> Millis:
        """Return this machine's wall-clock time in milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    # The function itself: each delivery calls it eight times, and a method around it doubles the time.
    monotonic = staticmethod(time.monotonic)

    def moment(self) -> Moment:
        """Return the current time by the clock since boot, including suspended time, and by the wall."""
        # Called for each attempt: the class's own constructor takes twice as long.
        return _new_moment(Moment, (_boot(), _wall()))

    def boot(self) -> float:
        """Return the seconds since boot, including suspended time."""
        return _boot()


class BlockingClock:
    """The clock of this machine for code that may block while it waits, such as a command."""

    def monotonic(self) -> float:
        """Return seconds that never go back, from an arbitrary start."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        time.sleep(seconds)


class ThreadOffload:
    """An `Offload` on its own thread: the interpreter switches between both every few ms."""

    def __init__(self) -> None:
        """Start without a thread; it starts when first needed."""
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="large-events")

    async def run(self, compute: Callable[[], T]) -> T:
        """See `Offload.run`."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, compute)

    def close(self) -> None:
        """Start no further computation, without waiting for a running one."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class SystemChance:
    """The `Chance` of this process: for jitter and sampling, never for secrets."""

    def fraction(self) -> float:
        """Return a number from 0 up to, not including, 1."""
        return random.random()  # noqa: S311 - a jitter need not be unpredictable


def new_id() -> str:
    """Return a new universally unique identity: 32 lower-case hex digits."""
    return uuid.uuid4().hex


def random_bytes(count: int) -> bytes:
    """Return `count` unpredictable bytes, for nonces and new signing secrets."""
    return os.urandom(count)


def worker_name(configured: str = "") -> str:
    """Return this process's name in audit records.

    Args:
        configured: The name that an operator chose; empty for `<host>-<process id>`.
    """
    return configured or f"{socket.gethostname()}-{os.getpid()}"


def open_files(wanted: int) -> int:
    """Raise this process's limit on open files, including connections.

    The initial soft limit is often 1,024, for programs that cannot handle more; a process may raise
    it up to the hard limit.

    Args:
        wanted: The number of files needed.

    Returns:
        How many of those may be open now: fewer than wanted if the hard limit is lower.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed


_FRESH_OBJECTS = 50_000
_COLLECTIONS_AN_AGE = 20
"""New objects that trigger a collection, and collections of one generation that trigger the next."""


def spare_collector() -> None:
    """Exclude present objects from garbage collection, and collect cycles less often.

    Tables, indexes and modules live as long as the process, and an event's values contain no cycles.
    Traversing all of them repeatedly, as the collector does by default after every 700 new objects,
    took a sixth of a worker's time. Cycles (a connection and its protocol, a cancelled task's
    traceback) are still collected, only later.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_FRESH_OBJECTS, _COLLECTIONS_AN_AGE, _COLLECTIONS_AN_AGE)
