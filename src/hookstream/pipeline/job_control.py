"""Cancels a job, or frees it for any executor, whether or not it has a holder.

Opening a job's writer fences its holder and aborts its open transaction, so there are never two writers: the
holder learns at its next write that it was fenced, and stops.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from hookstream.core.jobs import lease
from hookstream.core.jobs.job import Job, JobState
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import OutgoingRecord
from hookstream.errors import Conflict, DependencyUnavailable, InputRefused, ProducerFenced
from hookstream.pipeline.job_kind import Executor
from hookstream.pipeline.jobs import required

AlsoWritten: TypeAlias = Callable[[Job], Sequence[OutgoingRecord]]

_TRIES = 3
"""How often a change is tried if the job's holder interferes, or if the end of the transaction is unknown."""


async def cancel(
    executor: Executor, job_id: str, reason: str, also: AlsoWritten = lambda _job: ()
) -> Job:
    """End a job, whoever holds it; its finished steps are kept.

    Args:
        executor: Only its table and topics are used.
        job_id: The job.
        reason: Who cancelled it, and why, for its row.
        also: Returns records that are committed with it, once no other process can write the job.

    Returns:
        The job as it is now.

    Raises:
        InputRefused: There is no such job, it cannot be read, or it has ended.
        Conflict: Other processes opened its writer at every try.
        DependencyUnavailable: A broker did not answer.
    """

    def cancelled(job: Job, _: Millis) -> Job:
        if not job.state.is_resumable:
            raise InputRefused(f"job {job_id} is {job.state}: there is nothing to cancel")
        return job.ended(JobState.CANCELLED, reason)

    return await _changed(executor, job_id, cancelled, also)


async def set_free(
    executor: Executor,
    job_id: str,
    also: AlsoWritten = lambda _job: (),
    rate: float | None = None,
) -> Job:
    """Free a job without a holder, also a failed one, so that any executor may continue it.

    Args:
        executor: Only its table and topics are used.
        job_id: The job.
        also: As for `cancel`.
        rate: Its new rate, in records a second; None: its present one.

    Returns:
        The job as it is now.

    Raises:
        InputRefused: There is no such job, it cannot be read, or it has ended for good.
        Conflict: An executor holds it.
        DependencyUnavailable: A broker did not answer.
    """

    def free(job: Job, now: Millis) -> Job:
        if not job.state.is_resumable:
            raise InputRefused(f"job {job_id} is {job.state}: there is nothing to continue")
        if lease.is_held(job, now):
            raise Conflict(f"{job.holder or 'an executor'} works on job {job_id} already")
        paced = job.rate if rate is None else rate
        return lease.handed_back(replace(job, state=JobState.RUNNING, reason="", rate=paced), now)

    return await _changed(executor, job_id, free, also)


async def _changed(
    executor: Executor, job_id: str, change: Callable[[Job, Millis], Job], also: AlsoWritten
) -> Job:
    """Write the row that `change` makes of a job's present one, as its only writer."""
    tried = _Tried()
    for left in reversed(range(_TRIES)):
        try:
            return await _try(executor, job_id, change, tried, also)
        except ProducerFenced as fenced:
            if not left:
                raise Conflict(f"other processes changed job {job_id}: try again") from fenced
        except DependencyUnavailable:
            if not left:
                raise
    raise Conflict(f"job {job_id} was not changed")


@dataclass(slots=True)
class _Tried:
    """The row of the last write, which may have failed: reading the row again shows whether it did."""

    row: Job | None = None


async def _try(
    executor: Executor,
    job_id: str,
    change: Callable[[Job, Millis], Job],
    tried: _Tried,
    also: AlsoWritten,
) -> Job:
    table = executor.table
    now = await table.now()
    found = required(await table.read(job_id), job_id)
    if found == tried.row:
        return found
    # A refusal must come before it fences the holder.
    change(found, now)
    writer = await table.open_writer(job_id)
    try:
        tried.row = change(required(await table.read(job_id), job_id), now)
        row = OutgoingRecord(executor.topics.jobs, job_id.encode(), tried.row.encode())
        await writer.write([row, *also(tried.row)])
        return tried.row
    finally:
        await writer.close()
