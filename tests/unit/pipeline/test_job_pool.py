"""Executors take over what nobody holds; whoever dies, freezes or lags, each step is written once."""

import asyncio
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.doubles.clock import NOON
from tests.doubles.jobs import (
    TOPICS,
    Counting,
    JobsBroker,
    Process,
    counting_job,
    executor,
    numbers,
)
from tests.doubles.logger import BookkeepingLogger
from tests.doubles.redriving import Letters, redriving
from tests.doubles.seeing import FixedChance
from tests.doubles.virtual_time import run as run_virtually

from hookstream.core.jobs import lease
from hookstream.core.jobs.book import JobBook
from hookstream.core.jobs.job import Job, JobState
from hookstream.core.model.record import OutgoingRecord, Record
from hookstream.core.redrive.job import RedriveRequest
from hookstream.core.redrive.marks import RedriveSource
from hookstream.pipeline.job_kind import JobKind
from hookstream.pipeline.job_pool import JobPool

LAG = 0.05
"""Seconds by which an executor's book lags."""


@dataclass(eq=False)
class Machine:
    """A process `jobs run`, which is started again when it has died."""

    broker: JobsBroker
    name: str
    kinds: tuple[JobKind, ...] = (Counting(),)
    at_once: int = 4
    lives: int = 0
    logger: BookkeepingLogger = field(default_factory=BookkeepingLogger)
    process: Process = field(init=False)
    pool: JobPool = field(init=False)

    async def live(self) -> None:
        """Start a process, follow the table and work, until cancelled."""
        self.lives += 1
        self.process = Process(self.broker)
        able = replace(
            executor(self.process, f"{self.name}{self.lives}"),
            kinds={kind.name: kind for kind in self.kinds},
        )
        self.pool = JobPool(
            able, JobBook(), self.at_once, FixedChance(0.5), self.logger, asyncio.Event()
        )
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(self._follow())
            await self.pool.run()
            following.cancel()

    async def _follow(self) -> None:
        seen: dict[str, bytes] = {}
        while True:
            if self.process.frozen is not None:
                await self.process.frozen.wait()
            for key in {*seen, *self.broker.rows}:
                value, at = self.broker.rows.get(key, (None, 0))
                if seen.get(key) != value:
                    self.pool.book.put(key, value, at)
                    seen[key] = value or b""
            await asyncio.sleep(LAG)


