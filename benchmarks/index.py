"""What the index costs: CPU and bytes of a row as it is written, and the time of each kind of question.

    python -m benchmarks.index [--rows 2000000] [--rate 5000] [--folder DIR]

Audit records of one hour are made as workers write them, in the binary form, and read into an index in
batches of a second's worth, as the follower does: decoding, rows, counts, and upkeep are measured, making the
records is not. CPU is the process's own (user and system), so other load on the machine does not count,
though it slows caches down. Kafka's client is not in it.
"""

import argparse
import gc
import random
import resource
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from hookstream.adapters.avro.audit_reader import AuditReader
from hookstream.adapters.avro.own_events import AvroOwnRecords
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.index.answers import AttemptFilter, DeliveryFilter, Whose
from hookstream.adapters.index.attempt_rows import Indexed
from hookstream.adapters.index.folder import Family, IndexFolder
from hookstream.adapters.index.reader import IndexReader
from hookstream.adapters.index.writer import IndexWriter
from hookstream.adapters.tables.rows import disabled_row, failing_row
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeliveryState
from hookstream.core.delivery.identity import delivery_id
from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.delivery import Delivery, Trigger
from hookstream.core.model.instant import HOUR, MINUTE, Millis
from hookstream.core.model.outcome import Complete, Delivered, Failed, FailureKind, RetryAt
from hookstream.core.model.record import Origin, TopicPartition
from hookstream.core.model.topics import Topics

START: Millis = 1_795_942_800_000
SUBSCRIPTIONS, PARTNERS, PARTITIONS, WORKERS = 1_000, 100, 12, 4
RETRIED = 0.03
"""The share of deliveries whose first attempt fails; it is attempted again 30 s later."""
QUESTIONS = 100
_PRINTED = 60
"""Batches between two lines."""


