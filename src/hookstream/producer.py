"""The producer kit of an upstream service: validates, encodes, traces and durably publishes events.

    async with EventProducer("kafka:9092") as producer:
        await producer.send("pricing.completed", entity_id="job-42", data={...})

Schemas are followed in hookstream's schemas topic, or given. `send` returns when all in-sync
replicas have the event; an event that no worker could decode is refused before it is written.
"""

import asyncio
import datetime as dt
import logging
import re
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Literal, Required, Self, TypedDict, TypeVar, Unpack
from uuid import UUID

from opentelemetry import trace

from hookstream.adapters.avro.encoder import DEFAULT_MAX_BYTES, EventEncoder
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.kafka.producer import KafkaSink
from hookstream.adapters.kafka.tables.log import TableRecord
from hookstream.adapters.kafka.tables.reader import TableReader
from hookstream.adapters.schema_registry.record_framing import RecordFraming
from hookstream.adapters.system import SystemChance, SystemClock, new_id, random_bytes
from hookstream.core.model import header_names
from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Header, OutgoingRecord
from hookstream.errors import (
    DependencyUnavailable,
    EventRefused,
    HookstreamError,
    InputRefused,
    InvariantBroken,
)
from hookstream.pipeline.ports import Span, WriteRefused

__all__ = ["BlockingProducer", "EventParts", "EventProducer", "Published", "SchemaRegistry"]

T = TypeVar("T")

_START_SECONDS = 30.0
_CLOSE_SECONDS = 10.0
_NOT_OPEN = "the producer is not open: use it with `async with`"
_CLOSED = (
    "the producer was closed: the event may not be written, send it again with the same event_id"
)
_LOOK_SECONDS = 1.0
"""How often a blocking call checks that the thread that it waits for is alive."""
_HEADROOM_BYTES = 64 * 1024
"""Room for key, headers and framing in addition to the largest event."""
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(slots=True, frozen=True)
class Published:
    """The result of sending an event."""

    topic: str
    event_id: str
    traceparent: str
    """The trace that the event belongs to: every delivery of it is found under its id."""


@dataclass(slots=True, frozen=True)
class SchemaRegistry:
    """A schema registry with Confluent's API, in which the schemas of events are registered already."""

    urls: Sequence[str]
    """Its replicas, with the path of Confluent's API if there is one."""
    subject: str = "{name}"
    """The subject of an event's schema, as for `schemas register`: `{name}` is the record's full name,
    `{type}` and `{version}` are the event's, `{topic}` is where it goes."""
    username: str | None = None
    """The user of basic authentication, with `secret` for the password."""
    secret: str | None = field(default=None, repr=False)
    """A password; without `username`, a bearer token."""
    ca: str | None = None
    """A PEM file of the authorities that are trusted instead of the machine's."""
    timeout: float = 5.0
    """Seconds for a request to one replica."""


