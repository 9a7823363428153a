"""A purge resolves each selected record once, wherever its executor dies, and never beside a redrive."""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.doubles import virtual_time
from tests.doubles.clock import NOON
from tests.doubles.jobs import TOPICS, JobsBroker, Process
from tests.doubles.redriving import ThreadOnTheLoop
from tests.properties.test_ledger_properties import as_the_release_before

from hookstream.core.jobs.job import REDRIVE, Job, JobState
from hookstream.core.model.record import Record
from hookstream.core.redrive.ledger import ResolvedBy, read_ledger
from hookstream.core.redrive.marks import (
    Position,
    Purged,
    RedriveSource,
    TopicIds,
    barrier,
    barrier_key,
)
from hookstream.core.redrive.purge import PurgeRequest
from hookstream.errors import InputRefused
from hookstream.pipeline import purge as purging
from hookstream.pipeline.job_kind import Executor, RunEnd, RunResult
from hookstream.pipeline.jobs import JobRun
from hookstream.pipeline.purge import PurgeKind, PurgeMeans

DEAD = RedriveSource.DEAD_LETTERS
BY_ADA = ResolvedBy("p", Purged("ada@ops", "by mail", NOON))


@dataclass
class Letters:
    """A dead-letter topic beside the jobs table of a broker. Implements `DeadLetters`."""

    broker: JobsBroker
    stored: Sequence[Record]
    log_starts: dict[tuple[RedriveSource, int], int] = field(default_factory=dict)
    ids: dict[RedriveSource, str] = field(default_factory=dict)
    """By topic, its id."""

    def records(self, ends: Mapping[int, int]) -> Iterable[Record]:
        return (each for each in self.stored if each.offset < ends.get(each.partition, 0))

    def starts(self) -> Mapping[tuple[RedriveSource, int], int]:
        return self.log_starts

    def topic_ids(self) -> TopicIds:
        return self.ids

    def jobs(self) -> Mapping[str, bytes]:
        return {key: value for key, (value, _) in self.broker.rows.items()}


def letter(partition: int, offset: int, key: bytes = b"crm") -> Record:
    return Record(TOPICS.dead_letters, partition, offset, NOON, key, b"v", ())


def letters(broker: JobsBroker, *positions: tuple[int, int]) -> Letters:
    return Letters(broker, [letter(*position) for position in positions])


def request(**ends: int) -> PurgeRequest:
    found = {int(partition[1:]): end for partition, end in ends.items()}
    return PurgeRequest(DEAD, {}, found, "ada@ops", "by mail")


def executor(process: Process, stored: Letters, name: str = "a") -> Executor:
    kind = PurgeKind(
        TOPICS,
        process.broker.clock,
        lambda _: PurgeMeans(stored, lambda record: record.key == b"crm"),
        ThreadOnTheLoop,
    )
    return Executor(name, TOPICS, process, {kind.name: kind}, process.broker.clock)


async def purge(
    stored: Letters, asked: PurgeRequest, process: Process | None = None, *, waits: bool = True
) -> RunResult:
    able = replace(executor(process or Process(stored.broker), stored), waits=waits)
    return await JobRun(able, asyncio.Event()).start(asked.job("p", NOON, 0))


def resolved(stored: Letters) -> dict[Position, ResolvedBy | None]:
    ledger, problems = read_ledger(stored.jobs(), stored.topic_ids())
    assert problems == []
    places = [Position(each.partition, each.offset) for each in stored.stored]
    return {place: ledger.resolved_by(DEAD, place) for place in places}


async def test_a_purge_resolves_what_is_selected_and_says_by_whom_and_why() -> None:
    broker = JobsBroker()
    stored = Letters(broker, [letter(0, 1), letter(0, 2, b"shop"), letter(2, 7), letter(2, 8)])
    ended = await purge(stored, request(p0=9, p2=8))
    assert (ended.why, ended.job.state, ended.job.done) == (RunEnd.ENDED, JobState.DONE, 2)
    assert resolved(stored) == {
        Position(0, 1): BY_ADA,
        Position(0, 2): None,
        Position(2, 7): BY_ADA,
        Position(2, 8): None,
    }
    assert sorted(broker.rows) == ["p", "p/0/1", "p/2/7"]
    assert broker.records == []


