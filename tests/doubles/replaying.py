"""A world for replays in memory: tables, event topics, jobs, and workers that end what was written."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from tests.doubles.clock import LoopClock
from tests.doubles.codec import JsonCodec, json_value
from tests.doubles.jobs import TOPICS, JobsBroker, Process
from tests.doubles.offload import OnTheLoop
from tests.doubles.past import PastCluster, PastOf, Written, endings_of, written

from hookstream.core.jobs.job import Job
from hookstream.core.matching.directory import Directory
from hookstream.core.model.instant import HOUR, Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import (
    Endpoint,
    Grant,
    HeldGrant,
    Partner,
    Subscription,
)
from hookstream.core.replay.interval import Interval
from hookstream.core.replay.outstanding import Place
from hookstream.core.replay.request import KIND, ReplayRequest
from hookstream.core.replay.survey import ReplaySurvey
from hookstream.pipeline.job_kind import Executor, RunResult
from hookstream.pipeline.jobs import JobRun
from hookstream.pipeline.past_judge import PastJudge
from hookstream.pipeline.past_reading import FixedEnds, PastReading
from hookstream.pipeline.ports import Offload
from hookstream.pipeline.replay import ReplayKind, ReplayPorts
from hookstream.pipeline.replay_survey import fixed_ends, surveyed

PRICED, ROUTED = "pricing.completed", "routing.created"
CRM = "crm"
BEGAN: Millis = 1_000
"""When the partner was first granted anything."""
DOOR = TOPICS.tier(0)


class Current:
    """Tables that are current, unless a test says otherwise."""

    is_current = True

    def current(self) -> bool:
        return self.is_current


def crm(**changes: object) -> Subscription:
    """The subscription that everything is replayed to."""
    subscription = Subscription(CRM, "acme", Endpoint("https://crm.test/", ()), ("*",), 0)
    return replace(subscription, **changes)  # type: ignore[arg-type]


def acme(*grants: HeldGrant, revision: int = 1) -> Partner:
    """Its partner, with these grants."""
    held = grants or (HeldGrant(Grant(("*",), ("*",)), BEGAN),)
    return Partner("acme", "Acme", held[-1].grant, revision=revision, history=held)


@dataclass
class ReplayWorld:
    """Everything that outlives executors."""

    clock: LoopClock = field(default_factory=LoopClock)
    directory: Directory = field(default_factory=Directory)
    codec: JsonCodec = field(default_factory=lambda: JsonCodec({PRICED: 2, ROUTED: 1}))
    tables: Current = field(default_factory=Current)
    takes: int = 1_000
    offload: Offload = field(default_factory=OnTheLoop)
    waits: list[str] = field(default_factory=list)
    """Why executors paused."""

    def __post_init__(self) -> None:
        """Begin with one subscription and no topic."""
        self.jobs = JobsBroker(self.clock)
        self.past = PastCluster(self.clock)
        self.marked: list[tuple[str, str]] = []
        self.directory.put_partner(acme())
        self.directory.put_subscription(crm())

    async def mark_incomplete(self, subscription_id: str, job_id: str) -> None:
        """Implements `ReplayPorts.mark_incomplete`."""
        self.marked.append((subscription_id, job_id))

    def event(
        self,
        topic: str,
        timestamp: Millis,
        event_id: str = "e",
        *,
        event_type: str = PRICED,
        environment: str = "live",
        data: JsonObject | None = None,
        version: int = 1,
        partition: int = 0,
    ) -> int:
        """Append an event and return its offset."""
        value = json_value(
            event_type, event_id, environment=environment, data=data, version=version
        )
        return self.past.append(topic, value, timestamp, partition)

    def process(self) -> Process:
        return Process(self.jobs)

    def executor(self, name: str, process: Process | None = None) -> Executor:
        """Return an executor of its own process."""
        process = process or self.process()
        kind = ReplayKind(partial(self._ports, process))
        return Executor(
            name,
            TOPICS,
            process,
            {kind.name: kind},
            self.clock,
            waiting=lambda _, why: self.waits.append(why),
        )

    @asynccontextmanager
    async def _ports(self, process: Process) -> AsyncIterator[ReplayPorts]:
        yield ReplayPorts(
            topics=TOPICS,
            log=PastOf(process, self.past, self.takes),
            endings=lambda job, _, at: endings_of(process, self.past, job, at),
            directory=self.directory,
            tables=self.tables,
            tables_read=process.point,
            codec=self.codec,
            offload=self.offload,
            clock=self.clock,
            grace=HOUR,
            mark_incomplete=self.mark_incomplete,
        )

    async def run(
        self, job: Job | None = None, stop: asyncio.Event | None = None, name: str = "a"
    ) -> RunResult:
        """Run a replay, a new one or one that is known."""
        running = JobRun(self.executor(name), stop or asyncio.Event())
        if job is not None and job.id not in self.jobs.rows:
            return await running.start(job)
        return await running.resume("replay-1", wait=True, asked=True)

    async def survey(self, request: ReplayRequest) -> tuple[ReplaySurvey, FixedEnds]:
        """Count what a replay would do."""
        log = PastOf(self.process(), self.past, self.takes)
        judge = PastJudge(self.codec, self.directory, OnTheLoop(), request)
        waiting = self.waits.append
        fixed = await fixed_ends(log, request, waiting, asyncio.sleep)
        async with PastReading(log, judge, self.clock) as reading:
            until = request.interval.until
            found = await surveyed(reading, fixed, until, lambda _: None, waiting, asyncio.sleep)
        return found, fixed

    @property
    def written(self) -> list[Written]:
        """The tier records that were written."""
        return written(self.jobs, DOOR)

    async def deliver(
        self,
        every: float = 0.5,
        most: int = 1_000_000,
        out: Callable[[int], None] = lambda _: None,
    ) -> None:
        """End deliveries, the oldest first, until cancelled; `out` hears how many are out."""
        done = 0
        while True:
            found = self.written
            out(len(found) - done)
            for each in found[done : done + most]:
                self.past.ended.append((each.job, each.place))
            done = min(len(found), done + most)
            await asyncio.sleep(every)

    def places(self) -> list[Place]:
        """Return the places of what was written, sorted."""
        return sorted(each.place for each in self.written)


def replay_job(since: Millis, until: Millis, job_id: str = "replay-1", **changes: object) -> Job:
    """A job that was just asked for."""
    rate = changes.pop("rate", None)
    request = ReplayRequest(CRM, Interval(since, until), **changes)  # type: ignore[arg-type]
    assert rate is None or isinstance(rate, float)
    return Job(job_id, KIND, request.document(), until, rate=rate)
