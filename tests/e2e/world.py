"""A world for one end-to-end test: topics on the real broker, partners on loopback, a worker process.

A test checks what partners received, and the topics as a plain client reads
them. Of hookstream's own code only the producer's kit runs in the test's process; all else is the
command line, as an operator uses it.
"""

import asyncio
import itertools
import json
import time
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_bytes
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)
from examples.consumers.receiver import Answer, Receiver
from examples.demo.log import Entry, Log, event_id_of
from examples.demo.stage import PARTNER, ROOT, SUBSCRIPTION, CommandFailed
from examples.printprice.generator import Happening, events
from tests.e2e.forked_stage import ForkedStage
from tests.e2e.made_topics import MadeTopics, made_topics

from hookstream.producer import EventProducer, Published

EVENT_TYPE = "pricing.completed"
_POLL = 0.05
_PATIENCE = 120.0
"""Seconds for which a condition is waited for at least."""
_first: list[tuple[str, MadeTopics]] = []
"""The keys and the topics of the first world, once it is made."""
_PRICED = [each for each in events(seed=7, n=1_500) if each.event_type == EVENT_TYPE]


class Partner:
    """A partner's endpoint that verifies every signature, and the body that it was sent first."""

    def __init__(self, name: str, *, batches: bool = False) -> None:
        """Accept anything, until `answer` is changed."""
        self.bodies: dict[str, dict[str, Any]] = {}
        self.acted: Counter[str] = Counter()
        """How often it acted on each event."""
        self.receiver = Receiver(name, self._act, batches=batches)
        self.receiver.secrets = ["whsec_" + b64encode(token_bytes(32)).decode()]

    def _act(self, body: dict[str, Any]) -> None:
        self.bodies[body["id"]] = body
        self.acted[body["id"]] += 1

    def answer(self, answer: Answer | None) -> None:
        """Answer so from now on; None: 204 to everything."""
        self.receiver.answer = answer

    @property
    def accepted(self) -> Counter[str]:
        """How often each event was answered 2xx, by event id."""
        return Counter(
            entry.event_id for entry in self.receiver.book.entries if entry.status // 100 == 2
        )

    @property
    def statuses(self) -> list[int]:
        """What was answered so far, in order."""
        return [entry.status for entry in self.receiver.book.entries]


