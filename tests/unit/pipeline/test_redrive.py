"""A redrive redrives each dead letter once, however often its process dies."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.clock import NOON
from tests.doubles.jobs import TOPICS, JobsBroker, Process, executor
from tests.doubles.redriving import DOOR, Letters, ThreadOnTheLoop, redriving
from tests.doubles.virtual_time import run as run_virtually

from hookstream.core.jobs.job import KEPT, Job, JobState
from hookstream.core.jobs.lease import HELD_FOR, handed_back, held
from hookstream.core.jobs.step import STEP_RECORDS
from hookstream.core.jobs.turns import is_at_work
from hookstream.core.model.record import Record
from hookstream.core.redrive.job import RedriveRequest
from hookstream.core.redrive.ledger import read_ledger
from hookstream.core.redrive.marks import Mark, Position, RedriveSource, extended
from hookstream.core.redrive.revive import Unredrivable
from hookstream.errors import InputRefused
from hookstream.pipeline import redrive as redrive_module
from hookstream.pipeline.job_control import cancel
from hookstream.pipeline.job_kind import RunEnd, RunResult
from hookstream.pipeline.jobs import JobRun
from hookstream.pipeline.redrive import Redriving


def dead_letter(partition: int, offset: int, value: bytes | None = b"v") -> Record:
    return Record(TOPICS.dead_letters, partition, offset, NOON, b"crm", value, ())


def letters(*dead_letters: Record) -> Letters:
    return Letters(JobsBroker(), list(dead_letters))


def job(job_id: str = "night", rate: float | None = None, **ends: int) -> Job:
    request = RedriveRequest(
        RedriveSource.DEAD_LETTERS, {}, {int(p[1:]): end for p, end in ends.items()}
    )
    return request.job(job_id, NOON, 9, rate)


def of_crm(record: Record) -> bool:
    return record.key == b"crm"


async def run(
    at: Letters,
    asked: Job,
    report: Callable[[Unredrivable], None] = lambda _: None,
    obstacle: Callable[[Record], str | None] = lambda _: None,
) -> RunResult:
    """Work on a job by a process of its own, which creates it or takes it over."""
    kind = redriving(at, of_crm, report, obstacle)
    able = executor(Process(at.broker), f"on-{asked.id}", kind)
    work = JobRun(able, asyncio.Event())
    if asked.id in at.broker.rows:
        return await work.resume(asked.id, asked=True)
    return await work.start(asked)


def keys(at: Letters) -> list[str]:
    return [(record.key or b"").decode() for record in at.door]


async def test_open_dead_letters_are_redriven_and_resolved_in_the_same_step() -> None:
    at = letters(dead_letter(0, 1), dead_letter(0, 4), dead_letter(2, 0))
    result = await run(at, job(p0=5, p2=1))
    assert keys(at) == ["0@1", "0@4", "2@0"]
    assert (result.why, result.job.done, result.job.state) == (RunEnd.ENDED, 3, JobState.DONE)
    assert at.broker.job("night") == result.job
    mark = Mark("night", RedriveSource.DEAD_LETTERS, 0, extended((), (1, 4)))
    assert at.jobs()[mark.key] == mark.encode()


async def test_a_redrive_ignores_dead_letters_newer_than_its_request() -> None:
    """A redriven dead letter that fails again would feed the same job for ever."""
    at = letters(dead_letter(0, 1), dead_letter(0, 5))
    await run(at, job(p0=5))
    assert keys(at) == ["0@1"]


async def test_a_resolved_dead_letter_is_skipped() -> None:
    at = letters(dead_letter(0, 1), dead_letter(0, 2))
    await run(at, job("first", p0=2))
    await run(at, job("second", p0=3))
    assert keys(at) == ["0@1", "0@2"]


async def test_a_redrive_takes_the_letters_of_a_topic_that_was_created_again() -> None:
    """They have the offsets of others, which were redriven before."""
    at = letters(dead_letter(0, 1), dead_letter(0, 2))
    at.ids[RedriveSource.DEAD_LETTERS] = "a1"
    await run(at, job("first", p0=3))
    at.stored[:] = [dead_letter(0, 1)]
    at.ids[RedriveSource.DEAD_LETTERS] = "b2"
    await run(at, job("second", p0=2))
    assert keys(at) == ["0@1", "0@2", "0@1"]
    marks = [key for key in at.jobs() if "/" in key]
    assert marks == ["second/0/1"], "those of the topic that was deleted are removed"


async def test_dead_letters_that_were_not_selected_stay_open() -> None:
    other = dead_letter(0, 2)
    other.key = b"shop"
    at = letters(dead_letter(0, 1), other)
    await run(at, job(p0=3))
    assert read_ledger(at.jobs(), at.topic_ids())[0].is_open(
        RedriveSource.DEAD_LETTERS, Position(0, 2)
    )


async def test_a_redrive_that_ends_reads_no_further_though_nothing_is_selected() -> None:
    """Whoever stops its process waits for the thread that reads."""
    at, asked = letters(*(dead_letter(0, n) for n in range(100))), job(p0=100)
    at.broker.put(asked)
    looked_at: list[int] = []

    def ends_at_the_third(record: Record) -> bool:
        looked_at.append(record.offset)
        if len(looked_at) == 3:
            work.end()
        return False

    request = RedriveRequest(RedriveSource.DEAD_LETTERS, {}, {0: 100})
    work = Redriving(redriving(at, ends_at_the_third), asked.id, request, ThreadOnTheLoop())
    await work.next(at.broker.job(asked.id))
    assert looked_at == [0, 1, 2]


async def test_a_dead_letter_that_cannot_be_redriven_stays_open_with_a_reason() -> None:
    at, left = letters(dead_letter(0, 1, None), dead_letter(0, 2)), list[Unredrivable]()
    result = await run(at, job(p0=3), left.append)
    assert (left, keys(at)) == ([Unredrivable(Position(0, 1), "its origin is gone")], ["0@2"])
    assert result.job.counts == {"unredrivable": 1}
    assert [note.text for note in result.job.notes] == [
        "1 could not be redriven and stays open; the first is 0@1: its origin is gone"
    ]
    assert read_ledger(at.jobs(), at.topic_ids())[0].is_open(
        RedriveSource.DEAD_LETTERS, Position(0, 1)
    )


async def test_what_the_tables_prevent_when_its_turn_comes_stays_open_with_a_reason() -> None:
    """Whoever asked for it was shown nothing of that: the subscription was disabled since."""
    at = letters(*(dead_letter(0, offset) for offset in range(3)))

    def disabled(record: Record) -> str | None:
        return "crm is disabled" if record.offset else None

    result = await run(at, job(p0=3), obstacle=disabled)
    assert keys(at) == ["0@0"]
    assert (result.job.state, result.job.counts) == (JobState.DONE, {"left_out": 2})
    assert [note.text for note in result.job.notes] == [
        "2 left out, which stay open; the first is 0@1: crm is disabled"
    ]
    again = await run(at, replace(job("day", p0=3)), obstacle=disabled)
    assert again.job.counts == {"left_out": 2}


async def test_what_stays_open_is_counted_once_though_a_redrive_is_continued() -> None:
    at = letters(dead_letter(0, 1, None), dead_letter(0, 2))
    at.broker.put(handed_back(replace(job(p0=3), counts={"unredrivable": 1}), NOON - 1))
    result = await run(at, job(p0=3))
    assert result.job.counts == {"unredrivable": 1}


async def test_one_dead_letter_that_is_too_large_does_not_fail_its_step() -> None:
    at = letters(dead_letter(0, 1), dead_letter(0, 2, b"huge"), dead_letter(0, 3))
    at.broker.too_large, left = {b"huge"}, list[Unredrivable]()
    await run(at, job(p0=4), left.append)
    why = "hookstream.retry.0s refused it: it is too large for the topic"
    assert (keys(at), left) == (["0@1", "0@3"], [Unredrivable(Position(0, 2), why)])


def done_by_step(at: Letters) -> list[int]:
    """How many letters each step of a job brought back."""
    done = [0, *(row.done for row in at.broker.revisions)]
    return [now - before for before, now in pairwise(done) if now > before]


async def test_a_step_has_a_bounded_number_of_dead_letters() -> None:
    at = letters(*(dead_letter(0, offset) for offset in range(STEP_RECORDS + 1)))
    await run(at, job(p0=9_999))
    assert done_by_step(at) == [STEP_RECORDS, 1]


async def test_large_dead_letters_make_smaller_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redrive_module, "STEP_BYTES", 10)
    at = letters(*(dead_letter(0, offset, b"123456") for offset in range(5)))
    await run(at, job(p0=5))
    assert done_by_step(at) == [2, 2, 1]


async def test_a_rate_is_kept_over_the_whole_redrive() -> None:
    at = letters(*(dead_letter(0, offset) for offset in range(25)))
    await run(at, job(rate=10, p0=25))
    assert (done_by_step(at), 2.0 <= at.broker.clock.monotonic() < 2.5) == ([10, 10, 5], True)


def waiting(at: Letters, said: list[str], name: str, *, waits: bool = True) -> JobRun:
    able = executor(Process(at.broker), name, redriving(at, of_crm))
    able = replace(
        able, waits=waits, waiting=lambda job, why: said.append(f"{job.id} waits {why}")
    )
    return JobRun(able, asyncio.Event())


async def test_a_second_redrive_waits_until_the_first_is_at_work_no_more() -> None:
    """Its holder died: the second one goes on once an operator has ended the first, not before."""
    at, said = letters(dead_letter(0, 1)), list[str]()
    at.broker.put(held(job("first", p0=2), "dead", NOON - HELD_FOR))
    async with asyncio.TaskGroup() as tasks:
        second = tasks.create_task(waiting(at, said, "on-second").start(job("second", p0=2)))
        await asyncio.sleep(7_200.0)
        assert (at.door, is_at_work(at.broker.job("second"))) == ([], False)
        await cancel(executor(Process(at.broker), "kim"), "first", "by kim")
    assert (keys(at), second.result().job.state) == (["0@1"], JobState.DONE)
    why = "first is redriving dead-letters. If nothing works on that, continue it: hookstream jobs resume"
    assert set(said) == {
        f"second waits for its turn: {why} first, or end it: hookstream jobs cancel first"
    }


async def test_where_an_executor_does_not_wait_the_job_is_handed_back_at_once() -> None:
    at = letters(dead_letter(0, 1))
    at.broker.put(held(job("first", p0=2), "alive", NOON))
    result = await waiting(at, [], "a", waits=False).start(job("second", p0=2))
    assert (result.why, result.behind) == (RunEnd.WAITS, at.broker.job("first"))
    row = at.broker.job("second")
    assert (row.state, row.holder, at.door) == (JobState.RUNNING, "", [])


async def test_a_redrive_that_waits_can_be_cancelled_and_its_executor_stopped() -> None:
    at = letters(dead_letter(0, 1))
    at.broker.put(held(job("first", p0=2), "alive", NOON))
    runs = {name: waiting(at, [], name) for name in ("cancelled", "stopped")}
    async with asyncio.TaskGroup() as tasks:
        ends = {name: tasks.create_task(run.start(job(name, p0=2))) for name, run in runs.items()}
        await asyncio.sleep(60.0)
        runs["stopped"].stop.set()
        await cancel(executor(Process(at.broker), "kim"), "cancelled", "by kim")
    assert {name: (end.result().why, end.result().job.state) for name, end in ends.items()} == {
        "cancelled": (RunEnd.ENDED, JobState.CANCELLED),
        "stopped": (RunEnd.STOPPED, JobState.RUNNING),
    }
    assert at.door == []


async def test_two_redrives_that_begin_at_one_instant_take_turns() -> None:
    """Each finds the claim of the other: both hand back, and the one that was asked for first goes on."""
    at = letters(dead_letter(0, 1), dead_letter(0, 2))
    younger = replace(job("a", p0=3), asked_at=NOON + 1)
    async with asyncio.TaskGroup() as tasks:
        runs = [
            tasks.create_task(waiting(at, [], f"on-{each.id}").start(each))
            for each in (younger, job("b", p0=3))
        ]
    assert [run.result().job.state for run in runs] == [JobState.DONE] * 2
    assert (keys(at), [run.result().job.done for run in runs]) == (["0@1", "0@2"], [0, 2])


async def test_an_executor_whose_reading_lacks_its_own_claim_reads_again() -> None:
    """A leader that was replaced may answer with an older end: claims before its own are missing, too."""
    at = letters(dead_letter(0, 1))
    whole, readings = at.jobs, list[int]()

    def jobs() -> Mapping[str, bytes]:
        readings.append(len(readings))
        rows = whole()
        return {} if len(readings) == 1 else rows

    at.jobs = jobs  # type: ignore[method-assign]  # the reading that comes too early
    result = await run(at, job(p0=2))
    assert (keys(at), result.job.state) == (["0@1"], JobState.DONE)


async def test_nothing_is_redriven_while_a_mark_cannot_be_read() -> None:
    at = letters(dead_letter(0, 1))
    at.broker.rows["old/0/1"] = (b"{", NOON)
    result = await run(at, job(p0=2))
    assert isinstance(result.error, InputRefused)
    assert ("what is open is not known" in result.job.reason, at.door) == (True, [])


async def test_rows_that_are_not_needed_are_removed_at_the_end() -> None:
    at = letters(dead_letter(0, 7))
    old = replace(job("old"), asked_at=NOON - KEPT - 1, state=JobState.DONE)
    mark = Mark("old", RedriveSource.DEAD_LETTERS, 0, extended((), (1,)))
    at.broker.put(old)
    at.broker.rows[mark.key] = (mark.encode(), NOON)
    at.log_starts = {(RedriveSource.DEAD_LETTERS, 0): 7}
    await run(at, job(p0=8))
    assert sorted(at.broker.rows) == ["night", "night/0/7"]


async def test_a_row_whose_request_cannot_be_read_ends_its_job() -> None:
    at = letters(dead_letter(0, 1))
    broken = replace(job(p0=2), asked={"topic": "?", "selector": {}, "ends": {}})
    result = await run(at, broken)
    assert (result.job.state, at.door) == (JobState.FAILED, [])


@given(
    positions=st.sets(st.tuples(st.integers(0, 2), st.integers(0, 20)), max_size=30),
    deaths=st.lists(st.integers(1, 25), max_size=6),
    rate=st.sampled_from([1.0, 2.0, 7.0, None]),
    huge=st.sets(st.integers(0, 20), max_size=2),
)
def test_every_open_dead_letter_is_redriven_exactly_once_wherever_the_process_dies(
    positions: set[tuple[int, int]], deaths: list[int], rate: float | None, huge: set[int]
) -> None:
    """The law of a redrive: steps are whole, so another process continues where the last one ended."""

    async def lives() -> Letters:
        at = letters(
            *(
                dead_letter(*position, b"huge" if position[1] in huge else b"v")
                for position in sorted(positions)
            )
        )
        at.broker.too_large = {b"huge"}
        at.broker.put(handed_back(job(rate=rate, p0=21, p1=21, p2=21), NOON))
        for number, dies_at in enumerate([*deaths, None]):
            process = Process(at.broker)
            if dies_at is not None:
                process.at_point[dies_at] = Process.die
            able = executor(process, f"process-{number}", redriving(at))
            async with asyncio.TaskGroup() as tasks:
                task = tasks.create_task(JobRun(able, asyncio.Event()).resume("night", wait=True))
                await asyncio.wait((task,), timeout=600)
                task.cancel()
        return at

    at = run_virtually(lives())
    fitting = [f"{p}@{offset}" for p, offset in positions if offset not in huge]
    assert sorted(keys(at)) == sorted(fitting)
    ended = at.broker.job("night")
    assert (ended.done, ended.state) == (len(fitting), JobState.DONE)
    assert all(record.topic == DOOR for record in at.broker.records)
