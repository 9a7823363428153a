"""An audit entry is one record of the attempts topic, decoded for queries."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import NoneType
from typing import get_args, get_type_hints

from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Origin
from hookstream.core.model.row_fields import Values


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
    batch_id: str | None
    """The batch that it was attempted in; None: it was attempted on its own."""
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
    job_id: str | None = None
    """The job whose run it belongs to; None: the delivery's first life, redrives included."""

    def as_json(self) -> JsonObject:
        """Return the entry as plain JSON, with instants as RFC 3339 text."""
        document: JsonObject = asdict(self)
        document["started_at"] = to_rfc3339(self.started_at)
        if self.next_due_at is not None:
            document["next_due_at"] = to_rfc3339(self.next_due_at)
        at = to_rfc3339(self.origin.timestamp)
        document["origin"] = {**self.origin._asdict(), "timestamp": at}
        return document


@dataclass(slots=True, frozen=True)
class EntryProblem:
    """A record of the attempts topic that cannot be read as an entry."""

    why: str


def read_entry(fields: Mapping[str, object]) -> AuditEntry | EntryProblem:
    """Read a decoded audit record; fields of a newer release are ignored."""
    try:
        origin = Origin(**_values(_ORIGIN, fields["origin"]))
        return AuditEntry(**_values(_ENTRY, {**fields, "origin": origin}))
    except (KeyError, TypeError) as problem:
        return EntryProblem(f"a field is missing or wrong: {problem}")


def _types(made: type) -> Mapping[str, tuple[type, ...]]:
    """Return the types of each field's values; a field whose value may be None may be missing."""
    return {name: get_args(hint) or (hint,) for name, hint in get_type_hints(made).items()}


_ORIGIN, _ENTRY = _types(Origin), _types(AuditEntry)
_WORDS = {str: "text", int: "a whole number"}


def _values(types: Mapping[str, tuple[type, ...]], fields: object) -> Values:
    if not isinstance(fields, Mapping):
        raise TypeError("origin is not a record")
    values: Values = {}
    for name, accepted in types.items():
        value = fields.get(name) if NoneType in accepted else fields[name]
        if type(value) not in accepted:
            raise TypeError(f"{name} is not {_WORDS[accepted[0]]}")
        values[name] = value
    return values