class World:
    """Everything that one test has."""

    def __init__(self, folder: Path, servers: str, prefix: str, partitions: int = 3) -> None:
        """Write the settings; nothing runs yet. `partitions`: of the event topic."""
        self._partitions = partitions
        self.stage = ForkedStage(folder, servers, prefix)
        self.stage.environ["HOOKSTREAM_TABLES__ACTIVATION_LEAD"] = "1s"
        self.log = Log(servers)
        self.prefix = prefix
        self.others: list[ForkedStage] = []
        self.partners: dict[str, Partner] = {}
        self.topic = f"{prefix}.events.{EVENT_TYPE}"
        self.event_topics = [self.topic]
        """The topics that must be read to their ends before all is settled."""
        self._schema = json.loads((ROOT / "schemas" / EVENT_TYPE / "v1.avsc").read_text())
        self._unsent = iter(_PRICED)

    async def set_up(self) -> None:
        """Make every topic, the keys, and publish the schemas.

        The first world's are made by commands, as an operator would; every other world has the same.
        """
        servers, file = self.stage.servers, self.stage.folder / "keys.json"
        await asyncio.to_thread(self.log.create, [self.topic], self._partitions)
        if not _first:
            async with asyncio.TaskGroup() as both:
                both.create_task(self.stage.hookstream("dev", "keys", str(file)))
                both.create_task(self.stage.hookstream("topics", "apply", "--yes"))
            await self.stage.hookstream("schemas", "apply", str(ROOT / "schemas"), "--yes")
            made = await asyncio.to_thread(made_topics, servers, self.prefix, without=self.topic)
            _first.append((file.read_text(), made))
            return
        keys, topics = _first[0]
        file.touch(0o600)
        file.write_text(keys)
        await asyncio.to_thread(topics.make, servers, self.prefix)

    async def subscribe(
        self,
        name: str,
        schedule: str = "[1s, 1s, 1s]",
        types: str = f"[{EVENT_TYPE}]",
        *,
        operator: bool = False,
        more: str = "",
    ) -> Partner:
        """Give a partner an endpoint and a subscription, and return when it is active.

        `more`: further lines of the subscription's file.
        """
        partner = self.partners[name] = Partner(name, batches="batch:" in more)
        await partner.receiver.start()
        secret = f"E2E_SECRET_{name.upper().replace('-', '_')}"
        self.stage.environ[secret] = partner.receiver.secrets[0]
        definitions = self.stage.folder / "definitions"
        rights = "  operator: true\n" if operator else ""
        written = {
            "partners": PARTNER.format(id=name, name=name, types=types) + rights,
            "subscriptions": SUBSCRIPTION.format(
                id=name,
                url=partner.receiver.url,
                secret=secret,
                types=types,
                more=more,
                schedule=schedule,
            ),
        }
        for kind, text in written.items():
            (definitions / kind).mkdir(parents=True, exist_ok=True)
            (definitions / kind / f"{name}.yaml").write_text(text)
        # A worker that starts later reads all rows; one that runs must have read them in time.
        lead = "1s" if self.stage.worker else "0s"
        lead = f"tables.activation_lead={lead}"
        await self.stage.hookstream("--set", lead, "apply", str(definitions), "--yes")
        return partner

    async def ask(self, *command: str) -> Any:  # noqa: ANN401  # JSON
        """Run a command that prints JSON and return what it printed."""
        return json.loads(await self.stage.hookstream(*command, "--json"))

    def another_worker(self) -> ForkedStage:
        """Return a separate stage for one more worker of this world; nothing runs yet."""
        number = len(self.others)
        folder = "another" if not number else f"another-{number}"
        stage = ForkedStage(self.stage.folder / folder, self.stage.servers, self.prefix)
        keys = str(self.stage.folder / "keys.json")
        stage.environ = {**self.stage.environ, "HOOKSTREAM_KEYS__FILE": keys}
        self.others.append(stage)
        return stage

    def next_event(self) -> Happening:
        """Return an event that was not sent yet, for the test's own producer."""
        return next(self._unsent)

    async def publish(self, count: int, every: float = 0.0) -> list[Published]:
        """Publish so many events with the producer's kit: one each `every` seconds, or all at once."""
        async with (
            EventProducer(
                self.stage.servers,
                schemas_topic=f"{self.prefix}.schemas",
                topic_prefix=f"{self.prefix}.events.",
                trace_ratio=1.0,
                patience=_PATIENCE,
            ) as producer,
            asyncio.TaskGroup() as sending,
        ):
            sends = []
            for each in itertools.islice(self._unsent, count):
                send = producer.send(each.event_type, each.data, entity_id=each.entity_id)
                sends.append(sending.create_task(send))
                await asyncio.sleep(every)
        published = [send.result() for send in sends]
        assert len(published) == count
        return published

    async def publish_bytes(self, value: bytes) -> None:
        """Let some other program write into the event topic."""
        producer = Producer({"bootstrap.servers": self.stage.servers, "log_level": 0})
        producer.produce(self.topic, value)
        assert await asyncio.to_thread(producer.flush, _PATIENCE) == 0

    async def read(self, *names: str) -> list[Entry]:
        """Read topics of ours from their beginning to the end that they have now."""
        return await asyncio.to_thread(self.log.read, *(f"{self.prefix}.{n}" for n in names))

    async def until_read(self, *names: str, seconds: float = 60) -> list[Entry]:
        """Return what topics of ours have once it is any, or fail at the deadline with the worker's log."""
        deadline = time.monotonic() + seconds
        while not (found := await self.read(*names)):
            assert time.monotonic() < deadline, f"{names} are empty: {self.stage.log.read_text()}"
            await asyncio.sleep(_POLL)
        return found

    async def unsettled(self) -> set[str]:
        """Return the ids of events of which a record, or a tier record, is not committed yet."""
        found = set()
        for group, topics in await self._read_by():
            committed = await asyncio.to_thread(self.log.committed, group, topics)
            for entry in await asyncio.to_thread(self.log.read, *topics):
                if entry.offset >= committed[entry.topic, entry.partition]:
                    name = entry.headers.get("hs-event-id") or event_id_of(entry, self._schema)
                    assert name is not None
                    found.add(name)
        return found

    async def _read_by(self) -> list[tuple[str, list[str]]]:
        """Return both groups, each with the topics that it reads."""
        names = await asyncio.to_thread(self.log.names)
        tiers = [name for name in names if name.startswith(f"{self.prefix}.retry.")]
        return [(self.prefix, self.event_topics), (f"{self.prefix}.retry", tiers)]

    async def until_settled(self, seconds: float) -> None:
        """Wait until both groups have committed all that there is, or fail at the deadline."""
        deadline = time.monotonic() + seconds
        read_by = await self._read_by()
        while lag := await self._lag(read_by):
            assert time.monotonic() < deadline, f"{lag} records were never settled"
            await asyncio.sleep(5 * _POLL)

    async def group_types(self) -> set[str]:
        """Return the protocols of this world's groups, as the broker reports them."""
        admin = AdminClient({"bootstrap.servers": self.stage.servers, "log_level": 0})
        found = await asyncio.to_thread(admin.list_consumer_groups().result, 10)
        return {
            group.type.name
            for group in found.valid
            if group.group_id in (self.prefix, f"{self.prefix}.retry")
        }

    async def _lag(self, read_by: list[tuple[str, list[str]]]) -> int:
        """Return how many records of events and tiers are not committed yet."""
        lag = 0
        for group, topics in read_by:
            ends = await asyncio.to_thread(self.log.ends, topics)
            committed = await asyncio.to_thread(self.log.committed, group, topics)
            lag += sum(end - committed[place] for place, end in ends.items())
        return lag


