"""A replay outlives its executors: whoever dies or is frozen, each delivery is written once, and arrives.

The executors, the worker, the broker and the endpoint are real. Topics are read with a plain client.
"""

import asyncio
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.past.test_replays import Past, border, the_job, until_settled
from tests.e2e.world import World, until, until_accepted
from tests.executor_processes import Cluster, executors
from tests.executor_processes import until as until_true

from hookstream.core.jobs.job import Job, JobState
from hookstream.core.model.topics import Topics

EVENTS, RATE = 280, 10
"""Its steps take half a minute: long enough for five executors to die or freeze in."""
pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class ClusterOf:
    """Of a world, what executors need. Implements `Cluster`."""

    world: World

    @property
    def client(self) -> dict[str, str | int | float | bool]:
        return {"bootstrap.servers": self.world.stage.servers}

    @property
    def names(self) -> Topics:
        return Topics(self.world.prefix)

    @property
    def options(self) -> list[str]:
        return self.world.stage.options


def outlived(cluster: Cluster, folder: Path, job_id: str) -> tuple[Job, list[int]]:
    """Kill and freeze whoever holds a job, each twice, until it ends; return its row and the exit codes."""
    with executors(cluster, folder, 3) as running:
        running.kill_holder(job_id)
        frozen = running.freeze_holder(job_id)
        running.kill_holder(job_id)
        again = running.freeze_holder(job_id)
        running.until_done(job_id)
        # Of the two that went on after the lease was over, at least one is not yet killed.
        until_true(
            lambda: frozen.lines("job.lost") + again.lines("job.lost") >= 1,
            "nobody lost it, so nobody was frozen beyond its lease",
        )
        return running.row(job_id), [each.end() for each in running.alive]


async def test_each_delivery_of_a_replay_is_written_once_and_arrives_whoever_dies_or_freezes(
    world: World, tmp_path: Path
) -> None:
    # Of the command: one that has no CPU for that long would lose the job before it is killed.
    world.stage.environ["HOOKSTREAM_JOBS__LEASE"] = "10s"
    crm = await world.subscribe("crm")
    since = await border()
    sent = await world.publish(EVENTS)
    interval = ("--from", since, "--to", await border())
    await world.stage.start_worker()
    await until_accepted(crm, sent, 120)

    # The first of its executors is the command that asks for it.
    asked = ("replay", "start", "crm", *interval, "--rate", str(RATE), "--yes")
    command = await world.stage.launch(*asked)
    job_id = (await the_job(world, lambda job: job["done"] >= 1))["id"]
    command.send_signal(signal.SIGKILL)
    await command.communicate()
    job, codes = await asyncio.to_thread(outlived, ClusterOf(world), tmp_path, job_id)
    assert (job.state, job.done, codes) == (JobState.DONE, EVENTS, [0, 0, 0])

    ids = {each.event_id for each in sent}
    written = Counter(each.headers["hs-event-id"] for each in await Past(world).written(job_id))
    assert (set(written), set(written.values())) == (ids, {1})

    def replayed() -> set[str]:
        return {each.event_id for each in crm.receiver.book.entries if each.trigger == "replay"}

    await until(lambda: replayed() >= ids, 120, lambda: len(replayed()))
    await until_settled(world)
    accepted = crm.receiver.book.accepted()
    live = {each.webhook_id for each in crm.receiver.book.entries if each.trigger == "initial"}
    again = {each.webhook_id for each in crm.receiver.book.entries if each.trigger == "replay"}
    assert (again, len(again)) == (live, EVENTS)
    assert set(accepted) == live
