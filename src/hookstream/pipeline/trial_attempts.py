"""Makes the attempts of tests, outside the lanes: a test waits for no lane, and does not affect its lane.

A test is attempted at once and never deferred, whatever its lane may do. An endpoint has one of them in flight
at a time, and a worker a few, which do not count towards its limit of attempts in flight. The tests that wait for
that are bounded; a test beyond the bound ends without an attempt.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import islice

from hookstream.core.model.delivery import DeferReason
from hookstream.core.model.outcome import DeferUntil, Outcome, Withheld
from hookstream.errors import InvariantBroken
from hookstream.pipeline.ports import Permitted
from hookstream.pipeline.work import Work

_AT_ONCE = 8
"""The most tests in flight in one worker. The others wait, at most until they expire."""

MOST_OF_ONE = 100
"""The most waiting tests of one subscription: an endpoint that answers within half a second gets all in time."""

MOST = 1_000
"""The most waiting tests in one worker."""


class TrialAttempts:
    """The waiting tests of a worker, and those in flight."""

    def __init__(
        self,
        attempt: Callable[[Work], Awaitable[Outcome | Withheld | None]],
        overflow: Callable[[Work, DeferUntil], None],
        abandon: Callable[[Work], None],
        may_act: Permitted,
        ended: Callable[[], None],
    ) -> None:
        """Run attempts as `Lanes` does; `ended` is called after each."""
        self._attempt = attempt
        self._overflow = overflow
        self._abandon = abandon
        self._may_act = may_act
        self._ended = ended
        self._waiting: dict[str, deque[Work]] = {}
        """By subscription; the first subscription is next."""
        self.waiting = 0
        """How many wait."""
        self._in_flight: set[str] = set()
        """The subscriptions that have a test in flight."""
        self._tasks: asyncio.TaskGroup | None = None
        self._closed = False

    @property
    def idle(self) -> bool:
        """Whether no test waits and none is in flight."""
        return not self._waiting and not self._in_flight

    def open(self, tasks: asyncio.TaskGroup) -> None:
        """Run attempts as children of `tasks` from now on."""
        self._tasks = tasks

    def offer(self, work: Work) -> None:
        """Attempt a test as soon as no other one of its subscription is in flight.

        If too many wait already, pass it to `overflow`: a test that is deferred ends.
        """
        subscription_id = work.delivery.subscription_id
        line = self._waiting.get(subscription_id, ())
        if len(line) >= MOST_OF_ONE or self.waiting >= MOST:
            self._overflow(work, DeferUntil(0, DeferReason.LANE_FULL))
            return
        self._waiting.setdefault(subscription_id, deque()).append(work)
        self.waiting += 1
        self.start()

    def start(self) -> None:
        """Begin the tests that may begin; called several times a second."""
        if not self._waiting or not self._may_act():
            return
        if self._tasks is None:
            raise InvariantBroken("a test was offered before its attempts were opened")
        # Fewer than half of these subscriptions have a test in flight, so the others suffice.
        for subscription_id in list(islice(self._waiting, 2 * _AT_ONCE)):
            if len(self._in_flight) >= _AT_ONCE:
                return
            if subscription_id not in self._in_flight:
                self._in_flight.add(subscription_id)
                self._tasks.create_task(self._run(self._next(subscription_id)))

    def _next(self, subscription_id: str) -> Work:
        """Remove and return a subscription's oldest test; its next one waits behind all other subscriptions."""
        line = self._waiting.pop(subscription_id)
        work = line.popleft()
        self.waiting -= 1
        if line:
            self._waiting[subscription_id] = line
        return work

    async def _run(self, work: Work) -> None:
        try:
            outcome = await self._attempt(work)
        finally:
            self._in_flight.discard(work.delivery.subscription_id)
        if isinstance(outcome, Withheld):
            if self._closed or not work.receipt.may_start:
                self._abandon(work)
            else:
                # It begins again at the next tick, not at once, because the cause may last.
                self._waiting.setdefault(work.delivery.subscription_id, deque()).appendleft(work)
                self.waiting += 1
        else:
            self.start()
        self._ended()

    def drop(self, gone: Callable[[Work], bool]) -> list[Work]:
        """Remove and return the waiting tests for which `gone` returns True."""
        dropped: list[Work] = []
        for subscription_id, line in list(self._waiting.items()):
            remaining: deque[Work] = deque()
            for work in line:
                (dropped if gone(work) else remaining).append(work)
            if remaining:
                self._waiting[subscription_id] = remaining
            else:
                del self._waiting[subscription_id]
        self.waiting -= len(dropped)
        return dropped

    def close(self) -> list[Work]:
        """Remove and return all waiting tests, since the worker drains; no other one begins."""
        self._closed = True
        return self.drop(lambda _: True)
