"""Turns records of event topics into events, each decoded once, or says why they wait or are skipped."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from hookstream.core.model.event import (
    LARGE,
    Event,
    Identified,
    Undecodable,
    UndecodableReason,
    UnknownSchema,
)
from hookstream.core.model.instant import Millis
from hookstream.core.model.mapping import position_id
from hookstream.core.model.operations import OWN_PREFIXES
from hookstream.core.model.record import Record
from hookstream.core.model.registered import UnresolvedSchema
from hookstream.pipeline.defects import BLAMED, ENDS, Step, Unexpected
from hookstream.pipeline.ports import Codec, Offload
from hookstream.pipeline.work import Bodies

INTERNAL_ERROR: Final = "internal_error"
"""The reason of a record that this release makes a mistake with."""


@dataclass(slots=True, frozen=True)
class Unasked:
    """The record's event type is not requested."""


@dataclass(slots=True, frozen=True)
class SchemaUnknown:
    """The record waits for its schema, and what follows it in its partition with it."""


@dataclass(slots=True, frozen=True)
class CannotBeRead:
    """The record never becomes an event."""

    reason: str
    event_type: str | None
    """None: not known, so that it may concern anybody."""


@dataclass(slots=True, eq=False)
class ReadEvent:
    """A decoded event with its bodies."""

    bodies: Bodies

    @property
    def event(self) -> Event:
        """The event."""
        return self.bodies.event


RecordRead: TypeAlias = Unasked | SchemaUnknown | CannotBeRead | ReadEvent
_NOT_ASKED: Final = Unasked()
_SCHEMA_UNKNOWN: Final = SchemaUnknown()
_ToDecode: TypeAlias = tuple[int, Record, Identified]


class EventReader:
    """Reads records of requested event types."""

    def __init__(
        self, codec: Codec, offload: Offload, schema_grace: Millis, unexpected: Unexpected
    ) -> None:
        """Let records wait for their schemas for `schema_grace`, counted from their own time."""
        self._codec = codec
        self._offload = offload
        self._grace = schema_grace
        self._unexpected = unexpected

    async def read(
        self,
        records: Sequence[Record],
        ids: Mapping[str, str],
        asked: Callable[[str, Millis], bool],
        now: Millis,
    ) -> list[RecordRead]:
        """Return what each record is, in their order.

        Args:
            records: Records of event topics.
            ids: The ids of their topics.
            asked: Returns whether an event type is wanted of a record's time.
            now: The present.
        """
        found: list[RecordRead] = []
        decode: list[_ToDecode] = []
        for number, record in enumerate(records):
            read = self._identified(record, asked, now)
            if isinstance(read, Identified):
                decode.append((number, record, read))
                found.append(_NOT_ASKED)
            else:
                found.append(read)
        if decode:
            loads = [self._codec.load(identified, record) for _, record, identified in decode]
            decoded = partial(self._decoded, decode, loads, ids)
            # A round trip to a thread takes longer than a little work, and all readers share one.
            done = decoded() if sum(loads) <= LARGE else await self._offload.run(decoded)
            for (number, _, _), read_event in zip(decode, done, strict=True):
                found[number] = read_event
        return found

    def _identified(
        self, record: Record, asked: Callable[[str, Millis], bool], now: Millis
    ) -> Identified | RecordRead:
        try:
            identified = self._codec.identify(record, record.topic)
        except BLAMED[Step.IDENTIFY]:
            return CannotBeRead(UndecodableReason.NOT_FRAMED, None)
        except ENDS:
            raise
        except Exception as error:  # noqa: BLE001  this record's alone
            self._unexpected.note(error, Step.IDENTIFY)
            return CannotBeRead(INTERNAL_ERROR, None)
        match identified:
            case Undecodable(reason=reason):
                return CannotBeRead(reason, None)
            case UnknownSchema() | UnresolvedSchema():
                if now - record.timestamp < self._grace:
                    return _SCHEMA_UNKNOWN
                return CannotBeRead(UndecodableReason.UNKNOWN_SCHEMA, None)
            case Identified():
                return _wanted(identified, record, asked)

    def _decoded(
        self, records: Sequence[_ToDecode], loads: Sequence[int], ids: Mapping[str, str]
    ) -> list[RecordRead]:
        """Decode records, in a thread if that takes long."""
        found: list[RecordRead] = []
        for (_, record, identified), load in zip(records, loads, strict=True):
            read = self._one(record, identified, ids)
            if isinstance(read, ReadEvent):
                read.event.load = load
            found.append(read)
        return found

    def _one(self, record: Record, identified: Identified, ids: Mapping[str, str]) -> RecordRead:
        event_type = identified.revision.event_type
        event_id = ""
        if identified.by_position:
            topic_id = bytes.fromhex(ids.get(record.topic, ""))
            event_id = position_id(topic_id, record.partition, record.offset)
        try:
            event = self._codec.decode(identified, record, record.origin, event_id)
        except BLAMED[Step.DECODE]:
            return CannotBeRead(UndecodableReason.MALFORMED, event_type)
        except ENDS:
            raise
        except Exception as error:  # noqa: BLE001  this record's alone
            self._unexpected.note(error, Step.DECODE)
            return CannotBeRead(INTERNAL_ERROR, event_type)
        if isinstance(event, Undecodable):
            return CannotBeRead(event.reason, event_type)
        return ReadEvent(Bodies(self._codec, event))


def _wanted(
    identified: Identified, record: Record, asked: Callable[[str, Millis], bool]
) -> Identified | Unasked | CannotBeRead:
    """Return what is to be decoded, or why it is not."""
    event_type = identified.revision.event_type
    if not asked(event_type, record.timestamp):
        return _NOT_ASKED
    if record.headers_problem is not None and event_type.startswith(OWN_PREFIXES):
        # Not written by us: workers set it aside for everybody.
        return CannotBeRead(UndecodableReason.HEADERS_UNREADABLE, event_type)
    return identified
