"""Bounds the concurrent requests that read much of the log: of each partner, of all partners, and of all callers."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

from hookstream.entry.api.problems import ProblemKind, RequestRefused
from hookstream.entry.api.services import HeavyWork

_LATER: Final = 5
"""Seconds after which the request may be repeated."""
MOST: Final = {HeavyWork.TEST: 6, HeavyWork.TRIAL: 3, HeavyWork.COUNT: 4}
"""A test keeps a thread for as long as its result is waited for, a trial takes CPU time, a count reads much of the
log."""


class AtOnce:
    """Allows `most` requests at a time: one of each partner, and `most - 1` of all partners, so one is for operators.

    Args:
        most: The bound, at least two.
        what: What the requests do, for the refusal: `events are explained`.
    """

    def __init__(self, most: int, what: str) -> None:
        self._most = most
        self._what = what
        self._lock = Lock()
        self._running: Counter[str | None] = Counter()

    @contextmanager
    def one(self, partner_id: str | None) -> Iterator[None]:
        """Count one request for the block's duration.

        Args:
            partner_id: The caller's partner; None: an operator.

        Raises:
            RequestRefused: The bound is reached: 429 if it is the partner's own, else 503, each with
                `Retry-After`.
        """
        with self._lock:
            self._refuse_more(partner_id)
            self._running[partner_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running[partner_id] -= 1
                # Otherwise it would keep the id of every partner forever.
                if not self._running[partner_id]:
                    del self._running[partner_id]

    def _refuse_more(self, partner_id: str | None) -> None:
        if partner_id is not None and self._running[partner_id]:
            raise RequestRefused(
                ProblemKind.TOO_MANY_REQUESTS,
                f"{self._what} for you already; at most 1 at a time",
                remedy="wait for that answer",
                retry_after=_LATER,
            )
        running = self._running.total()
        of_partners = running - self._running[None]
        if running >= self._most or (partner_id is not None and of_partners >= self._most - 1):
            raise RequestRefused(
                ProblemKind.UNAVAILABLE,
                f"{self._what} already; at most {self._most} at a time",
                retry_after=_LATER,
            )


def at_once_of_works() -> dict[HeavyWork, AtOnce]:
    """Return the bound of each kind of work."""
    return {work: AtOnce(most, work.value) for work, most in MOST.items()}
