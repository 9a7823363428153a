"""The tables of an hour's file, and its attempts as rows.

`row` counts them, so a file only grows at its end. `sub` is the subscription's number among the file's
names. The values that recur from row to row (subscription, type, outcome, worker and so on)
are a *shape*, stored once. Times are relative to the start of the hour.
"""

import json
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from hookstream.adapters.index import error_rows, postings
from hookstream.adapters.index.packing import (
    Packed,
    delivery_of,
    id_of,
    packed_id,
    packed_trace,
    trace_of,
)
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Origin

SCHEMA: Final = f"""
{postings.SCHEMA}
{error_rows.SCHEMA}
CREATE TABLE names (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (kind, name));
CREATE TABLE shapes (id INTEGER PRIMARY KEY, body TEXT NOT NULL UNIQUE);
CREATE TABLE attempts (
  row INTEGER PRIMARY KEY,
  sub INTEGER NOT NULL, at INTEGER NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL,
  failed INTEGER NOT NULL, shape INTEGER NOT NULL, delivery NOT NULL, event NOT NULL, entity NOT NULL,
  attempt INTEGER NOT NULL, started INTEGER NOT NULL, duration INTEGER NOT NULL, bytes INTEGER NOT NULL,
  opart INTEGER NOT NULL, ooffset INTEGER NOT NULL, oat INTEGER NOT NULL,
  due INTEGER, job TEXT, trace, batch, error TEXT, excerpt TEXT
);
CREATE INDEX of_subscription ON attempts (sub, at, partition, offset, shape);
CREATE INDEX failures ON attempts (sub, at, partition, offset, shape) WHERE failed = 1;
CREATE TABLE owners (partner INTEGER NOT NULL, sub INTEGER NOT NULL, PRIMARY KEY (partner, sub)) WITHOUT ROWID;
CREATE TABLE lives (
  sub INTEGER NOT NULL, at INTEGER NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL,
  topic INTEGER NOT NULL, job INTEGER NOT NULL,
  state INTEGER NOT NULL, attempts INTEGER NOT NULL, delivery NOT NULL,
  newest_after INTEGER, newest_took INTEGER, newest_partition INTEGER, newest_offset INTEGER,
  PRIMARY KEY (sub, at, partition, offset, topic, job)
) WITHOUT ROWID;
CREATE INDEX unfinished ON lives (sub, at, partition, offset) WHERE (state & 7) < 4;
CREATE TABLE minutes (
  who INTEGER NOT NULL, minute INTEGER NOT NULL, kind INTEGER NOT NULL, ending INTEGER NOT NULL,
  runs INTEGER NOT NULL, retries INTEGER NOT NULL,
  PRIMARY KEY (who, minute, kind, ending)
) WITHOUT ROWID;
CREATE TABLE lasts (
  who INTEGER PRIMARY KEY, started INTEGER NOT NULL, outcome TEXT NOT NULL, status INTEGER,
  delivery TEXT NOT NULL
);
CREATE TABLE positions (
  topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
CREATE TABLE state (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""

COLUMNS: Final = (
    "row, sub, at, partition, offset, failed, shape, delivery, event, entity, attempt, started, duration,"
    " bytes, opart, ooffset, oat, due, job, trace, batch, error, excerpt"
)
_ALWAYS = COLUMNS.partition(", due")[0]
INSERT_PLAIN: Final = f"INSERT INTO attempts ({_ALWAYS}) VALUES ({','.join('?' * 17)})"
"""For rows whose last six columns are empty. Each bound value has a cost, even an empty one."""
INSERT_FULL: Final = f"INSERT INTO attempts ({COLUMNS}) VALUES ({','.join('?' * 23)})"

SUBSCRIPTION, PARTNER, JOB, TOPIC = "s", "p", "j", "t"
"""Kinds of names."""
EVERYTHING = 0
"""The `who` of counts over all subscriptions."""


class AttemptShape(NamedTuple):
    """The values that recur from one attempt to the next."""

    subscription_id: str
    partner_id: str
    event_type: str
    event_version: int
    environment: str
    trigger: str
    outcome: str | None
    disposition: str
    reason: str | None
    status: int | None
    host: str
    worker: str
    origin_topic: str


def shape_of(entry: AuditEntry) -> AttemptShape:
    """Return an entry's shape."""
    return AttemptShape(
        entry.subscription_id,
        entry.partner_id,
        entry.event_type,
        entry.event_version,
        entry.environment,
        entry.trigger,
        entry.outcome,
        entry.disposition,
        entry.reason,
        entry.status,
        entry.host,
        entry.worker,
        entry.origin.topic,
    )


