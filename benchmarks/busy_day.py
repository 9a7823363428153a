"""Makes what an index has after a busy day: millions of attempts over hours, retries, dead letters, what waits.

It stands for what a console's index process reads from topics, and is written by the same writer.
"""

import gc
import heapq
import json
import random
import shutil
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from hookstream.adapters.index.aside_file import IndexedAside, Operation
from hookstream.adapters.index.attempt_rows import Indexed
from hookstream.adapters.index.folder import Family
from hookstream.adapters.index.now_file import Waiting
from hookstream.adapters.index.writer import IndexWriter
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.run_states import PendingRecord
from hookstream.core.delivery.identity import batch_id, delivery_id
from hookstream.core.model.delivery import Delivery, Trigger
from hookstream.core.model.instant import HOUR, MINUTE, SECOND, Millis, to_rfc3339
from hookstream.core.model.record import Origin, TopicPartition
from hookstream.core.model.topics import Topics
from hookstream.core.redrive.marks import Position, RedriveSource
from hookstream.core.redrive.summary import DeadLetterSummary

T = TypeVar("T", DeadLetterSummary, Operation)

START: Millis = 1_795_942_800_000
"""The start of an hour."""
PARTITIONS = 12
BATCH = 2_000
"""Attempts that are written at once."""
FAILS, FAILS_AGAIN = 0.03, 0.3
"""The share of deliveries whose first attempt fails, and of attempts after it that do."""
PAUSES = (30 * SECOND, HOUR)
"""Before the second and the third attempt; after that a delivery is dead-lettered."""
WAITING, UNDECODABLE, OPERATIONS = 20_000, 2_000, 5_000
ERRORS = (
    ("failed", 503, "answered 503"),
    ("failed", 500, "answered 500: order {} is locked"),
    ("timeout", None, "no answer within 15 s"),
)
TYPES = ("pricing.completed", "order.generated", "order.shipped")
_ASKED = 0.0005


@dataclass(frozen=True)
class Size:
    """How much there is."""

    attempts: int
    hours: int
    subscriptions: int
    partners: int

    @property
    def present(self) -> Millis:
        """The present: a minute before the last hour ends."""
        return START + self.hours * HOUR - MINUTE

    def partner_of(self, subscription: int) -> str:
        """Return the partner of a subscription's number."""
        return f"partner-{subscription % self.partners}"


@dataclass
class Known:
    """Ids that may be asked for."""

    deliveries: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """Of which some attempt failed."""
    events: list[str] = field(default_factory=list)
    entities: list[str] = field(default_factory=list)
    batches: list[str] = field(default_factory=list)


