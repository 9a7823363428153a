"""A redrive redrives each dead letter once, however often its process dies."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.clock import NOON
from tests.doubles.jobs import TOPICS, JobsBroker, Process, executor
from tests.doubles.redriving import DOOR, Letters, redriving
from tests.doubles.virtual_time import run as run_virtually

from hookstream.core.jobs.job import KEPT, Job, JobState
from hookstream.core.jobs.lease import handed_back
from hookstream.core.jobs.step import STEP_RECORDS
from hookstream.core.model.record import Record
from hookstream.core.redrive.job import RedriveRequest
from hookstream.core.redrive.ledger import read_ledger
from hookstream.core.redrive.marks import Mark, Position, RedriveSource, extended
from hookstream.core.redrive.revive import Unredrivable
from hookstream.errors import Conflict, InputRefused
from hookstream.pipeline import redrive as redrive_module
from hookstream.pipeline.job_kind import RunEnd, RunResult
from hookstream.pipeline.jobs import JobRun


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
    at: Letters, asked: Job, report: Callable[[Unredrivable], None] = lambda _: None
) -> RunResult:
    """Work on a job by a process of its own, which creates it or takes it over."""
    able = executor(Process(at.broker), f"on-{asked.id}", redriving(at, of_crm, report))
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


async def test_dead_letters_that_were_not_selected_stay_open() -> None:
    other = dead_letter(0, 2)
    other.key = b"shop"
    at = letters(dead_letter(0, 1), other)
    await run(at, job(p0=3))
    assert read_ledger(at.jobs())[0].is_open(RedriveSource.DEAD_LETTERS, Position(0, 2))


async def test_a_dead_letter_that_cannot_be_redriven_stays_open_with_a_reason() -> None:
    at, left = letters(dead_letter(0, 1, None), dead_letter(0, 2)), list[Unredrivable]()
    result = await run(at, job(p0=3), left.append)
    assert (left, keys(at)) == ([Unredrivable(Position(0, 1), "its origin is gone")], ["0@2"])
    assert result.job.counts == {"unredrivable": 1}
    assert [note.text for note in result.job.notes] == [
        "1 could not be redriven and stays open; the first is 0@1: its origin is gone"
    ]
    assert read_ledger(at.jobs())[0].is_open(RedriveSource.DEAD_LETTERS, Position(0, 1))


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


async def test_a_second_redrive_withdraws_while_one_is_at_work_and_can_be_resumed_later() -> None:
    at = letters(dead_letter(0, 1))
    at.broker.put(handed_back(job("first", p0=1), NOON))
    result = await run(at, job("second", p0=2))
    assert isinstance(result.error, Conflict)
    assert (at.door, at.broker.job("second").state) == ([], JobState.FAILED)
    assert "it withdrew: first is redriving dead-letters too" in result.job.reason
    assert result.job.reason.endswith("hookstream jobs resume second")
    await run(at, job("first", p0=1))
    await run(at, job("second", p0=2))
    assert keys(at) == ["0@1"]


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
