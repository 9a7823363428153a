"""A replay is created by one row, alone or with other changes, and any executor takes it over."""

import asyncio
import re

import pytest
from tests.doubles.clock import NOON
from tests.doubles.replaying import PRICED, ROUTED, ReplayWorld, crm

from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.jobs.job import Job, JobState
from hookstream.core.model.instant import HOUR, SECOND
from hookstream.core.model.subscription import Disabled, SubscriptionState
from hookstream.core.planning.gap_fills import GapFill
from hookstream.core.planning.plan import Current
from hookstream.core.replay.interval import Interval
from hookstream.core.replay.outstanding import Place
from hookstream.core.replay.request import ReplayRequest
from hookstream.entry.admin.gap_jobs import job_of
from hookstream.entry.admin.replays import replayable
from hookstream.entry.admin.tables import State, refuse_not_started
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
    """Write a job's row as a change of the tables does, and let an executor find it."""
    world.jobs.put(job)
    result = await JobRun(world.executor("a"), asyncio.Event()).resume(job.id)
    return result.job


async def test_a_gap_that_ends_when_its_change_takes_effect_is_replayed_exactly(
    world: ReplayWorld,
) -> None:
    now = world.clock.now()
    gap = GapFill("replay-1", SINCE, now + 2 * SECOND)
    world.event(TOPIC, world.clock.now() + SECOND, "just before")
    world.event(TOPIC, world.clock.now() + 2 * SECOND, "the last one")
    world.event(TOPIC, world.clock.now() + 2 * SECOND + 1, "live again")
    job = await taken_over(world, job_of("crm", gap, now))
    assert job.state is JobState.DONE
    # What lies at the start of a gap was delivered live.
    assert world.places() == [Place(TOPIC, 0, offset) for offset in (1, 2, 3, 4, 5, 6)]


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


def test_runs_are_begun_once_every_worker_has_the_subscription() -> None:
    """A worker that has the row of the id's earlier life would cancel them, as of a deleted subscription."""
    starting = crm(active_from=NOON)
    for what in ("a replay", "a resend"):
        why = f"subscription 'crm' starts at 2026-11-24T12:00:00.000Z: request {what} after that"
        with pytest.raises(InputRefused, match=re.escape(why)):
            refuse_not_started(starting, what, NOON)
    refuse_not_started(starting, "a replay", NOON + 1)
