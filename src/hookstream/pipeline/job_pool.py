"""Takes over jobs without a holder, several at once, until it is asked to stop."""

import asyncio
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from hookstream.core.jobs import lease, turns
from hookstream.core.jobs.book import JobBook
from hookstream.core.jobs.job import Job, JobState
from hookstream.core.model.instant import Millis
from hookstream.errors import DependencyUnavailable, HookstreamError
from hookstream.pipeline.job_kind import Executor, RunEnd, RunResult
from hookstream.pipeline.jobs import JobRun, Seen
from hookstream.pipeline.lease_clock import LeaseClock
from hookstream.pipeline.ports import Chance, Logger

LOOK_EVERY = 1.0
"""Seconds between two checks of the table, on average."""
ASK_EVERY = 10.0
"""Seconds for which a broker's timestamp is used, while there are jobs that may become free."""
FIRST_REST = 30.0
LONGEST_REST = 600.0
"""Seconds for which a job that could not be worked on is left alone; they double from the first."""
TURN_REST = 5.0
"""Seconds for which a job that was handed back for another one's turn is left alone. Usually the table shows
whose turn it is, and such a job is not even claimed."""
_LONGEST_STACK = 4_000


@dataclass(eq=False)
class JobPool:
    """The jobs on which one process works."""

    executor: Executor
    book: JobBook
    """Follows the jobs table."""
    at_once: int
    """How many jobs are worked on at once."""
    chance: Chance
    logger: Logger
    stop: asyncio.Event
    """Set it to hand every job back, and to end."""
    active: dict[str, JobRun] = field(default_factory=dict)
    """The jobs that are worked on, by id."""
    _seen: dict[str, Seen] = field(default_factory=dict)
    _rest: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Jobs that are left alone: until when, and the length of this rest, which doubles for a job that could not be
    worked on; 0: it was another job's turn."""
    _runs: int = 0
    _asked_at: float = float("-inf")
    _clock: LeaseClock = field(init=False)

    def __post_init__(self) -> None:
        """Start without the brokers' time."""
        self._clock = LeaseClock(self.executor.clock)

    async def run(self) -> None:
        """Take jobs over until `stop` is set, and until each of them is handed back.

        Raises:
            ConfigurationError: The brokers' clock cannot be read, because of the jobs topic or an ACL.
        """
        async with asyncio.TaskGroup() as tasks:
            while not self.stop.is_set():
                for job, seen in await self._free():
                    tasks.create_task(self._work(job, seen))
                # Executors that check at the same moment would fence each other.
                seconds = LOOK_EVERY * (0.5 + self.chance.fraction())
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self.stop.wait()

    def gauges(self) -> Mapping[str, float]:
        """Return the gauges about jobs, by name; the machine's clock is used while the brokers' is unknown."""
        known = self._asked_at > float("-inf")
        now = self._clock.now() if known else self.executor.clock.now()
        return self.book.gauges(now) | {"hookstream_jobs_held": float(len(self.active))}

    async def _free(self) -> list[tuple[Job, Seen]]:
        """Return jobs that may be claimed now, oldest first, as many as there is room for."""
        room = self.at_once - len(self.active)
        maybe = self._candidates()
        if room <= 0 or not maybe:
            return []
        now = await self._now()
        if now is None:
            return []
        found: list[tuple[Job, Seen]] = []
        for job in maybe:
            seen = self._seen[job.id]
            unchanged = self._clock.boot - seen.since
            # No name: a lost lease of ours ends like any other. It may have been taken by a `cancel` that has
            # not written yet.
            if lease.may_claim(job, "", now, unchanged):
                found.append((job, seen))
        return found[:room]

    def _candidates(self) -> list[Job]:
        boot, running = self._clock.boot, self.book.running
        for job in running.values():
            seen = self._seen.get(job.id)
            if seen is None or seen.revision != job.revision:
                self._seen[job.id] = Seen(job.revision, boot)
        for known in (self._seen, self._rest):
            for job_id in [each for each in known if each not in running]:
                del known[job_id]
        line = turns.JobLine(self._in_line())
        maybe = [
            job
            for job in running.values()
            if job.id not in self.active
            and job.kind in self.executor.kinds
            and not lease.is_left(job)
            and boot >= self._rest.get(job.id, (0.0, 0.0))[0]
            and line.ahead(job) is None
        ]
        return sorted(maybe, key=lambda job: (job.asked_at, job.id))

    def _in_line(self) -> Iterator[Job]:
        """Yield the running jobs, except those that could not be worked on: no other job waits for these."""
        for job in self.book.running.values():
            if turns.is_at_work(job) or not self._rest.get(job.id, (0.0, 0.0))[1]:
                yield job

    async def _now(self) -> Millis | None:
        """Return the brokers' time; None: no broker answers, so it is not known."""
        if self._clock.boot - self._asked_at >= ASK_EVERY:
            try:
                self._clock.learn(await self.executor.table.now())
            except DependencyUnavailable as error:
                self.logger.warning("jobs.clock_unknown", detail=str(error))
                return None
            self._asked_at = self._clock.boot
        return self._clock.now()

    async def _work(self, job: Job, seen: Seen) -> None:
        """Work on a job, and log the result."""
        self._runs += 1
        name = f"{self.executor.name}.{self._runs}"
        run = self.active[job.id] = JobRun(
            replace(self.executor, name=name, waits=False), self.stop
        )
        try:
            self._ended(await run.resume(job.id, seen=seen))
        except MemoryError:
            raise
        except HookstreamError as error:
            self._leave(job, str(error))
        except Exception as error:  # noqa: BLE001  one job's defect must not end the others
            stack = "".join(traceback.format_exception(error))[-_LONGEST_STACK:]
            self._leave(job, repr(error), stack=stack)
        finally:
            del self.active[job.id]

    def _ended(self, result: RunResult) -> None:
        job = result.job
        self._rest.pop(job.id, None)
        fields: dict[str, str | float | None] = {
            "job_id": job.id,
            "kind": job.kind,
            "done": job.done,
            "total": job.total,
        }
        match result.why:
            case RunEnd.ENDED if job.state is JobState.FAILED:
                self.logger.error("job.failed", **fields, detail=job.reason)
            case RunEnd.ENDED:
                self.logger.info("job.ended", **fields, state=job.state, detail=job.reason)
            case RunEnd.STOPPED:
                self.logger.info("job.handed_back", **fields)
            case RunEnd.LOST:
                self.logger.warning("job.lost", **fields, holder=job.holder)
            case RunEnd.WAITS:
                self._rest[job.id] = (self._clock.boot + TURN_REST, 0.0)
            case RunEnd.HELD:
                pass

    def _leave(self, job: Job, why: str, **more: str) -> None:
        _, last = self._rest.get(job.id, (0.0, 0.0))
        rest = min(LONGEST_REST, 2 * last) if last else FIRST_REST
        self._rest[job.id] = (self._clock.boot + rest, rest)
        self.logger.error(
            "job.not_run", job_id=job.id, kind=job.kind, detail=why, seconds=rest, **more
        )
