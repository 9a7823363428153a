"""An envelope is the part of a decoded record that hookstream relies on; it is validated strictly.

Every event has `event_id`, `occurred_at`, `entity_id`, `environment` and `data`. Ids become header
values and part of identities, so they are bounded, printable text. Nothing is repaired: a repaired
id would be another id.
"""

from collections.abc import Mapping
from typing import NamedTuple, TypeGuard

from hookstream.core.model.event import Undecodable, UndecodableReason

MAX_ID_LENGTH = 200
"""The longest `event_id` and `entity_id`, in characters."""

MAX_ENVIRONMENT_LENGTH = 64
"""The longest `environment`, in characters."""

_ID = f"printable text of 1 to {MAX_ID_LENGTH} characters"

LAST_INSTANT = 253_402_300_799_999_999
"""The last microsecond of the year 9999: RFC 3339 cannot express a later time."""


class Envelope(NamedTuple):
    """The identity of an event: its id, time, entity and environment."""

    event_id: str
    occurred_at: int
    """Microseconds since the epoch."""
    entity_id: str
    environment: str


def open_envelope(fields: Mapping[str, object]) -> Envelope | Undecodable:
    """Return the envelope of a decoded record, or why it is invalid.

    Args:
        fields: The decoded record; logical types are raw.
    """
    event_id, occurred_at = fields.get("event_id"), fields.get("occurred_at")
    entity_id, environment = fields.get("entity_id"), fields.get("environment")
    if (
        _is_name(event_id, MAX_ID_LENGTH)
        and _is_moment(occurred_at)
        and _is_name(entity_id, MAX_ID_LENGTH)
        and _is_name(environment, MAX_ENVIRONMENT_LENGTH)
        and isinstance(fields.get("data"), dict)
    ):
        return Envelope(event_id, occurred_at, entity_id, environment)
    return Undecodable(UndecodableReason.BAD_ENVELOPE, envelope_problems(fields)[0])


def envelope_problems(fields: Mapping[str, object]) -> list[str]:
    """Return every problem of a decoded record's envelope, one sentence each."""
    checks = (
        ("event_id", _is_name(fields.get("event_id"), MAX_ID_LENGTH), _ID),
        (
            "occurred_at",
            _is_moment(fields.get("occurred_at")),
            "microseconds since 1970, up to the year 9999",
        ),
        ("entity_id", _is_name(fields.get("entity_id"), MAX_ID_LENGTH), _ID),
        (
            "environment",
            _is_name(fields.get("environment"), MAX_ENVIRONMENT_LENGTH),
            f"printable text of 1 to {MAX_ENVIRONMENT_LENGTH} characters",
        ),
        ("data", isinstance(fields.get("data"), dict), "a record"),
    )
    return [_bad(name, fields.get(name), wanted) for name, good, wanted in checks if not good]


def _is_name(value: object, longest: int) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= longest and value.isprintable()


def _is_moment(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= LAST_INSTANT


def _bad(field: str, value: object, wanted: str) -> str:
    # The record itself is stored next to the reason: a short excerpt is enough here.
    found = "is missing" if value is None else f"is {ascii(value)[:80]}"
    return f"{field} {found}; it must be {wanted}"
