"""An event is something that happened on the platform, decoded once from the record that told of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from hookstream.core.model.record import Origin, Record

LARGE: Final = 2_000
"""Load above which an event is decoded, matched and rendered beside the event loop.

So many values of the slowest type take some 10 ms; handing them to a thread and back takes 0.1."""


class Revision(NamedTuple):
    """One published schema: a revision of one version of one event type."""

    event_type: str
    event_version: int
    fingerprint: str
    """CRC-64-AVRO of the parsing canonical form: 16 lower-case hex digits in wire (little-endian) order."""


@dataclass(slots=True, frozen=True)
class Identified:
    """The record's schema is known; its Avro body starts at `body_at`."""

    revision: Revision
    body_at: int


@dataclass(slots=True, frozen=True)
class UnknownSchema:
    """The record names a schema that nobody published yet: it may still come."""

    schema: str


@dataclass(slots=True, frozen=True)
class Undecodable:
    """The record cannot become an event.

    `reason` is a short stable word of `UndecodableReason`, `detail` a sentence for a person.
    """

    reason: str
    detail: str


@dataclass(slots=True)
class Event:
    """A decoded event. Treated as immutable; not frozen, since one is made per record."""

    revision: Revision
    event_id: str
    occurred_at: int
    """Microseconds since the epoch, as the envelope says it."""
    entity_id: str
    environment: str
    fields: Mapping[str, object]
    """The whole decoded record, logical types left raw (a timestamp is an int, a decimal bytes)."""
    record: Record
    origin: Origin
    """Where it first stood; not `record`'s own place when it was read from a tier."""
    load: int = 0
    """How much work it is, in values: at most so many are decoded, asked or rendered of it."""

    @property
    def event_type(self) -> str:
        """The dotted name of its type."""
        return self.revision.event_type


class UndecodableReason(StrEnum):
    """The stable words for why a record never became an event."""

    TOMBSTONE = "tombstone"
    NOT_FRAMED = "not_framed"
    UNKNOWN_SCHEMA = "unknown_schema"
    HOSTILE_SCHEMA = "hostile_schema"
    MALFORMED = "malformed"
    TRAILING_BYTES = "trailing_bytes"
    TOO_LARGE = "too_large"
    BAD_ENVELOPE = "bad_envelope"
    HEADERS_UNREADABLE = "headers_unreadable"
    """A header's name is not UTF-8, where only headers can tell what the record is."""


UNREADABLE_STATE = "unreadable_state"
"""The word for a tier record whose headers cannot be read, beside those of UndecodableReason."""
