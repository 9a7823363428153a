"""The machine's own clock, chance, identity and limits: nothing else in hookstream asks it."""

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
        """Return wall-clock milliseconds since the epoch, as this machine's clock has them."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds that never go back, on the scale of the event loop's own time."""
        return time.monotonic()

    def moment(self) -> Moment:
        """Return the present by the clock since boot, which counts suspended time, and the wall's."""
        # Asked for each attempt: the class's own constructor takes twice as long.
        return _new_moment(Moment, (_boot(), _wall()))

    def boot(self) -> float:
        """Return the seconds since boot, suspended time included."""
        return _boot()


class ThreadOffload:
    """An `Offload` on a thread of its own: the interpreter lets both run in turn, some ms at a time."""

    def __init__(self) -> None:
        """Start the thread when it is first needed."""
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="large-events")

    async def run(self, compute: Callable[[], T]) -> T:
        """As Offload says."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, compute)

    def close(self) -> None:
        """Begin nothing any more; what is computed now ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class SystemChance:
    """The `Chance` of this process: for jitter and sampling, never for anything secret."""

    def fraction(self) -> float:
        """Return a number from 0 up to, not including, 1."""
        return random.random()  # noqa: S311 - nobody gains by guessing a jitter


def new_id() -> str:
    """Return a new identity that no other process will ever make: 32 lower-case hex digits."""
    return uuid.uuid4().hex


def random_bytes(count: int) -> bytes:
    """Return `count` bytes that nobody can guess: for nonces and new signing secrets."""
    return os.urandom(count)


def worker_name(configured: str = "") -> str:
    """Return the name by which this process signs its audit records.

    Args:
        configured: The name that an operator chose; empty for `<host>-<process id>`.
    """
    return configured or f"{socket.gethostname()}-{os.getpid()}"


def open_files(wanted: int) -> int:
    """Have the system let this process open many files, connections included.

    The limit that a process is born with is often 1,024, for the sake of programs that cannot do
    with more; whoever can may raise it up to the hard limit.

    Args:
        wanted: How many will do.

    Returns:
        How many of those may be open now: fewer than wanted where the hard limit is lower.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed


_FRESH_OBJECTS = 50_000
_COLLECTIONS_AN_AGE = 20
"""Objects by which a collection is earned, and collections of one age that earn one of the next."""


def spare_collector() -> None:
    """Leave what is in memory now to rest, and look for circles of garbage seldom.

    Tables, indexes and modules live as long as the process, and an event's values hold no circles:
    walking over all of them again and again, as the collector does by default after every 700 new
    objects, took a sixth of a worker's time. Circles (a connection and its protocol, a cancelled
    task's traceback) are still found, only later.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_FRESH_OBJECTS, _COLLECTIONS_AN_AGE, _COLLECTIONS_AN_AGE)
