"""Shows, starts, resumes and cancels jobs, whatever their kind.

A function that works on a job returns when the job has ended, or at SIGINT or SIGTERM: then it hands the
lease back, so that `jobs run` or another command continues immediately. Each function blocks.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from hookstream.adapters.kafka.jobs import KafkaJobs
from hookstream.adapters.system import SystemClock
from hookstream.core.jobs import turns
from hookstream.core.jobs.job import Job
from hookstream.entry.admin.actor import who
from hookstream.entry.admin.job_ids import executor_name
from hookstream.entry.admin.job_kinds import job_kinds
from hookstream.entry.admin.job_listing import JobStatus, Watch, list_jobs, status_of
from hookstream.entry.cluster import reached
from hookstream.pipeline import job_control
from hookstream.pipeline.job_control import AlsoWritten
from hookstream.pipeline.job_kind import Executor, JobKind, RunResult
from hookstream.pipeline.jobs import JobRun, required
from hookstream.settings import Settings

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds for which a command waits out errors of the brokers."""
_IMPATIENT_EXIT = 1


def find_job(settings: Settings, job_id: str) -> JobStatus:
    """Return one job.

    Raises:
        InputRefused: There is no such job, or its row cannot be read.
        DependencyUnavailable: The brokers cannot be reached.
    """
    found = _with_jobs(settings, lambda jobs: jobs.read(job_id))
    job = required(found, job_id)
    if turns.may_wait(job):
        for status in list_jobs(settings).jobs:
            if status.job.id == job_id:
                return status
    return status_of(job, SystemClock().now())


def start_job(
    settings: Settings,
    job: Job,
    watch: Watch | None = None,
    kinds: Mapping[str, JobKind] | None = None,
) -> RunResult:
    """Create a job and work on it.

    Args:
        settings: The cluster's.
        job: A new job.
        watch: What is shown meanwhile.
        kinds: The kinds of jobs; None: all.

    Raises:
        Conflict: There is a job of this id.
        ConfigurationError: Kafka's set-up must change.
        DependencyUnavailable: The brokers cannot be reached for `PATIENCE`.
    """
    return _work(settings, lambda run: run.start(replace(job, asked_by=who())), watch, kinds)


def resume_job(
    settings: Settings,
    job_id: str,
    watch: Watch | None = None,
    kinds: Mapping[str, JobKind] | None = None,
    rate: float | None = None,
) -> RunResult:
    """Continue a job that nobody holds, once the lease of a holder that died is over.

    Args:
        settings: The cluster's.
        job_id: The job.
        watch: What is shown meanwhile.
        kinds: The kinds of jobs; None: all.
        rate: The job's new rate, in records a second; None: the one that it has.

    Raises:
        InputRefused: There is no such job, it cannot be read, or its kind is not known.
        ConfigurationError: Kafka's set-up must change.
        DependencyUnavailable: The brokers cannot be reached for `PATIENCE`.
    """

    def resumed(run: JobRun) -> Awaitable[RunResult]:
        return run.resume(job_id, wait=True, asked=True, rate=rate)

    return _work(settings, resumed, watch, kinds)


def cancel_job(settings: Settings, job_id: str, also: AlsoWritten = lambda _job: ()) -> Job:
    """Cancel a job, whichever executor runs it; finished steps are kept.

    `also` returns records that commit with it.

    Raises:
        InputRefused: There is no such job, it cannot be read, or it has ended.
        DependencyUnavailable: The brokers cannot be reached.
    """

    async def cancelled(jobs: KafkaJobs) -> Job:
        executor = _executor(settings, jobs, {}, Watch())
        return await job_control.cancel(executor, job_id, f"cancelled by {who()}", also)

    return _with_jobs(settings, cancelled)


def free_job(
    settings: Settings,
    job_id: str,
    also: AlsoWritten = lambda _job: (),
    rate: float | None = None,
) -> Job:
    """Let any executor continue a job without a holder, also a failed one. `also` as in `cancel_job`.

    `rate` is its new one, in records a second; None: the one that it has.

    Raises:
        InputRefused: There is no such job, it cannot be read, or it has ended for good.
        Conflict: An executor holds it.
        DependencyUnavailable: The brokers cannot be reached.
    """

    async def freed(jobs: KafkaJobs) -> Job:
        executor = _executor(settings, jobs, {}, Watch())
        return await job_control.set_free(executor, job_id, also, rate)

    return _with_jobs(settings, freed)


# On the event loop.


def _with_jobs(settings: Settings, asked: Callable[[KafkaJobs], Awaitable[T]]) -> T:
    client = reached(settings)

    async def run() -> T:
        jobs = KafkaJobs(client, settings.topics_names)
        try:
            return await asked(jobs)
        finally:
            await jobs.close()

    return asyncio.run(run())


def _work(
    settings: Settings,
    begin: Callable[[JobRun], Awaitable[RunResult]],
    watch: Watch | None,
    kinds: Mapping[str, JobKind] | None,
) -> RunResult:
    known = job_kinds(settings) if kinds is None else kinds

    async def work(jobs: KafkaJobs) -> RunResult:
        stop = asyncio.Event()
        executor = _executor(settings, jobs, known, watch or Watch())
        with _signals_stop(stop):
            return await begin(JobRun(executor, stop))

    return _with_jobs(settings, work)


def _executor(
    settings: Settings, jobs: KafkaJobs, kinds: Mapping[str, JobKind], watch: Watch
) -> Executor:
    return Executor(
        name=executor_name(),
        topics=settings.topics_names,
        table=jobs,
        kinds=kinds,
        clock=SystemClock(),
        lease=settings.jobs.lease,
        patience=PATIENCE,
        show=watch.progress,
        waiting=watch.waiting,
    )


@contextmanager
def _signals_stop(stop: asyncio.Event) -> Iterator[None]:
    """Stop at the first SIGINT or SIGTERM, between two steps; end the process at the second."""
    loop = asyncio.get_running_loop()

    def stopping() -> None:
        if stop.is_set():
            os._exit(_IMPATIENT_EXIT)
        stop.set()

    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, stopping)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
