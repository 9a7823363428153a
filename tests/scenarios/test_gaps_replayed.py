"""A pause, its replay and the worker together: each event arrives once, whoever dies and lags."""

import asyncio
from collections import Counter
from itertools import count

import pytest
from tests.doubles.jobs import TOPICS
from tests.doubles.replaying import DOOR, ReplayWorld
from tests.scenarios.replaying import grant_ever, sent, write
from tests.scenarios.world import EVENTS, World

from hookstream.core.jobs.job import JobState
from hookstream.core.model.instant import SECOND
from hookstream.core.model.record import OutgoingRecord
from hookstream.core.model.subscription import Subscription
from hookstream.core.planning.gap_fills import GapFill, fill_closed, started
from hookstream.core.planning.transitions import pause, resume
from hookstream.entry.admin.gap_jobs import job_of
from hookstream.pipeline.job_kind import RunResult
from hookstream.pipeline.jobs import JobRun

LEAD = 2 * SECOND


class Gaps:
    """The commands that end gaps, and the executors of their replays, over the log of a world."""

    def __init__(self, world: World, subscription: Subscription) -> None:
        self.world = world
        self.replays = ReplayWorld(clock=world.clock, directory=world.directory, codec=world.codec)
        # The double brings a partner and a subscription of its own.
        grant_ever(world)
        world.directory.put_subscription(subscription)
        self.replays.past.create(EVENTS)
        self._ids = count(1)
        self._copied = self._forwarded = 0

    def row(self, name: str = "crm") -> Subscription:
        found = self.world.directory.subscriptions[name]
        assert isinstance(found, Subscription)
        return found

    def pause(self) -> None:
        self.world.directory.put_subscription(pause(self.row(), self.now() + LEAD))

    def resume(self, rate: float | None = None) -> str:
        """End the pause, and return the job that fills its gap: row and job at once."""
        before = self.row()
        after, [filling] = fill_closed(
            before, resume(before, self.now() + LEAD), None, self.new_id
        )
        return self.written(after, filling, rate)

    def written(self, row: Subscription, filling: GapFill, rate: float | None = None) -> str:
        job = job_of(row.id, filling, self.now(), rate)
        self.world.directory.put_subscription(row)
        record = OutgoingRecord(TOPICS.jobs, job.id.encode(), job.encode())
        self.replays.jobs.append([record])
        return job.id

    def new_id(self) -> str:
        return f"replay-{next(self._ids)}"

    def now(self) -> int:
        return self.world.clock.now()

    async def run(self, job_id: str, name: str = "a") -> RunResult:
        """Work on a replay until it ends, over what the log has then."""
        stop = asyncio.Event()
        run = JobRun(self.replays.executor(name), stop)
        async with asyncio.TaskGroup() as tasks:
            copying = tasks.create_task(self.follow())
            result = await run.resume(job_id, wait=True, asked=True)
            copying.cancel()
        self.forward()
        return result

    async def follow(self) -> None:
        """Show executors the log, and workers what executors wrote."""
        while True:
            records = self.world.broker.records(EVENTS)
            for record in records[self._copied :]:
                self.replays.past.append(EVENTS, record.value or b"", record.timestamp)
            self._copied = len(records)
            self.forward()
            await asyncio.sleep(0.1)

    def forward(self) -> None:
        found = [each for each in self.replays.jobs.records if each.topic == DOOR]
        for record in found[self._forwarded :]:
            write(self.world, record)
        self._forwarded = len(found)


async def published(world: World, *names: str) -> None:
    """Publish events a second apart."""
    for name in names:
        await asyncio.sleep(1)
        world.publish(name)


@pytest.mark.parametrize("dies", [False, True])
async def test_a_pause_and_its_replay_deliver_each_event_once(
    dies: bool,  # noqa: FBT001
) -> None:
    """Also where no worker runs over the borders of the gap, and one reads them when it is filled."""
    async with World() as world:
        gaps = Gaps(world, world.subscribe("crm"))
        worker = await world.worker()
        await published(world, "before")
        gaps.pause()
        # Within the lead it is not paused yet.
        world.publish("still before")
        await world.until(world.settled)
        if dies:
            await worker.kill()
        await published(world, *(f"in {number}" for number in range(5)))
        job_id = gaps.resume()
        world.publish("still in")
        done = await gaps.run(job_id)
        await published(world, "after")
        if dies:
            await world.worker()
        await world.until(world.settled)
        inside = {"still in", *(f"in {number}" for number in range(1, 5))}
        accepted = world.accepted("crm")
        assert accepted == Counter(
            dict.fromkeys(["before", "still before", "in 0", "after", *inside], 1)
        )
        # The lead of the pause is two seconds, of which one event takes one.
        assert (done.job.state, done.job.done) == (JobState.DONE, len(inside))
        assert Counter(sent(world, "crm"))["replay", job_id] == len(inside)


async def test_a_second_pause_is_replayed_by_itself_while_the_first_replay_waits() -> None:
    async with World() as world:
        gaps = Gaps(world, world.subscribe("crm"))
        await world.worker()
        gaps.pause()
        await published(world, *(f"first {number}" for number in range(10)))
        first = gaps.resume(rate=1.0)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(gaps.run(first))
            await asyncio.sleep(0.5)
            gaps.pause()
            await published(world, *(f"second {number}" for number in range(6)))
            assert "crm is paused" in gaps.replays.waits
            assert not running.done()
            second = gaps.resume()
        await gaps.run(second, "b")
        await world.until(world.settled)
        names = [*(f"first {n}" for n in range(10)), *(f"second {n}" for n in range(6))]
        assert world.accepted("crm") == Counter(dict.fromkeys(names, 1))
        jobs = {job for _, job in sent(world, "crm") if job}
        assert jobs == {first, second}
        assert [gap.filled_by for gap in gaps.row().gaps] == [first, second]


async def test_a_subscription_that_starts_in_the_past_goes_on_without_a_seam() -> None:
    async with World() as world:
        gaps = Gaps(world, world.subscribe("crm"))
        await world.worker()
        await published(world, "too old", "old", "older than live")
        begins = gaps.now() - SECOND // 2
        row = world.subscribe("late", active_from=gaps.now() + LEAD)
        job_id = gaps.written(*started(row, begins, gaps.new_id()))
        world.publish("in the lead")
        done = await gaps.run(job_id)
        await published(world, "live")
        await world.until(world.settled)
        expected = ["older than live", "in the lead", "live"]
        assert world.accepted("late") == Counter(dict.fromkeys(expected, 1))
        assert done.job.state is JobState.DONE
        assert Counter(sent(world, "late"))["initial", None] == 1
