"""The machine's own clock, chance and identity: nothing else in hookstream reads them."""

import os
import random
import socket
import time
import uuid

from hookstream.core.model.instant import Millis


class SystemClock:
    """The `Clock` of this machine."""

    def now(self) -> Millis:
        """Return wall-clock milliseconds since the epoch, as this machine's clock has them."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds that never go back, on the scale of the event loop's own time."""
        return time.monotonic()


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
