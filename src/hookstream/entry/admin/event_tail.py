"""Reads events from several topics at once, decoded, as they come."""

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence

from hookstream.adapters.kafka.scan import LogScan, Stretch
from hookstream.core.model.event import Identified, Undecodable, UnknownSchema
from hookstream.core.model.json import JsonObject
from hookstream.core.model.outcome import Refused
from hookstream.core.model.record import Record
from hookstream.core.topology.plan import event_topics
from hookstream.entry.admin.event_decoding import EventDecoder
from hookstream.entry.admin.topics import cluster_topics
from hookstream.entry.cluster import reached
from hookstream.errors import ConfigurationError, HookstreamError, InvariantBroken
from hookstream.settings import Settings

_AHEAD = 1_000
"""The most records that are read ahead of the caller."""

_Item = Record | BaseException | None


def side_by_side(readings: Sequence[Iterable[Record]]) -> Iterator[Record]:
    """Yield the records of several readings as they come, each read by a thread, until all end.

    Raises:
        HookstreamError: Raised by a reading; InvariantBroken for any other exception.
    """
    items: queue.Queue[_Item] = queue.Queue(_AHEAD)
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
    except BaseException as problem:  # noqa: BLE001  the waiting caller raises it
        items.put(problem)
    else:
        items.put(None)


def topics_to_tail(settings: Settings) -> list[str]:
    """Return the cluster's event topics.

    Raises:
        ConfigurationError: There is none.
        DependencyUnavailable: The cluster does not answer.
    """
    globs = settings.events.topics
    found = event_topics(globs, settings.topics_names, cluster_topics(settings))
    if not found:
        raise ConfigurationError(f"the cluster has no event topics ({', '.join(globs)})")
    return found


def tail(
    settings: Settings,
    topics: Sequence[str],
    event_types: frozenset[str],
    *,
    from_beginning: bool,
    follow: bool,
) -> Iterator[tuple[Record, JsonObject | str]]:
    """Yield each record with its event as `events send` takes it, or a sentence that says why it is not an event.

    Args:
        settings: The cluster.
        topics: The topics that are read.
        event_types: The types that are yielded; empty: all types.
        from_beginning: Whether to start with the oldest record, or with the next one.
        follow: Whether to continue beyond the present end of the log.

    Raises:
        ConfigurationError: A topic does not exist.
        DependencyUnavailable: The cluster does not answer.
    """
    decoder = EventDecoder(settings, settings.events.max_record_bytes)
    scans = [LogScan(reached(settings), topic) for topic in topics]
    readings = [_reading(scan, from_beginning=from_beginning, follow=follow) for scan in scans]
    for record in side_by_side(readings):
        event = event_in(decoder, record, event_types)
        if event is not None:
            yield record, event


def event_in(
    decoder: EventDecoder, record: Record, event_types: frozenset[str]
) -> JsonObject | str | None:
    """Return the event of a record, or why it is not one; None: it has another type.

    Args:
        decoder: Decodes it.
        record: The record.
        event_types: The types; empty: any.
    """
    identified = decoder.identify(record)
    if not isinstance(identified, Identified):
        return _sentence(identified)
    if event_types and identified.revision.event_type not in event_types:
        return None
    document = decoder.document(identified, record, tagged=True)
    return document if isinstance(document, dict) else _sentence(document)


def _reading(scan: LogScan, *, from_beginning: bool, follow: bool) -> Iterator[Record]:
    starts = {}
    if not from_beginning:
        starts = {number: bounds.end for number, bounds in scan.bounds().items()}
    yield from scan.read(Stretch(starts=starts), follow=follow)


def _sentence(why: UnknownSchema | Undecodable | Refused) -> str:
    match why:
        case UnknownSchema():
            return f"unknown_schema: {why}"
        case Undecodable(reason, detail) | Refused(reason, detail):
            return f"{reason}: {detail}"
