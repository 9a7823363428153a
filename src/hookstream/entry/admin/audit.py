"""The audit log for operators: attempts of a window, and the whole history of a delivery."""

import heapq
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from hookstream.adapters.avro.audit_reader import AuditReader
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.kafka.scan import LogScan, ReadLimit, Stretch
from hookstream.core.audit.entry import AuditEntry, EntryProblem
from hookstream.core.audit.history import DeadLettered, DeliveryHistory, Purge
from hookstream.core.jobs.job import jobs_of
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Record
from hookstream.core.redrive.ledger import ResolvedBy, read_ledger
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.redrive.summary import DeadLetterSummary, summary_of
from hookstream.entry.admin.dead_letters import DeadLetterReader, Progress, no_progress
from hookstream.entry.admin.event_decoding import fill_book
from hookstream.entry.cluster import reached
from hookstream.settings import Settings

_COUNT = re.compile("[0-9]{1,10}")
"""A number of attempts: the dead letter is untrusted."""
_NO_OUTCOME = "none"
"""The word that selects ends without an attempt."""


@dataclass(slots=True, frozen=True)
class AuditSelection:
    """Selects the audit entries that meet every given condition."""

    subscriptions: frozenset[str] | None = None
    """None, here and below: any."""
    partners: frozenset[str] | None = None
    delivery: str | None = None
    """The `webhook-id` of a delivery, or of a batch that it was attempted in."""
    event: str | None = None
    event_types: frozenset[str] | None = None
    outcomes: frozenset[str] | None = None
    dispositions: frozenset[str] | None = None
    since: Millis | None = None
    """Written at this instant or later; None: from the start of the log."""
    until: Millis | None = None
    """Written before this instant; None: up to the log's end at the time of reading."""

    def sieve(self) -> Callable[[Record], bool]:
        """Return a test of whether a record may be selected, without decoding it.

        Avro encodes text as UTF-8, so a text that does not occur cannot be a field's value.
        """
        # An entry without an outcome has no text for that.
        outcomes = (
            self.outcomes if self.outcomes is None or _NO_OUTCOME not in self.outcomes else None
        )
        any_of = [
            [text.encode("utf-8", "replace") for text in texts]
            for texts in (
                None if self.delivery is None else (self.delivery,),
                None if self.event is None else (self.event,),
                self.partners,
                self.event_types,
                outcomes,
                self.dispositions,
            )
            if texts is not None
        ]
        subscriptions = self.subscriptions

        def may_select(record: Record) -> bool:
            if subscriptions is not None:
                key = (record.key or b"").decode(errors="replace")
                if key not in subscriptions:
                    return False
            value = record.value or b""
            for texts in any_of:
                for text in texts:
                    if text in value:
                        break
                else:
                    return False
            return True

        return may_select

    def selects(self, entry: AuditEntry) -> bool:
        """Return whether an entry is selected."""
        return (
            self.delivery in (None, entry.delivery_id, entry.batch_id)
            and self.event in (None, entry.event_id)
            and (self.subscriptions is None or entry.subscription_id in self.subscriptions)
            and (self.partners is None or entry.partner_id in self.partners)
            and (self.event_types is None or entry.event_type in self.event_types)
            and (self.outcomes is None or (entry.outcome or _NO_OUTCOME) in self.outcomes)
            and (self.dispositions is None or entry.disposition in self.dispositions)
        )


@dataclass(slots=True)
class AuditLog:
    """Reads the attempts topic."""

    settings: Settings
    progress: Progress = field(default=no_progress)
    unreadable: int = 0
    """Number of records that may be selected and could not be read as entries."""
    why_unreadable: str = ""
    """The problem of the first of them."""
    limit: ReadLimit | None = None
    """The most offsets of a window that are read, the newest; None: all of it."""
    _reader: AuditReader | None = None

    def entries(self, selection: AuditSelection, *, follow: bool = False) -> Iterator[AuditEntry]:
        """Yield the selected entries, by offset within each partition.

        Args:
            selection: Which entries.
            follow: Whether to continue with what is written later.
        """
        topic = self.settings.topics_names.attempts
        scan = LogScan(reached(self.settings), topic)
        window = Stretch(selection.since, selection.until)
        reading = scan.read(window, follow=follow, progress=self.progress, limit=self.limit)
        may_select = selection.sieve()
        for record in reading:
            if not may_select(record):
                continue
            entry = self._read(record)
            if entry is not None and selection.selects(entry):
                yield entry

    def _read(self, record: Record) -> AuditEntry | None:
        if self._reader is None:
            self._reader = AuditReader(fill_book(self.settings, SchemaBook()))
        match self._reader.read(record.value):
            case AuditEntry() as entry:
                return entry
            case EntryProblem(why):
                self.unreadable += 1
                place = f"{record.topic}-{record.partition}@{record.offset}"
                self.why_unreadable = self.why_unreadable or f"{place}: {why}"
                return None


