"""Records in Confluent's framings, as services with Confluent's serializers write them."""

import asyncio
import json
import uuid
from collections.abc import Collection
from typing import Any

from confluent_kafka import Producer
from tests.conftest import ROOT
from tests.e2e.world import EVENT_TYPE, Partner, World, until

from hookstream.adapters.avro.encoder import EventEncoder
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.model.framing import SINGLE_OBJECT_BODY, VALUE_SCHEMA_ID, prefixed
from hookstream.core.model.json import JsonObject

TREE: JsonObject = json.loads((ROOT / "schemas" / EVENT_TYPE / "v1.avsc").read_text())


class Confluent:
    """Writes events of a world in any framing."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._encoder = EventEncoder(SchemaBook([TREE]))
        self._count = 0
        self.data: dict[str, dict[str, Any]] = {}
        """The content of each event as it is delivered, by event id."""
        servers = world.stage.servers
        self._producer = Producer({"bootstrap.servers": servers, "log_level": 0})

    def body(self) -> tuple[str, bytes]:
        """The next event without a framing."""
        self._count += 1
        happening = self._world.next_event()
        event_id = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{self._world.prefix}-{self._count}"))
        event: dict[str, Any] = {
            "event_id": event_id,
            "occurred_at": "2026-11-28T08:00:00Z",
            "entity_id": happening.entity_id,
            "environment": "production",
            "data": happening.data,
        }
        self.data[event_id] = happening.data
        return event_id, self._encoder.encode(EVENT_TYPE, event)[SINGLE_OBJECT_BODY:]

    async def prefix(self, schema_id: int, *, partition: int = -1, count: int = 1) -> list[str]:
        """Write events with an id before them."""
        sent = [self.body() for _ in range(count)]
        for _, body in sent:
            self.produce(prefixed(schema_id) + body, partition=partition)
        await self.flush()
        return [each for each, _ in sent]

    async def header(self, guid: str) -> str:
        """Write an event with a GUID in its header."""
        sent, body = self.body()
        value = b"\1" + bytes.fromhex(guid.replace("-", ""))
        self._producer.produce(self._world.topic, body, headers=[(VALUE_SCHEMA_ID, value)])
        await self.flush()
        return sent

    def produce(self, value: bytes, *, partition: int = -1) -> None:
        """Write any bytes into the event topic."""
        self._producer.produce(self._world.topic, value, partition=partition)

    async def flush(self) -> None:
        """Wait until the broker has all of it."""
        assert await asyncio.to_thread(self._producer.flush, 30) == 0


async def until_arrived(partner: Partner, sent: Collection[str], seconds: float = 60) -> None:
    """Wait until a partner accepted every event of these ids."""

    def missing() -> str:
        lacking = set(sent) - partner.accepted.keys()
        return f"{len(lacking)} of {len(sent)} never arrived: {sorted(lacking)[:3]}"

    await until(lambda: set(sent) <= partner.accepted.keys(), seconds, missing)


def serve(world: World, *urls: str, **settings: str) -> None:
    """Let a registry serve the world's event topics, for workers and commands."""
    # A busy machine keeps a registry that has just started from answering within the default of 5 s.
    given = {"timeout": "30s", "urls": ",".join(urls), "topics": f"{world.prefix}.events.*"}
    given.update(settings)
    for name, value in given.items():
        world.stage.environ[f"HOOKSTREAM_REGISTRY__MAIN__{name.upper()}"] = value


def lines(world: World, event: str) -> list[dict[str, Any]]:
    """The worker's log lines of an event."""
    found = [json.loads(line) for line in world.stage.log.read_text().splitlines()]
    return [line for line in found if line["event"] == event]
