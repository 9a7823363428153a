"""A replay that fills a gap owns every record of it, and says in the row what it may have lost."""

import asyncio

import pytest
from tests.doubles.clock import NOON
from tests.doubles.jobs import TOPICS
from tests.doubles.past import Txn
from tests.doubles.replaying import CRM, ReplayWorld, crm, replay_job

from hookstream.core.jobs.job import JobState
from hookstream.core.model.instant import HOUR, MINUTE, SECOND, Millis
from hookstream.core.model.record import OutgoingRecord, TopicPartition
from hookstream.core.model.subscription import Gap
from hookstream.core.planning.gap_fills import fill_closed
from hookstream.core.planning.transitions import pause, resume
from hookstream.core.replay.outstanding import Place
from hookstream.entry.admin.gap_jobs import job_of
from hookstream.pipeline import job_control
from hookstream.pipeline.jobs import JobRun

TOPIC = "printprice.pricing"
LEAD = 2 * SECOND
JOB = "replay-1"


@pytest.fixture
def world() -> ReplayWorld:
    made = ReplayWorld()
    made.past.create(TOPIC)
    return made


def paused_from(world: ReplayWorld, at: Millis) -> None:
    world.directory.put_subscription(pause(crm(), at))


def resumed(world: ReplayWorld, at: Millis) -> None:
    """End the pause as the command does: row and job at once."""
    before = world.directory.subscriptions[CRM]
    after, [filling] = fill_closed(before, resume(before, at), None, lambda: JOB)  # type: ignore[arg-type]
    world.directory.put_subscription(after)
    job = job_of(CRM, filling, world.clock.now())
    world.jobs.append([OutgoingRecord(TOPICS.jobs, job.id.encode(), job.encode())])


def at(*offsets: int) -> list[Place]:
    return [Place(TOPIC, 0, offset) for offset in offsets]


async def test_a_gap_is_replayed_exactly_though_it_ends_in_the_future(world: ReplayWorld) -> None:
    start = NOON - HOUR
    paused_from(world, start)
    for timestamp in (start - 1, start, start + 1, NOON - 1):
        world.event(TOPIC, timestamp, f"e{timestamp}")
    end = NOON + LEAD
    resumed(world, end)
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(world.run())
        await asyncio.sleep(1)
        assert world.places() == [], "its end was fixed before the gap was over"
        for timestamp in (end - 1, end, end + 1):
            world.event(TOPIC, timestamp, f"e{timestamp}")
    assert run.result().job.state is JobState.DONE
    assert world.places() == at(2, 3, 4, 5)


async def test_a_replay_waits_while_its_subscription_is_paused_again(world: ReplayWorld) -> None:
    paused_from(world, NOON - HOUR)
    world.event(TOPIC, NOON - MINUTE)
    resumed(world, NOON)
    again = pause(world.directory.subscriptions[CRM], NOON + 1)  # type: ignore[arg-type]
    world.directory.put_subscription(again)
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(world.run())
        await asyncio.sleep(MINUTE / 1000)
        assert world.waits[-1] == "crm is paused"
        assert world.places() == []
        world.event(TOPIC, NOON + 5 * SECOND)
        world.directory.put_subscription(resume(again, world.clock.now() + LEAD))
    # What was published in the second pause is not part of the first.
    assert (run.result().job.state, world.places()) == (JobState.DONE, at(0))


async def test_a_gap_that_retention_reached_before_is_marked_before_anything_is_written(
    world: ReplayWorld,
) -> None:
    paused_from(world, NOON - HOUR)
    for minute in (50, 40):
        world.event(TOPIC, NOON - minute * MINUTE)
    world.past.log(TopicPartition(TOPIC, 0)).low = 1
    resumed(world, NOON)
    result = await world.run()
    assert (world.marked, world.places()) == ([(CRM, JOB)], at(1))
    assert "retention may have taken" in " ".join(note.text for note in result.job.notes)


