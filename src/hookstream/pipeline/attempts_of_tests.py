"""Attempts of tests, beside the lanes: a test waits for no lane, and a lane learns nothing from it.

Each is attempted at once, whatever its lane may do: it was asked for now, and is never put off. An
endpoint that hangs has one of them at a time, and a worker a few, which its limit of attempts in flight
does not count.
"""

import asyncio
from collections.abc import Awaitable, Callable

from hookstream.core.model.outcome import Outcome, Withheld
from hookstream.errors import InvariantBroken
from hookstream.pipeline.ports import Permitted
from hookstream.pipeline.work import Work

_AT_ONCE = 8
"""Tests in flight in one worker. The others wait, for no longer than a test lives."""


class AttemptsOfTests:
    """The tests of a worker that wait for their attempt, and those in flight."""

    def __init__(
        self,
        attempt: Callable[[Work], Awaitable[Outcome | Withheld | None]],
        abandon: Callable[[Work], None],
        may_act: Permitted,
        ended: Callable[[], None],
    ) -> None:
        """Run attempts as `Lanes` does; `ended` is called after each."""
        self._attempt = attempt
        self._abandon = abandon
        self._may_act = may_act
        self._ended = ended
        self._waiting: list[Work] = []
        self._in_flight: set[str] = set()
        """By their subscriptions."""
        self._tasks: asyncio.TaskGroup | None = None
        self._closed = False

    @property
    def idle(self) -> bool:
        """Whether none waits and none is in flight."""
        return not self._waiting and not self._in_flight

    def open(self, tasks: asyncio.TaskGroup) -> None:
        """Run attempts as children of `tasks` from now on."""
        self._tasks = tasks

    def offer(self, work: Work) -> None:
        """Attempt a test, as soon as there is none of its subscription in flight."""
        self._waiting.append(work)
        self.start()

    def start(self) -> None:
        """Begin what may begin; called several times a second."""
        if not self._waiting or not self._may_act():
            return
        if self._tasks is None:
            raise InvariantBroken("a test was offered before its attempts were opened")
        left: list[Work] = []
        for work in self._waiting:
            subscription_id = work.delivery.subscription_id
            if subscription_id in self._in_flight or len(self._in_flight) >= _AT_ONCE:
                left.append(work)
            else:
                self._in_flight.add(subscription_id)
                self._tasks.create_task(self._run(work))
        self._waiting = left

    async def _run(self, work: Work) -> None:
        try:
            outcome = await self._attempt(work)
        finally:
            self._in_flight.discard(work.delivery.subscription_id)
        if isinstance(outcome, Withheld):
            if self._closed or not work.receipt.wanted:
                self._abandon(work)
            else:
                # It is begun again at the next tick, not at once: what withheld it may last.
                self._waiting.insert(0, work)
        else:
            self.start()
        self._ended()

    def drop(self, gone: Callable[[Work], bool]) -> list[Work]:
        """Remove and return the tests that wait and are gone."""
        dropped = [work for work in self._waiting if gone(work)]
        self._waiting = [work for work in self._waiting if not gone(work)]
        return dropped

    def close(self) -> list[Work]:
        """Remove and return all that wait, as the worker drains; none begins any more."""
        self._closed = True
        return self.drop(lambda _: True)
