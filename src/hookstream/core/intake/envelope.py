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
    event_id = fields.get("event_id")
    if not _is_name(event_id, MAX_ID_LENGTH):
        return _bad("event_id", event_id, f"printable text of 1 to {MAX_ID_LENGTH} characters")
    occurred_at = fields.get("occurred_at")
    if type(occurred_at) is not int or not 0 <= occurred_at <= LAST_INSTANT:
        return _bad("occurred_at", occurred_at, "microseconds since 1970, up to the year 9999")
    entity_id = fields.get("entity_id")
    if not _is_name(entity_id, MAX_ID_LENGTH):
        return _bad("entity_id", entity_id, f"printable text of 1 to {MAX_ID_LENGTH} characters")
    environment = fields.get("environment")
    if not _is_name(environment, MAX_ENVIRONMENT_LENGTH):
        return _bad(
            "environment",
            environment,
            f"printable text of 1 to {MAX_ENVIRONMENT_LENGTH} characters",
        )
    if not isinstance(fields.get("data"), dict):
        return _bad("data", fields.get("data"), "a record")
    return Envelope(event_id, occurred_at, entity_id, environment)


def _is_name(value: object, longest: int) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= longest and value.isprintable()


def _bad(field: str, value: object, wanted: str) -> Undecodable:
    # The record itself is kept beside the reason: what is wrong needs no more than a glimpse.
    found = "is missing" if value is None else f"is {ascii(value)[:80]}"
    return Undecodable(UndecodableReason.BAD_ENVELOPE, f"{field} {found}; it must be {wanted}")