def newest(entries: Iterator[AuditEntry], limit: int) -> tuple[list[AuditEntry], int]:
    """Return the newest entries, the oldest of them first, and how many there were."""
    kept: list[tuple[Millis, int, AuditEntry]] = []
    count = 0
    for entry in entries:
        count += 1
        # The count orders entries of the same millisecond, since entries are not comparable.
        if len(kept) < limit:
            heapq.heappush(kept, (entry.started_at, count, entry))
        elif kept and entry.started_at >= kept[0][0]:
            heapq.heapreplace(kept, (entry.started_at, count, entry))
    return [entry for _, _, entry in sorted(kept)], count


def history_of(
    audit: AuditLog,
    dead_letters: DeadLetterReader,
    delivery_id: str,
    since: Millis | None = None,
    until: Millis | None = None,
) -> DeliveryHistory:
    """Return a delivery's history from the audit log, dead letters and redrive jobs of a window.

    Args:
        audit: Reads the attempts.
        dead_letters: Reads the dead letters.
        delivery_id: The delivery.
        since: The start of the window in both topics; None: everything in them.
        until: Its end; None: everything.
    """
    selection = AuditSelection(delivery=delivery_id, since=since, until=until)
    entries = audit.entries(selection)
    found = map(summary_of, dead_letters.between(since, until))
    dead = [summary for summary in found if summary.delivery_id == delivery_id]
    return history_from(delivery_id, entries, dead_letters, dead)


def history_from(
    delivery_id: str,
    entries: Iterable[AuditEntry],
    dead_letters: DeadLetterReader,
    dead: Sequence[DeadLetterSummary],
) -> DeliveryHistory:
    """Return a delivery's history from its entries and dead letters, which were read already.

    Args:
        delivery_id: The delivery.
        entries: Its audit entries, in any order.
        dead_letters: Reads the jobs that redrove or purged dead letters, if there are any.
        dead: Its dead letters.
    """
    attempts = sorted(entries, key=lambda entry: (entry.started_at, entry.attempt))
    return DeliveryHistory(delivery_id, tuple(attempts), _dead_lettered(dead_letters, dead))


def _dead_lettered(
    reader: DeadLetterReader, dead: Sequence[DeadLetterSummary]
) -> tuple[DeadLettered, ...]:
    """Return dead letters as entries of a history, each with the job that redrove or purged it."""
    if not dead:
        return ()
    rows = reader.jobs()
    ledger, _ = read_ledger(rows, reader.topic_ids())
    asked_at = {job.id: job.asked_at for job in jobs_of(rows)[0]}
    found: list[DeadLettered] = []
    for summary in dead:
        resolved_by = ledger.resolved_by(RedriveSource.DEAD_LETTERS, summary.position)
        redriven = resolved_by is not None and resolved_by.purged is None
        job = resolved_by.job_id if resolved_by is not None and redriven else None
        found.append(
            DeadLettered(
                at=summary.at,
                place=str(summary.position),
                reason=summary.reason,
                detail=summary.detail,
                attempt=int(summary.attempt) if _COUNT.fullmatch(summary.attempt) else 0,
                redriven_by=job,
                redriven_at=None if job is None else asked_at.get(job),
                origin=summary.origin,
                job=summary.job or None,
                purge=_purge(summary, resolved_by),
            )
        )
    return tuple(found)


def _purge(summary: DeadLetterSummary, resolved_by: ResolvedBy | None) -> Purge | None:
    if resolved_by is None or resolved_by.purged is None:
        return None
    by, why, at = resolved_by.purged
    return Purge(at, resolved_by.job_id, str(summary.position), by, why)