class EventProducer:
    """Publishes events, from `async with` until its end. For one event loop; calls may overlap.

    Args:
        bootstrap_servers: The Kafka cluster.
        client: Any further settings of librdkafka (TLS, SASL).
        schemas: The schemas to write with; None: the schemas topic is followed.
        schemas_topic: Where `hookstream schemas apply` publishes them.
        topic_prefix: An event goes to the topic `<prefix><event type>`.
        environment: The environment of events that name none.
        trace_ratio: The share of new traces that are sampled, from 0 to 1, if `start_span` does
            not decide it.
        max_bytes: The largest event, as the workers are configured.
        patience: Seconds to wait for an acknowledgement.
        framing: How records name their schema: `single-object`, which needs no registry, or
            `confluent`, its prefix `00` and the schema's id.
        registry: The registry of the ids for `confluent`; workers need the same one.
        schema_ids: The ids by event type and version, in place of a registry, for schemas that are given.
        start_span: Starts the span of sending to a topic, as a child of a W3C context or as a root;
            None if it is not sampled.
    """

    def __init__(  # noqa: PLR0913  the options of a kit, each by its name
        self,
        bootstrap_servers: str,
        *,
        client: Mapping[str, str | int | float | bool] | None = None,
        schemas: Iterable[JsonObject] | None = None,
        schemas_topic: str = "hookstream.schemas",
        topic_prefix: str = "printprice.",
        environment: str = "production",
        trace_ratio: float = 0.01,
        max_bytes: int = DEFAULT_MAX_BYTES,
        patience: float = 30.0,
        framing: Literal["single-object", "confluent"] = "single-object",
        registry: SchemaRegistry | None = None,
        schema_ids: Mapping[tuple[str, int], int] | None = None,
        start_span: Callable[[str, str | None], Span | None] | None = None,
    ) -> None:
        self._client = {"bootstrap.servers": bootstrap_servers, **(client or {})}
        self._follow = schemas is None
        self._book = SchemaBook(schemas or ())
        self._encoder = EventEncoder(self._book, max_bytes=max_bytes)
        self._schemas_topic = schemas_topic
        self._topic_prefix = topic_prefix
        self._environment = environment
        self._trace_ratio = trace_ratio
        self._max_bytes = max_bytes
        self._patience = patience
        self._framing = RecordFraming(framing, registry, schema_ids, follows=self._follow)
        self._start_span = start_span
        self._clock = SystemClock()
        self._chance = SystemChance()
        self._logger = _Logger()
        self._stack = AsyncExitStack()
        self._sink: KafkaSink | None = None
        self._reader: TableReader | None = None

    async def __aenter__(self) -> Self:
        """Connect, and read the schemas if they were not given.

        Raises:
            ConfigurationError: The schemas topic does not exist, or the registry's `ca` cannot be read.
            DependencyUnavailable: The cluster does not answer.
        """
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._framing)
            if self._follow:
                self._reader = reader = TableReader(
                    self._client, [self._schemas_topic], self._take, self._logger, self._clock
                )
                reader.start()
                stack.push_async_callback(reader.close)
                await reader.read_to_end(_START_SECONDS)
            self._sink = KafkaSink(self._client, self._max_bytes + _HEADROOM_BYTES, self._logger)
            stack.push_async_callback(self._sink.close)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Wait for events that are not acknowledged yet, ten seconds at most, and disconnect."""
        if self._sink is not None:
            await self._sink.flush(_CLOSE_SECONDS)
        try:
            await self._stack.aclose()
        finally:
            self._sink = None

    async def send(
        self,
        event_type: str,
        data: Mapping[str, object],
        *,
        entity_id: str,
        event_id: str | None = None,
        occurred_at: dt.datetime | str | None = None,
        environment: str | None = None,
        version: int | None = None,
        key: bytes | None = None,
        traceparent: str | None = None,
    ) -> Published:
        """Publish one event and wait until it is durable.

        Args:
            event_type: Its type, such as `pricing.completed`.
            data: What happened: JSON (decimals and times as text, bytes as base64) or Python's
                `Decimal`, `datetime`, `date`, `UUID` and `bytes`. A Python `float` in a field of
                Avro's `float` is rounded to 32 bits; nothing else is rounded. If several branches
                of a union accept a value, `{"<type name>": value}` selects one.
            entity_id: What it is about; events of one entity share a partition.
            event_id: Its identity; None: a new UUID. Send an event again with the same one, or
                partners see two.
            occurred_at: When it happened, with an offset; None: now.
            environment: Where it happened.
            version: The version to write; None: the newest.
            key: The record's key; None: the entity's id.
            traceparent: The W3C trace that it belongs to; else OpenTelemetry's current span, else a
                new trace.

        Raises:
            EventRefused: The event is not valid; it has every problem with its path (20 at most).
                An `InputRefused`.
            InputRefused: Its type or version was never published or, for `confluent`, is not in the
                registry; it is too large, or the broker refused it for good. Or the producer is not open.
            DependencyUnavailable: No acknowledgement came in time, or before the producer was closed. It may
                still be written: send it again with the same `event_id`.
            HookstreamError: The schemas topic can no longer be followed: open a new producer.
        """
        identity = event_id if event_id is not None else str(UUID(new_id()))
        fields = self._fields(data, entity_id, identity, occurred_at, environment)
        # Both before anything is awaited: a new revision may come.
        schema = self._encoder.schema(event_type, version)
        encoded = self._encoder.encode(event_type, fields, version)
        topic = f"{self._topic_prefix}{event_type}"
        value = await self._framing.framed(schema, encoded, topic)
        span, traced = self._trace(topic, traceparent)
        headers: Sequence[Header] = ((header_names.TRACEPARENT, traced.encode()),)
        record = OutgoingRecord(topic, entity_id.encode() if key is None else key, value, headers)
        try:
            await self._write(record)
        except HookstreamError as problem:
            _end(span, type(problem).__name__)
            raise
        _end(span, None)
        return Published(topic, identity, traced)

    def problems(  # an event has these parts
        self,
        event_type: str,
        data: Mapping[str, object],
        *,
        entity_id: str,
        event_id: str | None = None,
        occurred_at: dt.datetime | str | None = None,
        environment: str | None = None,
        version: int | None = None,
    ) -> Sequence[str]:
        """Return why `send` would refuse an event, each with its path; empty if it would not.

        At most 20 problems are named. Nothing is written.
        """
        identity = event_id if event_id is not None else str(UUID(new_id()))
        fields = self._fields(data, entity_id, identity, occurred_at, environment)
        try:
            self._encoder.encode(event_type, fields, version)
        except EventRefused as refused:
            return refused.problems
        except InputRefused as refused:
            return (str(refused),)
        return ()

    def _fields(
        self,
        data: Mapping[str, object],
        entity_id: str,
        event_id: str,
        occurred_at: dt.datetime | str | None,
        environment: str | None,
    ) -> dict[str, object]:
        moment = occurred_at
        if moment is None:
            moment = dt.datetime.fromtimestamp(self._clock.now() / 1_000, dt.UTC)
        return {
            "event_id": event_id,
            "occurred_at": moment,
            "entity_id": entity_id,
            "environment": self._environment if environment is None else environment,
            "data": data,
        }

    async def _write(self, record: OutgoingRecord) -> None:
        sink = self._sink
        if sink is None:
            raise InputRefused(_NOT_OPEN)
        if self._reader is not None and self._reader.failed.done():
            # The schemas are no longer followed: an event of an old one may be refused.
            _raised(self._reader.failed)
        done: asyncio.Future[WriteRefused | None] = asyncio.get_running_loop().create_future()

        def acknowledged(refused: WriteRefused | None) -> None:
            if not done.done():
                done.set_result(refused)

        sink.write(record, acknowledged)
        await asyncio.wait(
            (done, sink.failed), timeout=self._patience, return_when=asyncio.FIRST_COMPLETED
        )
        if sink.failed.done() and not done.done():
            _raised(sink.failed)
        if not done.done():
            raise DependencyUnavailable(
                f"{record.topic} acknowledged nothing within {self._patience:g} s: does the topic exist?"
                " The event may still be written: send it again with the same event_id"
            )
        refused = done.result()
        if refused is not None:
            raise InputRefused(f"{record.topic} refused the event: {refused.detail}")

    def _trace(self, topic: str, traceparent: str | None) -> tuple[Span | None, str]:
        """Return the span of sending, if there is one, and the context that the event carries."""
        parent = _checked(traceparent) or _current_trace()
        span = None if self._start_span is None else self._start_span(topic, parent)
        if span is not None:
            return span, span.traceparent
        if parent is not None:
            return None, parent
        # `start_span` has already decided against sampling.
        sampled = self._start_span is None and self._chance.fraction() < self._trace_ratio
        return None, _new_trace(sampled=sampled)

    def _take(self, records: Sequence[TableRecord]) -> None:
        for record in records:
            problem = self._book.put(record.key, record.value)
            if problem is not None:
                self._logger.warning("schema.refused", key=record.key, detail=problem)


class EventParts(TypedDict, total=False):
    """The parts of an event other than its type and data, as `EventProducer.send` takes them."""

    entity_id: Required[str]
    event_id: str | None
    occurred_at: dt.datetime | str | None
    environment: str | None
    version: int | None
    key: bytes | None
    traceparent: str | None


class BlockingProducer:
    """An EventProducer for services without an event loop: `with BlockingProducer(EventProducer(…))`.

    It runs on a thread of its own; any thread may call it.
    """

    def __init__(self, producer: EventProducer) -> None:
        """Take a producer that is not open yet."""
        self._producer = producer
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="hookstream-producer", daemon=True
        )

    def __enter__(self) -> Self:
        """Connect, as `EventProducer` does."""
        self._thread.start()
        try:
            self._call(self._producer.__aenter__())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *how: object) -> None:
        """Wait for events that are not acknowledged yet, and disconnect, as `EventProducer` does."""
        self._closed = True
        try:
            self._call(self._producer.__aexit__(*how))
            self._call(_others_ended())
        finally:
            self._stop()

    def send(
        self, event_type: str, data: Mapping[str, object], **parts: Unpack[EventParts]
    ) -> Published:
        """Publish one event and wait until it is durable, as `EventProducer.send` says."""
        if self._closed:
            raise InputRefused(_NOT_OPEN)
        return self._call(self._producer.send(event_type, data, **parts))

    def _call(self, doing: Coroutine[None, None, T]) -> T:
        asked = asyncio.run_coroutine_threadsafe(doing, self._loop)
        while True:
            try:
                return asked.result(_LOOK_SECONDS)
            except TimeoutError:
                if asked.done():
                    raise
                if not self._thread.is_alive():
                    if self._closed:
                        raise DependencyUnavailable(_CLOSED) from None
                    raise InvariantBroken("the producer's thread ended: open a new one") from None

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CLOSE_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()


async def _others_ended() -> None:
    """Wait until the other calls of this loop have ended, which the close lets end at once."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others, timeout=_LOOK_SECONDS)