def shape_text(shape: AttemptShape) -> str:
    """Return a shape as it is stored."""
    return json.dumps(shape, separators=(",", ":"))


def read_shape(text: str) -> AttemptShape:
    """Return a stored shape."""
    return AttemptShape(*json.loads(text))


def is_failure(entry: AuditEntry) -> bool:
    """Return whether an attempt did not deliver, and its delivery was not cancelled."""
    return entry.disposition not in ("complete", "cancel")


class Indexed(NamedTuple):
    """An audit entry, and its place in the attempts topic."""

    at: Millis
    """When it was appended."""
    partition: int
    offset: int
    entry: AuditEntry


class RowKind(NamedTuple):
    """The columns of an attempt's row by which it is found."""

    sub: int
    """Its subscription's number."""
    shape: int
    """Its shape's number."""
    delivery: Packed
    event: Packed
    entity: Packed


Row: TypeAlias = Sequence[object]


def is_plain(entry: AuditEntry) -> bool:
    """Return whether the last six columns of an entry's row are empty, as for most deliveries."""
    return (
        entry.next_due_at is None
        and entry.error is None
        and entry.job_id is None
        and entry.trace_id is None
        and entry.batch_id is None
        and entry.response_excerpt is None
    )


def row_of(number: int, each: Indexed, start: Millis, kind: RowKind) -> Row:
    """Return an attempt's row without its last six columns.

    Args:
        number: The row's number.
        each: The attempt.
        start: The start of the file's hour.
        kind: What its other columns are found by.
    """
    entry = each.entry
    origin = entry.origin
    return (
        number,
        kind.sub,
        each.at - start if each.at > start else 0,
        each.partition,
        each.offset,
        # No bool: a value that is not a plain number or text costs a look-up of an adapter.
        0 if entry.disposition in ("complete", "cancel") else 1,
        kind.shape,
        kind.delivery,
        kind.event,
        kind.entity,
        entry.attempt,
        entry.started_at - start,
        entry.duration_us,
        entry.request_bytes,
        origin.partition,
        origin.offset,
        origin.timestamp - start,
    )


def rest_of(entry: AuditEntry, start: Millis) -> Row:
    """Return the last six columns of an attempt's row."""
    due, batch = entry.next_due_at, entry.batch_id
    return (
        None if due is None else due - start,
        entry.job_id,
        packed_trace(entry.trace_id),
        None if batch is None else packed_id(batch),
        entry.error,
        entry.response_excerpt,
    )


class StoredAttempt(NamedTuple):
    """A row of `attempts`, in the order of `COLUMNS`."""

    row: int
    sub: int
    at: int
    partition: int
    offset: int
    failed: int
    shape: int
    delivery: Packed
    event: Packed
    entity: Packed
    attempt: int
    started: int
    duration: int
    size: int
    opart: int
    ooffset: int
    oat: int
    due: int | None
    job: str | None
    trace: bytes | str | None
    batch: Packed | None
    error: str | None
    excerpt: str | None


def entry_of(row: StoredAttempt, shape: AttemptShape, start: Millis) -> AuditEntry:
    """Return the audit entry of a row: every field as it was written."""
    return AuditEntry(
        delivery_id=delivery_of(row.delivery),
        subscription_id=shape.subscription_id,
        partner_id=shape.partner_id,
        event_type=shape.event_type,
        event_version=shape.event_version,
        event_id=id_of(row.event),
        entity_id=id_of(row.entity),
        environment=shape.environment,
        batch_id=None if row.batch is None else id_of(row.batch),
        attempt=row.attempt,
        trigger=shape.trigger,
        outcome=shape.outcome,
        disposition=shape.disposition,
        reason=shape.reason,
        status=shape.status,
        error=row.error,
        started_at=row.started + start,
        duration_us=row.duration,
        next_due_at=None if row.due is None else row.due + start,
        request_bytes=row.size,
        response_excerpt=row.excerpt,
        host=shape.host,
        trace_id=trace_of(row.trace),
        worker=shape.worker,
        origin=Origin(shape.origin_topic, row.opart, row.ooffset, row.oat + start),
        job_id=row.job,
    )
