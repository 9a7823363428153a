"""An interval of the past is delivered again exactly, whatever stops and dies meanwhile.

The commands, the worker, the broker and the endpoint are real. Topics are read with a plain client.
"""

import asyncio
import json
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from examples.demo.log import Entry
from examples.demo.stage import ROOT
from tests.e2e.world import EVENT_TYPE, World, until, until_accepted

from hookstream.core.model.instant import to_rfc3339
from hookstream.producer import EventProducer, Published

LATE = "pricing.quoted"
pytestmark = pytest.mark.timeout(400)


class Past:
    """The event topic of a world, and what replays wrote."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def spare(self, count: int) -> list[bytes]:
        """Return the values of events that are in no event topic."""
        topic = f"{self.world.prefix}.spare.{EVENT_TYPE}"
        await asyncio.to_thread(self.world.log.create, [topic], 1)
        async with EventProducer(
            self.world.stage.servers,
            schemas_topic=f"{self.world.prefix}.schemas",
            topic_prefix=f"{self.world.prefix}.spare.",
        ) as producer:
            for _ in range(count):
                event = self.world.next_event()
                await producer.send(event.event_type, event.data, entity_id=event.entity_id)
        return [each.value or b"" for each in await asyncio.to_thread(self.world.log.read, topic)]

    def produce(self, values: list[bytes], *, open_: bool = False) -> Producer:
        """Append records, in a transaction that stays open if that is asked for."""
        more = {"transactional.id": f"{self.world.prefix}.upstream"} if open_ else {}
        producer = Producer({"bootstrap.servers": self.world.stage.servers, "log_level": 0} | more)
        if open_:
            producer.init_transactions(20)
            producer.begin_transaction()
        for number, value in enumerate(values):
            producer.produce(self.world.topic, value, partition=number % 3)
            producer.poll(0)
        assert producer.flush(30) == 0
        return producer

    async def publish_unknown(self) -> Published:
        """Publish an event of a type whose schema nobody has published."""
        topic = f"{self.world.prefix}.events.{LATE}"
        await asyncio.to_thread(self.world.log.create, [topic], 1)
        event = self.world.next_event()
        async with EventProducer(
            self.world.stage.servers,
            schemas=[self._late_schema()],
            topic_prefix=f"{self.world.prefix}.events.",
        ) as producer:
            return await producer.send(LATE, event.data, entity_id=event.entity_id)

    def late_schemas(self) -> Path:
        """Return a folder with the schema of that type."""
        file = self.world.stage.folder / "late" / LATE / "v1.avsc"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(self._late_schema()))
        return file.parents[1]

    def _late_schema(self) -> Any:  # noqa: ANN401  JSON
        schema = json.loads((ROOT / "schemas" / EVENT_TYPE / "v1.avsc").read_text())
        return schema | {"eventType": LATE, "name": "PricingQuoted"}

    async def written(self, job: str) -> list[Entry]:
        """Return the tier records that a replay wrote into `retry.0s`."""
        entries = await self.world.read("retry.0s")
        return [each for each in entries if each.headers.get("hs-job") == job]


def places(entries: list[Entry]) -> list[tuple[str, str]]:
    return sorted(
        (each.headers["hs-origin-partition"], each.headers["hs-origin-offset"]) for each in entries
    )


async def border() -> str:
    """Return a time between the records before and those after it: this machine has the broker's clock."""
    await asyncio.sleep(0.05)
    now = time.time_ns() // 1_000_000
    await asyncio.sleep(0.05)
    return to_rfc3339(now)


@dataclass
class AcrossBorders:
    """What the first test published, and asked for."""

    inside: list[Published]
    outside: list[Published]
    interval: tuple[str, ...]
    upstream: Producer


async def published(world: World, past: Past) -> AcrossBorders:
    """Publish over both borders of an interval, across which no worker runs."""
    spare = await past.spare(2)
    await world.stage.start_worker()
    outside = await world.publish(4)
    await until_accepted(world.partners["crm"], outside, 60)
    await world.stage.kill_worker()
    outside += await world.publish(3)
    since = await border()
    inside = await world.publish(9)
    upstream = await asyncio.to_thread(past.produce, spare, open_=True)
    inside += await world.publish(2)
    inside.append(await past.publish_unknown())
    until_ = await border()
    outside += await world.publish(4)
    return AcrossBorders(inside, outside, ("--from", since, "--to", until_), upstream)


async def test_an_interval_is_replayed_exactly_with_a_worker_stopped_over_both_borders(
    world: World,
) -> None:
    past = Past(world)
    crm = await world.subscribe("crm", types='["*"]')
    across = await published(world, past)
    said = world.stage.folder / "dry.log"
    with said.open("wb") as log:
        asked = ("replay", "start", "crm", *across.interval, "--dry-run", "--json")
        dry = await world.stage.launch(*asked, log=log)
        waits = b"waiting: open transactions end"
        await until(lambda: waits in said.read_bytes(), 60, said.read_text)
        assert dry.returncode is None
        await asyncio.to_thread(across.upstream.commit_transaction, 20)
        assert await dry.wait() == 0
    counted = json.loads(said.read_text().splitlines()[-1])
    types = [(each["event_type"], each["events"]) for each in counted["event_types"]]
    assert (counted["job"], types, counted["unidentified"]) == (None, [(EVENT_TYPE, 13)], 1)

    await world.stage.start_worker()
    known = [each for each in (*across.inside, *across.outside) if LATE not in each.topic]
    await until_accepted(crm, known, 60)
    again = ("replay", "start", "crm", "--preview", counted["preview"], "--yes")
    job = (await world.ask(*again))["job"]
    assert (job["state"], job["done"], job["total"]) == ("done", 14, 14)
    # The schema comes late: workers identify what the replay could not.
    await world.stage.hookstream("schemas", "apply", str(past.late_schemas()), "--yes")

    def replayed() -> list[Any]:
        return [each for each in crm.receiver.book.entries if each.trigger == "replay"]

    await until(lambda: len(replayed()) >= 14, 60, lambda: len(replayed()))
    await until_settled(world)
    found = Counter(each.event_id for each in replayed())
    assert (len(found), set(found.values())) == (14, {1})
    assert {each.event_id for each in across.inside} < set(found)
    assert not set(found) & {each.event_id for each in across.outside}
    assert {each.attempt for each in replayed()} == {1}
    ids = {each.event_id: each.webhook_id for each in crm.receiver.book.entries}
    assert all(each.webhook_id == ids[each.event_id] for each in crm.receiver.book.entries)