def _raised(failed: asyncio.Future[None]) -> None:
    """Raise why a client failed, or that it was closed: its future is cancelled then, and no task was."""
    if failed.cancelled():
        raise DependencyUnavailable(_CLOSED)
    failed.result()


def _checked(traceparent: str | None) -> str | None:
    if traceparent is not None and not _TRACEPARENT.fullmatch(traceparent):
        raise InputRefused(f"traceparent: {traceparent[:80]!r} is not W3C trace context")
    return traceparent


def _new_trace(*, sampled: bool) -> str:
    return f"00-{new_id()}-{random_bytes(8).hex()}-{'01' if sampled else '00'}"


def _end(span: Span | None, error: str | None) -> None:
    if span is not None:
        span.end(error=error)


def _current_trace() -> str | None:
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 1:02x}"


class _Logger:
    """Passes the adapters' log lines to the service's own logging, as `hookstream.producer`."""

    def __init__(self) -> None:
        self._log = logging.getLogger("hookstream.producer")

    def attempt(self, record: AttemptRecord) -> None:
        """Do nothing: a producer makes no attempts."""

    def info(self, event: str, **fields: str | float | None) -> None:
        """Log an event that an operator may want to know."""
        self._log.info("%s %s", event, fields)

    def warning(self, event: str, **fields: str | float | None) -> None:
        """Log an event that an operator should look at."""
        self._log.warning("%s %s", event, fields)

    def error(self, event: str, **fields: str | float | None) -> None:
        """Log an event that an operator must act on."""
        self._log.error("%s %s", event, fields)
