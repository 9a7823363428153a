"""A service that knows nothing of hookstream: Confluent's serializer, a registry, its own schema."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

EVENT_TYPE = "parcel.shipped"
TOPIC = "carrier.parcels"
"""Behind the prefix of a run's event topics."""

SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "ParcelShipped",
    "namespace": "com.carrier",
    "fields": [
        {"name": "trackingId", "type": "string"},
        {"name": "orderNumber", "type": "string"},
        {"name": "weightGrams", "type": "int"},
    ],
}

MAPPING = """\
topics: [{topic}]
record: com.carrier.ParcelShipped
event_type: parcel.shipped
versions:
  - version: 1
    schema: parcel_shipped.avsc
event_id: {{field: trackingId}}
entity_id: {{field: orderNumber}}
environment: {{constant: production}}
"""


def write_mapping(folder: Path, topic: str) -> Path:
    """Write the mapping of a topic, as a platform engineer would; return the folder of schemas."""
    mappings = folder / "mappings"
    mappings.mkdir(parents=True)
    (mappings / "parcels.yaml").write_text(MAPPING.format(topic=topic))
    (mappings / "parcel_shipped.avsc").write_text(json.dumps(SCHEMA, indent=2))
    return folder


class Registry:
    """A schema registry in memory, with as much of Confluent's API as this needs, within `async with`."""

    def __init__(self) -> None:
        """Know no schema."""
        self.url = ""
        self._texts: list[str] = []
        app = web.Application()
        app.router.add_post("/subjects/{subject}/versions", self._register)
        app.router.add_get("/schemas/ids/{id}", self._schema)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def __aenter__(self) -> Self:
        """Listen on loopback."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the port."""
        await self._runner.cleanup()

    async def _register(self, request: web.Request) -> web.Response:
        text = (await request.json())["schema"]
        if text not in self._texts:
            self._texts.append(text)
        return web.json_response({"id": self._texts.index(text) + 1})

    async def _schema(self, request: web.Request) -> web.Response:
        number = int(request.match_info["id"])
        if not 0 < number <= len(self._texts):
            body = {"error_code": 40403, "message": "Schema not found"}
            return web.json_response(body, status=404)
        return web.json_response({"schema": self._texts[number - 1]})


class Carrier:
    """The service. Blocks."""

    def __init__(self, servers: str, topic: str, registry: str) -> None:
        """Connect on first use."""
        self._topic = topic
        self._serialize = AvroSerializer(
            SchemaRegistryClient({"url": registry}),
            json.dumps(SCHEMA),
            conf={"subject.name.strategy.type": "TOPIC"},
        )
        self._producer = Producer({"bootstrap.servers": servers, "log_level": 0})

    def ship(self, orders: list[str]) -> Iterator[dict[str, object]]:
        """Write one record for each order, and yield what it has."""
        for order in orders:
            parcel = {
                "trackingId": f"1Z{secrets.token_hex(8)}",
                "orderNumber": order,
                "weightGrams": 100 + 7 * len(order),
            }
            context = SerializationContext(self._topic, MessageField.VALUE)
            self._producer.produce(self._topic, self._serialize(parcel, context), key=order)
            yield parcel
        self._producer.flush(30)
