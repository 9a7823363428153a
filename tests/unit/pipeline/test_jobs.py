"""One loop runs every kind of job, in whole steps, under a lease."""

import asyncio
import gc
import warnings
from dataclasses import replace
from itertools import pairwise

import pytest
from tests.doubles.jobs import (
    Counting,
    JobsBroker,
    Process,
    counting_job,
    executor,
    numbers,
)

from hookstream.core.jobs import lease
from hookstream.core.jobs.job import Job, JobState
from hookstream.core.jobs.step import JobEnd, JobPause
from hookstream.errors import Conflict, DependencyUnavailable, InputRefused
from hookstream.pipeline.job_control import cancel, set_free
from hookstream.pipeline.job_kind import RunEnd, RunResult
from hookstream.pipeline.jobs import JobRun


@pytest.fixture
def broker() -> JobsBroker:
    return JobsBroker()


def running(broker: JobsBroker, name: str = "a", *kinds: Counting) -> JobRun:
    return JobRun(executor(Process(broker), name, *kinds), asyncio.Event())


async def test_a_job_is_created_worked_on_and_ended(broker: JobsBroker) -> None:
    outcome = await running(broker).start(counting_job(7))
    assert (outcome.why, outcome.job.state, numbers(broker)) == (
        RunEnd.ENDED,
        JobState.DONE,
        [*range(7)],
    )
    assert broker.job("count-1") == outcome.job
    assert [job.revision for job in broker.revisions] == [1, 2, 3, 4, 5]


async def test_a_job_of_the_same_id_is_never_written_over(broker: JobsBroker) -> None:
    broker.put(counting_job(7))
    with pytest.raises(Conflict):
        await running(broker).start(counting_job(3))


async def test_a_job_that_is_asked_for_in_too_many_words_is_refused_before_anything_is_written(
    broker: JobsBroker,
) -> None:
    job = counting_job(7)
    long = replace(job, asked={**job.asked, "subscriptions": ["s" * 63] * 10_000})
    with pytest.raises(InputRefused, match="ask for less, in several jobs"):
        await running(broker).start(long)
    assert (broker.rows, broker.epochs) == ({}, {})


async def test_while_a_job_is_held_nobody_else_takes_it(broker: JobsBroker) -> None:
    broker.put(lease.held(counting_job(7), "b", broker.now()))
    outcome = await running(broker).resume("count-1")
    assert (outcome, broker.epochs) == (RunResult(RunEnd.HELD, broker.job("count-1")), {})


async def test_a_job_whose_lease_is_over_is_continued_from_its_row(broker: JobsBroker) -> None:
    left = lease.held(counting_job(7), "b", broker.now() - lease.HELD_FOR)
    broker.put(replace(left, reached={"next": 5}, done=5))
    outcome = await running(broker).resume("count-1")
    assert (outcome.job.done, numbers(broker)) == (7, [5, 6])


async def test_a_slow_step_does_not_lose_the_lease(broker: JobsBroker) -> None:
    slow = running(broker, "a", Counting(slow=100.0))
    async with asyncio.TaskGroup() as tasks:
        mine = tasks.create_task(slow.start(counting_job(3)))
        await asyncio.sleep(95.0)
        other = await running(broker, "b").resume("count-1")
    assert (other.why, mine.result().why, numbers(broker)) == (
        RunEnd.HELD,
        RunEnd.ENDED,
        [0, 1, 2],
    )


@pytest.mark.parametrize("point", range(1, 16))
async def test_a_stop_at_whatever_point_leaves_each_number_written_once_and_nothing_not_awaited(
    broker: JobsBroker, point: int
) -> None:
    process = Process(broker)
    run = JobRun(executor(process, "a"), asyncio.Event())
    process.at_point[point] = lambda _: run.stop.set()

    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        await run.start(counting_job(9))
        gc.collect()

    await running(broker, "b").resume("count-1", asked=True)
    assert (numbers(broker), [f"{each.message}" for each in given]) == ([*range(9)], [])


