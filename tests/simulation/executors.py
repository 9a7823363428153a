"""Jobs of a story: executors that share its time, and are killed, frozen and continued at any await."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from tests.doubles.jobs import JobsBroker, Process, WriterOf, seen_job
from tests.doubles.offload import OnTheLoop
from tests.simulation.expectation import Stretch, of_run
from tests.simulation.headers import attempts_of, is_to_be_matched, origin_of, text_in
from tests.simulation.invariants import EXACT, ONE_WRITER, REPLAYED, WINDOWED
from tests.simulation.link import Link
from tests.simulation.logs import Logs
from tests.simulation.past import StoryPast, endings_of
from tests.simulation.runs import Replay
from tests.simulation.story import Act, Story
from tests.simulation.table_writer import Change
from tests.simulation.tables import View
from tests.simulation.world import SCHEMA_GRACE, Host, Parts

from hookstream.core.jobs import lease, turns
from hookstream.core.jobs.job import Job, JobState
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import OutgoingRecord, TopicPartition
from hookstream.core.model.subscription import Subscription, SubscriptionState
from hookstream.core.planning.gap_fills import GapFill, incomplete
from hookstream.core.planning.lead import ChangeTimes
from hookstream.core.replay import outstanding
from hookstream.core.replay.interval import Interval, settled_after
from hookstream.core.replay.request import KIND, ReplayRequest, read_request
from hookstream.entry.admin.gap_jobs import job_of
from hookstream.errors import ConfigurationError, DependencyUnavailable, HookstreamError
from hookstream.pipeline.job_control import cancel
from hookstream.pipeline.job_kind import Executor, JobKind, StepWriter, Written
from hookstream.pipeline.jobs import JobRun
from hookstream.pipeline.replay import ReplayPorts

if TYPE_CHECKING:
    from tests.simulation.world import World

LEASE: Millis = 6_000
FROZEN = 9.0
"""Seconds for which a process is frozen: beyond the end of its lease."""
ANOTHER_AFTER = 3.0
"""Seconds after which an executor looks again at a job that it lost or could not continue."""
EXECUTORS = 2
"""How many work on a job, or wait for the end of another one's lease."""

CURRENT: ContextVar[Process] = ContextVar("CURRENT")
"""The process in whose task a job is worked on."""

ENDED = frozenset({JobState.DONE, JobState.INCOMPLETE, JobState.CANCELLED, JobState.FAILED})


@dataclass
class StoryJobs(JobsBroker):
    """The jobs table, and the transactions of its writers, at the story's broker."""

    story: "Executors | None" = None
    writers: dict[str, tuple[int, "Process"]] = field(default_factory=dict)
    """By job: the epoch of the writer that committed last, and its process."""

    def append(self, records: Sequence[OutgoingRecord]) -> Millis:
        """Commit a transaction."""
        assert self.story is not None
        now = self.now()
        for record in records:
            if record.topic == self.story.world.topics.jobs:
                key = (record.key or b"").decode()
                before = self.rows.get(key)
                super().append([record])
                self.story.row_written(key, before)
            else:
                self.story.tier_record(record)
        return now


@dataclass(eq=False)
class StoryWriter(WriterOf):
    """The writer of a job, to whose tier records the story's refusals apply."""

    world: "World | None" = None

    async def write(self, records: Sequence[OutgoingRecord]) -> Written:
        assert self.world is not None
        refusals = [self.world.refusal(record) for record in records]
        refused = [at for at, refusal in enumerate(refusals) if refusal is not None]
        if refused and any(not each.too_large for each in refusals if each is not None):
            await self.process.point()
            raise DependencyUnavailable("the topic takes nothing now")
        if refused:
            await self.process.point()
            return Written(refused, None)
        return await super().write(records)


@dataclass(eq=False)
class Worker(Process):
    """The process of one executor. Implements `JobTable`."""

    world: "World | None" = None
    made_as: Callable[..., StepWriter] = StoryWriter
    task: "asyncio.Task[None] | None" = None
    """What it does."""

    async def open_writer(self, job_id: str) -> StepWriter:
        await self.point()
        epoch = self.broker.epochs[job_id] = self.broker.epochs.get(job_id, 0) + 1
        await self.point()
        return self.made_as(self, job_id, epoch, world=self.world)


