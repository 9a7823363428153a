"""Finds the records of one event: in the event topics, the tiers, the dead letters and the undecodable records."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, TypeVar

from hookstream.adapters.kafka.scan import LogScan, Stretch
from hookstream.core.model import header_names as names
from hookstream.core.model.counted import counted
from hookstream.core.model.event import Event, Identified, Undecodable
from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.record import Origin, Record, TopicPartition, header_text
from hookstream.core.topology.plan import event_topics
from hookstream.entry.admin.event_decoding import EventDecoder
from hookstream.entry.admin.topics import cluster_topics
from hookstream.entry.cluster import reached
from hookstream.errors import ConfigurationError, DependencyUnavailable, InputRefused
from hookstream.settings import Settings

T = TypeVar("T")

MOST_RECORDS: Final = 1_000_000
"""The most records that are read to find an event, and again to explain it."""
MOST_SECONDS: Final = 60.0
"""The seconds for each of the two readings."""
MOST_FOUND: Final = 5
"""The most records of one event that are returned."""
MOST_ASIDE: Final = 1_000
"""The most set-aside records that are returned."""

_POSITION_ID = re.compile(r"[0-9a-f]{32}\Z")
"""An id that may be made of a record's position (`core.model.mapping.position_id`)."""


class _Spent(Exception):
    """Raised within a reading when the budget is used up."""


@dataclass(slots=True)
class SearchBudget:
    """The limits of a search, with what it read and what it did not."""

    most_records: int = MOST_RECORDS
    most_seconds: float = MOST_SECONDS
    clock: Callable[[], float] = monotonic
    read: int = 0
    searched: list[str] = field(default_factory=list)
    """A short text for each completed reading."""
    left_out: list[str] = field(default_factory=list)
    """A sentence for each incomplete one."""
    read_before: int = 0
    """The records that were read before the renewal."""
    _began: float = field(init=False)
    _done: int = 0

    def __post_init__(self) -> None:
        """Start the clock."""
        self._began = self.clock()

    @property
    def is_spent(self) -> bool:
        """Whether no more may be read."""
        return self.read >= self.most_records or self.clock() - self._began >= self.most_seconds

    def renew(self) -> None:
        """Start again, with the whole budget, for the next readings."""
        self._began = self.clock()
        self.read_before += self.read
        self.read = 0

    def progress(self, done: int, _total: int) -> None:
        """Count what a reading has read so far; given to whatever reads a log."""
        self.read += done - self._done if done >= self._done else done
        self._done = done
        if self.is_spent:
            raise _Spent

    def within(
        self, what: str, since: Millis | None, reading: Callable[[], Iterable[T]]
    ) -> Iterator[T]:
        """Yield the results of a reading, as long as the budget lasts.

        Args:
            what: The name of the reading, for a sentence.
            since: From when on; None: from its beginning.
            reading: Reads with `progress`. A topic that cannot be read ends no search.
        """
        if self.is_spent:
            self.left_out.append(f"{what}: {self._bounds} were used up before")
            return
        begin = "" if since is None else f" since {to_rfc3339(since)}"
        self._done = 0
        try:
            yield from reading()
        except _Spent:
            beyond = f"{what}{begin}, beyond its first {counted(self._done, 'record')}"
            self.left_out.append(f"{beyond}: {self._bounds} were used up")
        except (ConfigurationError, DependencyUnavailable) as problem:
            self.left_out.append(f"{what}: {problem}")
        else:
            self.searched.append(f"{what}{begin}")

    @property
    def _bounds(self) -> str:
        return f"{self.most_records:,} records or {self.most_seconds:g} s"


@dataclass(slots=True, frozen=True)
class FoundRecord:
    """A record that is the event, or that may be: one that cannot be decoded but contains its id."""

    record: Record
    origin: Origin
    """Its place in its event topic; its own, if it was found there."""
    event: Event | None
    problem: str | None
    """Why it is not an event, with the reason's word first; None: it is one."""

    @property
    def is_aside(self) -> bool:
        """Whether it was found only in a topic of hookstream's."""
        return self.origin.topic != self.record.topic


