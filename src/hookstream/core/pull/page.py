"""What an answer of the pull door has: events, gaps and skipped records; or why there is no answer."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.json import Json, JsonObject

MOST_EVENTS: Final = 1_000
"""The largest `limit`."""
DEFAULT_LIMIT: Final = 100
MOST_PAGE_BYTES: Final = 8 * 1024 * 1024
"""Bytes of bodies after which a page ends, though it has fewer events than asked for."""
LONGEST_WAIT: Final = 30.0
"""The longest `wait`, in seconds."""
EXCLUDED: Final = ("redrive", "replay", "test")
"""Triggers of deliveries that never come by the pull door: it has each event of the log once."""


@dataclass(slots=True, frozen=True)
class PulledEvent:
    """One event, signed as a request would be."""

    webhook_id: str
    webhook_timestamp: int
    """When it was signed, in seconds since the epoch."""
    webhook_signature: str
    content_type: str
    body: bytes = field(repr=False)
    """The exact bytes that are signed: UTF-8 text."""

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers by which it is verified."""
        return [
            ("webhook-id", self.webhook_id),
            ("webhook-timestamp", str(self.webhook_timestamp)),
            ("webhook-signature", self.webhook_signature),
            ("content-type", self.content_type),
        ]

    def document(self) -> JsonObject:
        """Return it as JSON."""
        headers: JsonObject = dict(self.headers)
        return {"kind": "event", "headers": headers, "body": self.body.decode()}


class GapReason(StrEnum):
    """Why events may be missing."""

    RETENTION = "retention"
    """The log did not keep them for long enough."""
    TOPIC_GONE = "topic_gone"
    """A topic was deleted, or deleted and created again, with whatever was not read of it."""
    TRUNCATED = "truncated"
    """Brokers lost records that were read before; others may have taken their places."""


@dataclass(slots=True, frozen=True)
class PullGap:
    """Events may be missing here; those that follow are complete again."""

    reason: GapReason

    def document(self) -> JsonObject:
        """Return it as JSON."""
        return {"kind": "gap", "reason": self.reason.value}


@dataclass(slots=True, frozen=True)
class SkippedEvent:
    """A record that cannot be shown, and why."""

    reason: str
    """A word of `UndecodableReason`, `RefusalReason`, or `internal_error`."""
    at: Millis
    """The record's time."""
    webhook_id: str | None = None
    """That of the event's delivery, where its event is known."""
    event_type: str | None = None
    """The type, where it is known."""

    def document(self) -> JsonObject:
        """Return it as JSON."""
        return {
            "kind": "skipped",
            "reason": self.reason,
            "timestamp": to_rfc3339(self.at),
            "webhook_id": self.webhook_id,
            "event_type": self.event_type,
        }


PullEntry: TypeAlias = PulledEvent | PullGap | SkippedEvent


class WaitReason(StrEnum):
    """Why a reader is not at the end of the log though nothing more can be shown."""

    UNKNOWN_SCHEMA = "unknown_schema"
    """A record names a schema that is not published; what follows it waits for that, for the grace."""
    SUSPENDED = "suspended"
    """An operator suspended the delivery of an event's type; what follows it waits."""


@dataclass(slots=True, frozen=True)
class PullPage:
    """One answer. Entries of one partition of the log are in its order; nothing else is ordered."""

    entries: tuple[PullEntry, ...]
    """Gaps first."""
    cursor: str
    """What the next request gives: it goes on behind the entries."""
    has_more: bool
    """Whether more is ready: ask again at once."""
    waiting_for: tuple[WaitReason, ...] = ()
    read: int = 0
    """Records that were read for it alone; it is not in the document."""

    def document(self) -> JsonObject:
        """Return it as JSON."""
        entries: list[Json] = [entry.document() for entry in self.entries]
        return {
            "entries": entries,
            "cursor": self.cursor,
            "has_more": self.has_more,
            "waiting_for": [reason.value for reason in self.waiting_for],
            "excludes": list(EXCLUDED),
        }


@dataclass(slots=True, frozen=True)
class NoSuchSubscription:
    """There is none of that id that is not deleted."""

    detail: str


@dataclass(slots=True, frozen=True)
class CursorRefused:
    """The cursor is none, belongs to another subscription, was changed, or its key is gone."""

    detail: str


@dataclass(slots=True, frozen=True)
class CursorGone:
    """The cursor is of an earlier life of the subscription's id: it was deleted and created again."""

    detail: str


@dataclass(slots=True, frozen=True)
class Busy:
    """Too many readers are behind the head of the log."""

    detail: str
    retry_after: int
    """Seconds."""


@dataclass(slots=True, frozen=True)
class NotNow:
    """Nothing may be shown now."""

    detail: str
    retry_after: int
    """Seconds."""
    why: Literal["tables", "unreadable", "suspended"]
    """The tables are not current; the row cannot be read; an operator suspended it."""


PullRefusal: TypeAlias = NoSuchSubscription | CursorRefused | CursorGone | Busy | NotNow