async def test_a_stop_hands_the_lease_back_and_another_goes_on_at_once(broker: JobsBroker) -> None:
    run = running(broker)
    async with asyncio.TaskGroup() as tasks:
        left = tasks.create_task(run.start(counting_job(20, rate=1.0)))
        await asyncio.sleep(4.5)
        run.stop.set()
    at = broker.now()
    outcome = await running(broker, "b").resume("count-1")
    assert left.result().why is RunEnd.STOPPED
    assert (outcome.why, outcome.job.rate, numbers(broker)) == (RunEnd.ENDED, 1.0, [*range(20)])
    assert 14_000 <= broker.now() - at <= 17_000


async def test_a_holder_that_was_frozen_beyond_its_lease_writes_nothing_more(
    broker: JobsBroker,
) -> None:
    process = Process(broker)
    frozen = JobRun(executor(process, "a"), asyncio.Event())
    async with asyncio.TaskGroup() as tasks:
        mine = tasks.create_task(frozen.start(counting_job(30, rate=1.0)))
        await asyncio.sleep(5.5)
        process.freeze()
        other = tasks.create_task(running(broker, "b").resume("count-1", wait=True))
        await asyncio.sleep(40.0)
        process.thaw()
    assert (mine.result().why, other.result().why) == (RunEnd.LOST, RunEnd.ENDED)
    assert numbers(broker) == [*range(30)]


async def test_a_holder_whose_lease_is_over_stops_even_if_nobody_took_the_job(
    broker: JobsBroker,
) -> None:
    process = Process(broker)
    async with asyncio.TaskGroup() as tasks:
        mine = tasks.create_task(
            JobRun(executor(process), asyncio.Event()).start(counting_job(30, rate=1.0))
        )
        await asyncio.sleep(5.5)
        process.freeze()
        await asyncio.sleep(40.0)
        rows = len(broker.revisions)
        process.thaw()
    # A transaction that was in flight may be committed then: nobody had fenced it.
    assert (mine.result().why, len(broker.revisions) <= rows + 1) == (RunEnd.LOST, True)


async def test_a_cancel_takes_effect_while_a_holder_lives(broker: JobsBroker) -> None:
    async with asyncio.TaskGroup() as tasks:
        mine = tasks.create_task(running(broker).start(counting_job(30, rate=1.0)))
        await asyncio.sleep(4.5)
        cancelled = await cancel(executor(Process(broker), "op"), "count-1", "cancelled by kim")
        written = numbers(broker)
    assert (mine.result().why, mine.result().job) == (RunEnd.ENDED, cancelled)
    assert (broker.job("count-1"), numbers(broker)) == (cancelled, written)
    assert (cancelled.state, cancelled.reason) == (JobState.CANCELLED, "cancelled by kim")


async def test_a_cancel_that_dies_after_it_fenced_the_holder_leaves_a_job_to_the_next_executor(
    broker: JobsBroker,
) -> None:
    process = Process(broker, at_point={6: Process.die})
    async with asyncio.TaskGroup() as tasks:
        mine = tasks.create_task(running(broker).start(counting_job(30, rate=1.0)))
        await asyncio.sleep(4.5)
        dying = tasks.create_task(cancel(executor(process, "op"), "count-1", "cancelled"))
        await asyncio.wait((mine,))
        last = await running(broker, "b").resume("count-1", wait=True)
        dying.cancel()
    assert (mine.result().why, last.job.state) == (RunEnd.LOST, JobState.DONE)
    assert numbers(broker) == [*range(30)]


async def test_a_job_that_has_ended_is_not_cancelled(broker: JobsBroker) -> None:
    await running(broker).start(counting_job(3))
    with pytest.raises(InputRefused, match="job count-1 is done"):
        await cancel(executor(Process(broker)), "count-1", "")
    assert broker.epochs["count-1"] == 1


