"""Executes a job: claims its lease, writes the steps of its kind, renews the lease, and ends the job.

1. The row is read. If another executor holds the job, nothing happens.
2. The job's writer is opened, which fences any other process and aborts its open transaction; the row is read
   again, and the claim is written. From here on no other process can have written.
3. The kind is asked for steps. Each is one transaction: its records, and the job's row with progress and lease.
   While nothing is written (a slow step, a pause, a rate), the row is renewed.
4. A holder whose lease is over by its own clock, or that was fenced, writes nothing more.
5. If the end of a transaction is unknown, the writer is closed and the job is continued like any other: from 1.,
   with a new writer of the same transactional id, from the row as it is then.
6. At a stop, or if it is another job's turn, the lease is handed back: any executor may continue at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

from hookstream.core.jobs import lease, turns
from hookstream.core.jobs.job import Job, JobState, first_row
from hookstream.core.jobs.row_problem import RowProblem
from hookstream.core.jobs.step import JobEnd, JobPause, JobStep, JobWait, NextStep
from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.record import OutgoingRecord
from hookstream.errors import (
    ConfigurationError,
    Conflict,
    DependencyUnavailable,
    InputRefused,
    InvariantBroken,
    ProducerFenced,
)
from hookstream.pipeline.job_kind import Executor, JobKind, JobWork, RunEnd, RunResult, StepWriter
from hookstream.pipeline.lease_clock import LeaseClock

T = TypeVar("T")

LOOK_AGAIN = 1.0
"""Seconds between two checks of a job that another executor holds."""
FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 10.0
"""Seconds before a job is continued after an error of the brokers; they double from the first."""
_NOTHING = 0.001
"""Shorter waits than this many seconds are left out: sums of floats fall short of a due time by less."""


class _Stopped(Exception):
    """Raised if an executor that was asked to stop would continue."""


class _LeaseOver(Exception):
    """Raised if a holder whose lease is over would write."""


class Seen(NamedTuple):
    """A revision of a job, and since when it is known to be the newest."""

    revision: int
    since: float
    """In seconds since boot."""


@dataclass(eq=False)
class JobRun:
    """One executor's work on one job, from its claim to its end. Use it once."""

    executor: Executor
    stop: asyncio.Event
    """Set it to end the work at the next point where no step is half done."""
    _writer: StepWriter | None = None
    _newest: Job | None = None
    """The newest known row."""
    _claimed: bool = False
    """Whether `_newest` was written by this writer."""
    _creates: bool = False
    """Whether the job did not exist when this run opened its writer."""
    _written: float = 0.0
    """When the row was last written, by the monotonic clock."""
    _since: float = 0.0
    _sent: int = 0
    """The records written since then, for the rate."""
    _failing_since: float | None = None
    """Since when the brokers fail, by the monotonic clock; None: the last write succeeded."""
    _clock: LeaseClock = field(init=False)

    def __post_init__(self) -> None:
        """Start without the brokers' time."""
        self._clock = LeaseClock(self.executor.clock)

    # Claims.

    async def start(self, job: Job) -> RunResult:
        """Create a job and work on it.

        Raises:
            Conflict: There is a job of this id.
            InputRefused: Its row would be too large.
            ConfigurationError: Kafka's set-up must change.
            DependencyUnavailable: For longer than the executor's patience.
        """
        first_row(job)
        return await self._guarded(lambda: self._create(job))

    async def resume(
        self,
        job_id: str,
        *,
        wait: bool = False,
        asked: bool = False,
        rate: float | None = None,
        seen: Seen | None = None,
    ) -> RunResult:
        """Take over a job that has no holder, and work on it.

        Args:
            job_id: The job.
            wait: Whether to wait for the end of another executor's lease.
            asked: Whether an operator requested it: only then are jobs continued that have failed, or whose row
                was written by a release before leases.
            rate: Its new rate; None: its present one.
            seen: Since when its revision is known.

        Raises:
            InputRefused: There is no such job, it cannot be read, or its kind is not known.
            ConfigurationError: Kafka's set-up must change.
            DependencyUnavailable: For longer than the executor's patience.
        """
        return await self._guarded(
            lambda: self._take_over(job_id, rate, wait=wait, asked=asked, seen=seen)
        )

    async def _guarded(self, begin: Callable[[], Awaitable[RunResult | None]]) -> RunResult:
        """Begin and work; repeat that while the brokers fail."""
        backoff = FIRST_BACKOFF
        while True:
            try:
                result = await self._once(begin)
                if result.behind is None or not self.executor.waits:
                    return result
                begin = partial(self._in_turn, result.job.id, result.behind)
            except DependencyUnavailable:
                now = self.executor.clock.monotonic()
                if self._failing_since is None:
                    self._failing_since, backoff = now, FIRST_BACKOFF
                patience = self.executor.patience
                if patience is not None and now - self._failing_since >= patience:
                    raise
                if not await self._sleep(backoff):
                    if self._newest is None:
                        raise
                    return RunResult(RunEnd.STOPPED, self._newest)
                backoff = min(2 * backoff, LONGEST_BACKOFF)

    async def _once(self, begin: Callable[[], Awaitable[RunResult | None]]) -> RunResult:
        self._claimed = False
        try:
            over = await begin()
            return await self._work() if over is None else over
        except (_LeaseOver, ProducerFenced):
            return await self._lost()
        except DependencyUnavailable:
            raise
        except Exception:
            # A defect of the kind, or a configuration that ends every job: another executor may try at once.
            await self._hand_back()
            raise
        finally:
            await self._close()

    async def _create(self, job: Job) -> RunResult | None:
        """Write the first row of a job, which claims it."""
        table = self.executor.table
        found = await table.read(job.id)
        if found is not None and self._creates:
            # The transaction whose end was unknown had been committed.
            return await self._take_over(job.id)
        if found is not None:
            raise Conflict(f"there is a job {job.id} already")
        self._known_kind(job)
        await self._ask_time()
        self._creates = True
        self._writer = await table.open_writer(job.id)
        first = replace(job, revision=job.revision - 1)
        await self._write((), self._claim(first))
        return None

    async def _take_over(
        self,
        job_id: str,
        rate: float | None = None,
        *,
        wait: bool = False,
        asked: bool = False,
        seen: Seen | None = None,
    ) -> RunResult | None:
        """Claim a job that has no holder; None: it is claimed."""
        over = await self._free(job_id, wait=wait, asked=asked, seen=seen)
        if over is not None:
            return over
        self._known_kind(self._held)
        self._writer = await self.executor.table.open_writer(job_id)
        # All other writers are fenced, so the row that is read now stays. It may differ from the earlier one, if
        # another executor or a `cancel` came first; of that, only an end matters.
        fenced = await self._read(job_id)
        if not _continues(fenced, asked=asked):
            return RunResult(RunEnd.ENDED, fenced)
        rate = fenced.rate if rate is None else rate
        running = replace(fenced, state=JobState.RUNNING, rate=rate)
        await self._write((), self._claim(running))
        return None

    async def _free(
        self, job_id: str, *, wait: bool, asked: bool, seen: Seen | None
    ) -> RunResult | None:
        """Read a job until it may be claimed; None: it may be claimed."""
        while True:
            job = await self._read(job_id)
            if not _continues(job, asked=asked):
                return RunResult(RunEnd.ENDED, job)
            if seen is None or job.revision != seen.revision:
                seen = Seen(job.revision, self._clock.boot)
            now = await self._ask_time()
            if job.state is not JobState.RUNNING:
                return None
            unchanged = self._clock.boot - seen.since
            if lease.may_claim(job, self.executor.name, now, unchanged):
                return RunResult(RunEnd.HELD, job) if lease.is_left(job) and not asked else None
            if not wait:
                return RunResult(RunEnd.HELD, job)
            until = "" if job.held_until is None else f" until {to_rfc3339(job.held_until)}"
            self.executor.waiting(job, f"{job.holder or 'an executor'} holds it{until}")
            self._failing_since = None
            if not await self._sleep(LOOK_AGAIN):
                return RunResult(RunEnd.STOPPED, job)

    async def _in_turn(self, job_id: str, behind: Job) -> RunResult | None:
        """Claim a job again once the job is over for which it was handed back; None: it is claimed."""
        other: Job | RowProblem | None = behind
        clock = self.executor.clock
        left_since = clock.monotonic()
        while True:
            job = await self._read(job_id)
            if job.state is not JobState.RUNNING:
                return RunResult(RunEnd.ENDED, job)
            if isinstance(other, Job) and turns.is_at_work(other):
                left_since = clock.monotonic()
            if turns.may_claim_again(job, other, clock.monotonic() - left_since):
                return await self._take_over(job_id, wait=True)
            self.executor.waiting(job, turns.words(behind))
            self._failing_since = None
            if not await self._sleep(LOOK_AGAIN):
                return RunResult(RunEnd.STOPPED, job)
            other = await self.executor.table.read(behind.id)

    async def _read(self, job_id: str) -> Job:
        self._newest = required(await self.executor.table.read(job_id), job_id)
        return self._newest

    @property
    def _held(self) -> Job:
        if self._newest is None:
            raise InvariantBroken("a job is worked on before it was read")
        return self._newest

    def _known_kind(self, job: Job) -> JobKind:
        kind = self.executor.kinds.get(job.kind)
        if kind is None:
            known = ", ".join(sorted(self.executor.kinds)) or "none"
            raise InputRefused(
                f"job {job.id} is of the kind {job.kind!r}, which this release does not know"
                f" (it knows: {known}): continue it with the release that created it"
            )
        return kind

    # Steps.

    async def _work(self) -> RunResult:
        try:
            async with self._known_kind(self._held).open(self._held) as work:
                try:
                    return await self._steps(work)
                except _Stopped:
                    # Before the work is closed, which may take a while.
                    await self._hand_back()
                    return RunResult(RunEnd.STOPPED, self._held)
        except ConfigurationError as error:
            if self._held.holder != self.executor.name:
                # It has ended or was handed back: the error came when the work was closed.
                raise
            failed = self._held.ended(JobState.FAILED, str(error))
            try:
                await self._write((), failed)
            except ProducerFenced:
                raise
            except (DependencyUnavailable, InvariantBroken):
                # The first error came from the writer itself: it says more than its consequence.
                raise error from None
            return RunResult(RunEnd.ENDED, failed, error)

    async def _steps(self, work: JobWork) -> RunResult:
        self._sent, self._since = 0, self.executor.clock.monotonic()
        while True:
            found = await self._meanwhile(work.next(self._held))
            match found:
                case JobStep():
                    await self._pace()
                    refused = await self._write(found.records, self._after(found))
                    if refused:
                        await work.refused(found, refused)
                    else:
                        self._sent += found.done
                        await work.committed(found)
                case JobPause():
                    self.executor.waiting(self._held, found.why)
                    await self._wait(found.seconds)
                case JobWait():
                    back = lease.handed_back(self._held, self._clock.now())
                    return await self._over(
                        found, RunResult(RunEnd.WAITS, back, behind=found.behind)
                    )
                case JobEnd():
                    ended = self._held.ended(found.state, found.reason)
                    return await self._over(found, RunResult(RunEnd.ENDED, ended))

    async def _over(self, last: JobWait | JobEnd, result: RunResult) -> RunResult:
        """Write the last row of this work, and return the result."""
        if await self._write(last.records, result.job):
            raise InvariantBroken(f"the last step of job {result.job.id} is too large")
        return result

    def _after(self, step: JobStep) -> Job:
        """Return the row that a step writes."""
        job = self._claim(self._held)
        counts = dict(job.counts)
        for name, more in step.counts.items():
            counts[name] = counts.get(name, 0) + more
        if step.note:
            job = job.noted(self._clock.now(), step.note)
        return replace(
            job,
            done=job.done + step.done,
            total=job.total if step.total is None else step.total,
            counts=counts,
            reached=job.reached if step.reached is None else step.reached,
        )

    async def _meanwhile(self, asked: Coroutine[object, object, NextStep]) -> NextStep:
        """Return the answer of a kind, and renew the lease until it comes."""
        if self.stop.is_set():
            asked.close()  # A task that is cancelled before its first iteration would not run it.
            raise _Stopped
        async with asyncio.TaskGroup() as tasks:
            answer = tasks.create_task(_caught(asked))
            stopped = tasks.create_task(self.stop.wait())
            kept = await _caught(self._keep(answer, stopped))
            answer.cancel()
            stopped.cancel()
        found = kept if isinstance(kept, Exception) else answer.result()
        if isinstance(found, Exception):
            raise found
        return found

    async def _keep(self, answer: "asyncio.Task[Any]", stopped: "asyncio.Task[Any]") -> None:
        """Renew the lease until an answer comes.

        Raises:
            _Stopped: The executor was asked to stop.
        """
        while not answer.done():
            if self.stop.is_set():
                raise _Stopped
            await asyncio.wait(
                (answer, stopped),
                timeout=self._until_renewal(),
                return_when=asyncio.FIRST_COMPLETED,
            )
            await self._renew()

    async def _pace(self) -> None:
        """Wait until the rate allows the next step; the first step is written at once."""
        rate = self._held.rate
        if rate is not None:
            due = self._since + self._sent / rate
            await self._wait(due - self.executor.clock.monotonic())
        if self.stop.is_set():
            raise _Stopped

    async def _wait(self, seconds: float) -> None:
        """Wait, and renew the lease meanwhile."""
        clock = self.executor.clock
        until = clock.monotonic() + seconds
        while (left := until - clock.monotonic()) > _NOTHING:
            if not await self._sleep(min(left, self._until_renewal())):
                raise _Stopped
            await self._renew()

    async def _sleep(self, seconds: float) -> bool:
        """Wait; return False at once when the executor is asked to stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self.stop.wait()
        return not self.stop.is_set()

    # Writes.

    def _until_renewal(self) -> float:
        return max(
            0.0,
            self._written
            + lease.renew_every(self.executor.lease)
            - self.executor.clock.monotonic(),
        )

    async def _renew(self) -> None:
        """Write the row if nothing else was written for a while."""
        if self._until_renewal() <= _NOTHING:
            await self._write((), self._claim(self._held))

    async def _write(self, records: Sequence[OutgoingRecord], job: Job) -> Sequence[int]:
        """Write records with the job's row; return the positions of those that are too large.

        Raises:
            ProducerFenced: Another process opened the writer.
            _LeaseOver: The lease was over before anything was written.
            DependencyUnavailable: It is unknown whether it was written.
        """
        if self._writer is None:
            raise InvariantBroken("a job is written without its writer")
        if self._claimed and lease.is_over(self._held, self._clock.now()):
            raise _LeaseOver
        row = OutgoingRecord(self.executor.topics.jobs, job.id.encode(), job.encode())
        written = await self._writer.write([*records, row])
        if written.refused:
            refused = [at for at in written.refused if at < len(records)]
            if not refused:
                raise InvariantBroken(f"the row of job {job.id} is larger than its topic takes")
            return refused
        if written.appended_at is not None:
            self._clock.learn(written.appended_at)
        self._newest, self._claimed, self._failing_since = job, True, None
        self._written = self.executor.clock.monotonic()
        self.executor.show(job)
        return ()

    async def _hand_back(self) -> None:
        """Hand the job back, if that is possible: otherwise its lease runs out."""
        if self._claimed and self._held.state is JobState.RUNNING:
            with suppress(_LeaseOver, ProducerFenced, DependencyUnavailable):
                await self._write((), lease.handed_back(self._held, self._clock.now()))

    async def _lost(self) -> RunResult:
        """Return the result of a job that another process took over."""
        job = self._held
        with suppress(DependencyUnavailable):
            found = await self.executor.table.read(job.id)
            job = found if isinstance(found, Job) else job
        return RunResult(RunEnd.LOST if job.state is JobState.RUNNING else RunEnd.ENDED, job)

    async def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.close()

    def _claim(self, job: Job) -> Job:
        """Return the next row of a job that this executor holds."""
        return lease.held(job, self.executor.name, self._clock.now(), self.executor.lease)

    async def _ask_time(self) -> Millis:
        self._clock.learn(await self.executor.table.now())
        return self._clock.now()


def _continues(job: Job, *, asked: bool) -> bool:
    return job.state is JobState.RUNNING or (asked and job.state.is_resumable)


async def _caught(asked: Coroutine[object, object, T]) -> T | Exception:
    """Return a result or an exception, so that a task group does not wrap the exception."""
    try:
        return await asked
    except Exception as error:  # noqa: BLE001  raised again behind the task group
        return error


def required(found: Job | RowProblem | None, job_id: str) -> Job:
    """Return a job that was read.

    Raises:
        InputRefused: There is no job of that id, or its row cannot be read.
    """
    match found:
        case Job():
            return found
        case RowProblem():
            raise InputRefused(f"the row of job {job_id} cannot be read: {found.why}")
        case None:
            raise InputRefused(f"there is no job {job_id}: see hookstream jobs list")
