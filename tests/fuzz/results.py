"""Determines the result of each written record from the topics and the endpoint."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.fuzz.drawing import Drawn, Expected

from hookstream.adapters.avro.audit_reader import AuditReader
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.kafka.scan import LogScan, Stretch
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.model import header_names as names
from hookstream.core.model.record import Record, header_text

Place = tuple[str, int, int]
"""Topic without its prefix, partition, offset."""

SHOWN = 10
"""Failures that are named; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Written:
    """A record and its position."""

    place: Place
    drawn: Drawn


@dataclass
class Results:
    """The positions that a record reports, read as far as the topics went so far."""

    servers: str
    prefix: str
    aside: set[Place] = field(default_factory=set)
    ended: set[Place] = field(default_factory=set)
    _starts: dict[str, dict[int, int]] = field(default_factory=dict)
    _reader: AuditReader = field(default_factory=lambda: AuditReader(SchemaBook()))

    def read(self) -> None:
        """Read up to the present ends."""
        for record in self._new("undecodable"):
            self._note(self.aside, record)
        for record in self._new("dead-letters"):
            self._note(self.ended, record)
        for record in self._new("attempts"):
            entry = self._reader.read(record.value)
            if isinstance(entry, AuditEntry):
                self._keep(self.ended, entry.origin.topic, *entry.origin[1:3])

    def forget(self) -> None:
        """Forget what was read: memory is bounded by one round."""
        self.aside.clear()
        self.ended.clear()

    def _new(self, name: str) -> Iterable[Record]:
        scan = LogScan({"bootstrap.servers": self.servers}, f"{self.prefix}.{name}")
        ends = {partition: bounds.end for partition, bounds in scan.bounds().items()}
        yield from scan.read(Stretch(starts=self._starts.get(name, {}), ends=ends))
        self._starts[name] = ends

    def _note(self, places: set[Place], record: Record) -> None:
        partition = header_text(record.headers, names.ORIGIN_PARTITION) or ""
        offset = header_text(record.headers, names.ORIGIN_OFFSET) or ""
        topic = header_text(record.headers, names.ORIGIN_TOPIC) or ""
        # Untrusted records there may contain anything.
        if partition.isdecimal() and offset.isdecimal() and len(partition + offset) < 40:
            self._keep(places, topic, int(partition), int(offset))

    def _keep(self, places: set[Place], topic: str, partition: int, offset: int) -> None:
        if topic.startswith(self.prefix):
            places.add((topic[len(self.prefix) + 1 :], partition, offset))


def failures(
    written: Iterable[Written], results: Results, accepted: Counter[str], attempted: Counter[str]
) -> list[str]:
    """Return a sentence for each record with another result than guaranteed."""
    found: list[str] = []
    for each in written:
        why = _failure(each, results, accepted, attempted)
        if why is not None:
            topic, partition, offset = each.place
            found.append(f"{topic}/{partition}@{offset} ({each.drawn.expected.value}): {why}")
    return found


def _failure(
    each: Written, results: Results, accepted: Counter[str], attempted: Counter[str]
) -> str | None:
    event_id = each.drawn.event_id
    match each.drawn.expected:
        case Expected.DELIVERED if not accepted[event_id]:
            return f"its event {event_id} was not delivered"
        case Expected.REPORTED if (
            each.place not in results.aside and each.place not in results.ended
        ):
            return "no record reports it"
        case Expected.UNDECODABLE if each.place not in results.aside:
            return "it is not undecodable"
        case Expected.UNMATCHED if attempted[event_id]:
            return f"its event {event_id} was sent {attempted[event_id]} times"
        case _:
            return None
