"""Bounds how many requests read much of the log at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Semaphore
from typing import Final

from hookstream.entry.api.problems import ProblemKind, RequestRefused

_LATER: Final = 5
"""Seconds after which it may be asked again."""


class AtOnce:
    """Lets so many at a time.

    Args:
        most: How many.
        what: What they do, for the refusal: `events are explained`.
    """

    def __init__(self, most: int, what: str) -> None:
        self._free = Semaphore(most)
        self._refusal = f"{most} {what} now: no more at a time"

    @contextmanager
    def one(self) -> Iterator[None]:
        """Be one of them.

        Raises:
            RequestRefused: There are as many already: 503 with `Retry-After`.
        """
        if not self._free.acquire(blocking=False):
            raise RequestRefused(ProblemKind.UNAVAILABLE, self._refusal, retry_after=_LATER)
        try:
            yield
        finally:
            self._free.release()
