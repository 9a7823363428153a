"""A dry run counts what a replay would do, and fixes what the real run takes."""

import asyncio

import pytest
from tests.doubles.clock import NOON
from tests.doubles.jobs import Process
from tests.doubles.past import PastOf, Txn
from tests.doubles.replaying import CRM, PRICED, ROUTED, ReplayWorld, acme, crm

from hookstream.core.model.instant import HOUR, MINUTE, SECOND
from hookstream.core.model.record import TopicPartition
from hookstream.core.model.subscription import Grant, HeldGrant
from hookstream.core.replay.interval import Interval
from hookstream.core.replay.request import ReplayRequest
from hookstream.core.replay.survey import ReplaySurvey, TypeCount
from hookstream.entry.admin.replays import new_replay_of
from hookstream.pipeline.past_reading import EndsNotYet, FixedEnds, fix_ends

SINCE, UNTIL = NOON - HOUR, NOON - MINUTE
TOPIC = "printprice.pricing"
AT = TopicPartition(TOPIC, 0)
REQUEST = ReplayRequest(CRM, Interval(SINCE, UNTIL))


@pytest.fixture
def world() -> ReplayWorld:
    made = ReplayWorld()
    made.past.create(TOPIC)
    return made


def drawn(world: ReplayWorld) -> None:
    """Append one record of each fate, and some more."""
    narrow = HeldGrant(Grant((ROUTED,), ("live",)), 1_000)
    wide = HeldGrant(Grant(("*",), ("live",)), SINCE + 2 * MINUTE)
    world.directory.put_partner(acme(narrow, wide))
    world.directory.put_subscription(crm(event_types=(PRICED, ROUTED)))
    world.codec.publish("other.type")
    for number, (minute, event_type, environment) in enumerate(
        [
            (5, PRICED, "live"),
            (3, PRICED, "live"),
            (1, PRICED, "live"),  # not granted then
            (1, ROUTED, "live"),
            (4, ROUTED, "staging"),  # never granted
            (4, "other.type", "live"),  # not asked for
            (4, "late.type", "live"),  # not known yet
            (99, PRICED, "live"),  # outside
        ]
    ):
        world.event(
            TOPIC,
            SINCE + minute * MINUTE,
            f"e{number}",
            event_type=event_type,
            environment=environment,
        )
    world.past.append(TOPIC, b"garbage", SINCE)


async def test_everything_is_counted_by_what_becomes_of_it(world: ReplayWorld) -> None:
    drawn(world)
    survey, _ = await world.survey(REQUEST)
    assert survey == ReplaySurvey(
        by_type={
            PRICED: TypeCount(2, SINCE + 3 * MINUTE, SINCE + 5 * MINUTE, 1),
            ROUTED: TypeCount(1, SINCE + MINUTE, SINCE + MINUTE, 1),
        },
        unidentified=1,
        undecodable=1,
        others=1,
        read=9,
    )
    assert (survey.events, survey.not_granted) == (4, 2)


@pytest.mark.parametrize("takes", [1, 2, 1_000])
async def test_the_real_run_takes_what_was_counted_and_nothing_newer(
    world: ReplayWorld, takes: int
) -> None:
    drawn(world)
    world.takes = takes
    survey, fixed = await world.survey(REQUEST)
    # Late records of the same interval, by a clock that is behind.
    for number in range(5):
        world.event(TOPIC, SINCE + 3 * MINUTE, f"new{number}")
    job = new_replay_of(REQUEST, fixed.extent, NOON, total=survey.events)
    result = await world.run(job)
    assert (result.job.done, result.job.total) == (survey.events, survey.events)
    assert result.job.counts == {"unidentified": 1, "not_granted": 2, "undecodable": 1}
    assert [place.offset for place in world.places()] == [0, 1, 3, 6]


async def test_open_transactions_are_waited_for_and_said(world: ReplayWorld) -> None:
    opened = world.past.append(TOPIC, b"", SINCE, state=Txn.OPEN)
    world.event(TOPIC, SINCE)
    async with asyncio.TaskGroup() as tasks:
        counting = tasks.create_task(world.survey(REQUEST))
        await asyncio.sleep(10)
        assert f"open transactions end: {TOPIC}-0 at offset 0 of 2" in world.waits
        world.past.end(TOPIC, opened, Txn.ABORTED)
    survey, _ = counting.result()
    assert survey.events == 1


async def test_the_end_of_the_interval_is_waited_for_and_said(world: ReplayWorld) -> None:
    request = ReplayRequest(CRM, Interval(SINCE, NOON + 25 * SECOND))
    async with asyncio.TaskGroup() as tasks:
        counting = tasks.create_task(world.survey(request))
        await asyncio.sleep(20)
        world.event(TOPIC, NOON + 20 * SECOND)
    survey, _ = counting.result()
    assert (survey.events, world.clock.now() >= NOON + 25 * SECOND) == (1, True)
    assert world.waits[0] == (
        "its end is fixed after 2026-11-24T12:00:25.000Z by the brokers' clock"
    )


async def test_what_retention_had_taken_before_is_said_with_the_oldest_time_that_is_left(
    world: ReplayWorld,
) -> None:
    for minute in (1, 2, 3):
        world.event(TOPIC, SINCE + minute * MINUTE, f"e{minute}")
    world.past.log(AT).low = 1
    world.past.create("printprice.empty")
    world.event("printprice.empty", SINCE)
    world.past.log(TopicPartition("printprice.empty", 0)).low = 1
    survey, _ = await world.survey(REQUEST)
    assert (survey.events, survey.lost) == (2, [])
    assert survey.retained_from == {
        AT: SINCE + 2 * MINUTE,
        TopicPartition("printprice.empty", 0): UNTIL,
    }


async def test_a_topic_that_appears_while_the_clock_is_asked_is_listed(
    world: ReplayWorld,
) -> None:
    """Listed before the interval is over, it would be missing."""
    assert world.clock.now() == NOON
    request = ReplayRequest(CRM, Interval(SINCE, NOON + SECOND))
    process = world.process()
    log = PastOf(process, world.past)

    def appears(_: Process) -> None:
        world.past.create("printprice.new")
        world.event("printprice.new", NOON)

    # The topics are listed at the first point, the clock is asked at the next two.
    process.at_point[2] = appears
    await asyncio.sleep(5)
    fixed = await fix_ends(log, request)
    assert isinstance(fixed, FixedEnds)
    assert fixed.extent.topics == {"printprice.new"}


async def test_ends_are_not_fixed_while_a_topic_is_created_again(world: ReplayWorld) -> None:
    """Its offsets would be those of another topic."""
    world.event(TOPIC, SINCE)
    process = world.process()
    # Asked for: topics, the clock (two points), topics, ends, lows, firsts, ids.
    process.at_point[6] = lambda _: world.past.create(TOPIC)
    log = PastOf(process, world.past)
    found = await fix_ends(log, REQUEST)
    assert found == EndsNotYet(0.3, "topics were created or deleted while its end was fixed")
    assert isinstance(await fix_ends(log, REQUEST), FixedEnds)
