"""Tests wait in bounded lines beside the lanes, and those of one subscription keep no place of another's."""

import asyncio
from types import SimpleNamespace
from typing import cast

from tests.doubles.deliveries import a_delivery

from hookstream.core.model.delivery import DeferReason, Trigger
from hookstream.core.model.outcome import (
    NOT_PERMITTED,
    DeferUntil,
    Delivered,
    Outcome,
    Withheld,
)
from hookstream.pipeline.partitions import Receipt
from hookstream.pipeline.ports import always_permitted
from hookstream.pipeline.trial_attempts import MOST, MOST_OF_ONE, TrialAttempts
from hookstream.pipeline.work import Bodies, Work

AT_ONCE = 8


def a_test(who: str) -> Work:
    delivery = a_delivery(subscription_id=who, trigger=Trigger.TEST, job="test-1")
    receipt = cast("Receipt", SimpleNamespace(may_start=True))
    return Work(delivery, cast("Bodies", None), receipt)


class Site:
    """Endpoints that answer after a while, and what became of their tests."""

    def __init__(self, takes: float) -> None:
        self.takes = takes
        self.withheld = False
        self.begun: list[str] = []
        self.refused: list[tuple[str, DeferUntil]] = []
        self.tests = TrialAttempts(
            self.attempt, self.overflow, lambda _: None, always_permitted, lambda: None
        )

    async def attempt(self, work: Work) -> Outcome | Withheld | None:
        self.begun.append(work.delivery.subscription_id)
        await asyncio.sleep(self.takes)
        return NOT_PERMITTED if self.withheld else Delivered(204)

    def overflow(self, work: Work, slot: DeferUntil) -> None:
        self.refused.append((work.delivery.subscription_id, slot))

    def offer(self, who: str, many: int = 1) -> None:
        for _ in range(many):
            self.tests.offer(a_test(who))


async def test_no_more_tests_of_one_subscription_wait_than_may_and_others_are_not_refused() -> (
    None
):
    site = Site(takes=1.0)
    async with asyncio.TaskGroup() as tasks:
        site.tests.open(tasks)
        site.offer("hangs", MOST_OF_ONE + 1 + 20)
        site.offer("other")
        await asyncio.sleep(0.5)

        assert site.begun == ["hangs", "other"]
        assert site.refused == [("hangs", DeferUntil(0, DeferReason.LANE_FULL))] * 20
        site.tests.close()


async def test_no_more_tests_wait_in_a_worker_than_may_whoever_they_are_of() -> None:
    site = Site(takes=1.0)
    async with asyncio.TaskGroup() as tasks:
        site.tests.open(tasks)
        for number in range(AT_ONCE + MOST + 20):
            site.offer(f"s{number}")

        assert site.tests.waiting == MOST
        assert len(site.refused) == 20
        site.takes = 0.0
        await asyncio.sleep(2)

        assert site.tests.idle
        assert site.tests.waiting == 0
        assert len(set(site.begun)) == AT_ONCE + MOST


async def test_subscriptions_with_many_tests_take_turns_with_those_that_have_one() -> None:
    site = Site(takes=0.1)
    async with asyncio.TaskGroup() as tasks:
        site.tests.open(tasks)
        for number in range(AT_ONCE):
            site.offer(f"much{number}", MOST_OF_ONE)
        for number in range(AT_ONCE):
            site.offer(f"one{number}")
        await asyncio.sleep(0.35)

        assert {f"one{number}" for number in range(AT_ONCE)} < set(site.begun)
        assert max(site.begun.count(who) for who in site.begun) < 4
        site.tests.close()


async def test_a_test_that_was_withheld_is_attempted_before_the_next_one_of_its_subscription() -> (
    None
):
    site = Site(takes=0.1)
    site.withheld = True
    async with asyncio.TaskGroup() as tasks:
        site.tests.open(tasks)
        first, second = a_test("crm"), a_test("crm")
        site.tests.offer(first)
        site.tests.offer(second)
        await asyncio.sleep(0.25)
        assert (site.begun, site.tests.waiting) == (["crm"], 2)

        dropped = site.tests.drop(lambda work: work is first)
        assert (dropped, site.tests.waiting) == ([first], 1)
        site.withheld = False
        site.tests.start()
        await asyncio.sleep(0.25)

        assert site.tests.idle
        assert site.tests.close() == []
