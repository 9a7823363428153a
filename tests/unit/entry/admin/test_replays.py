"""A replay is created by one row, alone or with other changes, and any executor takes it over."""

import asyncio

import pytest
from tests.doubles.clock import NOON
from tests.doubles.replaying import PRICED, ROUTED, ReplayWorld, crm

from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.jobs.job import Job, JobState, read_job
from hookstream.core.model.instant import HOUR, SECOND
from hookstream.core.model.record import Origin
from hookstream.core.model.subscription import Disabled, SubscriptionState
from hookstream.core.model.topics import Topics
from hookstream.core.planning.plan import Current
from hookstream.core.replay.interval import Interval, interval_of_gap
from hookstream.core.replay.outstanding import Place
from hookstream.core.replay.request import ReplayRequest
from hookstream.entry.admin.replays import (
    extent_of_one,
    new_replay,
    new_replay_of,
    replay_row,
    replayable,
)
from hookstream.entry.admin.tables import State
from hookstream.errors import InputRefused
from hookstream.pipeline.jobs import JobRun

TOPIC = "printprice.pricing"
SINCE = NOON - HOUR


@pytest.fixture
def world() -> ReplayWorld:
    made = ReplayWorld()
    made.past.create(TOPIC)
    for number in range(5):
        made.event(TOPIC, SINCE + number * SECOND, f"e{number}")
    return made


async def taken_over(world: ReplayWorld, job: Job) -> Job:
    """Write a job's row as a change of the tables would, and let an executor find it."""
    row = replay_row(job, Topics(), world.jobs.now())
    world.jobs.rows[job.id] = (row.value or b"", world.jobs.now())
    result = await JobRun(world.executor("a"), asyncio.Event()).resume(job.id)
    return result.job


async def test_a_gap_that_ends_when_its_change_takes_effect_is_replayed_exactly(
    world: ReplayWorld,
) -> None:
    gap = interval_of_gap(SINCE, world.clock.now() + 2 * SECOND)
    world.event(TOPIC, world.clock.now() + SECOND, "just before")
    world.event(TOPIC, world.clock.now() + 2 * SECOND, "the last one")
    world.event(TOPIC, world.clock.now() + 2 * SECOND + 1, "live again")
    job = await taken_over(world, new_replay(ReplayRequest("crm", gap), NOON))
    assert (job.state, job.id[:7]) == (JobState.DONE, "replay-")
    # What lies at the start of a gap was delivered live.
    assert world.places() == [Place(TOPIC, 0, offset) for offset in (1, 2, 3, 4, 5, 6)]


async def test_one_event_is_replayed_by_its_place(world: ReplayWorld) -> None:
    origin = Origin(TOPIC, 0, 2, SINCE + 2 * SECOND)
    topic_id, _ = world.past.topics[TOPIC]
    interval = Interval(origin.timestamp, origin.timestamp + 1)
    request = ReplayRequest("crm", interval, as_granted_today=True)
    job = new_replay_of(request, extent_of_one(origin, topic_id), NOON, total=1)
    done = await taken_over(world, job)
    assert (done.state, done.done, done.total) == (JobState.DONE, 1, 1)
    assert world.places() == [Place(TOPIC, 0, 2)]


async def test_an_event_whose_topic_was_created_again_is_not_replaced_by_another(
    world: ReplayWorld,
) -> None:
    origin = Origin(TOPIC, 0, 2, SINCE + 2 * SECOND)
    request = ReplayRequest("crm", Interval(0, NOON))
    job = new_replay_of(request, extent_of_one(origin, "f" * 32), NOON)
    done = await taken_over(world, job)
    assert (done.state, world.places()) == (JobState.INCOMPLETE, [])


def test_the_row_of_a_new_replay_is_held_by_nobody() -> None:
    job = new_replay(ReplayRequest("crm", Interval(0, 9)), NOON, rate=5.0)
    row = replay_row(job, Topics("pp"), NOON)
    found = read_job(job.id, row.value or b"")
    assert isinstance(found, Job)
    assert (row.topic, row.key, found.holder, found.held_until, found.rate) == (
        "pp.jobs",
        job.id.encode(),
        "",
        NOON,
        5.0,
    )


@pytest.mark.parametrize(
    ("changes", "disabled", "types", "why"),
    [
        ({"state": SubscriptionState.DELETED}, {}, (), "'crm' is deleted"),
        ({}, {"crm": Disabled("crm", 0, "gone")}, (), "'crm' is disabled \\(gone\\)"),
        ({"event_types": (ROUTED,)}, {}, (PRICED,), f"does not ask for '{PRICED}'"),
    ],
)
def test_a_subscription_that_would_get_nothing_is_refused(
    changes: dict[str, object],
    disabled: dict[str, Disabled],
    types: tuple[str, ...],
    why: str,
) -> None:
    current = Current({}, {"crm": crm(**changes)}, disabled, {})
    state = State(current, SchemaBook(), (), (), {})
    request = ReplayRequest("crm", Interval(0, 9), frozenset(types))
    with pytest.raises(InputRefused, match=why):
        replayable(state, request)
    with pytest.raises(InputRefused, match="there is no subscription 'other'"):
        replayable(state, ReplayRequest("other", Interval(0, 9)))
