"""Redrives and purges read in a thread, which ends with their work however that ends."""

import asyncio
from collections.abc import Sequence

import pytest
from tests.doubles.redriving import ThreadOnTheLoop

from hookstream.core.jobs.job import Job, JobState
from hookstream.core.jobs.row_problem import RowProblem
from hookstream.core.jobs.step import JobEnd, JobStep, NextStep
from hookstream.errors import InputRefused
from hookstream.pipeline.dead_letter_jobs import required_request, worked_on


class Reading:
    """Work whose ends are noted. Implements `ThreadedWork`."""

    def __init__(self, happened: list[str], *, fails: bool) -> None:
        self.happened, self.fails = happened, fails

    async def next(self, job: Job) -> NextStep:  # noqa: ARG002  as the port has it
        return JobEnd(JobState.DONE)

    async def committed(self, step: JobStep) -> None: ...

    async def refused(self, step: JobStep, too_large: Sequence[int]) -> None: ...

    def end(self) -> None:
        self.happened.append("reading ends")

    def close(self) -> None:
        self.happened.append("reader closed")
        if self.fails:
            raise ValueError("a defect")


class Thread(ThreadOnTheLoop):
    def __init__(self, happened: list[str]) -> None:
        self.happened = happened

    def close(self) -> None:
        self.happened.append("thread ended")


ENDED = ["reading ends", "reader closed", "thread ended"]


async def test_the_thread_ends_with_the_work_whether_that_ends_or_raises() -> None:
    for fails, raised in ((False, asyncio.CancelledError), (True, ValueError)):
        happened: list[str] = []
        with pytest.raises(raised):
            async with worked_on(Reading(happened, fails=fails), Thread(happened)):
                raise asyncio.CancelledError
        assert happened == ENDED
    quiet: list[str] = []
    async with worked_on(Reading(quiet, fails=False), Thread(quiet)) as work:
        assert isinstance(await work.next(Job("j", "purge", {}, 0)), JobEnd)
    assert quiet == ENDED


def test_a_row_that_does_not_say_what_was_asked_is_refused_with_its_kind() -> None:
    job = Job("j", "purge", {}, 0)
    assert required_request("asked", job) == "asked"
    with pytest.raises(InputRefused, match="row of job j is not a purge's: `ends` is missing"):
        required_request(RowProblem("j", "`ends` is missing"), job)
    with pytest.raises(InputRefused, match="row of job j is not a purge's"):
        required_request(None, job)
