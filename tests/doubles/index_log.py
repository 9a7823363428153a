"""A log for an index: audit entries and tier records with their places, and its statistics by counting naively."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from hookstream.adapters.index.attempt_rows import Indexed
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.run_states import PendingRecord
from hookstream.core.delivery.identity import delivery_id
from hookstream.core.model.delivery import DeferReason, Delivery, Trigger
from hookstream.core.model.instant import HOUR, MINUTE, Millis
from hookstream.core.model.record import Origin, TopicPartition
from hookstream.core.statistics.counts import Counts

ATTEMPTS, TIER = "hookstream.attempts", "hookstream.retry.5s"
START: Millis = 1_795_942_800_000
"""The start of an hour."""


class Logged(NamedTuple):
    """One record of the log: an audit entry, or a tier record."""

    topic: str
    partition: int
    offset: int
    at: Millis
    what: AuditEntry | Delivery

    @property
    def where(self) -> TopicPartition:
        """Its partition."""
        return TopicPartition(self.topic, self.partition)


@dataclass
class IndexLog:
    """Records in the order in which they were appended."""

    partitions: int = 2
    records: list[Logged] = field(default_factory=list)
    _next: dict[TopicPartition, int] = field(default_factory=dict)

    def append(self, at: Millis, what: AuditEntry | Delivery, partition: int = 0) -> Logged:
        """Append a record; times never go back within the log."""
        topic = ATTEMPTS if isinstance(what, AuditEntry) else TIER
        where = TopicPartition(topic, partition)
        offset = self._next.get(where, 0)
        self._next[where] = offset + 1
        self.records.append(Logged(topic, partition, offset, at, what))
        return self.records[-1]

    def hours(self) -> list[Millis]:
        """Return the hours of append time, the oldest first, none left out."""
        first = min(each.at for each in self.records)
        last = max(each.at for each in self.records)
        return list(range(first - first % HOUR, last + 1, HOUR))

    def of_hour(self, hour: Millis) -> list[Logged]:
        """Return the records that were appended in an hour."""
        return [each for each in self.records if each.at - each.at % HOUR == hour]


def entry_for(
    event: int,
    *,
    at: Millis,
    subscription: str = "shop",
    partner: str = "acme",
    attempt: int = 1,
    outcome: str | None = "delivered",
    disposition: str = "complete",
    status: int | None = 200,
    error: str | None = None,
    reason: str | None = None,
    job: str | None = None,
    trigger: str = "initial",
    origin_at: Millis | None = None,
    entity: str = "",
    batch: str | None = None,
    duration_us: int = 1_000,
) -> AuditEntry:
    """Return an audit entry of one event's delivery; the event's number is its offset too."""
    event_id = f"event-{event}"
    return AuditEntry(
        delivery_id=delivery_id("pricing.completed", event_id, subscription),
        subscription_id=subscription,
        partner_id=partner,
        event_type="pricing.completed",
        event_version=1,
        event_id=event_id,
        entity_id=entity or f"quote-{event % 3}",
        environment="live",
        batch_id=batch,
        attempt=attempt,
        trigger=trigger,
        outcome=outcome,
        disposition=disposition,
        reason=reason,
        status=status,
        error=error,
        started_at=at,
        duration_us=duration_us,
        next_due_at=at + 5_000 if disposition == "retry" else None,
        request_bytes=512,
        response_excerpt=None,
        host="shop.example.com",
        trace_id=None,
        worker="worker-1",
        origin=Origin("printprice.pricing", 0, event, at if origin_at is None else origin_at),
        job_id=job,
    )


def waiting_for(
    entry: AuditEntry,
    *,
    due_at: Millis,
    reason: DeferReason | None = None,
    attempt: int | None = None,
) -> Delivery:
    """Return the delivery of an entry's run as a tier record has it."""
    return Delivery(
        delivery_id=entry.delivery_id,
        subscription_id=entry.subscription_id,
        partner_id=entry.partner_id,
        event_type=entry.event_type,
        event_id=entry.event_id,
        origin=entry.origin,
        first_at=entry.origin.timestamp,
        expires_at=entry.origin.timestamp + 72 * HOUR,
        attempt=entry.attempt if attempt is None else attempt,
        trigger=Trigger(entry.trigger) if entry.trigger == "test" else Trigger.RETRY,
        due_at=due_at,
        deferred_reason=reason,
        job=entry.job_id,
    )


def indexed(record: Logged) -> Indexed:
    """Return an audit entry of the log as the index takes it."""
    assert isinstance(record.what, AuditEntry)
    return Indexed(record.at, record.partition, record.offset, record.what)


def pending(record: Logged) -> PendingRecord:
    """Return a tier record of the log as the index takes it."""
    assert isinstance(record.what, Delivery)
    return PendingRecord(
        replace(record.what), record.topic, record.partition, record.offset, record.at
    )


def counted_naively(
    records: Iterable[Logged], now: Millis, whose: tuple[str, str] | None = None
) -> dict[Millis, Counts]:
    """Return the counts of each minute, from the whole log at once.

    Args:
        records: The log.
        now: The present.
        whose: ("partner", id) or ("subscription", id); None: everything.
    """
    runs: dict[tuple[Origin, str, str | None], list[AuditEntry | Delivery]] = {}
    for record in records:
        what = record.what
        job = what.job_id if isinstance(what, AuditEntry) else what.job
        named = {"partner": what.partner_id, "subscription": what.subscription_id}
        if whose is None or named[whose[0]] == whose[1]:
            key = what.origin, what.subscription_id, job
            runs.setdefault(key, []).append(what)
    minutes: dict[Millis, Counts] = {}
    for (origin, _, job), found in runs.items():
        minute = origin.timestamp // MINUTE * MINUTE
        _count_run(minutes.setdefault(minute, Counts()), found, job, origin, minute, now)
    return minutes


def _count_run(
    counts: Counts,
    found: Sequence[AuditEntry | Delivery],
    job: object,
    origin: Origin,
    minute: Millis,
    now: Millis,
) -> None:
    entries = [each for each in found if isinstance(each, AuditEntry)]
    waits = [each for each in found if isinstance(each, Delivery)]
    if any(str(each.trigger) == "test" for each in found):
        counts.tests += 1
        return
    if job is not None:
        counts.replays += 1
        return
    if any(each.deferred_reason in (DeferReason.HELD, DeferReason.PAUSED) for each in waits):
        counts.held += 1
        return
    counts.retries += max(0, max(each.attempt for each in found) - 1)
    complete = [each for each in entries if each.disposition == "complete"]
    if complete:
        counts.delivered += 1
        first = min(each.started_at + each.duration_us // 1000 for each in complete)
        counts.delivered_at_once += first - origin.timestamp <= 2_000
    elif any(each.disposition == "cancel" for each in entries):
        counts.cancelled += 1
    elif any(each.disposition == "dead_letter" for each in entries):
        counts.dead_lettered += 1
    else:
        counts.open += 1
        counts.overdue += minute + 6 * MINUTE <= now


class SilentLog:
    """Drops what an index's writer logs."""

    def warning(self, event: str, **fields: str | float | None) -> None:
        """Drop it."""

    def info(self, event: str, **fields: str | float | None) -> None:
        """Drop it."""
