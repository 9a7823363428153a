"""What the index costs: CPU and bytes of a row as it is written, and the time of each kind of question.

    python -m benchmarks.index [--rows 18000000] [--hours 1] [--rate 5000] [--folder DIR]

Audit records are made as workers write them, in the binary form, and read into an index in batches of a
second's worth, as the follower does: decoding, rows, counts, and upkeep are measured, making the records is
not. 18 million rows are an hour at 5,000 a second; fewer are its first minutes, and of several hours each has
its share. Each hour is a file of its own and is closed at its end; questions are about all of them.
CPU is the process's own (user and system), so other load on the machine does not count, though it slows
caches down. Kafka's client is not in it. A row takes about 240 bytes of the folder.
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
from hookstream.adapters.index.answers import AttemptFilter, DeliveryFilter, DueFilter, Whose
from hookstream.adapters.index.attempt_rows import Indexed
from hookstream.adapters.index.folder import Family, IndexFolder
from hookstream.adapters.index.now_file import Waiting
from hookstream.adapters.index.reader import IndexReader
from hookstream.adapters.index.writer import IndexWriter
from hookstream.adapters.tables.rows import disabled_row, failing_row
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeliveryState
from hookstream.core.audit.run_states import PendingRecord
from hookstream.core.delivery.identity import delivery_id
from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.delivery import Delivery, Trigger
from hookstream.core.model.instant import HOUR, MINUTE, SECOND, Millis
from hookstream.core.model.outcome import Complete, Delivered, Failed, FailureKind, RetryAt
from hookstream.core.model.record import Origin, TopicPartition
from hookstream.core.model.topics import Topics
from hookstream.core.statistics.due import due_intervals
from hookstream.core.statistics.overview import OverviewWindow

START: Millis = 1_795_942_800_000
SUBSCRIPTIONS, PARTNERS, PARTITIONS, WORKERS = 1_000, 100, 12, 4
RETRIED = 0.03
"""The share of deliveries whose first attempt fails; it is attempted again 30 s later."""
QUESTIONS = 200
ASKED = 0.001
"""The share of deliveries whose ids may be asked for."""
_LINES = 20
"""How many lines the writing prints."""


class Records:
    """Makes the attempts topic."""

    def __init__(self, span: Millis) -> None:
        self._span = span
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
        """Return the records of a batch: append time, partition, offset and value."""
        made: list[tuple[Millis, int, int, bytes]] = []
        while self._again and self._again[0][0] <= at and len(made) < rows:
            _, delivery, entity = self._again.pop(0)
            delivery.attempt, delivery.trigger = 2, Trigger.RETRY
            made.append(self._record(at, delivery, entity, failed=False))
        for number in range(rows - len(made)):
            moment = at + number * self._span // rows
            delivery, entity = self._delivery(moment)
            failed = self._chance.random() < RETRIED
            made.append(self._record(moment, delivery, entity, failed=failed))
            if failed:
                self._again.append((moment + 30_000, delivery, entity))
        return made

    def waiting(self, first: int, count: int) -> list[Waiting]:
        """Return tier records of deliveries that are due within the next hours."""
        made: list[Waiting] = []
        for number in range(first, first + count):
            delivery, _ = self._delivery(START)
            delivery.due_at = START + self._chance.randrange(6 * HOUR)
            topic = Topics().tier(self._chance.choice((30 * SECOND, HOUR)))
            place = topic, number % PARTITIONS, number
            made.append(Waiting(*place, PendingRecord(delivery, *place, START)))
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
        if chance.random() < ASKED:
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


def written(folder: Path, rows: int, rate: int, hours: int) -> Records:
    """Write the hours, and print what it cost."""
    batches = rows // rate
    of_hour = -(-batches // hours)
    span = min(SECOND, HOUR // of_hour)
    records, reader = Records(span), AuditReader(SchemaBook())
    writer = IndexWriter(folder, most_bytes=1 << 40, log=_Silent())
    writer.begin(Family.ATTEMPTS, START)
    files, topic, hour = IndexFolder(folder), Topics().attempts, START
    cost, filters = Cost(), 0.0
    print(f"{rows:,} rows, {rate:,} a batch, {hours} hours, {SUBSCRIPTIONS:,} subscriptions")
    print("rows        CPU µs/row  latest         bytes/row   written KB/row")
    for number in range(batches):
        at = START + number // of_hour * HOUR + number % of_hour * span
        if Family.ATTEMPTS.start_of(at) > hour:
            filters += closed(writer, hour)
            hour = Family.ATTEMPTS.start_of(at)
        made = records.batch(at, rate)
        began = time.process_time()
        entries = [
            Indexed(at, partition, offset, entry)
            for at, partition, offset, value in made
            if isinstance(entry := reader.read(value), AuditEntry)
        ]
        decoded = time.process_time()
        writer.attempts(hour, entries, [], records.positions(), topic)
        writer.maintain()
        cost.add(len(made), decoded - began, time.process_time() - began)
        if (number + 1) % max(1, batches // _LINES) == 0:
            blocks = resource.getrusage(resource.RUSAGE_SELF).ru_oublock
            print(
                f"{cost.rows:<12,}{cost.a_row:<12.1f}{cost.latest():<15.1f}"
                f"{files.bytes() / cost.rows:<12.0f}{blocks * 0.5 / cost.rows:.1f}",
                flush=True,
            )
    filters += closed(writer, hour)
    print(f"decoding alone: {cost.decoding / cost.rows * 1e6:.1f} µs a row")
    print(f"the longest batch: {cost.longest:.2f} s of CPU")
    print(f"filters of closed hours: {filters / cost.rows * 1e6:.2f} µs a row")
    writer.read_up_to({"read_to": hour + HOUR, "beat": START})
    waiting(writer, records, rows // 50)
    writer.close()
    print(f"closed: {files.bytes() / cost.rows:.0f} bytes a row")
    return records


def waiting(writer: IndexWriter, records: Records, count: int) -> None:
    """Let deliveries wait in tiers, and print what it cost."""
    began = time.process_time()
    for first in range(0, count, 1_000):
        writer.waiting(records.waiting(first, min(count - first, 1_000)), {})
    print(
        f"waiting records: {(time.process_time() - began) / max(1, count) * 1e6:.1f} µs a record"
    )


class Cost:
    """What writing has cost so far, in seconds of CPU."""

    def __init__(self) -> None:
        self.rows = 0
        self.decoding = self.spent = self.longest = 0.0
        self._before = 0, 0.0

    def add(self, rows: int, decoding: float, spent: float) -> None:
        """Add a batch; `decoding` is a part of `spent`."""
        self.rows += rows
        self.decoding += decoding
        self.spent += spent
        self.longest = max(self.longest, spent)

    @property
    def a_row(self) -> float:
        """Microseconds a row."""
        return self.spent / self.rows * 1e6

    def latest(self) -> float:
        """Return the microseconds a row since this was asked last."""
        (rows, spent), self._before = self._before, (self.rows, self.spent)
        return (self.spent - spent) / (self.rows - rows) * 1e6


def closed(writer: IndexWriter, hour: Millis) -> float:
    """Close an hour, and return the seconds of CPU that its filter took."""
    began = time.process_time()
    writer.complete(Family.ATTEMPTS, hour)
    writer.begin(Family.ATTEMPTS, hour + HOUR)
    while not writer.folder.file(Family.ATTEMPTS, hour).filter.exists():
        writer.maintain()
    return time.process_time() - began


class _Silent:
    def warning(self, event: str, **fields: str | float | None) -> None:
        """Drop it."""

    def info(self, event: str, **fields: str | float | None) -> None:
        """Drop it."""


def asked(folder: Path, records: Records, hours: int) -> None:
    """Ask each kind of question, and print what it takes."""
    reader = IndexReader(folder, lambda: START)
    chance = random.Random(5)
    until = START + hours * HOUR

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
        **{
            f"overview of a partner, {window}": lambda window=window: reader.overview(  # type: ignore[misc]
                Whose(partner_id=partner()), window, now=until
            )
            for window in OverviewWindow
        },
        **{
            f"overview of everything, {window}": lambda window=window: reader.overview(  # type: ignore[misc]
                Whose(), window, now=until
            )
            for window in OverviewWindow
        },
        "what waits, of a partner": lambda: reader.pending_summary(
            DueFilter(partner()), due_intervals(6, START)
        ),
        "what waits, of everything": lambda: reader.pending_summary(
            DueFilter(), due_intervals(6, START)
        ),
    }
    print(f"\n{'CPU ms of an answer':<44}{'p50':>8}{'p99':>8}{'most':>8}")
    for name, ask in questions.items():
        times = sorted(_timed(ask))
        p99 = times[len(times) * 99 // 100 - 1]
        print(
            f"{name:<44}{statistics.median(times):>8.2f}{p99:>8.2f}{times[-1]:>8.2f}", flush=True
        )
    reader.close()


def _timed(ask: Callable[[], object]) -> Iterator[float]:
    """Yield the milliseconds of CPU that each answer takes."""
    for _ in range(QUESTIONS):
        began = time.process_time()
        ask()
        yield (time.process_time() - began) * 1_000


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=18_000_000)
    parser.add_argument("--hours", type=int, default=1)
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    # As the index's own process does.
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
    with tempfile.TemporaryDirectory(prefix="hookstream-index-") as made:
        folder = given.folder or Path(made)
        asked(folder, written(folder, given.rows, given.rate, given.hours), given.hours)


if __name__ == "__main__":
    main()
