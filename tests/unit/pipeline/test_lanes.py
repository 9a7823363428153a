"""Lanes share one cap: each gets its turn, and none that hangs, retries or is new takes reserved permits."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import cast

import pytest
from tests.doubles.clock import LoopClock
from tests.doubles.deliveries import a_delivery
from tests.doubles.seeing import RememberingLogger

from hookstream.core.lanes.lane_status import LanesStatus
from hookstream.core.lanes.policy import LanePolicy
from hookstream.core.model.delivery import DeferReason
from hookstream.core.model.outcome import DeferUntil, Delivered, Failed, FailureKind, Outcome
from hookstream.pipeline.batches import BatchEnd
from hookstream.pipeline.lane_queue import LaneQueue
from hookstream.pipeline.lanes import Lanes
from hookstream.pipeline.partitions import Receipt
from hookstream.pipeline.ports import Continuation, always_permitted
from hookstream.pipeline.work import Bodies, Work

OK = Delivered(204)


class Site:
    """Lanes over endpoints that answer after so many seconds."""

    def __init__(
        self,
        cap: int,
        *,
        takes: dict[str, float] | None = None,
        rates: dict[str, float] | None = None,
        weights: dict[str, int] | None = None,
        most: int = 100,
        probe_every: float = 30.0,
        batch_events: int = 1,
        batch_wait: float = 0.0,
    ) -> None:
        self.takes = takes or {}
        self.rates = rates or {}
        self.outcome: Outcome = OK
        self.paused: set[str] = set()
        self.now: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.order: list[str] = []
        self.attempts: set[int] = set()
        self.numbers: list[int] = []
        self.batches: list[tuple[float, int]] = []
        """When each request with several deliveries was made, and how many it had."""
        self.overflowed: list[tuple[str, DeferUntil]] = []
        self.jobs: list[str | None] = []
        """Those of what `overflowed` has."""
        self.logger = RememberingLogger()
        self.clock = LoopClock()
        self.lanes = Lanes(
            self.clock,
            self.logger,
            max_in_flight=cap,
            policy=lambda who: LanePolicy(
                most,
                rate_limit=self.rates.get(who),
                weight=(weights or {}).get(who, 1),
                probe_every=probe_every,
                batch_events=batch_events,
                batch_wait=batch_wait,
            ),
            begin=lambda work, _: Continuation(partial(self.attempt, work)),
            attempt=self.attempt,
            attempt_together=self.attempt_together,
            overflow=self.overflow,
            abandon=lambda _: None,
            may_act=always_permitted,
        )

    def overflow(self, work: Work, slot: DeferUntil) -> None:
        self.overflowed.append((work.delivery.subscription_id, slot))
        self.jobs.append(work.delivery.job)

    async def attempt(self, work: Work) -> Outcome | None:
        who = work.delivery.subscription_id
        if who in self.paused:
            self.done[who] += 1
            return None
        self.now[who] += 1
        self.order.append(who)
        self.attempts.add(work.delivery.attempt)
        self.numbers.append(work.delivery.attempt)
        try:
            await asyncio.sleep(self.takes.get(who, 0.1))
        finally:
            self.now[who] -= 1
        self.done[who] += 1
        return self.outcome

    async def attempt_together(self, works: Sequence[Work], _: LaneQueue) -> BatchEnd:
        self.batches.append((asyncio.get_running_loop().time(), len(works)))
        return BatchEnd(await self.attempt(works[0]), ())

    def offer(self, who: str, many: int = 1, *, attempt: int = 0, job: str | None = None) -> None:
        for _ in range(many):
            delivery = a_delivery(subscription_id=who, attempt=attempt, job=job)
            self.lanes.offer(Work(delivery, cast("Bodies", None), cast("Receipt", None)))

    async def ticks(self, many: int) -> None:
        for _ in range(many):
            await asyncio.sleep(0.24)
            self.lanes.tick()

    async def proved(self, *names: str) -> None:
        """Let lanes answer once, so that they count as prompt."""
        for name in names:
            self.offer(name)
        await self.lanes.idle()
        self.done.clear()
        self.order.clear()


async def test_a_lane_with_much_to_do_takes_no_more_than_its_share_while_others_wait() -> None:
    site = Site(10)
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        await site.proved("big", "a", "b", "c")
        site.offer("big", 300)
        await asyncio.sleep(1)
        for name in ("a", "b", "c"):
            site.offer(name, 100)
        await asyncio.sleep(1)
        site.done.clear()

        await asyncio.sleep(1.55)

        assert sum(site.done.values()) >= 150
        assert min(site.done[name] for name in ("a", "b", "c")) >= 0.8 * site.done["big"]
        await site.lanes.idle()
        assert sum(site.now.values()) == 0


@pytest.mark.parametrize(("attempt", "started"), [(0, 12), (3, 6)])
async def test_lanes_that_wait_are_served_by_weight_in_first_attempts_and_in_retries(
    attempt: int, started: int
) -> None:
    site = Site(12, weights={"heavy": 3, "middle": 2})
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        await site.proved("heavy", "middle", "light")
        for name in ("light", "middle", "heavy"):
            site.offer(name, 300, attempt=attempt)
        await asyncio.sleep(1.05)
        site.order.clear()

        await asyncio.sleep(3)

        begun = Counter(site.order)
        assert begun.total() == 30 * started
        assert begun["heavy"] == pytest.approx(3 * begun["light"], abs=3)
        assert begun["middle"] == pytest.approx(2 * begun["light"], abs=2)
        site.lanes.empty()


@pytest.mark.parametrize("weights", [{}, {"big": 100}])
async def test_one_delivery_of_a_quiet_lane_waits_for_one_permit_and_not_for_a_backlog(
    weights: dict[str, int],
) -> None:
    site = Site(4, weights=weights)
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        await site.proved("big", "quiet")
        site.offer("big", 200)
        await asyncio.sleep(0.55)
        site.offer("quiet")

        await asyncio.sleep(0.21)

        assert site.done["quiet"] == 1
        site.lanes.empty()


async def test_lanes_that_hang_take_half_of_the_cap_at_most() -> None:
    site = Site(8, takes={f"hang{n}": 15.0 for n in range(20)})
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        await site.proved("fine")
        for number in range(20):
            site.offer(f"hang{number}", 5)
        await asyncio.sleep(2)
        hanging = sum(count for who, count in site.now.items() if who != "fine")
        site.offer("fine", 20)
        await asyncio.sleep(1)

        assert hanging == 4
        assert site.done["fine"] == 20
        site.lanes.empty()


async def test_a_lane_that_starts_to_hang_gets_no_more_permits_and_its_queue_is_deferred() -> None:
    site = Site(100)
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        await site.proved("turns")
        site.takes["turns"] = 15.0
        site.offer("turns", 10)
        for _ in range(5):
            await asyncio.sleep(0.25)
            site.lanes.tick()
        site.offer("turns", 10)

        assert site.now["turns"] <= 3
        assert len(site.overflowed) >= 17
        assert {slot.reason for _, slot in site.overflowed} == {DeferReason.LANE_FULL}
        site.lanes.empty()


async def test_retries_leave_half_of_the_cap_to_first_attempts() -> None:
    site = Site(8)
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        await site.proved("a", "b", "c")
        for name in ("a", "b"):
            site.offer(name, 40, attempt=3)
        await asyncio.sleep(0.35)
        retried = site.now["a"] + site.now["b"]
        site.offer("c", 4)
        await asyncio.sleep(0.25)

        assert retried == 4
        assert site.done["c"] == 4
        site.lanes.empty()


async def test_replays_leave_half_of_the_cap_to_first_attempts_and_live_ones_go_first() -> None:
    names = ("a", "b", "c", "d")
    site = Site(8, takes=dict.fromkeys(names, 0.9))
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        await site.proved(*names, "e")
        for name in names:
            site.offer(name, 5, job="replay-1")
        await asyncio.sleep(0.05)
        assert sum(site.now.values()) == 4

        site.offer("e", 2)
        await asyncio.sleep(0.05)
        assert site.now["e"] == 2
        site.numbers.clear()
        site.offer("a", attempt=2)
        await site.lanes.idle()

        # Sixteen replays waited before it, four of them in its lane.
        assert site.numbers.index(2) <= 4


@pytest.mark.parametrize("comes", ["from an event topic", "from a tier"])
async def test_where_a_live_delivery_finds_no_room_the_replays_that_wait_there_are_deferred_behind_it(
    comes: str,
) -> None:
    site = Site(8, takes={"crm": 1.1}, most=1)
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        await site.proved("neighbour")
        site.offer("crm", job="replay-1")
        await site.ticks(4)
        site.offer("crm", job="replay-2")
        assert site.jobs == []
        await asyncio.sleep(0.08)

        # The attempt in flight is late, so that nothing more is queued; it is answered before the next tick.
        live: DeferUntil | None
        if comes == "from a tier":
            live = site.lanes.deferral(a_delivery(subscription_id="crm"))
        else:
            site.offer("crm")
            live = site.overflowed[site.jobs.index(None)][1]
        await asyncio.sleep(0.1)

        assert live is not None
        assert site.jobs[0] == "replay-2"
        assert site.overflowed[0][1].due_at > live.due_at
        assert site.order.count("crm") == 1
        await site.lanes.idle()


async def test_a_lane_that_slows_down_defers_its_replays_first_and_to_later_slots() -> None:
    site = Site(8, takes={"crm": 2.5}, most=1)
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        await site.proved("neighbour")
        site.offer("crm", 100, job="replay-1")
        site.offer("crm", 190)
        site.overflowed.clear()
        site.jobs.clear()

        # A tick defers 250 at most: all replays are among them, whatever else is.
        await site.ticks(1)
        slots = list(zip(site.jobs, [slot.due_at for _, slot in site.overflowed], strict=True))

        assert site.jobs.count("replay-1") == 99
        assert site.jobs.count(None) == 151
        live = max(due for job, due in slots if job is None)
        assert min(due for job, due in slots if job is not None) > live
        site.lanes.empty()


@pytest.mark.parametrize("busy", [False, True])
async def test_a_retry_that_waits_for_a_permit_does_not_delay_first_attempts_of_its_lane(
    busy: bool,  # noqa: FBT001
) -> None:
    site = Site(8, takes={f"hang{n}": 15.0 for n in range(20)})
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        await site.proved("fine", "other")
        for number in range(20):
            site.offer(f"hang{number}")
        await asyncio.sleep(2)
        if busy:
            site.offer("other", 200)
            await asyncio.sleep(0.35)
        site.offer("fine", 2, attempt=3)
        site.offer("fine", 10)

        await asyncio.sleep(1.2)

        assert site.done["fine"] == 10
        assert site.lanes.waiting >= 2
        site.lanes.empty()


async def test_first_attempts_overtake_a_retry_only_until_its_turn_for_a_permit() -> None:
    site = Site(8, takes={f"hang{n}": 3.0 for n in range(12)})
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        await site.proved("fine")
        for number in range(12):
            site.offer(f"hang{number}")
        await asyncio.sleep(0.1)
        site.offer("fine", attempt=3)
        for _ in range(120):
            site.offer("fine", 12)
            await asyncio.sleep(0.1)
            if 3 in site.attempts:
                break

        # After the hanging lanes that were queued before it, not after the first attempts.
        assert site.lanes.waiting > 0
        assert 3 in site.attempts
        site.lanes.empty()


async def test_a_rate_limited_lane_starts_attempts_at_its_rate_by_itself() -> None:
    site = Site(8, rates={"slow": 10})
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        site.offer("slow", 10)

        await asyncio.sleep(0.45)
        assert 5 <= len(site.order) <= 6
        await asyncio.sleep(0.6)
        assert site.done["slow"] == 10


async def test_a_waiting_lane_wakes_sooner_when_its_rate_limit_is_raised() -> None:
    site = Site(20, rates={"slow": 1.0}, takes={"slow": 0.01})
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        site.offer("slow")
        await asyncio.sleep(0.95)
        site.offer("slow")
        await asyncio.sleep(0.1)
        site.order.clear()
        site.offer("slow")
        await asyncio.sleep(0)
        assert site.lanes.waiting == 1
        site.rates["slow"] = 10
        site.lanes.tick()

        await asyncio.sleep(0.2)

        assert len(site.order) == 1
        site.lanes.empty()


async def test_no_two_deferred_deliveries_are_given_the_same_slot() -> None:
    site = Site(8, rates={"slow": 10})
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        site.offer("slow", 60)

        started = [slot.due_at for _, slot in site.overflowed]
        assert len(started) == 48
        assert min(later - earlier for earlier, later in pairwise(started)) >= 100
        site.lanes.empty()
        await site.lanes.idle()


async def test_a_breaker_logs_its_opening_and_its_closing_once() -> None:
    site = Site(8)
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        site.outcome = Failed(FailureKind.CONNECT, "connection refused")
        for _ in range(8):
            site.offer("down")
            await asyncio.sleep(0.2)
        assert len(site.lanes.open_breakers) == 1
        site.outcome = OK
        await asyncio.sleep(5)
        for _ in range(3):
            site.offer("down")
            await asyncio.sleep(0.2)

        lines = [(level, event) for level, event, _ in site.logger.lines]
        assert lines == [("warning", "breaker.opened"), ("info", "breaker.closed")]
        assert len(site.lanes.open_breakers) == 0


async def test_a_lane_is_not_forgotten_while_its_breaker_may_be_open() -> None:
    site = Site(8, probe_every=1_800)
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        site.outcome = Failed(FailureKind.CONNECT, "connection refused")
        for wait in (1, 1, 1, 1, 6, 11, 21, 41, 81, 161, 321, 641, 1_281):
            site.offer("down")
            await asyncio.sleep(wait)
        site.offer("down")
        await asyncio.sleep(1_799)
        site.lanes.tick()

        assert len(site.lanes.open_breakers) == 1
        await asyncio.sleep(1_802)
        site.lanes.tick()
        assert len(site.lanes.open_breakers) == 0


async def test_deliveries_that_end_without_an_attempt_leave_others_their_turns() -> None:
    site = Site(8)
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        await site.proved("paused")
        site.offer("paused", 600)
        site.paused.add("paused")
        turns = 0
        while site.lanes.waiting:
            turns += 1
            await asyncio.sleep(0)

        assert site.overflowed == []
        assert turns >= 600 / (8 * 8)


async def test_a_lane_that_was_idle_keeps_to_the_limit_that_was_set_meanwhile() -> None:
    site = Site(8)
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        await site.proved("slow")
        await asyncio.sleep(10)
        site.rates["slow"] = 1.0
        site.offer("slow", 10)
        await asyncio.sleep(0.5)

        assert len(site.order) <= 2
        site.lanes.empty()


async def test_a_lane_that_was_idle_for_long_defers_its_queue_when_its_endpoint_begins_to_hang() -> (
    None
):
    site = Site(100, most=2)
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        site.offer("slow")
        await site.ticks(40)
        site.takes["slow"] = 3.0

        site.offer("slow", 20)
        await site.ticks(8)

        assert [who for who, _ in site.overflowed] == ["slow"] * 18
        await site.lanes.idle()


async def test_a_full_batch_goes_at_once_and_the_rest_when_its_oldest_has_waited_long_enough() -> (
    None
):
    site = Site(10, batch_events=10, batch_wait=0.5)
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        began = asyncio.get_running_loop().time()
        site.offer("a", 13)
        await asyncio.sleep(0.3)
        site.offer("a", 2)
        await site.lanes.idle()

    assert [(round(at - began, 2), many) for at, many in site.batches] == [(0.0, 10), (0.5, 5)]


async def test_a_lane_in_one_request_at_a_time_batches_what_waits_meanwhile() -> None:
    site = Site(10, most=1, batch_events=10, batch_wait=0.05)
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        site.offer("a", 10)
        await asyncio.sleep(0.01)
        site.offer("a", 25)
        await site.lanes.idle()

    assert [many for _, many in site.batches] == [10, 10, 10, 5]


async def test_a_rate_limit_counts_requests_and_not_the_deliveries_in_them() -> None:
    site = Site(10, rates={"a": 1.0}, takes={"a": 0.01}, batch_events=50, batch_wait=0.1)
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        site.offer("a", 50)
        await asyncio.sleep(0.5)
        site.offer("a", 50)
        await asyncio.sleep(3)

    assert [many for _, many in site.batches] == [50, 50]
    assert site.overflowed == []


async def test_a_lane_says_what_is_in_flight_and_what_waits_and_one_without_work_says_nothing() -> (
    None
):
    site = Site(10)
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        assert site.lanes.status("a") is None
        site.offer("a", 5)
        found = site.lanes.status("a")
        assert found is not None
        assert (found.in_flight, found.limit, found.most, found.queued) == (2, 2, 100, 3)
        await site.lanes.idle()
        assert site.lanes.status("b") is None


async def test_lanes_at_their_limit_and_open_breakers_need_a_look_and_the_others_none() -> None:
    site = Site(100, rates={"paced": 1.0}, takes={"gone": 0.01}, most=2)
    names = dict.fromkeys(("few", "many", "paced", "gone", "well"), "acme")
    async with asyncio.TaskGroup() as tasks:
        site.lanes.open(tasks)
        assert site.lanes.to_look_at(9, str) == LanesStatus((), 0, (), 0)
        site.outcome = Failed(FailureKind.CONNECT, "refused")
        site.offer("gone", 30)
        await asyncio.sleep(1)
        assert "gone" in site.lanes.open_breakers
        site.outcome = OK
        for name, count in (("few", 3), ("many", 9), ("paced", 2), ("well", 1)):
            site.offer(name, count)
        found = site.lanes.to_look_at(9, lambda name: names[name])
        assert found.open_breakers == (("gone", "acme"),)
        full = [(each.subscription_id, each.status.queued, each.why) for each in found.full]
        assert full == [
            ("many", 7, "2 of 2 in flight"),
            ("few", 1, "2 of 2 in flight"),
            ("paced", 1, "1/s at most"),
        ]
        cut = site.lanes.to_look_at(1, lambda _: "")
        assert ([each.subscription_id for each in cut.full], cut.full_count) == (["many"], 3)
        assert (cut.open_count, cut.full[0].partner_id) == (1, "")
        await site.lanes.idle()
        assert site.lanes.to_look_at(9, str).full == ()
