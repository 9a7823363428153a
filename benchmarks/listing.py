"""What commands that list a topic take: `python -m benchmarks.listing [--records 100000] [--rounds 3]`.

So many dead letters and attempts are written to a broker, as workers write them. Then each command runs as
a process of its own, its output into a pipe, and so does the floor: a bare client that takes the same topic
in batches and looks at nothing. They take turns, round by round: what disturbs the machine disturbs all.
The table has the least time and the least CPU of all rounds; the CPU is the process's own, with its start.
"""

import argparse
import json
import os
import random
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from rich.console import Console
from rich.table import Table

from benchmarks.installation import ROOT, Ran
from benchmarks.load import EVENT_TYPE, ends
from benchmarks.rig import say
from benchmarks.stage import PREFIX, Stage
from hookstream.adapters.avro.own_events import AvroOwnRecords
from hookstream.adapters.dev.broker import BrokerProcess
from hookstream.adapters.dev.kafka_jars import fetch_kafka, find_java
from hookstream.adapters.kafka.client import bounded, consumer_properties
from hookstream.adapters.kafka.record import client_headers
from hookstream.adapters.tables.rows import disabled_row, failing_row
from hookstream.core.delivery.identity import delivery_id
from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.delivery import Delivery
from hookstream.core.model.delivery_headers import dead_letter_headers
from hookstream.core.model.instant import HOUR, Millis
from hookstream.core.model.outcome import (
    Complete,
    DeadReason,
    Delivered,
    Failed,
    FailureKind,
    RetryAt,
)
from hookstream.core.model.record import Origin
from hookstream.core.model.topics import Topics

_TOPICS = Topics(PREFIX)
_SUBSCRIPTIONS, _PARTNERS = 100, 10
_FAILED = 0.03
"""The share of attempts that fail."""
_BODY = 1_024
"""Bytes of a dead letter's event."""
_BATCH = 500
_FLUSHED = 5_000
"""Records that are written between two waits for the broker."""
_PATIENCE = 60.0
_MOST = 100_000
"""What `dlq list` lists at most."""
_PREFETCHED = {"queued.max.messages.kbytes": 65_536}
"""As the client has it by default."""

_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "a topic with nothing in it": ("undecodable", "list"),
    "dlq list": ("dlq", "list"),
    "dlq list --status 410 (none)": ("dlq", "list", "--status", "410"),
    "dlq list -n 100000": ("dlq", "list", "-n", str(_MOST)),
    "dlq list -n 100000 --json": ("dlq", "list", "-n", str(_MOST), "--json"),
    "attempts list": ("attempts", "list"),
    "attempts list --outcome failed (3 %)": ("attempts", "list", "--outcome", "failed"),
    "attempts list -n 100000": ("attempts", "list", "-n", str(_MOST)),
    "attempts list -n 100000 --json": ("attempts", "list", "-n", str(_MOST), "--json"),
}
_FLOORS = {
    "floor: dead letters": (_TOPICS.dead_letters, {}),
    "floor: dead letters, prefetching 64 MB": (_TOPICS.dead_letters, _PREFETCHED),
    "floor: attempts": (_TOPICS.attempts, {}),
    "floor: attempts, prefetching 64 MB": (_TOPICS.attempts, _PREFETCHED),
}


@dataclass(slots=True)
class Row:
    """One command over all rounds."""

    name: str
    rounds: list[Ran]

    def best(self, value: str) -> float:
        """Return the least of a value over the rounds."""
        return min(float(getattr(each, value)) for each in self.rounds)