class NewestFound:
    """The newest `MOST_FOUND` of the records that were found, one for each origin.

    One that is the event goes before any that merely contains its id: many records that cannot be decoded
    may contain a short one, and no more of them than that are kept in memory.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._kept: dict[str, FoundRecord] = {}
        self._more = False

    def add(self, found: FoundRecord) -> None:
        """Keep a record, if it is one of the newest; of several of one origin the first."""
        self._kept.setdefault(found.origin.place, found)
        if len(self._kept) > MOST_FOUND:
            last = min(self._kept.values(), key=_rank)
            del self._kept[last.origin.place]
            self._more = True

    def oldest_first(self, budget: SearchBudget) -> list[FoundRecord]:
        """Return the records, and note in the budget whether there are more."""
        if self._more:
            budget.left_out.append(
                f"more records that have or contain this id, besides the {MOST_FOUND} shown: give"
                " their places"
            )
        return sorted(self._kept.values(), key=lambda each: each.origin.timestamp)


def _rank(found: FoundRecord) -> tuple[bool, Millis]:
    return found.event is not None, found.origin.timestamp


class EventSearch:
    """Searches the topics within one budget."""

    def __init__(self, settings: Settings, budget: SearchBudget) -> None:
        """Read the published schemas."""
        self.budget = budget
        self.decoder = EventDecoder(settings, settings.events.max_record_bytes)
        self._client = reached(settings)
        self._names = settings.topics_names
        existing = cluster_topics(settings)
        self.event_topics = sorted(event_topics(settings.events.topics, self._names, existing))
        tiers = [topic for topic in existing if self._names.delay_of(topic) is not None]
        self.tiers = sorted(tiers, key=lambda topic: self._names.delay_of(topic) or 0)
        self._existing = existing

    def at(self, place: TopicPartition, offset: int) -> FoundRecord:
        """Return the record at a place; one in a topic of hookstream's with its origin.

        Raises:
            InputRefused: The log has no record there, or its records are not events.
        """
        if place.topic not in self._existing:
            raise InputRefused(f"there is no topic {place.topic}")
        aside = (self._names.undecodable, self._names.dead_letters, *self.tiers)
        ours = place.topic.startswith(f"{self._names.prefix}.")
        if ours and place.topic not in (*self.event_topics, self._names.operations, *aside):
            raise InputRefused(
                f"{place.topic} has no events: name a place in an event topic, a tier,"
                f" {self._names.dead_letters} or {self._names.undecodable}"
            )
        scan = LogScan(self._client, place.topic)
        bounds = scan.bounds().get(place.partition)
        if bounds is None:
            raise InputRefused(f"{place.topic} has no partition {place.partition}")
        found = scan.at(place.partition, offset)
        if found is None:
            has = "its log is empty"
            if bounds.start < bounds.end:
                has = f"the log has offsets {bounds.start} to {bounds.end - 1}, and not each is a record"
            raise InputRefused(f"{place.topic}/{place.partition} has no record at {offset}: {has}")
        return self._read(found)

    def by_id(self, event_id: str, since: Millis) -> list[FoundRecord]:
        """Return the records of an event in the event topics, the newest ones, oldest first.

        Args:
            event_id: The event's id, of any type.
            since: Records of this instant or later.
        """
        found = NewestFound()
        for topic in self.event_topics:
            for record in self._records(topic, since):
                here = self._of_event(record, event_id)
                if here is not None:
                    found.add(here)
        return found.oldest_first(self.budget)

    def aside_by_id(self, event_id: str, since: Millis) -> list[FoundRecord]:
        """Return one record for each origin of an event that was set aside, the oldest first."""
        found = NewestFound()
        for topic in (self._names.undecodable, self._names.dead_letters, *self.tiers):
            for record in self._records(topic, since):
                known = header_text(record.headers, names.EVENT_ID)
                if known not in (None, event_id):
                    continue
                here = self._of_event(record, event_id)
                if here is not None and here.origin.topic:
                    found.add(here)
        return found.oldest_first(self.budget)

    def given_up(self, origins: Iterable[Origin], since: Millis) -> dict[str, list[Record]]:
        """Return the dead letters and undecodable records of records.

        Args:
            origins: The records' places in their event topics.
            since: Appended at this instant or later.

        Returns:
            By the origin's `place`, in the order of topics and offsets, `MOST_ASIDE` together.
        """
        return self._aside((self._names.undecodable, self._names.dead_letters), origins, since)

    def waiting(self, origins: Iterable[Origin], since: Millis) -> dict[str, list[Record]]:
        """Return the tier records of records, as `given_up` does."""
        return self._aside(self.tiers, origins, since)

    def _aside(
        self, topics: Iterable[str], origins: Iterable[Origin], since: Millis
    ) -> dict[str, list[Record]]:
        found: dict[str, list[Record]] = {origin.place: [] for origin in origins}
        count = 0
        for topic in topics:
            for record in self._records(topic, since):
                mine = found.get(_place_in(record))
                if mine is not None and count < MOST_ASIDE:
                    count += 1
                    mine.append(record)
        return found

    def _records(self, topic: str, since: Millis) -> Iterator[Record]:
        scan = LogScan(self._client, topic)
        window = Stretch(since=since)
        return self.budget.within(
            topic, since, lambda: scan.read(window, progress=self.budget.progress)
        )

    def _of_event(self, record: Record, event_id: str) -> FoundRecord | None:
        """Return a record if it has the id; None: it belongs to another event."""
        sought = event_id.encode()
        if not any(sought in part for part in _parts(record)):
            if not _POSITION_ID.match(event_id):
                return None
            identified = self.decoder.identify(record)
            if not (isinstance(identified, Identified) and identified.by_position):
                return None
        found = self._read(record)
        return found if found.event is None or found.event.event_id == event_id else None

    def _read(self, record: Record) -> FoundRecord:
        origin = self.decoder.origin(record)
        identified = self.decoder.identify(record)
        if isinstance(identified, Undecodable):
            return FoundRecord(record, origin, None, f"{identified.reason}: {identified.detail}")
        if not isinstance(identified, Identified):
            return FoundRecord(record, origin, None, f"unknown_schema: {identified}")
        event = self.decoder.event(identified, record)
        if isinstance(event, Undecodable):
            return FoundRecord(record, origin, None, f"{event.reason}: {event.detail}")
        return FoundRecord(record, origin, event, None)


def _parts(record: Record) -> Iterator[bytes]:
    """Yield everything of a record that may contain an event's id."""
    yield record.value or b""
    yield record.key or b""
    for _, value in record.headers:
        yield value or b""


def _place_in(record: Record) -> str:
    """Return the origin in the headers of a record of hookstream's, as `Origin.place` writes it."""
    topic, partition, offset = (
        header_text(record.headers, name)
        for name in (names.ORIGIN_TOPIC, names.ORIGIN_PARTITION, names.ORIGIN_OFFSET)
    )
    return f"{topic}-{partition}@{offset}"