FEW, MANY = 100, 2_300
INTERVAL = ("--from", "1h", "--yes", "--json")


async def test_a_replay_outlives_its_process_keeps_its_window_and_ends_where_it_is_cancelled(
    world: World,
) -> None:
    past = Past(world)
    world.stage.environ["HOOKSTREAM_JOBS__LEASE"] = "5s"
    world.stage.environ["HOOKSTREAM_JOBS__LISTEN"] = "127.0.0.1:0"
    await world.subscribe("crm")
    spare = await past.spare(3)
    await border()
    await asyncio.to_thread(past.produce, [spare[0]] * FEW)
    await killed_and_taken_over(world, past)
    await cancelled(world, past)
    await asyncio.to_thread(past.produce, [spare[1]] * MANY)
    job_id = await window_kept(world, past)

    # A worker ends what is out, and the rest follows.
    await world.stage.start_worker()
    rest = await world.ask("jobs", "resume", job_id)
    assert (rest["state"], rest["done"]) == ("done", FEW + MANY)
    await until_settled(world)
    written = await past.written(job_id)
    assert (len(written), len(set(places(written)))) == (FEW + MANY, FEW + MANY)
    triggers = Counter(each.trigger for each in world.partners["crm"].receiver.book.entries)
    assert triggers["replay"] >= FEW + MANY


async def killed_and_taken_over(world: World, past: Past) -> None:
    """Kill a replay's process in the middle: `jobs run` writes the rest, and nothing twice."""
    dying = await world.stage.launch("replay", "start", "crm", *INTERVAL, "--rate", "10")
    job = await the_job(world, lambda job: job["done"] >= 5)
    dying.send_signal(signal.SIGKILL)
    await dying.communicate()
    assert job["done"] < FEW
    with (world.stage.folder / "executor.log").open("wb") as log:
        executor = await world.stage.launch("jobs", "run", log=log)
        await the_job(world, lambda job: job["state"] == "done" and job["done"] == FEW)
        executor.send_signal(signal.SIGTERM)
        assert await executor.wait() == 0
    written = await past.written(job["id"])
    assert (len(written), len(set(places(written)))) == (FEW, FEW)


async def cancelled(world: World, past: Past) -> None:
    """Cancel a replay in the middle: its process ends, and wrote nothing since."""
    slow = await world.stage.launch("replay", "start", "crm", *INTERVAL, "--rate", "10")
    job = await the_job(world, lambda job: job["state"] == "running" and job["done"] >= 5)
    await world.stage.hookstream("jobs", "cancel", job["id"])
    left = len(await past.written(job["id"]))
    await slow.communicate()
    assert slow.returncode == 1
    assert left < FEW
    assert len(await past.written(job["id"])) == left


async def window_kept(world: World, past: Past) -> str:
    """Replay while no worker runs, so that nothing ends: no more than the window is written."""
    said = world.stage.folder / "full.log"
    await stopped_when_full(world, said, "replay", "start", "crm", *INTERVAL)
    (job,) = [job for job in await jobs_listed(world) if job["state"] == "running"]
    assert (job["held"], job["done"]) == (False, 2_000)
    # Another executor knows what is out.
    await stopped_when_full(world, said, "jobs", "resume", job["id"])
    assert len(await past.written(job["id"])) == 2_000
    return str(job["id"])


async def stopped_when_full(world: World, said: Path, *command: str) -> None:
    """Run a command until it says that it waits for deliveries that are out, and stop it then."""
    with said.open("wb") as log:
        running = await world.stage.launch(*command, log=log)
        full = b"waits: the window is full: 2,000"
        await until(lambda: full in said.read_bytes(), 90, said.read_text)
        running.send_signal(signal.SIGTERM)
        assert await running.wait() == 1


async def the_job(world: World, wanted: Callable[[Any], bool]) -> Any:  # noqa: ANN401  JSON
    """Return the newest job for which a condition holds, once there is one."""
    deadline = time.monotonic() + 90
    while True:
        jobs = await jobs_listed(world)
        found = next((job for job in jobs if wanted(job)), None)
        if found is not None:
            return found
        assert time.monotonic() < deadline, jobs
        await asyncio.sleep(0.5)


async def until_settled(world: World) -> None:
    """Wait until no record is unsettled. Transactions end with markers, which nobody commits past."""
    deadline = time.monotonic() + 120
    while left := await world.unsettled():
        assert time.monotonic() < deadline, left
        await asyncio.sleep(0.5)


async def jobs_listed(world: World) -> list[Any]:
    """Return the jobs, the newest first, whether one of them is stalled (exit code 1) or not."""
    listing = await world.stage.launch("jobs", "list", "--json")
    out, _ = await listing.communicate()
    return list(json.loads(out))
