"""Attempts that call back: they are counted, cut off when the worker ends, and raise nothing into the event loop."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from tests.doubles.clock import LoopClock
from tests.doubles.deliveries import a_delivery
from tests.doubles.seeing import RememberingLogger

from hookstream.core.lanes.policy import LanePolicy
from hookstream.core.model.outcome import Delivered, Outcome, Withheld
from hookstream.errors import InvariantBroken
from hookstream.pipeline.batches import BatchEnd
from hookstream.pipeline.lane_queue import LaneQueue
from hookstream.pipeline.lanes import Lanes
from hookstream.pipeline.open_attempt import AttemptListener, AttemptResult, OpenAttempt, Ready
from hookstream.pipeline.partitions import Receipt
from hookstream.pipeline.ports import Continuation, always_permitted
from hookstream.pipeline.work import Bodies, Work

OK = Delivered(204)


class Wanted:
    """The receipt of a partition that is kept."""

    may_start = True


class Opened:
    """An exchange that a test answers."""

    abandoned = False

    def abandon(self) -> None:
        self.abandoned = True


class Site:
    """Lanes whose attempts are open until a test ends them."""

    def __init__(self) -> None:
        self.open: list[OpenAttempt] = []
        self.exchanges: list[Opened] = []
        self.turns_of_loop: list[float] = []
        self.returned: list[AttemptResult | Continuation[AttemptResult]] = []
        """How the next attempts end at once."""
        self.error: BaseException | None = None
        self.lanes = Lanes(
            LoopClock(),
            RememberingLogger(),
            max_in_flight=8,
            policy=lambda _: LanePolicy(8),
            begin=self.begin,
            attempt=self.attempt,
            attempt_together=self.attempt_together,
            overflow=lambda _, __: None,
            abandon=lambda _: None,
            may_act=always_permitted,
        )

    def begin(
        self, work: Work, notify: AttemptListener
    ) -> OpenAttempt | Continuation[AttemptResult] | AttemptResult:
        if self.error is not None:
            raise self.error
        if self.returned:
            return self.returned.pop(0)
        exchange = Opened()
        self.exchanges.append(exchange)
        self.open.append(OpenAttempt(work, cast("Ready", None), 0.0, 0, notify, exchange=exchange))
        return self.open[-1]

    async def attempt(self, work: Work) -> Outcome:
        del work
        return OK

    async def attempt_together(self, works: Sequence[Work], queue: LaneQueue) -> BatchEnd:
        del works, queue
        return BatchEnd(OK, ())

    def offer(self, many: int = 1) -> None:
        for _ in range(many):
            work = Work(a_delivery(), cast("Bodies", None), cast("Receipt", Wanted()))
            self.lanes.offer(work)


async def a_turn() -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_an_open_attempt_is_in_flight_until_it_is_ended_and_the_next_begins_then() -> None:
    site = Site()
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        site.offer(3)
        assert site.open == []
        await a_turn()
        assert (len(site.open), site.lanes.in_flight, site.lanes.waiting) == (2, 2, 1)

        site.open[0].notify.ended(OK)

        assert (len(site.open), site.lanes.in_flight, site.lanes.waiting) == (3, 2, 0)
        idle = tasks.create_task(site.lanes.idle())
        site.open[1].notify.ended(OK)
        await a_turn()
        assert not idle.done()
        site.open[2].notify.ended(OK)
        await idle


async def test_an_attempt_that_was_withheld_returns_to_its_lane_and_is_made_again() -> None:
    site = Site()
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        site.offer()
        await a_turn()

        site.open[0].notify.ended(Withheld("the tables are not current"))

        await a_turn()
        assert [each.work for each in site.open] == [site.open[0].work] * 2
        site.open[1].notify.ended(OK)
        await site.lanes.idle()


async def test_what_must_be_awaited_after_all_is_awaited() -> None:
    """A connection was closed before it carried an answer: another one must be made."""
    site = Site()
    dialled = asyncio.Event()

    async def rest() -> AttemptResult:
        await dialled.wait()
        return OK

    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        site.offer()
        await a_turn()

        site.open[0].notify.ended(Continuation(rest))

        await a_turn()
        assert site.lanes.in_flight == 1
        dialled.set()
        await site.lanes.idle()
        assert site.lanes.in_flight == 0


@pytest.mark.parametrize("where", ["the beginning", "the answer", "the lane"])
async def test_what_a_callback_raises_ends_the_worker_and_never_reaches_the_event_loop(
    where: str,
) -> None:
    site, left = Site(), list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, what: left.append(what))
    broken = InvariantBroken("as planted")

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            site.lanes.open(tasks)
            tasks.create_task(site.lanes.runs.watch())
            site.offer(3)
            if where == "the beginning":
                site.error = broken
            await a_turn()
            if where == "the answer":
                site.open[0].notify.broke(broken)
            if where == "the lane":
                # It is unknown to its lane already.
                site.open[0].notify.ended(OK)
                site.open[0].notify.ended(OK)

    with pytest.raises(ExceptionGroup) as raised:
        await run()

    expected = KeyError if where == "the lane" else InvariantBroken
    assert isinstance(raised.value.exceptions[0], expected)
    assert left == []
    assert all(each.abandoned for each in site.exchanges[where == "the lane" :])
    assert len(site.open) == {"the beginning": 0, "the answer": 2, "the lane": 3}[where]


async def test_a_worker_that_is_cancelled_abandons_what_is_open_and_begins_nothing_more() -> None:
    site = Site()

    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        watching = tasks.create_task(site.lanes.runs.watch())
        await a_turn()
        site.offer(2)
        await a_turn()
        site.open[0].notify.ended(OK)
        site.offer(2)

        watching.cancel()

    before = len(site.open)
    site.offer()
    await a_turn()
    assert len(site.open) == before
    assert all(each.abandoned for each in site.exchanges[1:])


async def test_deliveries_that_end_at_once_are_not_in_flight_any_more() -> None:
    site = Site()
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        site.returned = [None] * 20
        site.offer(20)

        await site.lanes.idle()

        assert (site.open, site.lanes.in_flight) == ([], 0)


@pytest.mark.parametrize("by", ["a cancellation", "another failure"])
async def test_what_must_be_awaited_begins_no_more_once_all_tasks_are_being_cancelled(
    by: str,
) -> None:
    """A group of tasks takes none from then on, and says so by raising."""
    site, left = Site(), list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, what: left.append(what))
    ran: list[int] = []

    async def rest() -> AttemptResult:
        ran.append(1)
        return OK

    async def fail() -> None:
        site.returned = [Continuation(rest), Continuation(rest)]
        site.offer(2)
        if by == "another failure":
            raise InvariantBroken("as planted")
        raise asyncio.CancelledError

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            site.lanes.open(tasks)
            tasks.create_task(site.lanes.runs.watch())
            await a_turn()
            await fail()

    with pytest.raises((ExceptionGroup, asyncio.CancelledError)):
        await run()
    await a_turn()

    assert (ran, left) == ([], [])
