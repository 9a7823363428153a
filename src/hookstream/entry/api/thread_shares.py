"""Shares of the threads: a partner's requests wait for its own share, and keep no thread from other callers."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

_OF_EACH: Final = 4
"""One partner's requests have a quarter of the threads at once."""
_OF_OPERATORS: Final = 8
"""Those of all partners leave an eighth of them to operators."""


class ThreadShares:
    """Lets so many requests of each partner go on at a time, and so many of all partners; what is more waits.

    Partners take turns, each with its oldest request. Operators do not wait here. Owned by the event loop.

    Args:
        of_each: How many of one partner.
        of_partners: How many of all partners together.
    """

    def __init__(self, of_each: int, of_partners: int) -> None:
        self._of_each = of_each
        self._of_partners = of_partners
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By partner; the first has waited for its turn for longest."""

    @asynccontextmanager
    async def one(self, partner_id: str | None) -> AsyncIterator[bool]:
        """Go on when the share allows it; yields whether that was waited for.

        Args:
            partner_id: Whose request it is; None: an operator's.
        """
        if partner_id is None:
            yield False
            return
        waits = not self._has_room(partner_id)
        if waits:
            await self._turn(partner_id)
        else:
            self._running[partner_id] += 1
        try:
            yield waits
        finally:
            self._over(partner_id)

    def _has_room(self, partner_id: str) -> bool:
        # Whoever waits had none since: each that ends lets the next one go on.
        running = self._running
        return running[partner_id] < self._of_each and running.total() < self._of_partners

    async def _turn(self, partner_id: str) -> None:
        turn = asyncio.get_running_loop().create_future()
        queue = self._waiting.setdefault(partner_id, deque())
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._over(partner_id)
            else:
                queue.remove(turn)
                if not queue:
                    del self._waiting[partner_id]
            raise

    def _over(self, partner_id: str) -> None:
        self._running[partner_id] -= 1
        if not self._running[partner_id]:
            # Or it would keep the name of every partner there ever was.
            del self._running[partner_id]
        following = next(filter(self._has_room, self._waiting), None)
        if following is None:
            return
        queue = self._waiting.pop(following)
        self._running[following] += 1
        queue.popleft().set_result(None)
        if queue:
            self._waiting[following] = queue


def shares_of(threads: int) -> ThreadShares:
    """Return the shares of a number of threads."""
    of_operators = max(1, threads // _OF_OPERATORS)
    return ThreadShares(max(1, threads // _OF_EACH), max(1, threads - of_operators))