class Hours:
    """Makes the attempts of some hours, in the order in which they are appended.

    Args:
        size: How much there is in all.
        hours: Which hours; attempts that are due after them are not made.
    """

    def __init__(self, size: Size, hours: range) -> None:
        self.size = size
        self.hours = hours
        self.known = Known()
        self.dead: list[DeadLetterSummary] = []
        first = hours.start
        self._chance = random.Random(first)
        self._offsets = dict.fromkeys(range(PARTITIONS), first * size.attempts)
        self._number = first * size.attempts
        self._later: list[tuple[Millis, int, AuditEntry]] = []

    def batches(self) -> Iterator[tuple[Millis, list[Indexed]]]:
        """Yield the attempts of each hour in batches."""
        for hour in self.hours:
            start = START + hour * HOUR
            left = self.size.attempts // self.size.hours
            step = min(HOUR, self.size.present - start) / left
            moment = float(start)
            while left > 0:
                made = []
                for _ in range(min(BATCH, left)):
                    moment += step
                    made.append(self._next(int(moment)))
                left -= len(made)
                yield start, made

    def positions(self) -> dict[TopicPartition, int]:
        """Return the next offset of each partition."""
        name = Topics().attempts
        return {TopicPartition(name, at): offset for at, offset in self._offsets.items()}

    def waiting(self, count: int) -> Iterator[Waiting]:
        """Yield tier records of deliveries that are due within some hours of the present."""
        chance, present = self._chance, self.size.present
        for number in range(count):
            entry = self._first(present - chance.randrange(HOUR))
            tier = Topics().tier(chance.choice((30 * SECOND, HOUR)))
            place = tier, number % PARTITIONS, number
            delivery = Delivery(
                entry.delivery_id,
                entry.subscription_id,
                entry.partner_id,
                entry.event_type,
                entry.event_id,
                entry.origin,
                first_at=entry.started_at,
                expires_at=present + 72 * HOUR,
                attempt=1,
                trigger=Trigger.RETRY,
                due_at=present + chance.randrange(-10 * MINUTE, 6 * HOUR),
                last_outcome="failed",
                last_status=503,
            )
            yield Waiting(*place, PendingRecord(delivery, *place, present - MINUTE))

    def _next(self, at: Millis) -> Indexed:
        if self._later and self._later[0][0] <= at:
            entry = self._again(heapq.heappop(self._later)[2], at)
        else:
            entry = self._first(at)
        if entry.disposition == "retry":
            pause = PAUSES[entry.attempt - 1]
            heapq.heappush(self._later, (at + pause, self._number, entry))
        elif entry.disposition == "dead_letter":
            self.dead.append(self._letter(entry, at))
        self._keep(entry)
        partition = int(entry.subscription_id.rpartition("-")[2]) % PARTITIONS
        offset = self._offsets[partition]
        self._offsets[partition] = offset + 1
        return Indexed(at, partition, offset, entry)

    def _first(self, at: Millis) -> AuditEntry:
        self._number += 1
        chance, number = self._chance, self._number
        subscription = chance.randrange(self.size.subscriptions)
        name = f"subscription-{subscription}"
        kind = TYPES[number % len(TYPES)]
        event = str(uuid.UUID(int=chance.getrandbits(128)))
        # A hundredth of the subscriptions get batches: of a second's events each.
        batched = subscription % 100 == 0
        return self._made(
            AuditEntry(
                delivery_id=delivery_id(kind, event, name),
                subscription_id=name,
                partner_id=self.size.partner_of(subscription),
                event_type=kind,
                event_version=1,
                event_id=event,
                entity_id=f"quote-{chance.randrange(400_000)}",
                environment="production",
                batch_id=batch_id([name, str(at // SECOND)]) if batched else None,
                attempt=1,
                trigger="initial",
                outcome="delivered",
                disposition="complete",
                reason=None,
                status=200,
                error=None,
                started_at=at - 10,
                duration_us=8_000 + subscription,
                next_due_at=None,
                request_bytes=1_100,
                response_excerpt=None,
                host=f"hooks-{subscription % self.size.partners}.example.com",
                trace_id=f"{number:032x}" if number % 100 == 0 else None,
                worker=f"worker-{number % 4}",
                origin=Origin(f"printprice.{kind}", number % PARTITIONS, number, at - 12),
            ),
            at,
            FAILS,
        )

    def _again(self, before: AuditEntry, at: Millis) -> AuditEntry:
        entry = replace(
            before,
            batch_id=None,
            attempt=before.attempt + 1,
            trigger="retry",
            started_at=at - 10,
            outcome="delivered",
            disposition="complete",
            status=200,
            error=None,
            next_due_at=None,
        )
        return self._made(entry, at, FAILS_AGAIN)

    def _made(self, entry: AuditEntry, at: Millis, fails: float) -> AuditEntry:
        """Return an attempt that fails by chance."""
        if self._chance.random() >= fails:
            return entry
        outcome, status, error = ERRORS[self._number % len(ERRORS)]
        is_last = entry.attempt > len(PAUSES)
        return replace(
            entry,
            outcome=outcome,
            disposition="dead_letter" if is_last else "retry",
            reason="exhausted" if is_last else None,
            status=status,
            error=error.format(self._number),
            next_due_at=None if is_last else at + PAUSES[entry.attempt - 1],
            response_excerpt="try again later" if status is not None else None,
        )

    def _letter(self, entry: AuditEntry, at: Millis) -> DeadLetterSummary:
        origin = entry.origin
        return DeadLetterSummary(
            position=Position(0, 0),
            at=at,
            delivery_id=entry.delivery_id,
            subscription_id=entry.subscription_id,
            partner_id=entry.partner_id,
            event_type=entry.event_type,
            event_id=entry.event_id,
            attempt=str(entry.attempt),
            reason="exhausted",
            detail="its schedule is over",
            last_outcome=entry.outcome or "",
            last_status=str(entry.status or ""),
            last_error=entry.error or "",
            job="",
            origin_topic=origin.topic,
            origin=origin.place,
            origin_at=to_rfc3339(origin.timestamp),
            by_reference=False,
        )

    def _keep(self, entry: AuditEntry) -> None:
        """Keep some of the ids, and the first of each kind."""
        known, asked = self.known, self._chance.random() < _ASKED
        for ids, each in (
            (known.deliveries if entry.attempt == 1 else known.failed, entry.delivery_id),
            (known.events, entry.event_id),
            (known.entities, entry.entity_id),
            (known.batches, entry.batch_id),
        ):
            if each is not None and (asked or not ids):
                ids.append(each)


def numbered(letters: Sequence[DeadLetterSummary]) -> list[DeadLetterSummary]:
    """Return dead letters at the places of one log."""
    return [
        replace(each, position=Position(number % PARTITIONS, number))
        for number, each in enumerate(letters)
    ]


def undecodable(size: Size) -> Iterator[DeadLetterSummary]:
    """Yield records that could not be decoded."""
    for number in range(UNDECODABLE):
        at = START + number * (size.present - START) // UNDECODABLE
        empty = dict.fromkeys(
            ("delivery_id", "subscription_id", "partner_id", "event_type", "event_id", "attempt"),
            "",
        )
        yield DeadLetterSummary(
            position=Position(number % PARTITIONS, number),
            at=at,
            **empty,
            reason=("malformed", "unknown_schema")[number % 2],
            detail="its bytes end early",
            last_outcome="",
            last_status="",
            last_error="",
            job="",
            origin_topic="printprice.orders",
            origin=f"printprice.orders-3@{number}",
            origin_at=to_rfc3339(at),
            by_reference=False,
        )


def operations(size: Size) -> Iterator[Operation]:
    """Yield operations events."""
    for number in range(OPERATIONS):
        subscription = number % size.subscriptions
        name, partner = f"subscription-{subscription}", size.partner_of(subscription)
        at = START + number * (size.present - START) // OPERATIONS
        data = {"subscription_id": name, "partner_id": partner, "state": "active"}
        event = f"operation-{number}"
        place = at, number % PARTITIONS, number
        yield Operation(*place, "subscription.changed", event, name, partner, {**data})


class _Silent:
    def warning(self, event: str, **fields: str | float | None) -> None:
        """Drop it."""

    def info(self, event: str, **fields: str | float | None) -> None:
        """Drop it."""


def filled(folder: Path, size: Size, processes: int) -> Known:
    """Return what may be asked for of an index in a folder, which is filled unless it was before.

    Args:
        folder: The folder; the index's is `index` within it.
        size: How much there is.
        processes: How many processes fill it, each some of its hours.
    """
    index, kept = folder / "index", folder / "known.json"
    if kept.exists():
        document = json.loads(kept.read_text())
        if Size(**document["size"]) == size:
            return Known(**document["known"])
    share = -(-size.hours // processes)
    parts = [range(first, min(first + share, size.hours)) for first in range(0, size.hours, share)]
    index.mkdir(parents=True)
    known, dead = Known(), []
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        for found, letters in pool.map(_fill, repeat(index), repeat(size), parts):
            for name, ids in asdict(found).items():
                getattr(known, name).extend(ids)
            dead += letters
    writer = IndexWriter(index, most_bytes=1 << 40, log=_Silent())
    for hour in range(size.hours):
        writer.begin(Family.ATTEMPTS, START + hour * HOUR)
    _set_aside(writer, size, dead)
    waits = [*Hours(size, range(size.hours, size.hours)).waiting(WAITING)]
    for first in range(0, len(waits), BATCH):
        writer.waiting(waits[first : first + BATCH], {})
    writer.read_up_to({"read_to": size.present, "beat": size.present, "building": 0})
    writer.close()
    kept.write_text(json.dumps({"size": asdict(size), "known": asdict(known)}))
    return known


def _fill(index: Path, size: Size, hours: range) -> tuple[Known, list[DeadLetterSummary]]:
    """Fill some hours in a folder of their own, and move their files; return ids, and what was dead-lettered."""
    # As the index's own process does: entries live for a moment, and form no circles.
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
    made, topic = Hours(size, hours), Topics().attempts
    folder = index / f"part-{hours.start}"
    writer = IndexWriter(folder, most_bytes=1 << 40, log=_Silent())
    current = START + hours.start * HOUR
    writer.begin(Family.ATTEMPTS, current)
    for hour, attempts in made.batches():
        if hour > current:
            _close(writer, current)
            current = hour
        writer.attempts(hour, attempts, [], made.positions(), topic)
    if hours.stop < size.hours:
        _close(writer, current)
    writer.close()
    for hour in hours:
        file = writer.folder.file(Family.ATTEMPTS, START + hour * HOUR)
        for path in (file.path, file.filter):
            if path.exists():
                path.rename(index / path.name)
    shutil.rmtree(folder)
    return made.known, made.dead


def _set_aside(writer: IndexWriter, size: Size, dead: Sequence[DeadLetterSummary]) -> None:
    """Write dead letters, undecodable records and operations events."""
    for source, letters in (
        (RedriveSource.DEAD_LETTERS, numbered(dead)),
        (RedriveSource.UNDECODABLE, [*undecodable(size)]),
    ):
        for at, some in _by_day(letters).items():
            writer.begin(Family.ASIDE, at)
            writer.aside(at, [IndexedAside(source, each) for each in some], (), {})
    for at, events in _by_day([*operations(size)]).items():
        writer.aside(at, (), events, {})
        writer.complete(Family.ASIDE, at)


def _close(writer: IndexWriter, hour: Millis) -> None:
    """Close an hour, with what is kept of closed ones."""
    writer.complete(Family.ATTEMPTS, hour)
    writer.begin(Family.ATTEMPTS, hour + HOUR)
    while not writer.folder.file(Family.ATTEMPTS, hour).filter.exists():
        writer.maintain()


def _by_day(things: Sequence[T]) -> dict[Millis, list[T]]:
    found: dict[Millis, list[T]] = {}
    for each in things:
        found.setdefault(Family.ASIDE.start_of(each.at), []).append(each)
    return found
