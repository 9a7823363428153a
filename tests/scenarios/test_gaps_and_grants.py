"""Records of a gap, of an earlier grant, and those that nobody asks for, in the whole worker."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
from tests.doubles.codec import json_value
from tests.scenarios.replaying import write
from tests.scenarios.world import EVENTS, World

from hookstream.core.model.record import OutgoingRecord
from hookstream.core.model.subscription import Gap, Grant, HeldGrant, Partner
from hookstream.core.planning.grants import regranted
from hookstream.core.redrive.revive import Revival
from hookstream.core.redrive.runs import Run

ORDERS = Grant(("order.*",), ("*",))
EVERYTHING = Grant(("*",), ("*",))


@pytest.mark.parametrize(("incomplete", "expected"), [(False, {}), (True, {"e1": 1})])
async def test_an_event_that_comes_late_to_a_filled_gap_is_delivered_only_if_its_replay_lost_records(
    incomplete: bool,  # noqa: FBT001
    expected: dict[str, int],
) -> None:
    """A replay owns what it reads: the copy that waited for its schema would be a second delivery."""
    async with World() as world:
        crm = world.subscribe("crm")
        begin = world.clock.now()
        paused = replace(crm, gaps=(Gap(begin, None, "paused"),))
        world.directory.put_subscription(paused)
        await asyncio.sleep(1)
        world.codec.published.clear()
        await world.worker()
        world.publish("e1")
        await asyncio.sleep(10)
        filled = Gap(begin, world.clock.now(), "paused", "job-1", incomplete)
        world.directory.put_subscription(replace(crm, gaps=(filled,)))
        world.codec.publish("pricing.completed")

        await world.until(world.settled)

        assert world.accepted("crm") == Counter(expected)


async def test_what_was_undecodable_is_delivered_into_a_filled_gap_once_it_is_redriven() -> None:
    """The replay found it undecodable too, and left it: nobody else would deliver it."""
    async with World() as world:
        crm = world.subscribe("crm")
        world.subscribe("other")
        begin = world.clock.now()
        world.directory.put_subscription(replace(crm, gaps=(Gap(begin, None, "paused"),)))
        await asyncio.sleep(1)
        await world.worker()
        world.broker.append(EVENTS, b"no event", key=b"k")
        await world.until(world.settled)
        filled = Gap(begin, world.clock.now() + 1, "paused", "job-1")
        world.directory.put_subscription(replace(crm, gaps=(filled,)))
        [aside] = world.broker.records(world.topics.undecodable)
        # Another release would read the same bytes; here other bytes stand for that.
        repaired = replace(aside, value=json_value("pricing.completed", "e1"))
        back = Revival(world.topics.tier(0), lambda _: None, world.clock.now).unmatched(repaired)
        assert isinstance(back, OutgoingRecord)
        world.broker.append(back.topic, back.value, key=back.key, headers=back.headers)

        await world.until(world.settled)

        assert (world.accepted("crm"), world.accepted("other")) == (
            Counter({"e1": 1}),
            Counter({"e1": 1}),
        )


@pytest.mark.parametrize("others", [0, 1])
async def test_what_cannot_be_decoded_in_a_gap_is_delivered_once_by_the_redrive_of_its_replay(
    others: int,
) -> None:
    """Workers decode it only if somebody else wants its type; the replay takes it in either case."""
    async with World() as world:
        crm = world.subscribe("crm")
        for number in range(others):
            world.subscribe(f"other {number}")
        begin = world.clock.now()
        world.directory.put_subscription(replace(crm, gaps=(Gap(begin, None, "paused"),)))
        await asyncio.sleep(1)
        await world.worker()
        value = b'{"type": "pricing.completed", "version": 1}'
        broken = world.broker.append(EVENTS, value, key=b"k")
        await world.until(world.settled)
        assert len(world.broker.records(world.topics.undecodable)) == others
        filled = Gap(begin, world.clock.now() + 1, "paused", "job-1")
        world.directory.put_subscription(replace(crm, gaps=(filled,)))
        run = Run(world.topics.tier(0), "job-1")
        write(world, run.unidentified(broken, broken.origin, crm, now=world.clock.now()))
        await world.until(world.settled)

        revival = Revival(world.topics.tier(0), lambda _: None, world.clock.now)
        for aside in world.broker.records(world.topics.undecodable):
            # Another release would read the same bytes; here other bytes stand for that.
            repaired = replace(aside, value=json_value("pricing.completed", "e1"))
            back = revival.unmatched(repaired)
            assert isinstance(back, OutgoingRecord)
            write(world, back)
        await world.until(world.settled)

        assert world.accepted("crm") == Counter({"e1": 1})


async def test_a_worker_that_reads_a_filled_gap_late_delivers_nothing_of_it() -> None:
    async with World() as world:
        crm = world.subscribe("crm")
        begin = world.clock.now()
        await asyncio.sleep(1)
        world.publish("in the gap")
        await asyncio.sleep(1)
        filled = Gap(begin, world.clock.now(), "paused", "job-1", incomplete=True)
        world.directory.put_subscription(replace(crm, gaps=(filled,)))
        await asyncio.sleep(1)
        world.publish("after it")
        await world.worker()

        await world.until(world.settled)

        assert world.accepted("crm") == Counter({"after it": 1})


async def test_a_worker_that_lags_behind_two_widenings_sends_nothing_from_before_them() -> None:
    async with World() as world:
        world.subscribe("crm")
        partner = Partner("acme", "Acme", ORDERS, history=(HeldGrant(ORDERS, 0),))
        for number, grant in enumerate((EVERYTHING, ORDERS, EVERYTHING)):
            await asyncio.sleep(1)
            world.publish(f"under {number}")
            await asyncio.sleep(1)
            now = world.clock.now()
            partner = regranted(partner, grant, now, now)
        world.directory.put_partner(partner)
        await asyncio.sleep(1)
        world.publish("under 3")
        await world.worker()

        await world.until(world.settled)

        assert world.accepted("crm") == Counter({"under 1": 1, "under 3": 1})


async def test_events_that_no_subscription_matches_are_counted() -> None:
    """Nobody else notices: they are neither delivered nor refused."""
    async with World() as world:
        await world.worker()
        world.publish("nobody asks")
        await world.until(world.settled)
        world.subscribe("crm", pattern={"data": {"pages": [1]}})
        world.publish("refused by the filter", data={"pages": 2})
        world.publish("matched", data={"pages": 1})

        await world.until(world.settled)

        assert world.accepted("crm") == Counter({"matched": 1})
        assert world.metrics.unmatched_events == Counter({"pricing.completed": 2})
