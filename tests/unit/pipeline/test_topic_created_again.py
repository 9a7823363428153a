"""A redrive or purge takes nothing of a topic that is created again under the name of its own."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles import virtual_time
from tests.doubles.clock import NOON
from tests.doubles.jobs import TOPICS, JobsBroker, Process, executor
from tests.doubles.redriving import Letters, ThreadOnTheLoop, redriving

from hookstream.core.jobs.job import PURGE, REDRIVE, Job, JobState
from hookstream.core.jobs.lease import handed_back
from hookstream.core.model.record import Record
from hookstream.core.redrive.job import RedriveRequest
from hookstream.core.redrive.ledger import read_ledger
from hookstream.core.redrive.marks import (
    Mark,
    Position,
    RedriveSource,
    TopicIds,
    barrier_key,
    read_mark,
)
from hookstream.core.redrive.purge import PurgeRequest
from hookstream.errors import DependencyUnavailable
from hookstream.pipeline.dead_letter_jobs import CREATED_AGAIN
from hookstream.pipeline.job_kind import JobKind
from hookstream.pipeline.jobs import JobRun
from hookstream.pipeline.purge import PurgeKind, PurgeMeans

DEAD = RedriveSource.DEAD_LETTERS
OLD, NEW = "a1" * 16, "b2" * 16
OFFSETS = 6
BOTH = [REDRIVE, PURGE]


@dataclass
class Remade(Letters):
    """A topic that is deleted and created again at some look at it. Implements `DeadLetters`."""

    remade_at: int | None = None
    """Before which look, counted from 0; None: never."""
    away_at: frozenset[int] = frozenset()
    """At which looks the brokers do not answer."""
    looks: int = 0
    read: list[str] = field(default_factory=list)
    """The id of the topic of each record that was read."""

    @property
    def topic_id(self) -> str:
        return OLD if self.remade_at is None or self.looks < self.remade_at else NEW

    def look(self) -> str:
        topic_id = self.topic_id
        self.looks += 1
        if self.looks - 1 in self.away_at:
            raise DependencyUnavailable("the brokers are away")
        return topic_id

    def records(self, ends: Mapping[int, int]) -> Iterator[Record]:
        for offset in range(ends[0]):
            topic_id = self.look()
            self.read.append(topic_id)
            yield Record(TOPICS.dead_letters, 0, offset, NOON, b"crm", topic_id.encode(), ())

    def topic_ids(self) -> TopicIds:
        return {DEAD: self.look()}

    @property
    def marks(self) -> list[Mark]:
        found = (read_mark(key, value) for key, value in self.jobs().items())
        return [mark for mark in found if isinstance(mark, Mark)]


def topic(**given: int | None) -> Remade:
    return Remade(JobsBroker(), **given)  # type: ignore[arg-type]


def job(kind: str, topic_id: str = OLD) -> Job:
    if kind == REDRIVE:
        return RedriveRequest(DEAD, {}, {0: OFFSETS}, topic_id).job("night", NOON, OFFSETS, 2.0)
    asked = PurgeRequest(DEAD, {}, {0: OFFSETS}, "ada@ops", "by mail", topic_id)
    return asked.job("night", NOON, OFFSETS)


def work(at: Letters, kind: str) -> JobKind:
    if kind == REDRIVE:
        return redriving(at)
    means = PurgeMeans(at, lambda _: True)
    return PurgeKind(TOPICS, at.broker.clock, lambda _: means, ThreadOnTheLoop)


async def run(at: Letters, asked: Job) -> Job:
    able = executor(Process(at.broker), "a", work(at, asked.kind))
    return (await JobRun(able, asyncio.Event()).start(asked)).job


@pytest.mark.parametrize("kind", BOTH)
async def test_a_job_whose_topic_was_created_again_takes_nothing_and_says_so(kind: str) -> None:
    at = topic(remade_at=0)
    ended = await run(at, job(kind))
    assert (ended.state, ended.reason) == (JobState.INCOMPLETE, CREATED_AGAIN)
    assert (ended.done, at.door, at.read, [*at.broker.rows]) == (0, [], [], ["night"])


@pytest.mark.parametrize("kind", BOTH)
async def test_a_job_of_an_earlier_release_takes_the_topic_as_it_is_now(kind: str) -> None:
    at = topic(remade_at=0)
    ended = await run(at, job(kind, topic_id=""))
    assert (ended.state, ended.done) == (JobState.DONE, OFFSETS)
    assert {mark.topic_id for mark in at.marks} == {NEW}


@pytest.mark.parametrize("kind", BOTH)
async def test_a_job_of_an_earlier_release_takes_one_topic_and_not_its_successor(
    kind: str,
) -> None:
    at = topic(remade_at=3)
    ended = await run(at, job(kind, topic_id=""))
    assert (ended.state, ended.reason) == (JobState.INCOMPLETE, CREATED_AGAIN)
    assert NEW.encode() not in {record.value for record in at.door}
    assert at.marks == []


@pytest.mark.parametrize(("kind", "look"), [(REDRIVE, 4), (PURGE, 8)])
async def test_a_job_of_an_earlier_release_goes_on_with_the_topic_of_its_marks(
    kind: str, look: int
) -> None:
    """A reader whose topic is created again fails first, as if the brokers were away: the work begins again."""
    at = Remade(JobsBroker(), remade_at=look, away_at=frozenset({look}))
    ended = await run(at, job(kind, topic_id=""))
    assert (ended.state, ended.reason) == (JobState.INCOMPLETE, CREATED_AGAIN)
    assert ended.done == (2 if kind == REDRIVE else OFFSETS)
    assert {mark.topic_id for mark in at.marks} == {OLD}
    assert NEW not in at.read


@pytest.mark.parametrize("kind", BOTH)
async def test_brokers_without_ids_of_topics_are_served_as_before(kind: str) -> None:
    at = Letters(JobsBroker(), [Record(TOPICS.dead_letters, 0, 1, NOON, b"crm", b"v", ())], ids={})
    ended = await run(at, job(kind, topic_id=""))
    assert (ended.state, ended.done) == (JobState.DONE, 1)


@pytest.mark.parametrize("kind", BOTH)
async def test_a_job_waits_while_its_topic_has_no_id_and_then_takes_each_letter_once(
    kind: str,
) -> None:
    """It may be deleted, or the brokers do not know it yet."""
    stored = [Record(TOPICS.dead_letters, 0, at, NOON, b"crm", b"v", ()) for at in range(OFFSETS)]
    at = Letters(JobsBroker(), stored, ids={DEAD: OLD})
    at.ids.clear()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(run(at, job(kind)))
        await asyncio.sleep(60)
        before = at.broker.job("night")
        at.ids[DEAD] = OLD
    assert (before.state, before.done) == (JobState.RUNNING, 0)
    assert (task.result().state, task.result().done) == (JobState.DONE, OFFSETS)
    assert len(at.door) == (OFFSETS if kind == REDRIVE else 0)


@given(
    kind=st.sampled_from(BOTH),
    remade_at=st.one_of(st.none(), st.integers(0, 40)),
    away_at=st.frozensets(st.integers(0, 40), max_size=3),
    deaths=st.lists(st.integers(1, 25), max_size=4),
)
def test_whenever_a_topic_is_created_again_only_letters_of_the_first_are_taken_and_once(
    kind: str, remade_at: int | None, away_at: frozenset[int], deaths: list[int]
) -> None:
    """Wherever processes die, and whenever the brokers are away."""

    async def lives() -> Remade:
        at = Remade(JobsBroker(), remade_at=remade_at, away_at=away_at)
        at.broker.put(handed_back(job(kind), NOON))
        for number, dies_at in enumerate([*deaths, None]):
            process = Process(at.broker)
            if dies_at is not None:
                process.at_point[dies_at] = Process.die
            able = executor(process, f"process-{number}", work(at, kind))
            async with asyncio.TaskGroup() as tasks:
                task = tasks.create_task(JobRun(able, asyncio.Event()).resume("night", wait=True))
                await asyncio.wait((task,), timeout=600)
                task.cancel()
        return at

    at = virtual_time.run(lives())
    ended = at.broker.job("night")
    taken = [
        offset
        for mark in at.marks
        for first, last in mark.ranges
        for offset in range(first, last + 1)
    ]
    keys = [(record.key or b"").decode() for record in at.door]
    assert {record.value for record in at.door} <= {OLD.encode()}
    assert {mark.topic_id for mark in at.marks} <= {OLD}
    assert keys == ([f"0@{offset}" for offset in taken] if kind == REDRIVE else [])
    assert (ended.done, taken) == (len(taken), [*range(len(taken))])
    assert barrier_key("night") not in at.broker.rows
    if ended.state is JobState.DONE:
        assert ended.done == OFFSETS
    else:
        assert (ended.state, ended.reason, at.topic_id) == (
            JobState.INCOMPLETE,
            CREATED_AGAIN,
            NEW,
        )
    ledger, problems = read_ledger(at.jobs(), {DEAD: NEW})
    assert problems == []
    assert all(ledger.is_open(DEAD, Position(0, offset)) for offset in range(OFFSETS))
