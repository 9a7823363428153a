"""A desk at the audit log: entries of a window, and whole lives of deliveries."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from hookstream.adapters.avro.audit_reader import AuditReader
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.kafka.scan import LogScan, Stretch
from hookstream.adapters.kafka.tables import read_tables
from hookstream.core.audit.entry import AuditEntry, EntryProblem
from hookstream.core.audit.history import DeadLettered, DeliveryHistory
from hookstream.core.model.record import Record
from hookstream.core.redrive.job import jobs_of
from hookstream.core.redrive.marks import Shelf, read_ledger
from hookstream.core.redrive.summary import LetterFacts, facts_of
from hookstream.entry.admin.dead_letters import DeadLetterReader, Told, no_progress
from hookstream.entry.cluster import reached
from hookstream.settings import Settings

_COUNT = re.compile("[0-9]{1,10}")
"""A number of attempts: anybody may have written the letter."""


@dataclass(slots=True, frozen=True)
class AuditSelection:
    """Which entries are meant: those that every given condition holds for."""

    subscriptions: frozenset[str] | None = None
    """None here and below: any."""
    partners: frozenset[str] | None = None
    delivery: str | None = None
    event: str | None = None
    event_types: frozenset[str] | None = None
    outcomes: frozenset[str] | None = None
    dispositions: frozenset[str] | None = None

    def may_hold(self, record: Record) -> bool:
        """Tell quickly whether a record can be meant, so that few have to be decoded.

        Avro holds a text as its UTF-8 bytes, so a text that does not occur cannot be a field's.
        """
        key = (record.key or b"").decode(errors="replace")
        if self.subscriptions is not None and key not in self.subscriptions:
            return False
        value = record.value or b""
        return all(text is None or text.encode() in value for text in (self.delivery, self.event))

    def holds(self, entry: AuditEntry) -> bool:
        """Return whether an entry is meant."""
        exact = ((self.delivery, entry.delivery_id), (self.event, entry.event_id))
        if any(asked not in (None, told) for asked, told in exact):
            return False
        words = (
            (self.subscriptions, entry.subscription_id),
            (self.partners, entry.partner_id),
            (self.event_types, entry.event_type),
            (self.outcomes, entry.outcome or "none"),
            (self.dispositions, entry.disposition),
        )
        return all(asked is None or told in asked for asked, told in words)


@dataclass(slots=True)
class AuditLog:
    """Reads the attempts topic."""

    settings: Settings
    progress: Told = field(default=no_progress)
    unreadable: int = 0
    """Records met that could not be read as entries."""
    why_unreadable: str = ""
    """What was wrong with the first of them."""
    _reader: AuditReader | None = None

    def watch(self, told: Told) -> None:
        """Tell this one from now on how far each reading is."""
        self.progress = told

    def entries(
        self, wanted: AuditSelection, stretch: Stretch, *, follow: bool = False
    ) -> Iterator[AuditEntry]:
        """Yield the entries that are meant, by offset within each partition."""
        topic = self.settings.topics_names.attempts
        scan = LogScan(reached(self.settings), topic)
        for record in scan.read(stretch, follow=follow, progress=self.progress):
            if not wanted.may_hold(record):
                continue
            entry = self._read(record)
            if entry is not None and wanted.holds(entry):
                yield entry

    def _read(self, record: Record) -> AuditEntry | None:
        if self._reader is None:
            self._reader = AuditReader(self._book())
        match self._reader.read(record.value):
            case AuditEntry() as entry:
                return entry
            case EntryProblem(why):
                self.unreadable += 1
                place = f"{record.topic}-{record.partition}@{record.offset}"
                self.why_unreadable = self.why_unreadable or f"{place}: {why}"
                return None

    def _book(self) -> SchemaBook:
        topic = self.settings.topics_names.schemas
        book = SchemaBook()
        for key, row in read_tables(reached(self.settings), [topic])[topic].items():
            # What is wrong with a row is `schemas list`'s to say; its records are named below.
            book.put(key, row.value)
        return book


def life_of(
    audit: AuditLog,
    letters: DeadLetterReader,
    delivery_id: str,
    stretch: Stretch,
) -> DeliveryHistory:
    """Return all that audit log, dead letters and jobs tell of a delivery within a window.

    Args:
        audit: Reads the attempts.
        letters: Reads the dead letters.
        delivery_id: The delivery.
        stretch: The window of both topics.
    """
    entries = audit.entries(AuditSelection(delivery=delivery_id), stretch)
    told = sorted(entries, key=lambda entry: (entry.started_at, entry.attempt))
    found = letters.between(stretch.since, stretch.until)
    dead = [facts for facts in map(facts_of, found) if facts.delivery_id == delivery_id]
    return DeliveryHistory(delivery_id, tuple(told), deaths_of(letters, dead))


def deaths_of(desk: DeadLetterReader, dead: list[LetterFacts]) -> tuple[DeadLettered, ...]:
    """Return dead letters as moments of their deliveries, with the job that resolved each."""
    if not dead:
        return ()
    rows = desk.jobs()
    ledger, _ = read_ledger(rows)
    asked_at = {job.id: job.asked_at for job in jobs_of(rows)[0]}
    deaths: list[DeadLettered] = []
    for facts in dead:
        job = ledger.resolved_by(Shelf.DEAD_LETTERS, facts.place)
        deaths.append(
            DeadLettered(
                at=facts.at,
                place=str(facts.place),
                reason=facts.reason,
                detail=facts.detail,
                attempt=int(facts.attempt) if _COUNT.fullmatch(facts.attempt) else 0,
                redriven_by=job,
                redriven_at=None if job is None else asked_at.get(job),
                origin=facts.origin,
            )
        )
    return tuple(deaths)
