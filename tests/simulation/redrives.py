"""Operators redrive and purge dead letters, in jobs whose executors may die, while workers run."""

import asyncio
import itertools
from collections.abc import Callable

from tests.doubles.codec import json_value
from tests.doubles.jobs import seen_job
from tests.doubles.redriving import Letters, ThreadOnTheLoop
from tests.simulation.executors import Executors
from tests.simulation.expectation import Event, Owed
from tests.simulation.headers import origin_of
from tests.simulation.invariants import IN_TURN, ONCE
from tests.simulation.runs import Replay
from tests.simulation.sent_tests import SentTest
from tests.simulation.story import PLAIN, Act, Story
from tests.simulation.world import Parts

from hookstream.core.delivery.identity import delivery_id
from hookstream.core.jobs.job import PURGE, REDRIVE, Job, JobState
from hookstream.core.model.delivery import Delivery
from hookstream.core.model.delivery_headers import read_delivery
from hookstream.core.model.instant import HOUR, Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import (
    Origin,
    OutgoingRecord,
    Record,
    TopicPartition,
    header_text,
)
from hookstream.core.redrive.job import UNREDRIVABLE, RedriveRequest, redrives_of, request_of
from hookstream.core.redrive.ledger import read_ledger
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.redrive.purge import PurgeRequest, purge_of
from hookstream.core.redrive.revive import Unredrivable, position_of
from hookstream.core.redrive.runs import TEST_ENVIRONMENT, TEST_EVENT_ID, Run
from hookstream.core.redrive.selector import Selector, read_selector
from hookstream.pipeline.purge import PurgeKind, PurgeMeans
from hookstream.pipeline.redrive import RedriveKind, RedriveMeans