def raising(process: Process) -> None:
    raise DependencyUnavailable(f"no answer at point {process.points}")


@pytest.mark.parametrize("point", range(1, 30))
async def test_wherever_an_answer_does_not_come_each_step_is_written_once(
    broker: JobsBroker, point: int
) -> None:
    """Before its effect or after it: the end of a transaction may be unknown."""
    process = Process(broker, at_point={point: raising})
    result = await JobRun(executor(process), asyncio.Event()).start(counting_job(11))
    assert (result.job.state, numbers(broker)) == (JobState.DONE, [*range(11)])
    revisions = [job.revision for job in broker.revisions]
    assert revisions == [*range(1, len(revisions) + 1)]


@pytest.mark.parametrize("point", range(1, 8))
async def test_wherever_an_answer_to_a_cancel_does_not_come_it_takes_effect_once(
    broker: JobsBroker, point: int
) -> None:
    broker.put(lease.held(counting_job(3), "a", broker.now()))
    process = Process(broker, at_point={point: raising})
    cancelled = await cancel(executor(process, "op"), "count-1", "cancelled by kim")
    assert broker.job("count-1") == cancelled
    assert [job.state for job in broker.revisions] == [JobState.CANCELLED]


async def test_brokers_that_stay_away_end_a_command_and_not_an_executor(
    broker: JobsBroker,
) -> None:
    broker.put(lease.handed_back(counting_job(3), broker.now()))
    broker.is_away = True
    able = replace(executor(Process(broker)), patience=60.0)
    with pytest.raises(DependencyUnavailable):
        await JobRun(able, asyncio.Event()).resume("count-1")
    assert 60.0 <= broker.clock.monotonic() <= 75.0
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(running(broker).resume("count-1"))
        await asyncio.sleep(600.0)
        broker.is_away = False
    assert run.result().job.state is JobState.DONE


async def test_a_stop_while_brokers_are_away_ends_the_run_at_once(broker: JobsBroker) -> None:
    run = running(broker)
    async with asyncio.TaskGroup() as tasks:
        mine = tasks.create_task(run.start(counting_job(30, rate=1.0)))
        await asyncio.sleep(4.5)
        broker.is_away = True
        await asyncio.sleep(20.0)
        run.stop.set()
    assert (mine.result().why, broker.clock.monotonic() < 25.0) == (RunEnd.STOPPED, True)


async def test_a_kind_that_refuses_its_job_fails_it_with_the_reason(broker: JobsBroker) -> None:
    def refuse(_: Job) -> None:
        raise InputRefused("the subscription is deleted")

    result = await running(broker, "a", Counting(before=refuse)).start(counting_job(3))
    assert (str(result.error), result.job.state) == (
        "the subscription is deleted",
        JobState.FAILED,
    )
    assert broker.job("count-1").reason == "the subscription is deleted"


async def test_a_failed_job_is_continued_only_if_an_operator_asks(broker: JobsBroker) -> None:
    broker.put(replace(counting_job(3), reached={"next": 1}).ended(JobState.FAILED, "refused"))
    untouched = await running(broker).resume("count-1")
    asked = await running(broker).resume("count-1", asked=True, rate=2.0)
    assert (untouched.why, untouched.job.state) == (RunEnd.ENDED, JobState.FAILED)
    assert (asked.job.state, asked.job.reason, asked.job.rate) == (JobState.DONE, "", 2.0)
    assert numbers(broker) == [1, 2]


async def test_a_job_that_is_set_free_keeps_its_rate_or_gets_a_new_one(broker: JobsBroker) -> None:
    broker.put(counting_job(3, rate=4.0).ended(JobState.FAILED, "refused"))
    free = executor(Process(broker), "op")
    assert (await set_free(free, "count-1")).rate == 4.0
    assert (await set_free(free, "count-1", rate=2.0)).rate == 2.0
    assert (broker.job("count-1").state, broker.job("count-1").rate) == (JobState.RUNNING, 2.0)