class Written:
    """Writes both topics."""

    def __init__(self, servers: str) -> None:
        self._producer = Producer({"bootstrap.servers": servers, "linger.ms": 5, "log_level": 0})
        self._chance = random.Random(11)
        self._own = AvroOwnRecords(_TOPICS, "worker-1", disabled_row, failing_row)

    def dead_letters(self, many: int) -> None:
        """Write so many dead letters."""
        body = self._chance.randbytes(_BODY)
        for delivery, now in self._deliveries(many):
            reason, why = DeadReason.ATTEMPTS_EXHAUSTED, "attempt 9 was the last"
            headers = dead_letter_headers(delivery, (), reason, why, written_at=now)
            self._producer.produce(
                _TOPICS.dead_letters,
                body,
                delivery.subscription_id.encode(),
                headers=client_headers(headers),
            )
        self._producer.flush()

    def attempts(self, many: int) -> None:
        """Write so many attempts."""
        for delivery, now in self._deliveries(many):
            failed = self._chance.random() < _FAILED
            record = AttemptRecord(
                delivery=delivery,
                event_version=1,
                entity_id=f"order-{self._chance.randrange(4_000_000)}",
                environment="production",
                attempt=1,
                outcome=Failed(FailureKind.STATUS, "answered 503", 503)
                if failed
                else Delivered(200),
                disposition=RetryAt(now + 30_000) if failed else Complete(),
                started_at=now,
                duration_us=8_000,
                request_bytes=_BODY,
                host="hooks.example.com",
                trace_id=None,
            )
            key = delivery.subscription_id.encode()
            self._producer.produce(_TOPICS.attempts, self._own.attempt(record), key)
        self._producer.flush()

    def _deliveries(self, many: int) -> Iterator[tuple[Delivery, Millis]]:
        for number in range(many):
            if number % _FLUSHED == 0:
                self._producer.flush()
            now = int(time.time() * 1000)
            subscription = f"subscription-{number % _SUBSCRIPTIONS}"
            event_id = str(uuid.UUID(int=self._chance.getrandbits(128)))
            yield (
                Delivery(
                    delivery_id(EVENT_TYPE, event_id, subscription),
                    subscription,
                    f"partner-{number % _PARTNERS}",
                    EVENT_TYPE,
                    event_id,
                    Origin(f"{PREFIX}.events.{EVENT_TYPE}", 0, number, now - 9_000),
                    first_at=now - 8_000,
                    expires_at=now + 72 * HOUR,
                    attempt=9,
                    step=8,
                    last_outcome="failed",
                    last_status=503,
                ),
                now,
            )


def floor(servers: str, topic: str, more: Mapping[str, int]) -> Ran:
    """Take all records of a topic in batches, with the client settings that commands have."""
    client = bounded({"bootstrap.servers": servers})
    wanted = ends(servers, [topic])
    consumer = Consumer({**consumer_properties(client, "floor", None), **more})
    began, used = time.monotonic(), time.process_time()
    consumer.assign([TopicPartition(name, partition, 0) for name, partition in wanted])
    left, last = sum(wanted.values()), began
    while left > 0:
        got = len(consumer.consume(_BATCH, 0.2))
        left -= got
        last = time.monotonic() if got else last
        if time.monotonic() - last > _PATIENCE:
            raise SystemExit(f"nothing came of {topic} for {_PATIENCE:.0f} s, and {left} are left")
    ran = Ran(time.monotonic() - began, time.process_time() - used, 0.0)
    consumer.close()
    return ran


def measured(records: int, rounds: int) -> list[Row]:
    """Write the topics and run everything in turns."""
    libs = fetch_kafka(ROOT / ".cache" / "kafka", say)
    folder = Path(tempfile.mkdtemp(prefix="hookstream-bench-"))
    try:
        say("a broker")
        with BrokerProcess(libs, find_java(), quick=False) as broker:
            return _on(Stage(folder, broker.bootstrap_servers), records, rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _on(stage: Stage, records: int, rounds: int) -> list[Row]:
    commands, servers = stage.installation, stage.servers
    commands.run("dev", "keys", str(stage.folder / "keys.json"))
    commands.run("topics", "apply", "--yes")
    say(f"{records:,} dead letters and as many attempts")
    written = Written(servers)
    written.dead_letters(records)
    written.attempts(records)
    rows = {name: Row(name, []) for name in (*_FLOORS, *_COMMANDS)}
    for number in range(rounds):
        for name, (topic, more) in _FLOORS.items():
            say(f"round {number + 1} of {rounds}: {name}")
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                rows[name].rounds.append(pool.submit(floor, servers, topic, more).result())
        for name, arguments in _COMMANDS.items():
            say(f"round {number + 1} of {rounds}: {name}")
            rows[name].rounds.append(commands.measured(*arguments))
    return [*rows.values()]


def table_of(rows: list[Row], records: int) -> Table:
    """Return the table."""
    table = Table("", "time", "CPU", "CPU a record", "memory")
    for row in rows:
        cpu, memory = row.best("cpu_seconds"), row.best("peak_mib")
        table.add_row(
            row.name,
            f"{row.best('seconds'):.2f} s",
            f"{cpu:.2f} s",
            f"{cpu / records * 1e6:.1f} µs",
            f"{memory:.0f} MiB" if memory else "",
        )
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def main() -> None:
    """Read the command line, measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.listing", description=__doc__)
    parser.add_argument("--records", type=int, default=100_000, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--json", type=Path, help="also write all values to this file")
    given = parser.parse_args()
    if not 0 < given.records <= _MOST:
        parser.error(f"--records: from 1 to {_MOST:,}")
    before = os.getloadavg()
    rows = measured(given.records, given.rounds)
    Console(width=110).print(table_of(rows, given.records))
    print(f"load average {before[0]:.1f} before, {os.getloadavg()[0]:.1f} after")
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