class Cluster:
    """Machines over one broker, for as long as the block runs."""

    def __init__(self, broker: JobsBroker, *machines: Machine) -> None:
        self.broker, self.machines = broker, machines
        self._tasks: dict[Machine, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        for machine in self.machines:
            self.start(machine)
        return self

    async def __aexit__(self, *failed: object) -> None:
        for task in self._tasks.values():
            task.cancel()
        await self._group.__aexit__(None, None, None)

    def start(self, machine: Machine) -> None:
        self._tasks[machine] = self._group.create_task(machine.live())

    def kill(self, machine: Machine) -> None:
        """End a process without a word, and start another."""
        machine.process.die()
        self._tasks[machine].cancel()
        self.start(machine)

    async def stop(self, machine: Machine) -> None:
        machine.pool.stop.set()
        await asyncio.wait((self._tasks[machine],))

    async def until_ended(self, job_id: str = "count-1", seconds: float = 3_600.0) -> Job:
        async with asyncio.timeout(seconds):
            while (job := self.broker.job(job_id)).state is JobState.RUNNING:  # noqa: ASYNC110  on virtual time
                await asyncio.sleep(0.5)
        return job


@pytest.fixture
def broker() -> JobsBroker:
    return JobsBroker()


def free(job: Job, broker: JobsBroker) -> Job:
    return lease.handed_back(job, broker.now())


async def test_a_job_that_nobody_holds_is_taken_over_and_ended(broker: JobsBroker) -> None:
    broker.put(free(counting_job(7), broker))
    async with Cluster(broker, Machine(broker, "a")) as cluster:
        job = await cluster.until_ended()
    assert (job.state, numbers(broker)) == (JobState.DONE, [*range(7)])
    assert broker.clock.monotonic() < 3.0


async def test_the_job_of_a_killed_holder_goes_on_after_its_lease(broker: JobsBroker) -> None:
    broker.put(lease.held(counting_job(7), "dead", broker.now()))
    async with Cluster(broker, Machine(broker, "a")) as cluster:
        await cluster.until_ended()
    assert 30.0 <= broker.clock.monotonic() <= 33.0


async def test_one_process_works_on_several_jobs_and_on_no_more_than_it_may(
    broker: JobsBroker,
) -> None:
    for number in range(5):
        broker.put(free(counting_job(30, rate=1.0, job_id=f"count-{number}"), broker))
    machine = Machine(broker, "a", at_once=2)
    async with Cluster(broker, machine):
        await asyncio.sleep(10.0)
        gauges = machine.pool.gauges()
    assert gauges == {
        "hookstream_jobs_running": 5,
        "hookstream_jobs_stalled": 0,
        "hookstream_jobs_held": 2,
    }


async def test_a_process_that_stops_hands_every_job_back_and_another_goes_on_at_once(
    broker: JobsBroker,
) -> None:
    for number in range(3):
        broker.put(free(counting_job(20, rate=1.0, job_id=f"count-{number}"), broker))
    a, b = Machine(broker, "a"), Machine(broker, "b", at_once=3)
    async with Cluster(broker, a) as first:
        await asyncio.sleep(5.0)
        await first.stop(a)
        at = broker.clock.monotonic()
        async with Cluster(broker, b) as second:
            for number in range(3):
                await second.until_ended(f"count-{number}")
    assert sorted(numbers(broker)) == sorted([*range(20)] * 3)
    assert broker.clock.monotonic() - at < 20.0
    assert [event for _, event, _ in a.logger.lines] == ["job.handed_back"] * 3


async def test_jobs_that_only_an_operator_may_continue_are_left_alone(broker: JobsBroker) -> None:
    broker.put(counting_job(3, job_id="before-leases"))
    broker.put(counting_job(3, job_id="failed").ended(JobState.FAILED, "refused"))
    broker.put(replace(free(counting_job(3), broker), id="later", kind="later"))
    async with Cluster(broker, Machine(broker, "a")):
        await asyncio.sleep(600.0)
    assert (broker.epochs, numbers(broker)) == ({}, [])


async def test_a_job_with_a_defect_is_tried_again_less_and_less_often(broker: JobsBroker) -> None:
    def fail(_: Job) -> None:
        raise ZeroDivisionError

    broker.put(free(counting_job(3), broker))
    broker.put(free(counting_job(3, job_id="count-2"), broker))
    machine = Machine(broker, "a", (Counting(before=fail),))
    async with Cluster(broker, machine):
        await asyncio.sleep(200.0)
    rests = [
        fields["seconds"] for _, event, fields in machine.logger.lines if event == "job.not_run"
    ]
    assert rests == [30.0, 30.0, 60.0, 60.0, 120.0, 120.0]
    assert "ZeroDivisionError" in str(machine.logger.lines[0][2]["stack"])


async def test_a_cancel_is_not_fenced_by_the_executor_that_it_fenced(broker: JobsBroker) -> None:
    """It has fenced the holder, and has not written yet: the holder must not open a writer again."""
    broker.put(free(counting_job(300, rate=1.0), broker))
    machine = Machine(broker, "a")
    async with Cluster(broker, machine):
        await asyncio.sleep(5.0)
        process = Process(broker)
        writer = await process.open_writer("count-1")
        await asyncio.sleep(15.0)
        assert not machine.pool.active
        cancelled = broker.job("count-1").ended(JobState.CANCELLED, "by kim")
        await writer.write([OutgoingRecord(TOPICS.jobs, b"count-1", cancelled.encode())])
        await asyncio.sleep(60.0)
    assert broker.job("count-1").state is JobState.CANCELLED


async def test_jobs_that_wait_for_their_turn_take_no_place_and_are_not_claimed(
    broker: JobsBroker,
) -> None:
    """The holder of the first died: were its only place taken by a waiting job, nobody would go on with it."""
    at = Letters(
        broker, [Record(TOPICS.dead_letters, 0, n, NOON, b"", b"v", ()) for n in range(9)]
    )
    request = RedriveRequest(RedriveSource.DEAD_LETTERS, {}, {0: 9})
    jobs = [request.job(f"redrive-{n}", NOON + n, 9) for n in range(3)]
    broker.put(lease.held(jobs[1], "dead", broker.now()))
    for waits in (jobs[0], jobs[2]):
        broker.put(free(waits, broker))
    machine = Machine(broker, "a", (redriving(at),), at_once=1)
    async with Cluster(broker, machine) as cluster:
        await asyncio.sleep(25.0)
        assert broker.epochs == {}
        assert machine.pool.gauges()["hookstream_jobs_stalled"] == 0
        ended = [await cluster.until_ended(job.id) for job in jobs]
    order = [row.id for row in broker.revisions if row.state is JobState.DONE]
    assert (order, [job.done for job in ended]) == (
        ["redrive-1", "redrive-0", "redrive-2"],
        [0, 9, 0],
    )
    assert set(broker.epochs.values()) == {1}


async def test_a_job_that_was_claimed_before_its_turn_is_handed_back_and_comes_later(
    broker: JobsBroker,
) -> None:
    """The executor's copy of the table was behind: by its claim it found who is at work."""
    at = Letters(broker, [])
    request = RedriveRequest(RedriveSource.DEAD_LETTERS, {}, {0: 9})
    machine = Machine(broker, "a", (redriving(at),))
    async with Cluster(broker, machine) as cluster:
        await asyncio.sleep(0.0)
        broker.put(free(request.job("second", NOON + 1, 0), broker))
        while not machine.pool.active:  # noqa: ASYNC110  on virtual time
            await asyncio.sleep(0.001)
        broker.put(lease.held(request.job("first", NOON, 0), "another", broker.now()))
        await asyncio.sleep(20.0)
        assert (broker.job("second").state, broker.job("second").holder) == (JobState.RUNNING, "")
        broker.put(broker.job("first").ended(JobState.DONE))
        ended = await cluster.until_ended("second")
    assert (ended.state, broker.epochs) == (JobState.DONE, {"second": 2})


faults = st.tuples(
    st.floats(0.0, 120.0),
    st.sampled_from(["kill", "freeze", "point", "away", "skew"]),
    st.integers(0, 2),
    st.floats(0.1, 50.0),
)


@settings(max_examples=30)
@given(
    drawn=st.lists(faults, max_size=10),
    rates=st.lists(st.sampled_from([None, 0.5, 3.0]), min_size=1, max_size=3),
    slow=st.sampled_from([0.0, 0.5, 15.0]),
    too_large=st.sets(st.integers(0, 20), max_size=2),
)
def test_each_number_is_written_exactly_once_whatever_happens_to_three_executors(
    drawn: list[tuple[float, str, int, float]],
    rates: list[float | None],
    slow: float,
    too_large: set[int],
) -> None:
    """Killed and frozen at any await, brokers away, and their clock set: a job is a sequence of steps."""

    async def story() -> JobsBroker:
        broker = JobsBroker(too_large={str(n).encode() for n in too_large})
        for number, rate in enumerate(rates):
            broker.put(free(counting_job(20, rate=rate, job_id=f"count-{number}"), broker))
        machines = [Machine(broker, name, (Counting(slow=slow),)) for name in "abc"]
        async with Cluster(broker, *machines) as cluster, asyncio.TaskGroup() as tasks:
            for at, what, which, seconds in drawn:
                tasks.create_task(fault(cluster, at, what, which, seconds))
            for number in range(len(rates)):
                await cluster.until_ended(f"count-{number}", 7_200.0)
        return broker

    broker = run_virtually(story())
    for number in range(len(rates)):
        rows = [job for job in broker.revisions if job.id == f"count-{number}"]
        assert (rows[-1].state, rows[-1].done) == (
            JobState.DONE,
            20 - len(too_large & {*range(20)}),
        )
        # Each row follows from the one before: nobody wrote over what another had written.
        assert [job.revision for job in rows] == [*range(3, len(rows) + 3)]
        assert all(a.done <= b.done for a, b in pairwise(rows))
    wanted = [n for n in range(20) if n not in too_large] * len(rates)
    assert sorted(numbers(broker)) == sorted(wanted)


async def fault(cluster: Cluster, at: float, what: str, which: int, seconds: float) -> None:
    await asyncio.sleep(at)
    machine, broker = cluster.machines[which], cluster.broker
    match what:
        case "kill":
            cluster.kill(machine)
        case "freeze":
            machine.process.freeze()
            process = machine.process
            await asyncio.sleep(seconds)
            process.thaw()
        case "point":
            machine.process.at_point[machine.process.points + 1 + int(seconds) % 7] = (
                Process.freeze
            )
            process = machine.process
            await asyncio.sleep(60.0)
            process.thaw()
        case "away":
            broker.is_away = True
            await asyncio.sleep(seconds)
            broker.is_away = False
        case _:
            broker.skew += round((seconds - 25.0) * 60_000)
