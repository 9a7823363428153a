"""Logger, metrics, tracer and own records that remember their calls, for scenarios."""

import json
from collections import Counter
from dataclasses import dataclass, field

import orjson
from tests.doubles.codec import json_record

from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.delivery import Delivery
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.outcome import (
    Cancel,
    DeadLetter,
    DeadReason,
    Disposition,
    RetryAt,
)
from hookstream.core.model.record import Origin, OutgoingRecord, Record, TopicPartition
from hookstream.core.model.subscription import Disabled, Failing
from hookstream.core.model.topics import Topics


@dataclass
class RememberingLogger:
    """Every line, as (level, event, fields)."""

    lines: list[tuple[str, str, dict[str, str | float | None]]] = field(default_factory=list)
    attempts: list[AttemptRecord] = field(default_factory=list)

    def attempt(self, record: AttemptRecord) -> None:
        self.attempts.append(record)

    def info(self, event: str, **fields: str | float | None) -> None:
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: str | float | None) -> None:
        self.lines.append(("warning", event, fields))

    def error(self, event: str, **fields: str | float | None) -> None:
        self.lines.append(("error", event, fields))

    def events(self, level: str) -> list[str]:
        return [event for found, event, _ in self.lines if found == level]


@dataclass
class CountingMetrics:
    """Every count."""

    taken: Counter[str] = field(default_factory=Counter)
    set_aside: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    deferrals: Counter[str] = field(default_factory=Counter)
    gaps: Counter[str] = field(default_factory=Counter)
    latencies: list[Millis] = field(default_factory=list)
    ids_reused: Counter[tuple[str, bool]] = field(default_factory=Counter)
    """By event type, and whether the bytes differed."""
    merged: int = 0
    unmatched_events: Counter[str] = field(default_factory=Counter)

    def records(self, topic: str, count: int) -> None:
        self.taken[topic] += count

    def undecodable(self, reason: str) -> None:
        self.set_aside[reason] += 1

    def attempt(self, record: AttemptRecord) -> None:
        self.outcomes["none" if record.outcome is None else record.outcome.name] += 1

    def delivered(self, event_type: str, latency: Millis) -> None:
        del event_type
        self.latencies.append(latency)

    def deferral(self, reason: str) -> None:
        self.deferrals[reason] += 1

    def gap(self, topic: str, records: int) -> None:
        self.gaps[topic] += records

    def unmatched(self, event_type: str) -> None:
        self.unmatched_events[event_type] += 1

    def event_id_reused(self, event_type: str, *, conflict: bool) -> None:
        self.ids_reused[event_type, conflict] += 1

    def copies_merged(self) -> None:
        self.merged += 1


class SilentTracer:
    """Samples nothing."""

    def process(
        self, record: Record, traceparent: str | None, group: str, state: object = None
    ) -> None:
        del record, traceparent, group, state

    def post(self, parent: object, url: str, delivery: Delivery, attempt: int) -> None:
        del parent, url, delivery, attempt

    def send(
        self, parent: object, topic: str, delivery: Delivery, disposition: Disposition
    ) -> None:
        del parent, topic, delivery, disposition

    def cancel(self, parent: object, delivery: Delivery, disposition: Disposition) -> None:
        del parent, delivery, disposition


class JsonOwnRecords:
    """hookstream's own records as JSON, so that scenarios can read them back."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    def attempt(self, record: AttemptRecord) -> bytes:
        end = record.disposition
        reason = end.reason if isinstance(end, DeadLetter | Cancel) else None
        return orjson.dumps(
            {
                "delivery_id": record.delivery.delivery_id,
                "subscription_id": record.delivery.subscription_id,
                "event_id": record.delivery.event_id,
                "origin": record.delivery.origin[:3],
                "batch_id": record.batch_id,
                "attempt": record.attempt,
                "trigger": record.delivery.trigger,
                "job_id": record.delivery.job,
                "response_excerpt": record.response_excerpt,
                "outcome": None if record.outcome is None else record.outcome.name,
                "disposition": record.disposition.name,
                "reason": reason,
                "due_at": record.disposition.due_at
                if isinstance(record.disposition, RetryAt)
                else None,
                "started_at": record.started_at,
                "took": record.duration_us // 1000,
                "request_bytes": record.request_bytes,
            }
        )

    def endpoint_disabled(self, disabled: Disabled, partner_id: str, at: Millis) -> OutgoingRecord:
        return self._operation(
            "endpoint.disabled",
            f"{disabled.subscription_id}/{disabled.since}",
            disabled.subscription_id,
            {"partner_id": partner_id, "reason": disabled.reason, "evidence": disabled.evidence},
            at,
        )

    def endpoint_recovered(
        self, delivery: Delivery, failing_since: Millis, at: Millis
    ) -> OutgoingRecord:
        return self._operation(
            "endpoint.recovered",
            f"{delivery.subscription_id}/{failing_since}",
            delivery.subscription_id,
            {"partner_id": delivery.partner_id, "failing_since": failing_since},
            at,
        )

    def dead_lettered(self, delivery: Delivery, reason: DeadReason, at: Millis) -> OutgoingRecord:
        return self._operation(
            "delivery.dead_lettered",
            f"{delivery.delivery_id}/{delivery.attempt}/{reason}",
            delivery.subscription_id,
            {"partner_id": delivery.partner_id, "reason": reason},
            at,
        )

    def log_gap(
        self, partition: TopicPartition, first: int, next_offset: int, at: Millis
    ) -> OutgoingRecord:
        return self._operation(
            "log.gap",
            f"{partition.topic}/{partition.partition}/{first}-{next_offset}",
            partition.topic,
            {
                "topic": partition.topic,
                "partition": partition.partition,
                "first": first,
                "next": next_offset,
            },
            at,
        )

    def event_id_conflict(
        self, event_type: str, event_id: str, first: Origin, second: Origin, at: Millis
    ) -> OutgoingRecord:
        return self._operation(
            "log.event_id_conflict",
            f"{first.topic}/{first.partition}/{first.offset}|{second.offset}",
            f"{second.topic}/{second.partition}/{second.offset}",
            {"event_type": event_type, "event_id": event_id, "first_offset": first.offset},
            at,
        )

    def _operation(
        self, event_type: str, event_id: str, entity_id: str, data: JsonObject, at: Millis
    ) -> OutgoingRecord:
        """An event that `JsonCodec` reads, as workers take it from the operations topic."""
        return json_record(
            event_type,
            event_id,
            topic=self._topics.operations,
            entity_id=entity_id,
            environment="operations",
            data={**data, "at": at},
        )

    def disabled(self, disabled: Disabled) -> OutgoingRecord:
        value = {
            "since": disabled.since,
            "reason": disabled.reason,
            "evidence": disabled.evidence,
        }
        key = f"{disabled.subscription_id}/disabled".encode()
        return OutgoingRecord(self._topics.health, key, json.dumps(value).encode())

    def failing(self, failing: Failing) -> OutgoingRecord:
        value = json.dumps({"since": failing.since}).encode()
        key = f"{failing.subscription_id}/failing".encode()
        return OutgoingRecord(self._topics.health, key, value)

    def healthy(self, subscription_id: str) -> OutgoingRecord:
        return OutgoingRecord(self._topics.health, f"{subscription_id}/failing".encode(), None)


class CurrentTables:
    """Tables that a test declares current, or stale."""

    def __init__(self) -> None:
        self.stale = False

    def current(self) -> bool:
        return not self.stale


class FixedChance:
    """A Random that always returns the same."""

    def __init__(self, fraction: float = 0.5) -> None:
        self._fraction = fraction

    def fraction(self) -> float:
        return self._fraction