async def test_a_gap_whose_replay_lost_records_is_marked_before_the_job_ends(
    world: ReplayWorld,
) -> None:
    paused_from(world, NOON - HOUR)
    opened = world.past.append(TOPIC, b"", NOON - MINUTE, state=Txn.OPEN)
    world.event(TOPIC, NOON - MINUTE)
    resumed(world, NOON)
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(world.run())
        await asyncio.sleep(20)
        log = world.past.log(TopicPartition(TOPIC, 0))
        world.past.end(TOPIC, opened, Txn.ABORTED)
        log.low = len(log.entries)
    assert run.result().job.state is JobState.INCOMPLETE
    assert world.marked == [(CRM, JOB)]


async def test_a_gap_is_marked_as_soon_as_its_replay_lost_records(world: ReplayWorld) -> None:
    """A replay that is slow may go on for days, and one that is cancelled never ends by itself."""
    paused_from(world, NOON - HOUR)
    for n in range(40):
        world.event(TOPIC, NOON - MINUTE, f"e{n}")
    resumed(world, NOON)
    world.takes = 1
    async with asyncio.TaskGroup() as tasks:
        run = JobRun(world.executor("a"), asyncio.Event())
        tasks.create_task(run.resume(JOB, wait=True, asked=True, rate=1.0))
        await asyncio.sleep(10)
        world.past.topics[TOPIC][1][0].low = 30
        await asyncio.sleep(8)
        job = await job_control.cancel(world.executor("b"), JOB, "an operator")
    assert any("retention took them" in note.text for note in job.notes)
    assert world.marked == [(CRM, JOB)]


async def test_a_gap_is_marked_before_the_step_that_says_which_event_is_too_large(
    world: ReplayWorld,
) -> None:
    paused_from(world, NOON - HOUR)
    for n in range(4):
        world.event(TOPIC, NOON - MINUTE, f"e{n}")
    world.jobs.too_large = {world.past.log(TopicPartition(TOPIC, 0)).entries[2].value}
    resumed(world, NOON)
    lost: list[int] = []
    mark = world.mark_incomplete

    async def marked(*whose: str) -> None:
        lost.append(sum("too large" in note.text for note in world.jobs.job(JOB).notes))
        await mark(*whose)

    world.mark_incomplete = marked  # type: ignore[method-assign,assignment]
    result = await world.run()
    assert (result.job.state, world.places()) == (JobState.INCOMPLETE, at(0, 1, 3))
    assert lost[0] == 0


async def test_a_mark_that_an_executor_did_not_live_to_write_is_written_by_the_next(
    world: ReplayWorld,
) -> None:
    paused_from(world, NOON - HOUR)
    world.event(TOPIC, NOON - 50 * MINUTE)
    world.event(TOPIC, NOON - 40 * MINUTE)
    world.past.log(TopicPartition(TOPIC, 0)).low = 1
    resumed(world, NOON)
    stop = asyncio.Event()
    marked = world.mark_incomplete

    async def dies(*_: str) -> None:
        stop.set()
        await asyncio.Event().wait()

    world.mark_incomplete = dies  # type: ignore[method-assign,assignment]
    await JobRun(world.executor("a"), stop).resume(JOB, wait=True, asked=True)
    assert world.written == []
    world.mark_incomplete = marked  # type: ignore[method-assign]
    result = await world.run(name="b")
    assert (result.job.state, world.marked, world.places()) == (JobState.DONE, [(CRM, JOB)], at(1))


async def test_a_replay_that_fills_no_gap_marks_no_row(world: ReplayWorld) -> None:
    world.directory.put_subscription(crm(gaps=(Gap(1, 2, "paused", JOB),)))
    world.event(TOPIC, NOON - 40 * MINUTE)
    world.event(TOPIC, NOON - 30 * MINUTE)
    world.past.log(TopicPartition(TOPIC, 0)).low = 1
    await world.run(replay_job(NOON - HOUR, NOON))
    assert (world.marked, world.places()) == ([], at(1))
