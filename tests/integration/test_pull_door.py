"""A reader of the pull door on a real broker, with no worker: nothing is lost silently, and nothing twice."""

import asyncio
import itertools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from examples.printprice.generator import events
from tests.conftest import Broker
from tests.integration.definitions_world import SECRET, World, make_world

from hookstream.adapters.kafka.scan import LogScan, Stretch
from hookstream.core.pull.page import PulledEvent, PullGap, PullPage
from hookstream.entry.admin.pull import pull_door
from hookstream.pipeline.pull.service import PullService
from hookstream.producer import EventProducer
from hookstream.receiver import verify
from hookstream.settings import Settings, load

pytestmark = pytest.mark.timeout(300)

TYPE = "pricing.completed"
_UNSENT = [each for each in events(seed=11, n=400) if each.event_type == TYPE]
SECONDS = 60.0


@pytest.fixture
def world(
    broker: Broker,
    prefix: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    return make_world(broker, prefix, capsys, monkeypatch)


class Platform:
    """What publishes events."""

    def __init__(self, world: World) -> None:
        self.prefix = world.names.prefix
        self.servers = world.client["bootstrap.servers"]
        self.topic = f"{self.prefix}.events.{TYPE}"
        self.admin = AdminClient(dict(world.client))
        self.client = dict(world.client)
        self._left = iter(_UNSENT)

    def create(self) -> None:
        config = {"message.timestamp.type": "LogAppendTime"}
        self.admin.create_topics([NewTopic(self.topic, 2, 1, config=config)])[self.topic].result(
            30
        )

    def create_again(self) -> None:
        self.admin.delete_topics([self.topic])[self.topic].result(30)
        deadline = time.monotonic() + SECONDS
        while self.topic in self.admin.list_topics(timeout=10).topics:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        self.create()

    async def publish(self, count: int) -> list[str]:
        """Publish events, and return their ids."""
        producer = EventProducer(
            self.servers,
            schemas_topic=f"{self.prefix}.schemas",
            topic_prefix=f"{self.prefix}.events.",
        )
        async with producer:
            sent = [
                await producer.send(each.event_type, each.data, entity_id=each.entity_id)
                for each in itertools.islice(self._left, count)
            ]
        return [each.event_id for each in sent]

    def bytes_of(self, count: int) -> list[bytes]:
        """Return the values of the first records."""
        read = LogScan(self.client, self.topic).read(Stretch())
        return [each.value or b"" for each in itertools.islice(read, count)]

    def transaction(self, values: list[bytes]) -> Producer:
        """Write records to partition 0 in a transaction, and leave it open."""
        transactional = {"transactional.id": f"{self.prefix}-up", "linger.ms": 0, "log_level": 0}
        producer = Producer(self.client | transactional)
        producer.init_transactions(30)
        producer.begin_transaction()
        for value in values:
            producer.produce(self.topic, value, partition=0)
        assert producer.flush(30) == 0
        return producer

    def write(self, value: bytes, partition: int) -> None:
        producer = Producer(self.client | {"linger.ms": 0, "log_level": 0})
        producer.produce(self.topic, value, partition=partition)
        assert producer.flush(30) == 0

    def delete_before(self, partition: int, offset: int) -> None:
        asked = TopicPartition(self.topic, partition, offset)
        self.admin.delete_records([asked])[asked].result(30)


class Reader:
    """Goes on from cursor to cursor."""

    def __init__(self, door: PullService, cursor: str | None = None) -> None:
        self.door = door
        self.cursor = cursor
        self.ids: list[str] = []
        self.gaps: list[str] = []
        self.pages: list[PullPage] = []

    async def next(self, limit: int = 100, wait: float = 0.0) -> PullPage:
        page = await self.door.page("orders", self.cursor, limit, wait)
        assert isinstance(page, PullPage), page
        self.cursor = page.cursor
        self.pages.append(page)
        for entry in page.entries:
            match entry:
                case PulledEvent():
                    verify(dict(entry.headers), entry.body, [SECRET], time.time())
                    self.ids.append(json.loads(entry.body)["id"])
                case PullGap(reason):
                    self.gaps.append(reason.value)
                case skipped:
                    raise AssertionError(skipped)
        return page

    async def until(self, is_true: Callable[[], bool], limit: int = 100) -> None:
        deadline = time.monotonic() + SECONDS
        while not is_true():
            assert time.monotonic() < deadline, (self.ids, self.gaps)
            await self.next(limit, 2)


def settings_of(world: World) -> Settings:
    overrides = {
        "kafka.bootstrap_servers": world.client["bootstrap.servers"],
        "topics.prefix": world.names.prefix,
        "events.topics": f'["{world.names.prefix}.events.*"]',
    }
    return load(None, os.environ, overrides)


def declare(folder: Path) -> None:
    (folder / "partners").mkdir()
    (folder / "subscriptions").mkdir()
    (folder / "hookstream.yaml").write_text("name: shop\n")
    (folder / "partners" / "acme.yaml").write_text(
        "{id: acme, name: Acme, grant: {event_types: ['*'], environments: ['*']}}"
    )
    (folder / "subscriptions" / "orders.yaml").write_text(
        f"{{id: orders, partner: acme, event_types: [{TYPE}],"
        " endpoint: {pull: true, signing_secrets: [{env: ORDERS}]}}"
    )


def test_a_reader_loses_nothing_silently_and_reads_nothing_twice(
    world: World, tmp_path: Path
) -> None:
    platform = Platform(world)
    platform.create()
    declare(tmp_path)
    applied = world.run("apply", str(tmp_path), "--yes")
    assert applied.code == 0, applied.err
    shown: Any = orjson.loads(world.run("subscriptions", "show", "orders", "--json").out)
    assert shown["fields"]["endpoint.pull"] == "true"
    assert "limits.max_in_flight" not in shown["fields"]
    for act in (
        ("subscriptions", "test", "orders"),
        ("subscriptions", "pause", "orders"),
        ("replay", "start", "orders", "--from", "2026-01-01T00:00:00Z", "--dry-run"),
    ):
        refused = world.run(*act)
        assert (refused.code, "endpoint `pull`" in refused.err) == (2, True), (act, refused)
    asyncio.run(_read(platform, settings_of(world)))


async def _read(platform: Platform, settings: Settings) -> None:
    async with pull_door(settings) as door:
        first = await platform.publish(7)
        reader, behind = Reader(door), Reader(door)
        await reader.until(lambda: len(reader.ids) == len(first), limit=2)
        assert sorted(reader.ids) == sorted(first)
        await behind.next(limit=1)

        # Near the head: a waiting reader is woken.
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(reader.next(wait=30))
            await asyncio.sleep(1)
            second = await platform.publish(1)
            await waiting
        await reader.until(lambda: set(second) <= set(reader.ids))

        # An open transaction hides what follows it in its partition, and then all of it comes in order.
        values = await asyncio.to_thread(platform.bytes_of, 2)
        opened = await asyncio.to_thread(platform.transaction, [values[0]])
        await asyncio.to_thread(platform.write, values[1], 0)
        seen = len(reader.ids)
        await reader.next(wait=2)
        assert len(reader.ids) == seen
        await asyncio.to_thread(opened.commit_transaction, 30)
        await reader.until(lambda: len(reader.ids) == seen + 2)
        written = [json.loads(each)["id"] for each in await _bodies(reader, 2)]
        assert reader.ids[seen:] == written
        assert reader.gaps == []

        # Retention, seen by a reader that is behind and by nobody else.
        for partition in (0, 1):
            await asyncio.to_thread(platform.delete_before, partition, -1)
        third = await platform.publish(3)
        # Another process, with the cursor: this one may have fetched what is gone before it was.
        async with pull_door(settings) as other:
            behind.door = other
            await behind.until(lambda: set(third) <= set(behind.ids))
        behind.door = door
        assert behind.gaps == ["retention"]
        assert isinstance(behind.pages[1].entries[0], PullGap)
        assert len(behind.ids) == 1 + len(third)
        await reader.until(lambda: set(third) <= set(reader.ids))
        assert reader.gaps == []

        # The topic is deleted and created again: another topic, read from its start.
        await asyncio.to_thread(platform.create_again)
        fourth = await platform.publish(4)
        for each in (reader, behind):
            await each.until(lambda each=each: set(fourth) <= set(each.ids))  # type: ignore[misc]
            assert each.gaps[-1] == "topic_gone"
        assert len(reader.ids) == len(first) + len(second) + 2 + len(third) + len(fourth)
        assert len(behind.ids) == 1 + len(third) + len(fourth)


async def _bodies(reader: Reader, count: int) -> list[bytes]:
    """Return the last bodies that a reader was given."""
    found = [
        entry.body
        for page in reader.pages
        for entry in page.entries
        if isinstance(entry, PulledEvent)
    ]
    return found[-count:]