class Executors(Logs):
    """The acts on jobs, and their checks."""

    def __init__(self, story: Story, parts: Parts, tasks: asyncio.TaskGroup) -> None:
        super().__init__(story, parts, tasks)
        world = self.world
        self.jobs = StoryJobs(world.clock, story=self)
        self._names = itertools.count(1)
        self._given_up: set[str] = set()
        """Jobs that an operator cancelled, as they cannot end."""
        self._working: dict[str, int] = {}
        """By job: how many live executors it has."""
        self._host = Host("an executor", world.clock.now, Link(world.broker.write))
        world.other_hosts.append(self._host)
        world.on_broker = self._broker_is
        self._view: View | None = None
        self.kinds: dict[str, JobKind] = {}
        self._replay_kind = parts.replay(self._ports)
        self.kinds[self._replay_kind.name] = self._replay_kind

    def _broker_is(self, up: bool) -> None:  # noqa: FBT001
        self.jobs.is_away = not up

    # The life of executors.

    def begin(self, job: Job, fates: Sequence[str | int | float] = ()) -> None:
        """Write the first row of a job that nobody holds, and let executors work on it.

        `fates` has two numbers for each: at which point something happens to it, and for how many
        seconds it is frozen then; 0: it is killed.
        """
        now = self.world.clock.now()
        row = lease.handed_back(job, now)
        self.jobs.append([OutgoingRecord(self.world.topics.jobs, job.id.encode(), row.encode())])
        for number in range(EXECUTORS):
            self.work_on(job.id, fates[2 * number : 2 * number + 2])

    def work_on(self, job_id: str, fate: Sequence[str | int | float] = ()) -> None:
        """Let another executor work on a job."""
        process = Worker(
            self.jobs, world=self.world, made_as=self.world.parts.writer or StoryWriter
        )
        if len(fate) > 1 and fate[0]:
            point, frozen = int(fate[0]), float(fate[1])
            process.at_point[point] = (
                partial(self._freeze, seconds=frozen) if frozen else self._kill
            )
        self._working[job_id] = self._working.get(job_id, 0) + 1
        self.spawn(self._work(job_id, process))

    def _kill(self, process: Process) -> None:
        self.world.ledger.note("an executor is dead")
        process.die()
        if isinstance(process, Worker) and process.task is not None:
            process.task.cancel()

    def _freeze(self, process: Process, seconds: float) -> None:
        self.world.ledger.note(f"an executor is frozen for {seconds:g}s")
        process.freeze()
        asyncio.get_running_loop().call_later(seconds, process.thaw)

    async def _work(self, job_id: str, process: Worker) -> None:
        """Work on a job until it ends, or until the process dies."""
        process.task = asyncio.current_task()
        CURRENT.set(process)
        try:
            await self._run(job_id, process)
        finally:
            self._working[job_id] -= 1

    async def _run(self, job_id: str, process: Process) -> None:
        world = self.world
        number = next(self._names)
        executor = Executor(
            f"executor-{number}",
            world.topics,
            process,
            self.kinds,
            world.clock,
            lease=LEASE,
            waits=number % 2 == 0,
        )
        while self.jobs.job(job_id).state is JobState.RUNNING:
            run = JobRun(executor, asyncio.Event())
            try:
                if executor.waits or not self._has_others_ahead(job_id):
                    await run.resume(job_id, wait=True)
            except ConfigurationError as error:
                world.ledger.note(f"{job_id}: {error}")
            if self.jobs.job(job_id).state is JobState.RUNNING:
                await asyncio.sleep(ANOTHER_AFTER)

    def _has_others_ahead(self, job_id: str) -> bool:
        """Return whether a pool would leave a job alone, by a table that it has read to the end."""
        jobs = [self.jobs.job(each) for each in self._working]
        return turns.JobLine(jobs).ahead(self.jobs.job(job_id)) is not None

    def unfinished(self) -> list[str]:
        """Return the jobs that are running, each with somebody who works on it."""
        jobs = [job for job in map(self.jobs.job, self._working) if job.state is JobState.RUNNING]
        for job in jobs:
            if not self._working[job.id]:
                self.work_on(job.id)
            if self._waits_in_vain(job.id) and job.id not in self._given_up:
                self._given_up.add(job.id)
                self.spawn(self._cancel(job.id))
        return [job.id for job in jobs]

    def _waits_in_vain(self, job_id: str) -> bool:
        """Return whether deliveries are out of which no end is ever audited: an operator skipped their records."""
        ledger = self.world.ledger
        replay = ledger.replays.by_job.get(job_id)
        if replay is None:
            return False
        out = (event for event in replay.written if event not in replay.ended)
        return any(ledger.is_given_up((event, replay.name)) for event in out)

    def do_cancel(self, _: Act) -> None:
        """Cancel the newest job that is running, whoever holds it."""
        running = [job for job in map(self.jobs.job, self._working) if job.state.is_resumable]
        if running and self.world.broker.up.is_set():
            self.spawn(self._cancel(running[-1].id))

    async def _cancel(self, job_id: str) -> None:
        world = self.world
        process = Worker(self.jobs, world=world, made_as=world.parts.writer or StoryWriter)
        executor = Executor("an operator", world.topics, process, {}, world.clock)
        try:
            await cancel(executor, job_id, "by the story")
        except HookstreamError as error:
            world.ledger.note(f"{job_id} is not cancelled: {error}")

    # What they write.

    def row_written(self, key: str, before: tuple[bytes, Millis] | None) -> None:
        """Take over a row of the jobs table."""
        row = self.jobs.rows.get(key)
        found = None if row is None else seen_job(key, *row)
        if not isinstance(found, Job):
            return
        ledger = self.world.ledger
        ledger.note(
            f"{found.id} is {found.state}, revision {found.revision}, held by"
            f" {found.holder or 'nobody'}, {found.done} done {found.reason}"
        )
        earlier = None if before is None else seen_job(key, *before)
        if isinstance(earlier, Job) and found.revision != earlier.revision + 1:
            what = f"revision {found.revision} of {found.id} follows {earlier.revision}"
            ledger.blame(ONE_WRITER, what)
        replay = ledger.replays.by_job.get(found.id)
        if replay is not None:
            self._replay_goes_on(replay, found)
        if found.state in ENDED and (
            not isinstance(earlier, Job) or earlier.state is not found.state
        ):
            self.job_ended(found)

    def tier_record(self, record: OutgoingRecord) -> None:
        """Append a tier record of a step."""
        world = self.world
        replay = world.ledger.replays.by_job.get(text_in(record, "hs-job") or "")
        if replay is not None and text_in(record, "hs-trigger") == "replay":
            self._replayed(replay, record)
        world.broker.append(record.topic, record.value, key=record.key, headers=record.headers)
        world.broker.mark(TopicPartition(record.topic, 0))

    def job_ended(self, job: Job) -> None:
        """Check a job that has just ended."""
        replay = self.world.ledger.replays.by_job.get(job.id)
        if replay is not None and job.state in (JobState.DONE, JobState.INCOMPLETE):
            self._replay_ended(replay, job)

    # Replays.

    def do_replay(self, act: Act) -> None:
        """Replay what came in the last seconds to a subscription; some end in the future.

        With an amount only today's grant is asked.
        """
        world = self.world
        since, until, *fates = act.more
        found = world.subscriptions.get(act.who)
        if found is None or not world.broker.up.is_set():
            return
        now = world.clock.now()
        if now <= found.active_from:
            return  # the command refuses what has not started
        interval = Interval(now - int(since), now + int(until))
        request = ReplayRequest(act.who, interval, as_granted_today=bool(act.amount))
        self._begin_replay(Job(self.new_job(KIND), KIND, request.document(), now), fates)

    def new_job(self, kind: str) -> str:
        return f"{kind}-{len(self.jobs.epochs) + len(self._working)}-{next(self._names)}"

    def fill(
        self, fills: Sequence[GapFill], who: str, fates: Sequence[str | int | float] = ()
    ) -> None:
        """Let replays fill parts of gaps."""
        status = self.world.expectation.statuses[who]
        for each in fills:
            status.filled.append(Stretch(each.start, each.end, each.job))
            self._begin_replay(job_of(who, each, self.world.clock.now()), fates)

    def _begin_replay(self, job: Job, fates: Sequence[str | int | float]) -> None:
        ledger = self.world.ledger
        request = read_request(job.asked)
        status = self.world.expectation.statuses[request.subscription_id]
        now, settles = self.world.clock.now(), settled_after(self.world.brokers, 1)
        replay = Replay(
            job.id,
            status,
            *request.interval,
            now,
            settles,
            fills=request.fills_gap,
            today=request.as_granted_today,
        )
        ledger.replays.add(replay)
        self.begin(job, fates)

    @asynccontextmanager
    async def _ports(self) -> AsyncIterator[ReplayPorts]:
        world = self.world
        if self._view is None:
            self._view = View(world, self._host)
        process = CURRENT.get()
        yield ReplayPorts(
            topics=world.topics,
            log=StoryPast(process, world),
            endings=lambda job, _, at: endings_of(process, world, job, at),
            directory=self._view.directory,
            tables=self._view,
            tables_read=partial(self._view.read_on, process.point),
            codec=world.codec,
            offload=OnTheLoop(),
            clock=world.clock,
            grace=SCHEMA_GRACE,
            mark_incomplete=partial(self._mark_incomplete, process),
        )

    async def _mark_incomplete(self, process: Process, who: str, job_id: str) -> None:
        await process.point()
        world = self.world

        def decide(_: ChangeTimes) -> Change | None:
            found = world.subscriptions.get(who)
            if found is None or found.state is SubscriptionState.DELETED:
                return None
            after = incomplete(found, job_id)
            return None if after is found else Change(partial(append, after))

        def append(after: Subscription) -> None:
            for stretch in world.expectation.statuses[who].filled:
                stretch.incomplete |= stretch.filled_by == job_id
            world.put(after)

        world.writer.change(decide, dated=False)
        await world.writer.idle.wait()
        await process.point()

    def _replayed(self, replay: Replay, record: OutgoingRecord) -> None:
        world = self.world
        ledger = world.ledger
        event = world.expectation.by_origin.get(origin_of(record))
        if event is None:
            ledger.blame(REPLAYED, f"{replay.job} wrote {origin_of(record)}, which is no event")
            return
        identified = not is_to_be_matched(record)
        if event.id in replay.written:
            ledger.blame(REPLAYED, f"{replay.job} wrote {event.id} twice")
        if attempts_of(record):
            ledger.blame(
                EXACT, f"{replay.job} wrote {event.id} with {attempts_of(record)} attempts"
            )
        if not replay.may_write(event, identified=identified):
            ledger.blame(REPLAYED, f"{replay.job} wrote {event.id}, which it may not")
        replay.written[event.id] = identified
        if replay.out > outstanding.WINDOW:
            ledger.blame(WINDOWED, f"{replay.out} deliveries of {replay.job} are out")

    def _replay_goes_on(self, replay: Replay, job: Job) -> None:
        if replay.lows is None and job.reached and job.reached.get("extent") is not None:
            replay.lows = {at: log.low for at, log in self.world.broker.logs.items()}

    def _replay_ended(self, replay: Replay, job: Job) -> None:
        """Check that a replay wrote all that it had to."""
        world = self.world
        for event in world.expectation.events.values():
            if event.id in replay.written or not replay.must_write(event):
                continue
            at = TopicPartition(event.topic, event.partition)
            if (replay.lows or {}).get(at, 0) > event.offset:
                continue  # it was gone before the replay began to read
            gone = world.broker.low(at) > event.offset or world.ledger.too_large
            if job.state is JobState.INCOMPLETE and gone:
                continue
            pair = of_run(event.id, replay.wish.id, replay.job)
            world.ledger.blame(
                REPLAYED, f"{pair[0]} for {pair[1]} was not written, which is {job.state}"
            )
