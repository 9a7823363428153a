"""A codec double: events as JSON records, so that scenarios need no schemas.

A record's value is a JSON object `{"type", "version", "event_id", "occurred_at", "entity_id",
"environment", "data"}`; `json_record` makes one. It behaves as the real codec does towards the
pipeline (tests/contracts/test_codec.py runs one suite on both), and counts its calls.
"""

import datetime as dt
import json
from collections.abc import Mapping
from typing import cast

import orjson

from hookstream.core.model.envelope import open_envelope
from hookstream.core.model.event import (
    Event,
    Identified,
    Revision,
    Undecodable,
    UndecodableReason,
    UnknownSchema,
)
from hookstream.core.model.framing import Framed, framing_of
from hookstream.core.model.json import Json, JsonObject, Paths
from hookstream.core.model.outcome import RefusalReason, Refused
from hookstream.core.model.record import Header, Origin, OutgoingRecord, Record
from hookstream.core.model.registered import RegisteredId, UnresolvedSchema

OCCURRED_AT = 1_764_000_000_000_000


def json_value(
    event_type: str,
    event_id: str,
    *,
    version: int = 1,
    occurred_at: int = OCCURRED_AT,
    entity_id: str = "job-1",
    environment: str = "production",
    data: JsonObject | None = None,
) -> bytes:
    """The value bytes of an event as this codec reads them."""
    return json.dumps(
        {
            "type": event_type,
            "version": version,
            "event_id": event_id,
            "occurred_at": occurred_at,
            "entity_id": entity_id,
            "environment": environment,
            "data": {} if data is None else data,
        }
    ).encode()


def json_record(
    event_type: str,
    event_id: str,
    *,
    topic: str | None = None,
    entity_id: str = "job-1",
    environment: str = "production",
    data: JsonObject | None = None,
    version: int = 1,
    headers: tuple[Header, ...] = (),
) -> OutgoingRecord:
    """An event as upstream writes it: to `printprice.<event type>` by default."""
    return OutgoingRecord(
        topic=topic or f"printprice.{event_type}",
        key=entity_id.encode(),
        value=json_value(
            event_type,
            event_id,
            version=version,
            entity_id=entity_id,
            environment=environment,
            data=data,
        ),
        headers=headers,
    )


