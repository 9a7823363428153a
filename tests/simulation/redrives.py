"""Operators redrive dead letters, in jobs whose processes may die, while workers run."""

import asyncio

from tests.doubles.redriving import ProcessDied, Shop, StepsOf
from tests.simulation.invariants import ONCE
from tests.simulation.logs import Logs
from tests.simulation.story import Act, Story
from tests.simulation.world import Parts

from hookstream.core.model.record import Origin, OutgoingRecord, Record, TopicPartition
from hookstream.core.redrive.job import JobState, RedriveJob, jobs_of
from hookstream.core.redrive.marks import RedriveSource, read_ledger
from hookstream.core.redrive.revive import Unredrivable, position_of
from hookstream.core.redrive.selector import Selector, read_selector
from hookstream.pipeline.redrive import Redriving


class Redrives(Logs):
    """The act `redrive`, and its checks."""

    def __init__(self, story: Story, parts: Parts, tasks: asyncio.TaskGroup) -> None:
        super().__init__(story, parts, tasks)
        self._dead_letters = TopicPartition(self.world.topics.dead_letters, 0)
        self._shop = Shop(
            self.world.topics.jobs, stored=self.world.broker.logs[self._dead_letters].records
        )
        self._revived: list[tuple[Record, OutgoingRecord]] = []
        """Dead letters and their redriven records."""

    def do_redrive(self, act: Act) -> None:
        """Redrive every open dead letter, of one subscription or all; continue what a dead job left.

        It takes no time, since a job does not wait for workers; its process may die at a write.
        """
        dies_at, rate = act.more
        world = self.world
        refusal = world.refusals.get("tiers")
        if not world.broker.up.is_set() or (refusal is not None and not refusal.too_large):
            return
        stored = self._shop.stored
        self._shop.too_large = {r.value for r in stored if r.value} if refusal else set()
        steps = StepsOf(self._shop, dies_at=int(dies_at) or None)
        job = self._job(act.who)
        selector = read_selector(job.selector, job.source)
        redriving = Redriving(
            world.topics,
            self._shop,
            steps,
            world.clock,
            lambda _: None,
            job,
            lambda dead_letter: selector.selects(dead_letter.headers, dead_letter.timestamp),
            self._revive,
            lambda _: None,
            float(rate) or None,
        )
        left = None
        try:
            left = redriving.run().unredrivable
        except ProcessDied:
            world.ledger.note(f"{job.id} dies")
        self._through_the_door()
        self._compare(job, selector, left)

    def _job(self, who: str) -> RedriveJob:
        jobs, _ = jobs_of(self._shop.jobs())
        for job in jobs:
            if job.state is JobState.RUNNING:
                return job
        asked = Selector(subscriptions=frozenset({who}) if who else None)
        return RedriveJob(
            id=f"redrive-{len(jobs)}",
            source=RedriveSource.DEAD_LETTERS,
            selector=asked.row(),
            asked_at=self.world.clock.now(),
            ends={0: self.world.broker.high(self._dead_letters)},
        )

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
        for written in self._shop.door:
            dead_letter = next(
                dead_letter for dead_letter, revived in self._revived if revived is written
            )
            world.broker.append(
                written.topic, written.value, key=written.key, headers=written.headers
            )
            world.ledger.redriven(dead_letter, written)
        if self._shop.door:
            world.broker.mark(TopicPartition(world.topics.tier(0), 0))
        self._shop.door.clear()
        self._revived.clear()

    def _compare(self, job: RedriveJob, selector: Selector, unredrivable: int | None) -> None:
        """Compare the jobs table with what was redriven; None: the job died, so more may be open."""
        ledger = self.world.ledger
        book, _ = read_ledger(self._shop.jobs())
        left = 0
        for dead_letter in self._shop.stored:
            is_open = ledger.dead_letters.is_open((dead_letter.where, dead_letter.offset))
            if is_open is not book.is_open(RedriveSource.DEAD_LETTERS, position_of(dead_letter)):
                ledger.blame(
                    ONCE,
                    f"dead letter {dead_letter.offset} is open in one model and not in the other",
                )
            asked = dead_letter.offset < job.ends[0]
            left += (
                asked and is_open and selector.selects(dead_letter.headers, dead_letter.timestamp)
            )
        if unredrivable is not None and left != unredrivable:
            ledger.blame(ONCE, f"{job.id} is done, and {left} of its dead letters are open")