class Records:
    """Makes the attempts topic of an hour."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._chance = random.Random(11)
        topics = Topics()
        self._own = [
            AvroOwnRecords(topics, f"worker-{number}", disabled_row, failing_row)
            for number in range(WORKERS)
        ]
        self._offsets = dict.fromkeys(range(PARTITIONS), 0)
        self._number = 0
        self._again: list[tuple[Millis, Delivery, str]] = []
        self.some: list[tuple[str, str, str]] = []
        """Ids of deliveries, events and entities to ask for."""

    def batch(self, at: Millis, rows: int) -> list[tuple[Millis, int, int, bytes]]:
        """Return the records of a second: append time, partition, offset and value."""
        made: list[tuple[Millis, int, int, bytes]] = []
        while self._again and self._again[0][0] <= at and len(made) < rows:
            _, delivery, entity = self._again.pop(0)
            delivery.attempt, delivery.trigger = 2, Trigger.RETRY
            made.append(self._record(at, delivery, entity, failed=False))
        for number in range(rows - len(made)):
            moment = at + number * 1_000 // rows
            delivery, entity = self._delivery(moment)
            failed = self._chance.random() < RETRIED
            made.append(self._record(moment, delivery, entity, failed=failed))
            if failed:
                self._again.append((moment + 30_000, delivery, entity))
        return made

    def positions(self) -> dict[TopicPartition, int]:
        """Return the next offset of each partition."""
        name = Topics().attempts
        return {TopicPartition(name, at): offset for at, offset in self._offsets.items()}

    def _delivery(self, at: Millis) -> tuple[Delivery, str]:
        self._number += 1
        chance = self._chance
        event_id = str(uuid.UUID(int=chance.getrandbits(128)))
        subscription = f"subscription-{chance.randrange(SUBSCRIPTIONS)}"
        entity = f"quote-{chance.randrange(4_000_000)}"
        kind = chance.choice(("pricing.completed", "order.generated", "order.shipped"))
        origin = Origin(f"printprice.{kind}", self._number % 12, self._number, at - 12)
        delivery = Delivery(
            delivery_id(kind, event_id, subscription),
            subscription,
            f"partner-{int(subscription.rpartition('-')[2]) % PARTNERS}",
            kind,
            event_id,
            origin,
            first_at=at - 8,
            expires_at=at + 72 * HOUR,
            attempt=1,
        )
        if chance.random() < 0.001:
            self.some.append((delivery.delivery_id, event_id, entity))
        return delivery, entity

    def _record(
        self, at: Millis, delivery: Delivery, entity: str, *, failed: bool
    ) -> tuple[Millis, int, int, bytes]:
        number = int(delivery.subscription_id.rpartition("-")[2])
        record = AttemptRecord(
            delivery=delivery,
            event_version=1,
            entity_id=entity,
            environment="production",
            attempt=delivery.attempt,
            outcome=Failed(FailureKind.STATUS, "answered 503", 503) if failed else Delivered(200),
            disposition=RetryAt(at + 30_000) if failed else Complete(),
            started_at=at - 10,
            duration_us=8_000 + number,
            request_bytes=1_100,
            host=f"hooks-{number % PARTNERS}.example.com",
            trace_id=f"{delivery.origin.offset:032x}" if number % 100 == 0 else None,
        )
        partition = number % PARTITIONS
        offset = self._offsets[partition]
        self._offsets[partition] = offset + 1
        return at, partition, offset, self._own[number % WORKERS].attempt(record)


def written(folder: Path, rows: int, rate: int) -> Records:
    """Write the hour, and print what it cost."""
    records, reader = Records(rate), AuditReader(SchemaBook())
    writer = IndexWriter(folder, most_bytes=1 << 40, log=_Silent())
    writer.begin(Family.ATTEMPTS, START)
    files, topic = IndexFolder(folder), Topics().attempts
    spent = decoding = worst = last = 0.0
    done = 0
    print(f"{rows:,} rows, {rate:,} a second, {SUBSCRIPTIONS:,} subscriptions")
    print("rows        CPU µs/row  last minute     bytes/row   written KB/row")
    while done < rows:
        made = records.batch(START + done * 1_000 // rate, rate)
        began = time.process_time()
        entries = [
            Indexed(at, partition, offset, entry)
            for at, partition, offset, value in made
            if isinstance(entry := reader.read(value), AuditEntry)
        ]
        decoded = time.process_time()
        writer.attempts(START, entries, [], records.positions(), topic)
        writer.maintain()
        ended = time.process_time()
        spent += ended - began
        decoding += decoded - began
        worst = max(worst, ended - began)
        done += len(made)
        if done % (_PRINTED * rate) < rate:
            blocks = resource.getrusage(resource.RUSAGE_SELF).ru_oublock
            recent = (spent - last) / (_PRINTED * rate) * 1e6
            last = spent
            print(
                f"{done:<12,}{spent / done * 1e6:<12.1f}{recent:<15.1f}{files.bytes() / done:<12.0f}"
                f"{blocks * 0.5 / done:.1f}",
                flush=True,
            )
    print(
        f"decoding alone: {decoding / done * 1e6:.1f} µs a row; the longest batch: {worst:.2f} s"
    )
    began = time.process_time()
    writer.complete(Family.ATTEMPTS, START)
    writer.begin(Family.ATTEMPTS, START + HOUR)
    pieces = 0
    while not files.file(Family.ATTEMPTS, START).filter.exists():
        writer.maintain()
        pieces += 1
    took = time.process_time() - began
    print(f"filter of the closed hour: {took / done * 1e6:.2f} µs a row, in {pieces:,} pieces")
    writer.read_up_to({"read_to": START + HOUR, "beat": START})
    writer.close()
    print(f"closed: {files.bytes() / done:.0f} bytes a row")
    return records


class _Silent:
    def warning(self, event: str, **fields: str | float | None) -> None:
        """Drop it."""

    def info(self, event: str, **fields: str | float | None) -> None:
        """Drop it."""


def asked(folder: Path, records: Records) -> None:
    """Ask each kind of question, and print how long it takes."""
    reader = IndexReader(folder, lambda: START)
    chance = random.Random(5)
    until = START + HOUR

    def some(place: int) -> str:
        return chance.choice(records.some)[place]

    def partner() -> str:
        return f"partner-{chance.randrange(PARTNERS)}"

    def subscription() -> frozenset[str]:
        return frozenset({f"subscription-{chance.randrange(SUBSCRIPTIONS)}"})

    pending = frozenset({DeliveryState.PENDING})
    questions: dict[str, Callable[[], object]] = {
        "a delivery, all about it": lambda: reader.delivery(some(0)),
        "a delivery that is not there": lambda: reader.delivery(
            delivery_id("a", str(chance.random()), "b")
        ),
        "attempts of an event": lambda: reader.attempts(AttemptFilter(event_id=some(1))),
        "attempts of an entity": lambda: reader.attempts(AttemptFilter(entity_id=some(2))),
        "newest attempts of a subscription": lambda: reader.attempts(
            AttemptFilter(subscriptions=subscription())
        ),
        "newest attempts of a partner": lambda: reader.attempts(
            AttemptFilter(partner_id=partner())
        ),
        "newest failures of a subscription": lambda: reader.attempts(
            AttemptFilter(subscriptions=subscription(), failed=True)
        ),
        "newest attempts of everybody": lambda: reader.attempts(AttemptFilter()),
        "newest deliveries of a partner": lambda: reader.deliveries(
            DeliveryFilter(partner_id=partner())
        ),
        "pending deliveries of a partner": lambda: reader.deliveries(
            DeliveryFilter(partner_id=partner(), states=pending)
        ),
        "statistics of a subscription, by minute": lambda: reader.statistics(
            Whose(subscriptions=subscription()), START, until, MINUTE, now=until
        ),
        "statistics of a partner, by minute": lambda: reader.statistics(
            Whose(partner_id=partner()), START, until, MINUTE, now=until
        ),
        "statistics of everything, by minute": lambda: reader.statistics(
            Whose(), START, until, MINUTE, now=until
        ),
    }
    print(f"\n{'question':<42}{'median ms':>10}{'p95 ms':>10}{'CPU ms':>10}")
    for name, ask in questions.items():
        times = [*_timed(ask)]
        cpu = statistics.fmean(used for _, used in times)
        taken = sorted(wall for wall, _ in times)
        print(
            f"{name:<42}{statistics.median(taken):>10.2f}{taken[len(taken) * 95 // 100]:>10.2f}{cpu:>10.2f}",
            flush=True,
        )
    reader.close()


def _timed(ask: Callable[[], object]) -> Iterator[tuple[float, float]]:
    for _ in range(QUESTIONS):
        began, used = time.perf_counter(), time.process_time()
        ask()
        yield (time.perf_counter() - began) * 1_000, (time.process_time() - used) * 1_000


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    # As the index's own process does.
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
    if given.folder is not None:
        asked(given.folder, written(given.folder, given.rows, given.rate))
        return
    with tempfile.TemporaryDirectory(prefix="hookstream-index-") as folder:
        asked(Path(folder), written(Path(folder), given.rows, given.rate))


if __name__ == "__main__":
    main()
