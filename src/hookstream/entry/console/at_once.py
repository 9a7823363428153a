"""Bounds how many requests read much of the log at a time."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Semaphore
from typing import Final

from hookstream.entry.api.problems import ProblemKind, RequestRefused

_LATER: Final = 5
"""Seconds after which it may be asked again."""


class AtOnce:
    """Lets so many at a time; partners leave one to operators.

    Args:
        most: How many, two at least.
        what: What they do, for the refusal: `events are explained`.
    """

    def __init__(self, most: int, what: str) -> None:
        self._free = Semaphore(most)
        self._of_partners = Semaphore(most - 1)
        self._refusal = f"{what} now, and no more at a time: at most {most}"

    @contextmanager
    def one(self, *, by_operator: bool) -> Iterator[None]:
        """Be one of them.

        Raises:
            RequestRefused: There are as many already: 503 with `Retry-After`.
        """
        with ExitStack() as held:
            for free in (self._free,) if by_operator else (self._of_partners, self._free):
                if not free.acquire(blocking=False):
                    raise RequestRefused(
                        ProblemKind.UNAVAILABLE, self._refusal, retry_after=_LATER
                    )
                held.callback(free.release)
            yield
