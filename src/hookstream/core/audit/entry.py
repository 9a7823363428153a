"""An audit entry is one record of the attempts topic, decoded for queries."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Origin


@dataclass(slots=True, frozen=True)
class AuditEntry:
    """One attempt, or a delivery's end without one."""

    delivery_id: str
    subscription_id: str
    partner_id: str
    event_type: str
    event_version: int
    event_id: str
    entity_id: str
    environment: str
    attempt: int
    trigger: str
    outcome: str | None
    """None: the delivery ended without an attempt."""
    disposition: str
    reason: str | None
    status: int | None
    error: str | None
    started_at: Millis
    duration_us: int
    next_due_at: Millis | None
    request_bytes: int
    response_excerpt: str | None
    host: str
    trace_id: str | None
    worker: str
    origin: Origin

    def as_json(self) -> JsonObject:
        """Return the entry as plain JSON, with instants as RFC 3339 text."""
        document: JsonObject = asdict(self)
        document["started_at"] = to_rfc3339(self.started_at)
        if self.next_due_at is not None:
            document["next_due_at"] = to_rfc3339(self.next_due_at)
        document["origin"] = {
            "topic": self.origin.topic,
            "partition": self.origin.partition,
            "offset": self.origin.offset,
            "timestamp": to_rfc3339(self.origin.timestamp),
        }
        return document


@dataclass(slots=True, frozen=True)
class EntryProblem:
    """A record of the attempts topic that cannot be read as an entry."""

    why: str


def read_entry(fields: Mapping[str, object]) -> AuditEntry | EntryProblem:
    """Read a decoded audit record; fields of a newer release are ignored."""
    try:
        return AuditEntry(
            delivery_id=_text(fields, "delivery_id"),
            subscription_id=_text(fields, "subscription_id"),
            partner_id=_text(fields, "partner_id"),
            event_type=_text(fields, "event_type"),
            event_version=_whole(fields, "event_version"),
            event_id=_text(fields, "event_id"),
            entity_id=_text(fields, "entity_id"),
            environment=_text(fields, "environment"),
            attempt=_whole(fields, "attempt"),
            trigger=_text(fields, "trigger"),
            outcome=_optional_text(fields, "outcome"),
            disposition=_text(fields, "disposition"),
            reason=_optional_text(fields, "reason"),
            status=_optional_whole(fields, "status"),
            error=_optional_text(fields, "error"),
            started_at=_whole(fields, "started_at"),
            duration_us=_whole(fields, "duration_us"),
            next_due_at=_optional_whole(fields, "next_due_at"),
            request_bytes=_whole(fields, "request_bytes"),
            response_excerpt=_optional_text(fields, "response_excerpt"),
            host=_text(fields, "host"),
            trace_id=_optional_text(fields, "trace_id"),
            worker=_text(fields, "worker"),
            origin=_origin(fields["origin"]),
        )
    except (KeyError, TypeError) as problem:
        return EntryProblem(f"a field is missing or wrong: {problem}")


def _origin(fields: object) -> Origin:
    if not isinstance(fields, Mapping):
        raise TypeError("origin is not a record")
    return Origin(
        _text(fields, "topic"),
        _whole(fields, "partition"),
        _whole(fields, "offset"),
        _whole(fields, "timestamp"),
    )


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is not text")
    return value


def _whole(fields: Mapping[str, object], name: str) -> int:
    value = fields[name]
    if type(value) is not int:
        raise TypeError(f"{name} is not a whole number")
    return value


def _optional_text(fields: Mapping[str, object], name: str) -> str | None:
    return None if fields.get(name) is None else _text(fields, name)


def _optional_whole(fields: Mapping[str, object], name: str) -> int | None:
    return None if fields.get(name) is None else _whole(fields, name)
