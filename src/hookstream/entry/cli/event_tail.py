"""Several topics are watched at once, each by a thread, and their events come out as lines."""

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence

from rich.text import Text

from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.kafka.scan import LogScan, Stretch
from hookstream.adapters.kafka.tables import read_tables
from hookstream.adapters.system import SystemClock
from hookstream.core.model.event import Event, Identified, Undecodable, UnknownSchema
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.outcome import Refused
from hookstream.core.model.record import Record
from hookstream.entry.cli.context import Context
from hookstream.entry.cli.terminal import json_line
from hookstream.entry.cluster import reached
from hookstream.errors import HookstreamError, InvariantBroken

_WAITING = 1_000
"""Records read ahead of what was printed."""

_AGAIN_SECONDS = 1.0
"""How soon the schemas are read again for one that is not known."""

_Item = Record | BaseException | None


def side_by_side(readings: Sequence[Iterable[Record]]) -> Iterator[Record]:
    """Yield the records of several readings as they come, each read by a thread, until all have ended.

    Raises:
        HookstreamError: What a reading raised; InvariantBroken where it is none of ours.
    """
    items: queue.Queue[_Item] = queue.Queue(_WAITING)
    for reading in readings:
        threading.Thread(target=_read, args=(reading, items), daemon=True).start()
    ended = 0
    while ended < len(readings):
        match items.get():
            case None:
                ended += 1
            case Record() as record:
                yield record
            case HookstreamError() as problem:
                raise problem
            case BaseException() as problem:
                raise InvariantBroken(f"a topic's reader ended: {problem!r}") from problem


def _read(reading: Iterable[Record], items: "queue.Queue[_Item]") -> None:
    try:
        for record in reading:
            items.put(record)
    except BaseException as problem:  # noqa: BLE001  whoever waits for this thread must know
        items.put(problem)
    else:
        items.put(None)


class EventTail:
    """Watches topics; `lines` yields what they hold.

    Args:
        context: The command's.
        topics: What is watched.
        from_beginning: Whether to begin with the oldest record, or with the next one.
        follow: Whether to go on where the log ends now.
    """

    def __init__(
        self, context: Context, topics: Sequence[str], *, from_beginning: bool, follow: bool
    ) -> None:
        self._context = context
        self._topics = topics
        self._from_beginning = from_beginning
        self._follow = follow
        self._client = reached(context.settings)
        self._read_at = 0.0
        self._book = SchemaBook()
        self._codec = AvroCodec(
            self._book, max_record_bytes=context.settings.events.max_record_bytes
        )

    def lines(self, event_types: frozenset[str], *, where: bool) -> Iterator[bytes]:
        """Yield one JSON object an event, in the shape in which it is delivered and `send` takes it.

        Args:
            event_types: What is shown; all types where it is empty.
            where: Whether `record` tells each event's place.

        Raises:
            ConfigurationError: A topic does not exist.
            DependencyUnavailable: The cluster does not answer.
        """
        self._read_schemas()
        for record in side_by_side([self._reading(topic) for topic in self._topics]):
            identified = self._identify(record)
            if not isinstance(identified, Identified):
                self._complain(record, identified)
                continue
            if event_types and identified.revision.event_type not in event_types:
                continue
            shown = self._document(identified, record)
            if isinstance(shown, dict):
                yield json_line({**shown, "record": _place(record)} if where else shown)
            else:
                self._complain(record, shown)

    def _reading(self, topic: str) -> Iterator[Record]:
        scan = LogScan(self._client, topic)
        starts = {}
        if not self._from_beginning:
            starts = {number: bounds.end for number, bounds in scan.bounds().items()}
        yield from scan.read(Stretch(starts=starts), follow=self._follow)

    def _identify(self, record: Record) -> Identified | UnknownSchema | Undecodable:
        identified = self._codec.identify(record)
        if isinstance(identified, UnknownSchema) and self._may_read_again():
            # Perhaps it was published since.
            self._read_schemas()
            identified = self._codec.identify(record)
        return identified

    def _may_read_again(self) -> bool:
        """Return whether the schemas were read long enough ago: a topic may hold nothing but strange ones."""
        return SystemClock().monotonic() - self._read_at >= _AGAIN_SECONDS

    def _document(
        self, identified: Identified, record: Record
    ) -> JsonObject | Undecodable | Refused:
        event = self._codec.decode(identified, record)
        match event:
            case Event():
                return self._codec.shown(event, identified.revision.event_version)
            case Undecodable():
                return event

    def _read_schemas(self) -> None:
        topic = self._context.settings.topics_names.schemas
        for key, row in read_tables(self._client, [topic])[topic].items():
            # What is wrong with a row is told by `schemas list`.
            self._book.put(key, row.value)
        self._read_at = SystemClock().monotonic()

    def _complain(self, record: Record, why: UnknownSchema | Undecodable | Refused) -> None:
        place = f"{record.topic}/{record.partition}@{record.offset}"
        self._context.err.print(Text(f"{place}: {_said(why)}", "yellow"), soft_wrap=True)


def _said(why: UnknownSchema | Undecodable | Refused) -> str:
    match why:
        case UnknownSchema(schema):
            return f"unknown_schema: nobody published {schema}"
        case Undecodable(reason, detail) | Refused(reason, detail):
            return f"{reason}: {detail}"


def _place(record: Record) -> JsonObject:
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "appended_at": to_rfc3339(record.timestamp),
    }
