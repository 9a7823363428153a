"""Routes that read events of the event topics in pages, and publish events; for operators."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from hookstream.adapters.json_bytes import json_bytes
from hookstream.core.access.scopes import Scope
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Record, TopicPartition
from hookstream.core.model.visible_text import shown
from hookstream.entry.admin.event_audience import Audience, audiences
from hookstream.entry.admin.event_pages import (
    LONGEST_WAIT,
    MOST_SHOWN,
    EventPosition,
    EventsAsked,
    EventsPart,
)
from hookstream.entry.admin.known_names import Filter, names_of, refuse_unknown
from hookstream.entry.api.fields import ApiInput, ApiOutput, Identifier
from hookstream.entry.api.routes import ApiAnswer, Call, Route

_TAG = "events"
_LARGEST = 2**63 - 1
MOST_POSITIONS = 5_000
"""The most partitions that one request reads."""
MOST_SENT = 500
"""The most events that one request publishes."""

TopicName = Annotated[str, Meta(min_length=1, max_length=249)]
_Offset = Annotated[int, Meta(ge=0, le=_LARGEST)]


class ReadPosition(ApiInput, frozen=True):
    """The position at which a partition is read on, from the previous answer."""

    topic: TopicName
    partition: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    offset: _Offset
    end: _Offset | None = None
    """The offset after the last record to read; default: no end."""


class ReadGiven(ApiInput, frozen=True):
    """The events to read."""

    topics: Annotated[tuple[TopicName, ...], Meta(max_length=100)] = ()
    """Default: all event topics. Only for the first request; later ones have the positions."""
    event_types: Annotated[tuple[Identifier, ...], Meta(max_length=100)] = ()
    """Default: any."""
    start: Literal["latest", "earliest"] = "latest"
    """The start of the first request."""
    follow: bool = False
    """Whether later records than those at the first request are read too."""
    positions: Annotated[tuple[ReadPosition, ...], Meta(max_length=MOST_POSITIONS)] = ()
    """`positions` of the previous answer; default: this is the first request."""
    limit: Annotated[int, Meta(ge=1, le=MOST_SHOWN)] = 100
    """The most records of this answer."""
    wait: Annotated[float, Meta(ge=0, le=LONGEST_WAIT)] = 5.0
    """Seconds for which the answer may wait for records."""


class PositionShown(ApiOutput, frozen=True):
    """The position at which a partition is read on."""

    topic: str
    partition: int
    offset: int
    end: int | None


class ReadRecord(ApiOutput, frozen=True):
    """A record of a topic, and the event in it."""

    topic: str
    partition: int
    offset: int
    appended_at: str
    event: dict[str, Any] | None
    """As it is published; null: the record is not an event."""
    problem: str
    """Why it is not an event."""


class EventsRead(ApiOutput, frozen=True):
    """Records in the order of each partition."""

    records: tuple[ReadRecord, ...]
    positions: tuple[PositionShown, ...]
    """For the next request."""
    read: int
    """The number of records read, shown or not."""
    over: bool
    """Whether every end was reached."""


class SendGiven(ApiInput, frozen=True):
    """Events to publish."""

    topic_prefix: Annotated[str, Meta(min_length=1, max_length=200, examples=["printprice."])]
    """Each event is published to the topic of this prefix and its type."""
    events: Annotated[tuple[dict[str, Any] | str, ...], Meta(min_length=1, max_length=MOST_SENT)]
    """Each as it is delivered (type, entity_id, environment, data; id, timestamp and version are optional),
    or its JSON as a text, which keeps the spelling of numbers."""


class RefusedEvent(ApiOutput, frozen=True):
    """An event that was not published."""

    index: int
    """Its place in `events`, from 0 on."""
    why: str


class AudienceShown(ApiOutput, frozen=True):
    """The number of subscriptions that ask for a type in an environment, before any filter."""

    event_type: str
    environment: str
    of_type: int
    """Those that ask for the type, in any environment."""
    here: int


class EventsSent(ApiOutput, frozen=True):
    """The result of publishing events."""

    sent: int
    refused: tuple[RefusedEvent, ...]
    audiences: tuple[AudienceShown, ...]


def read_events_(call: Call[Any, ReadGiven]) -> ApiAnswer:
    """Return the next records of topics, with their events."""
    given = call.body
    types = frozenset(given.event_types)
    refuse_unknown([Filter("event_types", types, names_of(call.services.state()).event_types)])
    asked = EventsAsked(
        given.topics,
        types,
        [_position(each) for each in given.positions],
        given.start == "earliest",
        given.follow,
        given.limit,
        given.wait,
    )
    found = call.services.read_events(asked)
    call.services.note_scanned(call.caller, found.read)
    return ApiAnswer(_read(found), subject=_subject(found))


def send_events_(call: Call[Any, SendGiven]) -> ApiAnswer:
    """Publish events; refused ones are returned with the reason, and the others are published."""
    given: Any = call.document["events"]
    lines = [each.encode() if isinstance(each, str) else json_bytes(each) for each in given]
    sent = call.services.send_events(lines, call.body.topic_prefix)
    found = audiences(call.services.state(), sent.kinds)
    body = EventsSent(
        sent=sent.sent,
        # The reason may quote a text of the event that JSON cannot have.
        refused=tuple(RefusedEvent(index=at, why=shown(why)) for at, why in sent.refused),
        audiences=tuple(map(_audience, found)),
    )
    types = {event_type for event_type, _ in sent.kinds}
    return ApiAnswer(body, subject=types.pop() if len(types) == 1 else "")


def _position(given: ReadPosition) -> EventPosition:
    return EventPosition(TopicPartition(given.topic, given.partition), given.offset, given.end)


def _read(found: EventsPart) -> EventsRead:
    positions = tuple(
        PositionShown(topic=at.topic, partition=at.partition, offset=offset, end=end)
        for at, offset, end in found.positions
    )
    return EventsRead(
        records=tuple(_record(record, event) for record, event in found.shown),
        positions=positions,
        read=found.read,
        over=found.is_over,
    )


def _record(record: Record, event: JsonObject | str) -> ReadRecord:
    return ReadRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        appended_at=to_rfc3339(record.timestamp),
        event=None if isinstance(event, str) else event,
        problem=event if isinstance(event, str) else "",
    )


def _subject(found: EventsPart) -> str:
    topics = {each.at.topic for each in found.positions}
    return topics.pop() if len(topics) == 1 else ""


def _audience(found: Audience) -> AudienceShown:
    return AudienceShown(
        event_type=found.event_type,
        environment=found.environment,
        of_type=found.of_type,
        here=found.here,
    )


ROUTES = (
    Route(
        "POST",
        "/v1/events/read",
        Scope.OPERATOR_READ,
        "Read events of the event topics, decoded, in pages.",
        read_events_,
        EventsRead,
        body=ReadGiven,
        needs_no_key="it changes nothing",
        tag=_TAG,
        act="topics.read",
        scans=True,
    ),
    Route(
        "POST",
        "/v1/events",
        Scope.OPERATOR_WRITE,
        "Publish events to the event topics.",
        send_events_,
        EventsSent,
        body=SendGiven,
        needs_no_key="an event that is sent again has its own id",
        tag=_TAG,
        act="events.sent",
    ),
)