async def test_a_job_that_has_no_lease_is_continued_only_if_an_operator_asks(
    broker: JobsBroker,
) -> None:
    """A release before leases wrote it: its process may be alive, or dead for a month."""
    broker.put(counting_job(3))
    await asyncio.sleep(3_600.0)
    untouched = await running(broker).resume("count-1")
    asked = await running(broker).resume("count-1", asked=True)
    assert (untouched.why, asked.job.state) == (RunEnd.HELD, JobState.DONE)


async def test_a_defect_of_a_kind_hands_its_job_back(broker: JobsBroker) -> None:
    def fail(_: Job) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await running(broker, "a", Counting(before=fail)).start(counting_job(3))
    again = await running(broker, "b").resume("count-1")
    assert again.job.state is JobState.DONE


async def test_a_job_of_an_unknown_kind_is_left_alone(broker: JobsBroker) -> None:
    broker.put(replace(lease.handed_back(counting_job(3), broker.now()), kind="later"))
    with pytest.raises(InputRefused, match="'later', which this release does not know"):
        await running(broker).resume("count-1", asked=True)
    assert broker.epochs == {}


async def test_a_job_that_does_not_exist_or_cannot_be_read_is_refused(broker: JobsBroker) -> None:
    broker.rows["bad"] = (b"{", broker.now())
    for job_id, why in (("none", "there is no job none"), ("bad", "cannot be read")):
        with pytest.raises(InputRefused, match=why):
            await running(broker).resume(job_id)


async def test_a_pause_is_waited_out_and_renews_the_lease(broker: JobsBroker) -> None:
    pauses = [JobPause(45.0, "the window is full"), JobPause(45.0, "the subscription is paused")]
    said: list[str] = []
    kind = Counting(before=lambda _: pauses.pop() if pauses else None)
    able = replace(
        executor(Process(broker), "a", kind), waiting=lambda _job, why: said.append(why)
    )
    result = await JobRun(able, asyncio.Event()).start(counting_job(3))
    gaps = [b.written_at - a.written_at for a, b in pairwise(broker.revisions)]
    assert said == ["the subscription is paused", "the window is full"]
    assert (result.job.done, max(gaps) <= 11_000, sum(gaps) >= 90_000) == (3, True, True)


async def test_a_kind_ends_its_job_with_a_state_and_a_reason(broker: JobsBroker) -> None:
    kind = Counting(before=lambda _: JobEnd(JobState.INCOMPLETE, "retention took 7 events"))
    result = await running(broker, "a", kind).start(counting_job(3))
    assert (result.job.state, result.job.reason, result.job.holder) == (
        JobState.INCOMPLETE,
        "retention took 7 events",
        "",
    )


async def test_a_job_continues_without_a_record_that_is_too_large(broker: JobsBroker) -> None:
    broker.too_large = {b"4"}
    await running(broker).start(counting_job(7))
    assert numbers(broker) == [0, 1, 2, 3, 5, 6]


async def test_a_short_lease_is_renewed_more_often(broker: JobsBroker) -> None:
    able = replace(executor(Process(broker), "a", Counting(slow=20.0)), lease=3_000)
    await JobRun(able, asyncio.Event()).start(counting_job(3))
    gaps = [b.written_at - a.written_at for a, b in pairwise(broker.revisions)]
    assert max(gaps) <= 1_100


async def test_a_brokers_clock_that_was_set_back_holds_a_job_for_a_minute(
    broker: JobsBroker,
) -> None:
    broker.put(lease.held(counting_job(3), "dead", broker.now()))
    broker.skew -= 3_600_000
    result = await running(broker).resume("count-1", wait=True)
    assert (result.why, 60.0 <= broker.clock.monotonic() < 63.0) == (RunEnd.ENDED, True)
