"""An envelope is the part of a decoded record that hookstream itself relies on, checked strictly.

Every event carries `event_id`, `occurred_at`, `entity_id`, `environment` and `data`. Ids travel on
as header values and in identities, so they are bounded, printable text; nothing is repaired, since
a repaired id would be another id.
"""

from collections.abc import Mapping
from typing import NamedTuple, TypeGuard

from hookstream.core.model.event import Undecodable, UndecodableReason

MAX_ID_LENGTH = 200
"""Characters of `event_id` and `entity_id`."""

MAX_ENVIRONMENT_LENGTH = 64
"""Characters of `environment`."""

_ID = f"printable text of 1 to {MAX_ID_LENGTH} characters"

LAST_INSTANT = 253_402_300_799_999_999
"""The last microsecond of the year 9999: no later time has RFC 3339 text."""


class Envelope(NamedTuple):
    """Who, when, about what and where: the identity of an event."""

    event_id: str
    occurred_at: int
    """Microseconds since the epoch."""
    entity_id: str
    environment: str


def open_envelope(fields: Mapping[str, object]) -> Envelope | Undecodable:
    """Return the envelope of a decoded record, or why it has none.

    Args:
        fields: The decoded record, its logical types left raw.
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
    """Return everything that is wrong with the envelope of a decoded record, a sentence each."""
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
    # The record itself is kept beside the reason: what is wrong needs no more than a glimpse.
    found = "is missing" if value is None else f"is {ascii(value)[:80]}"
    return f"{field} {found}; it must be {wanted}"
