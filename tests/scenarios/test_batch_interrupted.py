"""A search that something interrupts ends all the same: it neither begins again for ever nor loses anyone."""

import asyncio
from dataclasses import replace

import pytest
from tests.doubles.batch_bodies import event_ids, refuse
from tests.doubles.endpoint import Behaviour, status
from tests.scenarios.batching import alone, attempts, batching, longest_search, named, sent
from tests.scenarios.world import World

from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.instant import HOUR, MINUTE, SECOND
from hookstream.core.model.outcome import Answer, Response, Words
from hookstream.pipeline.ports import Post

OTHER_ANSWERS: dict[str, Behaviour] = {
    "500": status(500),
    "429": status(429, retry_after="1"),
    "408": status(408),
}


@pytest.mark.parametrize("answer", OTHER_ANSWERS)
@pytest.mark.parametrize("nth", [2, 3, 4])
async def test_another_failure_within_a_search_loses_and_dead_letters_nobody(
    answer: str, nth: int
) -> None:
    async with World() as world:
        batching(world, "crm", schedule=(5 * SECOND, 30 * SECOND))
        picky = refuse(400, {"e3"})
        script = [picky] * (nth - 1) + [OTHER_ANSWERS[answer], picky]
        world.endpoints.script("crm", *script)
        await world.worker()
        world.publish(*named(8))
        await world.until(world.settled)

        assert world.dead() == [("crm", "e3", "attempts_exhausted")]
        assert world.accepted("crm") == dict.fromkeys((f"e{n}" for n in range(8) if n != 3), 1)


async def test_a_410_within_a_search_dead_letters_every_member_that_has_not_arrived() -> None:
    async with World() as world:
        batching(world, "crm")
        world.endpoints.script("crm", status(400), status(204), status(410))
        await world.worker()
        world.publish(*named(8))
        await world.until(world.settled)

        arrived = set(world.accepted("crm"))
        assert arrived == set(sent(world, "crm")[1])
        dead = {event: reason for _, event, reason in world.dead()}
        assert dead.keys() == set(named(8)) - arrived
        assert set(dead.values()) <= {"gone", "disabled"}
        assert world.health()["crm/disabled"] is not None


@pytest.mark.parametrize(("rate", "members"), [(0.1, 8), (0.5, 8), (0.5, 50), (1, 100), (5, 100)])
async def test_a_search_ends_also_where_the_rate_limit_is_slower_than_its_requests(
    rate: float, members: int
) -> None:
    """What waits for the limit may be deferred meanwhile: neither the search nor the schedule begins again."""
    events = named(members)
    async with World() as world:
        batching(world, "crm", max_events=members, rate_limit=rate, schedule=(5 * SECOND,) * 2)
        world.endpoints.script("crm", refuse(400, {"e3"}))
        await world.worker()
        world.publish(*events)
        await world.until(world.settled, within=3_600)

        assert world.dead() == [("crm", "e3", "attempts_exhausted")]
        assert world.accepted("crm") == dict.fromkeys((each for each in events if each != "e3"), 1)
        numbers = [number for number, _, _ in attempts(world, "crm")["e3"]]
        assert max(numbers) <= 3 * longest_search(members)


@pytest.mark.parametrize("schedule", [(), (5 * SECOND,)])
async def test_an_endpoint_that_refuses_everything_slowly_ends_every_delivery(
    schedule: tuple[int, ...],
) -> None:
    async with World() as world:
        batching(world, "crm", max_events=5, rate_limit=2, max_in_flight=1, schedule=schedule)
        world.endpoints.script("crm", status(413))
        await world.worker()
        world.publish(*named(10))
        await world.until(world.settled, within=3_600)

        assert sorted(world.dead()) == [
            ("crm", each, "attempts_exhausted") for each in sorted(named(10))
        ]
        assert alone(world, "crm", 413) == set(named(10))
        made = [len(each) for each in attempts(world, "crm").values()]
        assert max(made) <= 2 * longest_search(5) + 1


async def test_a_search_that_a_rest_interrupts_ends_all_the_same() -> None:
    """Every refusal says that nothing is left of a limit for a while, so every member is deferred."""
    async with World() as world:
        batching(world, "crm", schedule=(5 * SECOND,) * 2)

        async def refuse_and_rest(post: Post) -> Answer:
            words = Words(ratelimit='"default";r=0;t=10')
            return Response(400 if "e3" in event_ids(post) else 204, words=words)

        world.endpoints.script("crm", refuse_and_rest)
        await world.worker()
        world.publish(*named(8))
        await world.until(world.settled, within=3_600)

        assert world.dead() == [("crm", "e3", "attempts_exhausted")]
        assert world.accepted("crm") == dict.fromkeys((f"e{n}" for n in range(8) if n != 3), 1)


async def test_a_delivery_whose_life_ends_is_not_dead_lettered_for_a_batch_either() -> None:
    """Its next attempt would come too late: it is made alone, now."""
    async with World() as world:
        subscription = batching(world, "crm", schedule=(HOUR,))
        retry = replace(subscription.retry, expires_after=MINUTE)
        world.directory.put_subscription(replace(subscription, retry=retry))
        world.endpoints.script("crm", status(400), status(400), status(400), refuse(400, {"e0"}))
        await world.worker()
        world.publish("e0", "e1", "e2")
        await world.until(world.settled)

        assert {event for _, event, _ in world.dead()} <= alone(world, "crm", 400)


async def test_a_hold_in_a_search_ends_it_and_loses_nobody() -> None:
    async with World() as world:
        batching(world, "crm", schedule=(5 * SECOND, 30 * SECOND))
        world.endpoints.script("crm", refuse(400, {"e5"}, after=0.5))
        await world.worker()
        world.publish(*named(8))
        await world.until(lambda: len(sent(world, "crm")) == 2, step=0.01)
        world.directory.holds.put(Hold(HoldKind.ENDPOINT, "crm", world.clock.now(), "stop"))
        await asyncio.sleep(30)
        held = len(sent(world, "crm"))
        world.directory.holds.drop(HoldKind.ENDPOINT, "crm")
        await world.until(world.settled)

        assert held == 2
        assert world.dead() == [("crm", "e5", "attempts_exhausted")]
        assert world.accepted("crm") == dict.fromkeys((f"e{n}" for n in range(8) if n != 5), 1)


@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_a_subscription_that_becomes_single_in_a_search_loses_and_repeats_nothing(
    nth: int,
) -> None:
    async with World() as world:
        batches = batching(world, "crm", schedule=(5 * SECOND, 30 * SECOND))
        world.endpoints.script("crm", refuse(400, {"e5"}, after=0.5))
        await world.worker()
        world.publish(*named(8))
        await world.until(lambda: len(sent(world, "crm")) == nth, step=0.01)
        world.directory.put_subscription(replace(batches, batch=None))
        await world.until(world.settled)

        assert world.dead() == [("crm", "e5", "attempts_exhausted")]
        assert world.accepted("crm") == dict.fromkeys((f"e{n}" for n in range(8) if n != 5), 1)