class JsonCodec:
    """Fits `Codec`. Every (type, version) that is not `published` is an unknown schema.

    A `data` with a key `not_renderable` cannot be rendered; a pair in `unresolvable` cannot be
    resolved from the first version to the second.
    """

    def __init__(
        self, published: Mapping[str, int] | None = None, *, max_record_bytes: int = 1 << 20
    ) -> None:
        self.published: set[tuple[str, int]] = set()
        self.hostile: set[tuple[str, int]] = set()
        self.unresolvable: set[tuple[str, int, int]] = set()
        self.registries: dict[str, str] = {}
        """By topic, the registry that serves it."""
        self.rows: dict[RegisteredId, tuple[str, int]] = {}
        """The type and version of registries' schemas that are rows of the table."""
        self.decoded = 0
        self.rendered = 0
        self._max_record_bytes = max_record_bytes
        self._parsed: tuple[bytes, dict[str, Json]] = b"", {}
        """The last body, which is read several times in a row, and what it contains."""
        for event_type, newest in (published or {}).items():
            for version in range(1, newest + 1):
                self.publish(event_type, version)

    def publish(self, event_type: str, version: int = 1) -> None:
        self.published.add((event_type, version))

    def identify(
        self, record: Record, topic: str | None = None
    ) -> Identified | UnknownSchema | UnresolvedSchema | Undecodable:
        value = record.value
        if value is None:
            return Undecodable(UndecodableReason.TOMBSTONE, "the record has no value")
        if len(value) > self._max_record_bytes:
            return Undecodable(UndecodableReason.TOO_LARGE, f"{len(value)} bytes")
        framed = framing_of(record.headers, value)
        if framed is not None:
            return self._registered(framed, record.topic if topic is None else topic)
        body = self._fields(value)
        event_type, version = body.get("type"), body.get("version")
        if not isinstance(event_type, str) or not isinstance(version, int):
            if record.headers_problem is not None:
                return Undecodable(UndecodableReason.HEADERS_UNREADABLE, record.headers_problem)
            return Undecodable(UndecodableReason.NOT_FRAMED, "no type and version")
        return self._published(event_type, version, 0)

    def _registered(
        self, framed: Framed, topic: str
    ) -> Identified | UnknownSchema | UnresolvedSchema | Undecodable:
        registry = self.registries.get(topic)
        if registry is None:
            why = f"{framed.framing} {framed.schema}: set [registry.<name>] for {topic}"
            return Undecodable(UndecodableReason.NOT_FRAMED, why)
        schema = RegisteredId(registry, framed.schema)
        found = self.rows.get(schema)
        if found is None:
            return UnresolvedSchema(schema)
        return self._published(*found, framed.body_at)

    def _published(
        self, event_type: str, version: int, body_at: int
    ) -> Identified | UnknownSchema | Undecodable:
        if (event_type, version) in self.hostile:
            return Undecodable(UndecodableReason.HOSTILE_SCHEMA, f"{event_type}/{version}")
        if (event_type, version) not in self.published:
            return UnknownSchema(f"{event_type}/{version}")
        revision = Revision(event_type, version, _fingerprint(event_type, version))
        return Identified(revision, body_at)

    def _fields(self, value: bytes | None, body_at: int = 0) -> dict[str, Json]:
        body = (value or b"")[body_at:]
        if body != self._parsed[0]:
            self._parsed = body, _parsed(body)
        return self._parsed[1]

    def load(self, identified: Identified, record: Record) -> int:
        return _load(self._fields(record.value, identified.body_at))

    def counted(self, event: Event) -> int:
        return event.load

    def load_at(self, event: Event, version: int) -> int:
        del version
        return event.load

    def decode(
        self,
        identified: Identified,
        record: Record,
        origin: Origin | None = None,
        event_id: str = "",
    ) -> Event | Undecodable:
        del event_id
        self.decoded += 1
        fields = self._fields(record.value, identified.body_at)
        envelope = open_envelope(fields)
        if isinstance(envelope, Undecodable):
            return envelope
        return Event(
            revision=identified.revision,
            event_id=envelope.event_id,
            occurred_at=envelope.occurred_at,
            entity_id=envelope.entity_id,
            environment=envelope.environment,
            fields=fields,
            record=record,
            origin=record.origin if origin is None else origin,
        )

    def latest(self, event_type: str) -> int:
        return max((v for t, v in self.published if t == event_type), default=0)

    def document(self, event: Event, version: int) -> JsonObject | Refused:
        self.rendered += 1
        step = (event.event_type, event.revision.event_version, version)
        if (event.event_type, version) not in self.published or step in self.unresolvable:
            return Refused(
                RefusalReason.VERSION_NOT_RESOLVABLE, f"{event.event_type} has no v{version}"
            )
        data = cast("JsonObject", event.fields["data"])
        if "not_renderable" in data:
            return Refused(RefusalReason.NOT_RENDERABLE, "data.not_renderable cannot be rendered")
        moment = dt.datetime.fromtimestamp(event.occurred_at / 1_000_000, dt.UTC)
        return {
            "type": event.event_type,
            "version": version,
            # Not strftime: it takes three times as long.
            "timestamp": f"{moment.isoformat(timespec='microseconds')[:-6]}Z",
            "id": event.event_id,
            "environment": event.environment,
            "entity_id": event.entity_id,
            "data": data,
        }

    def body(self, event: Event, version: int) -> bytes | None:
        del event, version
        return None

    def excerpt(self, event: Event, version: int, paths: Paths) -> None:
        """As in Python without the accelerator: nothing is quicker than the whole."""

    def encode(self, value: Json) -> bytes:
        return orjson.dumps(value)


def _load(fields: Mapping[str, Json]) -> int:
    """Take `data.load` for how much work the event is; one without it is little."""
    data = fields.get("data")
    load = data.get("load") if isinstance(data, dict) else None
    return load if isinstance(load, int) else 1


def _parsed(value: bytes) -> dict[str, Json]:
    try:
        found = orjson.loads(value)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _fingerprint(event_type: str, version: int) -> str:
    return f"{sum(event_type.encode()) * 100 + version:016x}"
