"""An audit entry is one record of the attempts topic, decoded for queries."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any, TypeAlias, get_args, get_type_hints

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
        # Not `asdict`: it copies each value, which takes ten times as long.
        document: JsonObject = {name: getattr(self, name) for name in _NAMES}
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
        values = _ENTRY.values(fields)
        values[_ORIGIN_AT] = Origin(*_ORIGIN.values(values[_ORIGIN_AT]))
        return AuditEntry(*values)
    except (KeyError, TypeError) as problem:
        return EntryProblem(f"a field is missing or wrong: {problem}")


_Positional: TypeAlias = list[Any]  # type: ignore[explicit-any]  # constructor arguments by position


class _Fields:
    """Takes the values of a type's fields from a mapping, in their order, and checks their types.

    Millions of records are read, and their values are of a few combinations of types: a combination that
    was found right is not checked field by field again.

    Args:
        made: The type. A field whose value may be None may be missing.
        nested: Fields whose values are mappings, which the caller reads.
    """

    def __init__(self, made: type, nested: frozenset[str] = frozenset()) -> None:
        hints = get_type_hints(made)
        self._types = {name: get_args(hint) or (hint,) for name, hint in hints.items()}
        self._nested = nested
        self._right: set[tuple[type, ...]] = set()

    def values(self, fields: object) -> _Positional:
        """Return the values.

        Raises:
            KeyError: A field is missing.
            TypeError: A field has a value of another type.
        """
        if not isinstance(fields, dict):
            raise TypeError("origin is not a record")
        found = [*map(fields.get, self._types)]
        kinds = tuple(map(type, found))
        if kinds not in self._right:
            self._check(fields, kinds)
            self._right.add(kinds)
        return found

    def _check(self, fields: Mapping[str, object], kinds: Iterable[type]) -> None:
        for (name, accepted), kind in zip(self._types.items(), kinds, strict=True):
            if name not in fields and NoneType not in accepted:
                raise KeyError(name)
            if name not in self._nested and kind not in accepted:
                raise TypeError(f"{name} is not {_WORDS[accepted[0]]}")


_WORDS = {str: "text", int: "a whole number"}
_ORIGIN, _ENTRY = _Fields(Origin), _Fields(AuditEntry, frozenset({"origin"}))
_NAMES = (*get_type_hints(AuditEntry),)
_ORIGIN_AT = _NAMES.index("origin")