async def test_what_was_resolved_before_stays_as_it_was() -> None:
    stored = letters(JobsBroker(), (0, 1), (0, 2), (0, 3))
    earlier = request(p0=2)
    first = JobRun(executor(Process(stored.broker), stored), asyncio.Event())
    await first.start(earlier.job("earlier", NOON, 0))
    ended = await purge(stored, request(p0=4))
    assert ended.job.done == 2
    assert [by and by.job_id for by in resolved(stored).values()] == ["earlier", "p", "p"]


async def test_a_purge_of_a_topic_does_not_resolve_the_letters_of_its_successor() -> None:
    stored = letters(JobsBroker(), (0, 1), (0, 2))
    stored.ids[DEAD] = "a1"
    await purge(stored, request(p0=3))
    assert [by and by.word for by in resolved(stored).values()] == ["purged", "purged"]
    stored.ids[DEAD] = "b2"
    assert list(resolved(stored).values()) == [None, None]


async def test_a_million_of_them_are_a_few_small_steps() -> None:
    """Here a hundred thousand, in two partitions: eleven steps, and two rows at the end."""
    broker = JobsBroker()
    stored = Letters(broker, [letter(at % 2, at // 2) for at in range(100_000)])
    ended = await purge(stored, request(p0=50_000, p1=50_000))
    assert ended.job.done == 100_000
    assert {key: len(row) for key, (row, _) in broker.rows.items() if key != "p"} == {
        "p/0/0": len(broker.rows["p/0/0"][0]),
        "p/1/0": len(broker.rows["p/1/0"][0]),
    }
    assert max(len(row) for row, _ in broker.rows.values()) < 500


async def test_a_purge_waits_without_its_barrier_while_another_job_works_on_its_topic() -> None:
    stored = letters(JobsBroker(), (0, 1))
    redrive = Job("r", REDRIVE, {"topic": "dead-letters", "selector": {}, "ends": {}}, NOON)
    stored.broker.put(redrive)
    async with asyncio.TaskGroup() as tasks:
        purging_ = tasks.create_task(purge(stored, request(p0=2)))
        await asyncio.sleep(60.0)
        assert (sorted(stored.broker.rows), stored.broker.job("p").holder) == (["p", "r"], "")
        assert resolved(stored) == {Position(0, 1): None}
        stored.broker.put(redrive.ended(JobState.DONE))
    assert purging_.result().job.state is JobState.DONE
    assert resolved(stored) == {Position(0, 1): BY_ADA}


async def test_nothing_is_purged_while_a_mark_cannot_be_read() -> None:
    stored = letters(JobsBroker(), (0, 1))
    stored.broker.rows["old/0/1"] = (b"{", NOON)
    ended = await purge(stored, request(p0=2))
    assert isinstance(ended.error, InputRefused)
    assert sorted(stored.broker.rows) == ["old/0/1", "p"]


async def test_a_purge_that_was_cancelled_leaves_a_barrier_for_the_next_job_to_remove() -> None:
    stored = letters(JobsBroker(), (0, 1))
    gone = request(p0=2).job("gone", NOON, 0).ended(JobState.CANCELLED, "-")
    stored.broker.put(gone)
    stored.broker.rows[barrier_key("gone")] = (b'{"format":2}', NOON)
    await purge(stored, request(p0=2))
    assert sorted(stored.broker.rows) == ["gone", "p", "p/0/1"]


POSITIONS = st.sets(st.tuples(st.integers(0, 2), st.integers(0, 12)), max_size=12)


@given(
    positions=POSITIONS, deaths=st.lists(st.integers(1, 30), max_size=4), most=st.integers(1, 5)
)
@settings(max_examples=60)
def test_every_open_record_is_purged_exactly_once_wherever_its_executor_dies(
    positions: set[tuple[int, int]], deaths: list[int], most: int
) -> None:
    async def story() -> None:
        broker = JobsBroker()
        stored = letters(broker, *sorted(positions))
        broker.put(request(p0=13, p1=13, p2=13).job("p", NOON, len(positions)))
        for number, dies_at in enumerate(deaths):
            process = Process(broker, at_point={dies_at: Process.die})
            run = JobRun(executor(process, stored, f"e{number}"), asyncio.Event())
            async with asyncio.TaskGroup() as tasks:
                task = tasks.create_task(run.resume("p", wait=True, asked=True))
                await asyncio.wait([task], timeout=120)
                task.cancel()
        last = JobRun(executor(Process(broker), stored, "last"), asyncio.Event())
        await last.resume("p", wait=True, asked=True)
        job = broker.job("p")
        assert (job.state, job.done) == (JobState.DONE, len(positions))
        assert set(resolved(stored).values()) <= {BY_ADA}
        assert barrier_key("p") not in broker.rows

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(purging, "STEP_POSITIONS", most)
        patched.setattr(purging, "BOOK_RANGES", 2)
        virtual_time.run(story())


@dataclass
class ReleaseBefore:
    """`dlq redrive` of the release before, by its own reading rules, at drawn moments of a purge.

    It writes its row; it steps back if another *redrive* runs, since it knows no purges; it refuses if
    it cannot read a mark; and from then on it redrives what was open, until its row says that it ended.
    """

    letters: Letters
    redrives: set[Position] = field(default_factory=set)
    is_refused: bool = False

    def announce(self, _: Process | None = None) -> None:
        row = {
            "format": 1,
            "revision": 1,
            "kind": "redrive",
            "topic": "dead-letters",
            "selector": {},
            "asked_at": "2026-11-18T11:06:40.000Z",
            "ends": {"0": 13},
            "total": 1,
            "done": 0,
            "state": "running",
        }
        self.letters.broker.rows["before"] = (json.dumps(row).encode(), NOON)

    def look(self, _: Process | None = None) -> None:
        """Read the table, and redrive if nothing in it forbids that."""
        rows = self.letters.jobs()
        others = [json.loads(value) for key, value in rows.items() if "/" not in key]
        redrives = [
            row for row in others if row["kind"] == "redrive" and row["state"] == "running"
        ]
        marked, unreadable = as_the_release_before(rows)
        if len(redrives) > 1 or unreadable:
            self.is_refused = True
            return
        for record in self.letters.stored:
            if (record.partition, record.offset) not in marked:
                self.redrives.add(Position(record.partition, record.offset))


@given(announced=st.integers(1, 24), looks=st.integers(1, 24))
@settings(max_examples=300)
def test_the_release_before_never_redrives_what_a_purge_of_the_same_time_resolves(
    announced: int, looks: int
) -> None:
    """Its command knows no purge: the barrier, or the purge's marks, make it refuse; or the purge waits."""

    async def story() -> None:
        stored = letters(JobsBroker(), (0, 1), (0, 2), (0, 3))
        before = ReleaseBefore(stored)
        process = Process(stored.broker)

        def both(_: Process) -> None:
            before.announce()
            before.look()

        if announced == looks:
            process.at_point[looks] = both
        else:
            process.at_point[min(announced, looks)] = before.announce
            process.at_point[max(announced, looks)] = before.look
        ended = await purge(stored, request(p0=13), process, waits=False)
        for _, left in sorted(process.at_point.items()):
            left(process)
        purged = {place for place, by in resolved(stored).items() if by is not None}
        assert not purged & before.redrives
        assert before.is_refused or before.redrives or ended.job.state is JobState.DONE
        assert (ended.job.state is JobState.DONE) == (len(purged) == 3)

    virtual_time.run(story())


@pytest.mark.parametrize("with_barrier", [True, False])
def test_without_a_barrier_the_release_before_would_redrive_during_a_purge(
    *, with_barrier: bool
) -> None:
    """The test above can fail: the purge's own row alone does not stop that release."""
    stored = letters(JobsBroker(), (0, 1))
    stored.broker.rows["p"] = (request(p0=2).job("p", NOON, 1).encode(), NOON)
    if with_barrier:
        stored.broker.rows[barrier_key("p")] = (barrier(), NOON)
    before = ReleaseBefore(stored)
    before.announce()
    before.look()
    assert before.is_refused is with_barrier
