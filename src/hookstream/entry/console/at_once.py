"""Bounds how many requests read much of the log at a time: each partner's, all partners' and all together."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

from hookstream.entry.api.problems import ProblemKind, RequestRefused

_LATER: Final = 5
"""Seconds after which it may be asked again."""


class AtOnce:
    """Lets so many at a time: of one partner one, and of all partners one less, which stays for operators.

    Args:
        most: How many, two at least.
        what: What they do, for the refusal: `events are explained`.
    """

    def __init__(self, most: int, what: str) -> None:
        self._most = most
        self._what = what
        self._lock = Lock()
        self._running: Counter[str | None] = Counter()

    @contextmanager
    def one(self, partner_id: str | None) -> Iterator[None]:
        """Be one of them.

        Args:
            partner_id: Whose it is; None: an operator's.

        Raises:
            RequestRefused: There are as many already: 429 where they are that partner's own, or else 503,
                each with `Retry-After`.
        """
        with self._lock:
            self._refuse_more(partner_id)
            self._running[partner_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running[partner_id] -= 1
                # Or it would keep the name of every partner there ever was.
                if not self._running[partner_id]:
                    del self._running[partner_id]

    def _refuse_more(self, partner_id: str | None) -> None:
        if partner_id is not None and self._running[partner_id]:
            raise RequestRefused(
                ProblemKind.TOO_MANY_REQUESTS,
                f"{self._what} for you now, and no more at a time: at most 1",
                remedy="wait until that is answered",
                retry_after=_LATER,
            )
        running = self._running.total()
        of_partners = running - self._running[None]
        if running >= self._most or (partner_id is not None and of_partners >= self._most - 1):
            raise RequestRefused(
                ProblemKind.UNAVAILABLE,
                f"{self._what} now, and no more at a time: at most {self._most}",
                retry_after=_LATER,
            )
