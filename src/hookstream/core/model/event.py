"""An event is something that happened on the platform, decoded once from its record."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from hookstream.core.model.record import Origin, Record

LARGE: Final = 2_000
"""The load above which an event is decoded, matched and rendered in a thread, off the event loop.

That many values of the slowest type take some 10 ms; the round trip to a thread takes 0.1 ms."""


class Revision(NamedTuple):
    """One published schema: a revision of one version of one event type."""

    event_type: str
    event_version: int
    fingerprint: str
    """CRC-64-AVRO of the parsing canonical form: 16 lower-case hex digits in little-endian order, as on the wire."""


@dataclass(slots=True, frozen=True)
class Identified:
    """The record's schema is known; its Avro body starts at `body_at`."""

    revision: Revision
    body_at: int
    by_position: bool = False
    """Whether the event's id is that of the record's position, as nothing in the record names one."""


@dataclass(slots=True, frozen=True)
class UnknownSchema:
    """The record names a schema that cannot be used yet: it waits until it can."""

    schema: str
    why: str = "is not published: run hookstream schemas apply"
    """The rest of the sentence that begins with the schema, with the remedy."""
    unfit: bool = False
    """Whether its mapping has no version for it, so that only a person can end the wait."""

    def __str__(self) -> str:
        """Return a sentence for a person."""
        return f"schema {self.schema} {self.why}"


@dataclass(slots=True, frozen=True)
class Undecodable:
    """The record cannot become an event.

    `reason` is a stable word of `UndecodableReason`, `detail` a sentence for a person.
    """

    reason: str
    detail: str


@dataclass(slots=True)
class Event:
    """A decoded event. Treated as immutable; not frozen, because one is made per record."""

    revision: Revision
    event_id: str
    occurred_at: int
    """Microseconds since the epoch, from the envelope."""
    entity_id: str
    environment: str
    fields: Mapping[str, object]
    """The whole decoded record; logical types are raw (a timestamp is an int, a decimal bytes)."""
    record: Record
    origin: Origin
    """Its position in the event topic; not `record`'s own position if it was read from a tier."""
    load: int = 0
    """Upper bound of the values in it: the cost of decoding, matching and rendering it."""
    body_at: int = 0
    """Where the Avro body starts in the record's value."""

    @property
    def event_type(self) -> str:
        """The dotted name of its type."""
        return self.revision.event_type


class UndecodableReason(StrEnum):
    """Stable words for why a record cannot become an event."""

    TOMBSTONE = "tombstone"
    NOT_FRAMED = "not_framed"
    """It names no schema, or a registry's schema although no registry is set for its topic."""
    UNKNOWN_SCHEMA = "unknown_schema"
    HOSTILE_SCHEMA = "hostile_schema"
    MALFORMED = "malformed"
    TRAILING_BYTES = "trailing_bytes"
    TOO_LARGE = "too_large"
    BAD_ENVELOPE = "bad_envelope"
    HEADERS_UNREADABLE = "headers_unreadable"
    """A header's name is not UTF-8, and only headers can identify the record."""


UNREADABLE_STATE = "unreadable_state"
"""The reason for a tier record with unreadable headers, in addition to UndecodableReason."""