class Redrives(Executors):
    """The acts `redrive`, `purge`, `resend` and `test`, and their checks."""

    def __init__(self, story: Story, parts: Parts, tasks: asyncio.TaskGroup) -> None:
        super().__init__(story, parts, tasks)
        self._dead_letters = TopicPartition(self.world.topics.dead_letters, 0)
        self._letters = Letters(
            self.jobs, stored=self.world.broker.logs[self._dead_letters].records
        )
        self._read = parts.letters(self.jobs, stored=self._letters.stored)
        """The same, as jobs read it."""
        self._at_work: dict[str, str] = {}
        """By job: the holder that has committed a step, and has neither ended nor lost it since."""
        self._tests = itertools.count(1)
        self._revived: dict[int, tuple[Record, OutgoingRecord]] = {}
        """Dead letters and their redriven records, by the identity of those."""
        topics, clock = self.world.topics, self.world.clock
        self.kinds[REDRIVE] = RedriveKind(topics, clock, self._means, offload=ThreadOnTheLoop)
        self.kinds[PURGE] = PurgeKind(topics, clock, self._purge_means, offload=ThreadOnTheLoop)

    def do_redrive(self, act: Act) -> None:
        """Redrive every open dead letter, of one subscription or all.

        Without an amount, what a dead job left is continued where there is one.
        """
        rate, *fates = act.more
        world = self.world
        if not world.broker.up.is_set():
            return
        for job, _ in redrives_of(self._letters.jobs())[0]:
            if job.state is JobState.RUNNING and not act.amount:
                self.work_on(job.id, fates)
                return
        asked = Selector(subscriptions=frozenset({act.who}) if act.who else None)
        ends = {0: world.broker.high(self._dead_letters)}
        request = RedriveRequest(RedriveSource.DEAD_LETTERS, asked.row(), ends)
        self.begin(
            request.job(self.new_job(REDRIVE), world.clock.now(), 0, float(rate) or None), fates
        )

    def do_purge(self, act: Act) -> None:
        """Purge every open dead letter, of one subscription or all; it waits where a redrive works."""
        world = self.world
        if not world.broker.up.is_set():
            return
        asked = Selector(subscriptions=frozenset({act.who}) if act.who else None)
        ends = {0: world.broker.high(self._dead_letters)}
        source = RedriveSource.DEAD_LETTERS
        request = PurgeRequest(source, asked.row(), ends, "an operator", "in the story")
        self.begin(request.job(self.new_job(PURGE), world.clock.now(), 0), act.more)

    def do_resend(self, act: Act) -> None:
        """Resend the delivery of a subscription's newest dead letter, redriven or not: a replay of one."""
        world, ledger = self.world, self.world.ledger
        letters = [
            letter
            for letter in self._letters.stored
            if header_text(letter.headers, "hs-subscription-id") == act.who and letter.value
        ]
        event = letters and world.expectation.by_origin.get(origin_of(letters[-1]))
        state = letters and read_delivery(letters[-1].headers)
        if not event or not isinstance(state, Delivery) or not world.broker.up.is_set():
            return
        now, at, job = world.clock.now(), event.timestamp, self.new_job("resend")
        status = world.expectation.statuses[act.who]
        if now <= status.active_from:
            return  # the command refuses what has not started
        today = bool(act.amount)
        resend = Replay(job, status, at, at + 1, now, 0, today=today)
        if resend.owed(event) is Owed.NEVER:
            return  # the command refuses what is not granted
        ledger.replays.add(resend)
        run = Run(world.topics.tier(0), job, as_granted_today=today)
        self.tier_record(run.resent(state, letters[-1], now=now, expires_after=HOUR))

    def do_test(self, act: Act) -> None:
        """Test an endpoint with an event of a type that its subscription asks for, however that stands."""
        world = self.world
        subscription = world.subscriptions.get(act.who)
        if subscription is None or not world.broker.up.is_set():
            return
        asked = str(act.more[0])
        kind = asked if (asked, 1) in world.codec.published else PLAIN
        name, topic = f"{TEST_EVENT_ID}{next(self._tests)}", world.topics.tier(0)
        now = world.clock.now()
        event = Event(name, kind, "red", topic, 0, 0, now)
        world.ledger.tests.add(SentTest(event, world.expectation.statuses[act.who]))
        data: JsonObject = {"colour": event.colour, "name": name, "load": 1}
        value = json_value(kind, name, environment=TEST_ENVIRONMENT, data=data)
        delivery = delivery_id(kind, name, act.who)
        run = Run(topic, name)
        self.tier_record(run.tested(value, (), kind, name, delivery, subscription, now=now))

    def _purge_means(self, request: PurgeRequest) -> PurgeMeans:
        return PurgeMeans(self._read, self._means_of(request))

    def _means_of(self, request: RedriveRequest | PurgeRequest) -> Callable[[Record], bool]:
        selector = read_selector(request.selector, request.source)
        return lambda letter: selector.selects(letter.headers, letter.timestamp)

    def _means(self, request: RedriveRequest) -> RedriveMeans:
        return RedriveMeans(self._read, self._means_of(request), self._revive)

    def _revive(self, dead_letter: Record) -> OutgoingRecord | Unredrivable:
        world = self.world
        revival = world.parts.revival(world.topics.tier(0), self._read_origin, world.clock.now)
        revived = revival.delivery(dead_letter)
        if isinstance(revived, OutgoingRecord):
            self._revived[id(revived)] = dead_letter, revived
        return revived

    def _read_origin(self, origin: Origin) -> Record | None:
        log = self.world.broker.logs[TopicPartition(origin.topic, origin.partition)]
        return next((r for r in log.since(origin.offset, 1) if r.offset == origin.offset), None)

    def tier_record(self, record: OutgoingRecord) -> None:
        """Append a tier record of a step."""
        found = self._revived.get(id(record))
        super().tier_record(record)
        if found is not None:
            self.world.ledger.redriven(found[0], record)

    def row_written(self, key: str, before: tuple[bytes, Millis] | None) -> None:
        """Take over a row; a purge has resolved what its transaction says."""
        row = self.jobs.rows.get(key)
        job = None if row is None else seen_job(key, *row)
        request = purge_of(job) if isinstance(job, Job) else None
        if isinstance(request, PurgeRequest):
            self._purged(request)
        if isinstance(job, Job) and (isinstance(request, PurgeRequest) or request_of(job)):
            earlier = None if before is None else seen_job(key, *before)
            self._take_turn(job, earlier.done if isinstance(earlier, Job) else 0)
        super().row_written(key, before)

    def _take_turn(self, job: Job, done: int) -> None:
        """Check that a job commits a step only while no other one is at work."""
        if not job.holder or self._at_work.get(job.id) != job.holder:
            self._at_work.pop(job.id, None)
        if job.done > done:
            for other in self._at_work.keys() - {job.id}:
                self.world.ledger.blame(IN_TURN, f"{job.id} and {other} are at work at once")
            self._at_work[job.id] = job.holder

    def _purged(self, request: PurgeRequest) -> None:
        """Note which dead letters were purged: only those that were asked for may be."""
        ledger, selects = self.world.ledger, self._means_of(request)
        book, _ = read_ledger(self._letters.jobs(), self._letters.topic_ids())
        for letter in self._letters.stored:
            place = letter.where, letter.offset
            is_open = book.is_open(RedriveSource.DEAD_LETTERS, position_of(letter))
            if ledger.dead_letters.is_open(place) and not is_open:
                if letter.offset >= request.ends[0] or not selects(letter):
                    ledger.blame(
                        ONCE, f"dead letter {letter.offset} is purged, and was not asked for"
                    )
                ledger.dead_letters.purge(place)

    def job_ended(self, job: Job) -> None:
        """Check a job that has just ended."""
        super().job_ended(job)
        request = request_of(job) or purge_of(job)
        if isinstance(request, RedriveRequest | PurgeRequest):
            self._compare(job, request)

    def _compare(self, job: Job, request: RedriveRequest | PurgeRequest) -> None:
        """Compare the jobs table with what was redriven and purged."""
        ledger, selects = self.world.ledger, self._means_of(request)
        book, _ = read_ledger(self._letters.jobs(), self._letters.topic_ids())
        left = 0
        for dead_letter in self._letters.stored:
            is_open = ledger.dead_letters.is_open((dead_letter.where, dead_letter.offset))
            if is_open is not book.is_open(RedriveSource.DEAD_LETTERS, position_of(dead_letter)):
                ledger.blame(
                    ONCE,
                    f"dead letter {dead_letter.offset} is open in one model and not in the other",
                )
            asked = dead_letter.offset < request.ends[0]
            left += asked and is_open and selects(dead_letter)
        if job.state is JobState.DONE and left != job.counts.get(UNREDRIVABLE, 0):
            ledger.blame(ONCE, f"{job.id} is done, and {left} of its dead letters are open")
