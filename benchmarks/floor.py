"""The floor: the calls that a delivery cannot do without, with nothing of hookstream around them.

    python -m benchmarks.floor SERVERS TOPIC AUDIT_TOPIC URL EVENTS

One process reads the events of a topic, decodes each with fastavro (logical types left out), makes
JSON of it, computes its id and its signature, posts it over a keep-alive connection and writes an
audit record: the same libraries on the same core in the same run, no matching, no retry, no
settling, nothing kept. What a worker costs beyond it is hookstream's; what it costs here, no program
made of these libraries goes below.
"""

import asyncio
import base64
import hashlib
import hmac
import io
import json
import resource
import sys
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any, cast
from urllib.parse import urlsplit

import fastavro
import httptools
import orjson
import uvloop
from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from benchmarks.gauge import cheapest_us
from benchmarks.installation import ROOT

SCHEMA = ROOT / "schemas" / "order.generated" / "v1.avsc"

_IN_FLIGHT = 64
_BATCH = 500
_LEFT_OUT = 1_000
"""Events before the count starts, so that connections are open and topics are known."""
_MARKER = 10
"""Bytes before the record's own: the single-object marker and the schema's fingerprint."""
_NO_CONTENT = 204
_AUDIT_RECORD = b"\x00" * 250
_SECRET = b"k" * 32


class Connection(asyncio.Protocol):
    """A keep-alive connection that makes one request at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[int]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._answer.set_result(self._parser.get_status_code())

    async def post(self, request: bytes) -> int:
        """Send a request and return the status of its answer."""
        self._answer = self._loop.create_future()
        self._transport.write(request)
        return await self._answer


class Floor:
    """One pass over the events of a topic."""

    def __init__(self, servers: str, topic: str, audit: str, url: str, events: int) -> None:
        self._audit = audit
        self._events = events
        parts = urlsplit(url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._head = f"POST {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        self._schema = fastavro.parse_schema(
            _without_logical_types(json.loads(SCHEMA.read_text()))
        )
        self._consumer = Consumer(
            {"bootstrap.servers": servers, "group.id": "floor", "enable.auto.commit": False}
        )
        found = self._consumer.list_topics(topic, 10).topics[topic].partitions
        self._consumer.assign([TopicPartition(topic, number, 0) for number in found])
        self._producer = Producer(
            {"bootstrap.servers": servers, "acks": "all", "enable.idempotence": True}
        )
        self._connections: list[Connection] = []

    async def run(self) -> dict[str, float]:
        """Deliver every event once; return CPU and rate of all but the first thousand."""
        loop = asyncio.get_running_loop()
        for _ in range(_IN_FLIGHT):
            _, connection = await loop.create_connection(lambda: Connection(loop), *self._address)
            self._connections.append(connection)
        records = self._records()
        await self._deliver(list(islice(records, _LEFT_OUT)))
        used, began = _cpu(), time.monotonic()
        delivered = 0
        marks = [(0, used)]
        while batch := list(islice(records, _BATCH)):
            await self._deliver(batch)
            delivered += len(batch)
            self._producer.poll(0)
            marks.append((delivered, _cpu()))
        self._producer.flush()
        took = time.monotonic() - began
        return {
            "deliveries": delivered,
            "cpu_us": round((_cpu() - used) / delivered * 1e6, 1),
            "cheapest_us": cheapest_us(marks),
            "per_second": round(delivered / took),
        }

    def _records(self) -> Iterator[Message]:
        left = self._events
        while left:
            for record in self._consumer.consume(min(left, _BATCH), 5.0):
                left -= 1
                yield record

    async def _deliver(self, batch: list[Message]) -> None:
        waiting = iter(batch)
        async with asyncio.TaskGroup() as tasks:
            for connection in self._connections:
                tasks.create_task(self._serve(connection, waiting))

    async def _serve(self, connection: Connection, waiting: Iterator[Message]) -> None:
        for record in waiting:
            value = record.value() or b""
            event: Any = fastavro.schemaless_reader(io.BytesIO(value[_MARKER:]), self._schema)
            body = orjson.dumps(event, default=_text)
            digest = hashlib.sha256(event["event_id"].encode() + b"subscription").digest()
            name = f"msg_{base64.b32encode(digest[:20]).decode().lower()}"
            now = int(time.time())
            signed = hmac.digest(_SECRET, f"{name}.{now}.".encode() + body, "sha256")
            head = (
                f"{self._head}webhook-id: {name}\r\nwebhook-timestamp: {now}\r\n"
                f"webhook-signature: v1,{base64.b64encode(signed).decode()}\r\n"
                f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            )
            status = await connection.post(head.encode() + body)
            if status != _NO_CONTENT:
                raise SystemExit(f"the sink answered {status}")
            self._producer.produce(self._audit, _AUDIT_RECORD, name, on_delivery=_acknowledged)


def _acknowledged(error: KafkaError | None, _: Message) -> None:
    if error is not None:
        raise KafkaException(error)


def _text(value: bytes) -> str:
    """Make text of what JSON has no type for: the bytes of a decimal."""
    return value.hex()


def _without_logical_types(schema: Any) -> Any:  # noqa: ANN401  a schema is any JSON
    match schema:
        case dict():
            return {
                key: _without_logical_types(value)
                for key, value in schema.items()
                if key not in ("logicalType", "precision", "scale")
            }
        case list():
            return [_without_logical_types(each) for each in schema]
        case _:
            return schema


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run one pass and print its figures as JSON."""
    servers, topic, audit, url, events = sys.argv[1:]
    uvloop.install()
    print(json.dumps(asyncio.run(Floor(servers, topic, audit, url, int(events)).run())))


if __name__ == "__main__":
    main()
