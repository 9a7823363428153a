"""Operators redrive dead letters, in jobs whose processes may die, while workers run."""

import asyncio

from tests.doubles.clock import LoopClock
from tests.doubles.jobs import JobsBroker, Process
from tests.doubles.redriving import Letters, ThreadOnTheLoop
from tests.doubles.virtual_time import NothingWillHappen, run_within
from tests.simulation.invariants import ONCE
from tests.simulation.logs import Logs
from tests.simulation.story import Act, Story
from tests.simulation.world import Parts

from hookstream.core.jobs.job import Job, JobState
from hookstream.core.jobs.lease import handed_back
from hookstream.core.model.record import Origin, OutgoingRecord, Record, TopicPartition
from hookstream.core.redrive.job import UNREDRIVABLE, RedriveRequest, redrives_of, request_of
from hookstream.core.redrive.ledger import read_ledger
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.redrive.revive import Unredrivable, position_of
from hookstream.core.redrive.selector import Selector, read_selector
from hookstream.pipeline.job_kind import Executor
from hookstream.pipeline.jobs import JobRun
from hookstream.pipeline.redrive import RedriveKind, RedriveMeans

POINTS = 9
"""Awaits after which a process that dies may die, for each one that was drawn."""


class Redrives(Logs):
    """The act `redrive`, and its checks."""

    def __init__(self, story: Story, parts: Parts, tasks: asyncio.TaskGroup) -> None:
        super().__init__(story, parts, tasks)
        self._dead_letters = TopicPartition(self.world.topics.dead_letters, 0)
        self._jobs = JobsBroker()
        self._letters = Letters(
            self._jobs, stored=self.world.broker.logs[self._dead_letters].records
        )
        self._revived: list[tuple[Record, OutgoingRecord]] = []
        """Dead letters and their redriven records."""

    def do_redrive(self, act: Act) -> None:
        """Redrive every open dead letter, of one subscription or all; continue what a dead job left.

        It takes none of the story's time, since a job does not wait for workers; its process may die
        at any await.
        """
        dies_at, rate = act.more
        world = self.world
        refusal = world.refusals.get("tiers")
        if not world.broker.up.is_set() or (refusal is not None and not refusal.too_large):
            return
        stored = self._letters.stored
        self._jobs.too_large = {r.value for r in stored if r.value} if refusal else set()
        self._jobs.clock = LoopClock(world.clock.now())
        job = self._job(act.who, float(rate) or None)
        ended = None
        try:
            ended = run_within(self._run(job.id, int(dies_at)))
        except NothingWillHappen:
            world.ledger.note(f"{job.id} dies")
        self._through_the_door()
        self._compare(job, None if ended is None else ended.counts.get(UNREDRIVABLE, 0))

    async def _run(self, job_id: str, dies_at: int) -> Job:
        """Work on a job by a new process, once the lease of a dead one is over."""
        process = Process(self._jobs)
        if dies_at:
            process.at_point[dies_at * POINTS - len(self._jobs.revisions) % POINTS] = Process.die
        kind = RedriveKind(
            self.world.topics, self.world.clock, self._means, offload=ThreadOnTheLoop
        )
        executor = Executor(
            f"process-{len(self._jobs.revisions)}",
            self.world.topics,
            process,
            {kind.name: kind},
            self._jobs.clock,
        )
        return (await JobRun(executor, asyncio.Event()).resume(job_id, wait=True)).job

    def _means(self, request: RedriveRequest) -> RedriveMeans:
        selector = read_selector(request.selector, request.source)
        return RedriveMeans(
            self._letters,
            lambda dead_letter: selector.selects(dead_letter.headers, dead_letter.timestamp),
            self._revive,
        )

    def _job(self, who: str, rate: float | None) -> Job:
        """Return the job that a dead process left, or a new one."""
        jobs, _ = redrives_of(self._letters.jobs())
        for job, _ in jobs:
            if job.state is JobState.RUNNING:
                return job
        asked = Selector(subscriptions=frozenset({who}) if who else None)
        now = self.world.clock.now()
        ends = {0: self.world.broker.high(self._dead_letters)}
        request = RedriveRequest(RedriveSource.DEAD_LETTERS, asked.row(), ends)
        job = handed_back(request.job(f"redrive-{len(jobs)}", now, 0, rate), now)
        self._jobs.rows[job.id] = (job.encode(), now)
        return job

    def _revive(self, dead_letter: Record) -> OutgoingRecord | Unredrivable:
        world = self.world
        revival = world.parts.revival(world.topics.tier(0), self._read_origin, world.clock.now)
        revived = revival.delivery(dead_letter)
        if isinstance(revived, OutgoingRecord):
            self._revived.append((dead_letter, revived))
        return revived

    def _read_origin(self, origin: Origin) -> Record | None:
        log = self.world.broker.logs[TopicPartition(origin.topic, origin.partition)]
        return next((r for r in log.since(origin.offset, 1) if r.offset == origin.offset), None)

    def _through_the_door(self) -> None:
        """Append what whole steps wrote."""
        world = self.world
        for written in self._letters.door:
            dead_letter = next(
                dead_letter for dead_letter, revived in self._revived if revived is written
            )
            world.broker.append(
                written.topic, written.value, key=written.key, headers=written.headers
            )
            world.ledger.redriven(dead_letter, written)
        if self._letters.door:
            world.broker.mark(TopicPartition(world.topics.tier(0), 0))
        self._jobs.records.clear()
        self._revived.clear()

    def _compare(self, job: Job, unredrivable: int | None) -> None:
        """Compare the jobs table with what was redriven; None: the job died, so more may be open."""
        ledger = self.world.ledger
        request = request_of(job)
        assert isinstance(request, RedriveRequest)
        selector = read_selector(request.selector, request.source)
        book, _ = read_ledger(self._letters.jobs())
        left = 0
        for dead_letter in self._letters.stored:
            is_open = ledger.dead_letters.is_open((dead_letter.where, dead_letter.offset))
            if is_open is not book.is_open(RedriveSource.DEAD_LETTERS, position_of(dead_letter)):
                ledger.blame(
                    ONCE,
                    f"dead letter {dead_letter.offset} is open in one model and not in the other",
                )
            asked = dead_letter.offset < request.ends[0]
            left += (
                asked and is_open and selector.selects(dead_letter.headers, dead_letter.timestamp)
            )
        if unredrivable is not None and left != unredrivable:
            ledger.blame(ONCE, f"{job.id} is done, and {left} of its dead letters are open")