@asynccontextmanager
async def a_world(
    folder: Path, servers: str, prefix: str, partitions: int = 3
) -> AsyncIterator[World]:
    """Make a world with its topics and schemas; at its end nothing of it runs."""
    world = World(folder, servers, prefix, partitions)
    await world.set_up()
    try:
        yield world
    finally:
        for stage in (world.stage, *world.others):
            await stage.kill_worker()
        for partner in world.partners.values():
            await partner.receiver.stop()


async def until(
    holds: Callable[[], bool], seconds: float, otherwise: Callable[[], object]
) -> None:
    """Wait until a condition is true, or fail at the deadline with the actual state.

    Args:
        holds: The condition.
        seconds: How long it may take, on a machine that does nothing else: a busy one is given more.
        otherwise: Returns the actual state.
    """
    deadline = time.monotonic() + max(seconds, _PATIENCE)
    while not holds():
        assert time.monotonic() < deadline, otherwise()
        await asyncio.sleep(_POLL)


async def until_accepted(partner: Partner, sent: Iterable[Published], seconds: float) -> None:
    """Wait until a partner accepted every event that was sent."""
    wanted = {published.event_id for published in sent}

    def missing() -> str:
        lacking = wanted - partner.accepted.keys()
        return f"{len(lacking)} of {len(wanted)} never arrived: {sorted(lacking)[:3]}"

    await until(lambda: wanted <= partner.accepted.keys(), seconds, missing)


async def until_status(partner: Partner, status: int, seconds: float) -> None:
    """Wait until a partner gave an answer of this status."""
    await until(lambda: status in partner.statuses, seconds, lambda: partner.statuses)


async def refused(world: World) -> tuple[int | None, str]:
    """Start a worker that must not start; return its exit code and what it failed with."""
    try:
        await world.stage.start_worker()
    except CommandFailed:
        said = world.stage.log.read_text().splitlines()
        worker = world.stage.worker
        world.stage.log.unlink()
        lines = [json.loads(line) for line in said]
        sentences = [line["detail"] for line in lines if line["event"] == "worker.failed"]
        return worker.returncode if worker else None, "\n".join(sentences)
    raise AssertionError("the worker became ready")


def take_nothing(servers: str, topic: str) -> None:
    """Have a topic refuse whatever is written to it, as a broken quota or right would."""
    _set_largest(servers, topic, ConfigEntry(_LARGEST, "1", incremental_operation=_SET))


def take_again(servers: str, topic: str) -> None:
    """Have a topic that took nothing take records as large as any other topic does."""
    _set_largest(servers, topic, ConfigEntry(_LARGEST, None, incremental_operation=_UNSET))


_LARGEST = "max.message.bytes"
_SET, _UNSET = AlterConfigOpType.SET, AlterConfigOpType.DELETE


def _set_largest(servers: str, topic: str, entry: ConfigEntry) -> None:
    asked = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    admin.incremental_alter_configs([asked])[asked].result(30)
