"""One run of the fuzzer: a worker, an endpoint, and rounds of records that are written and checked."""

import asyncio
import json
import re
import secrets
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from tests.conftest import ROOT
from tests.e2e.world import World, a_world
from tests.fuzz import results, tools
from tests.fuzz.drawing import SUBSCRIPTION, WANTED, Drawing, Drawn, Row
from tests.fuzz.results import Results, Written
from tests.raw_kafka import RawProducer, RawRecord

from hookstream.adapters.avro.registered import registered_row
from hookstream.adapters.kafka.tables.log import read_tables
from hookstream.adapters.tables.holds_and_skips import write_hold
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.registered import RegisteredId
from hookstream.core.model.topics import Topics
from hookstream.producer import EventProducer

_BATCH = 200
_BATCH_BYTES = 400_000
_PARTITIONS = 3
_PATIENCE = 180.0
"""Seconds without any progress after which a record counts as never settled."""
_ROWS = 60
_ANY_TIME = {
    "message.timestamp.type": "CreateTime",
    "message.timestamp.before.max.ms": str(2**63 - 1),
    "message.timestamp.after.max.ms": str(2**63 - 1),
}
_SETTINGS = {
    "EVENTS__ACCEPT_CREATE_TIME": "true",
    "RETRY__ABSENT_GRACE": "3s",
    "RETRY__UNKNOWN_SCHEMA_GRACE": "0s",
    "TRACING__RATIO": "0.0",
    "WORKER__STUCK_AFTER": "60s",
}
_TIERS = ("retry.0s", "retry.1s", "retry.2s")
_EVENTS = (f"events.{WANTED}", "events.times", "operations")


class Failed(Exception):
    """Raised if a guarantee was violated, with what was seen."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What is to be run."""

    records: int
    seed: int
    round: int
    memory_mb: int


@dataclass
class Run:
    """What a run has."""

    world: World
    ask: Ask
    show: Callable[[str], None]
    drawing: Drawing
    producer: RawProducer
    results: Results
    attempted: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    ends: dict[tuple[str, int], int] = field(default_factory=dict)
    """Where the last record that was written to a partition ends."""
    sound: list[Row] = field(default_factory=list)

    async def answer(self, body: dict[str, Any], _: int) -> int:
        """Accept every event, one in twenty only at its second attempt."""
        event_id = str(body["id"])
        self.attempted[event_id] += 1
        if event_id.endswith("0") and self.attempted[event_id] == 1:
            return 500
        self.accepted[event_id] += 1
        return 204

    async def round(self, count: int) -> None:
        """Write so many records, wait until all is settled, and check the results."""
        await self.disturb()
        written = await asyncio.to_thread(self._write, count)
        await self.settle()
        await asyncio.to_thread(self.results.read)
        broken = results.failures(written, self.results, self.accepted, self.attempted)
        if broken:
            shown = "\n  ".join(broken[: results.SHOWN])
            raise Failed(f"{len(broken)} of {count} records:\n  {shown}")
        self.results.forget()
        self.attempted.clear()
        self.accepted.clear()
        self.world.partners[SUBSCRIPTION].receiver.book.entries.clear()

    async def disturb(self) -> None:
        """Write rows into every table and delete them again; the worker must keep running."""
        rows = self.drawing.rows(self.sound, _ROWS)
        await asyncio.to_thread(self._write_rows, rows)
        await asyncio.sleep(1.0)
        self.alive()
        await asyncio.to_thread(self._write_rows, rows, gone=True)

    async def settle(self) -> None:
        """Wait until both groups have committed what was written and what followed from it.

        Raises:
            Failed: The worker ended, or something was not settled for too long.
        """
        before: dict[tuple[str, int], int] = {}
        moved = time.monotonic()
        while behind := await asyncio.to_thread(self._behind):
            self.alive()
            if behind != before:
                before, moved = behind, time.monotonic()
            if time.monotonic() - moved > _PATIENCE:
                places = ", ".join(f"{t}/{p}@{at}" for (t, p), at in sorted(behind.items())[:10])
                raise Failed(f"never settled: {places}\n{await self._state()}")
            await asyncio.sleep(0.5)
        answer = await self.world.stage.ask_worker("/metrics")
        stopped = re.search(r"^hookstream_stopped_partitions (\S+)", answer, re.MULTILINE)
        if stopped is None or float(stopped[1]):
            raise Failed(f"partitions are stopped\n{await self._state()}")

    def alive(self) -> None:
        """Check that the worker runs within its memory.

        Raises:
            Failed: It ended, or took more.
        """
        worker = self.world.stage.worker
        if worker is None or worker.returncode is not None:
            code = None if worker is None else worker.returncode
            raise Failed(f"the worker ended with {code}\n{self._log()}")
        if self.peak_mb() > self.ask.memory_mb:
            raise Failed(f"the worker took {self.peak_mb()} MB")

    def peak_mb(self) -> int:
        """Return the most memory that the worker has had."""
        worker = self.world.stage.worker
        assert worker is not None
        status = Path(f"/proc/{worker.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(found[1]) // 1024 if found else 0

    def _write(self, count: int) -> list[Written]:
        waiting: dict[tuple[str, int], list[Drawn]] = defaultdict(list)
        written: list[Written] = []
        for number in range(count):
            drawn = self.drawing.record()
            partitions = 1 if drawn.topic == "events.times" else _PARTITIONS
            place = (drawn.topic, number % partitions)
            waiting[place].append(drawn)
            timed = drawn.record.timestamp is not None
            if timed or len(waiting[place]) >= _BATCH or _size(waiting[place]) > _BATCH_BYTES:
                written += self._batch(*place, waiting.pop(place))
        for place, batch in waiting.items():
            written += self._batch(*place, batch)
        return written

    def _batch(self, topic: str, partition: int, batch: list[Drawn]) -> Iterable[Written]:
        name = f"{self.world.prefix}.{topic}"
        first = self.producer.write(name, [drawn.record for drawn in batch], partition)
        self.ends[topic, partition] = first + len(batch)
        return [
            Written((topic, partition, first + position), drawn)
            for position, drawn in enumerate(batch)
        ]

    def _write_rows(self, rows: Iterable[Row], *, gone: bool = False) -> None:
        for row in rows:
            key = row.key.encode("utf-8", "surrogatepass")
            value = None if gone else row.value
            self.producer.write(row.table, [RawRecord(value, key, [(b"\xff", b"1")])])

    def _behind(self) -> dict[tuple[str, int], int]:
        """Return each group's position in partitions that it has not finished."""
        log, prefix = self.world.log, self.world.prefix
        behind: dict[tuple[str, int], int] = {}
        for group, topics in ((prefix, _EVENTS), (f"{prefix}.retry", _TIERS)):
            names = [f"{prefix}.{topic}" for topic in topics]
            for (name, partition), offset in log.committed(group, names).items():
                topic = name[len(prefix) + 1 :]
                if offset < self.ends.get((topic, partition), 0):
                    behind[topic, partition] = offset
        return behind

    async def _state(self) -> str:
        answers = [await self.world.stage.ask_worker(path) for path in ("/readyz", "/healthz")]
        facts = " ".join(answer.rpartition("\r\n")[2] for answer in answers)
        return f"{facts}\n{self._log()}"

    def _log(self) -> str:
        lines = self.world.stage.log.read_text(errors="replace").splitlines()
        grave = [line for line in lines if '"warning"' not in line and '"info"' not in line]
        return "\n".join(line[:2_000] for line in grave[-12:])


async def fuzz(ask: Ask, servers: str, folder: Path, show: Callable[[str], None]) -> None:
    """Run what is requested.

    Raises:
        Failed: A guarantee was violated.
    """
    prefix = f"fuzz{secrets.token_hex(4)}"
    async with a_world(folder, servers, prefix) as world:
        world.stage.environ |= {f"HOOKSTREAM_{name}": value for name, value in _SETTINGS.items()}
        await asyncio.to_thread(_make, servers, f"{prefix}.events.times")
        await world.subscribe(SUBSCRIPTION, "[1s, 1s, 2s]")
        with RawProducer(servers) as producer:
            drawing = await asyncio.to_thread(Drawing, ask.seed, int(time.time() * 1000))
            results = await asyncio.to_thread(Results, servers, prefix)
            run = Run(world, ask, show, drawing, producer, results)
            world.partners[SUBSCRIPTION].answer(run.answer)
            run.sound = await asyncio.to_thread(_rows, servers, prefix)
            await world.stage.start_worker()
            await _rounds(run)


async def _rounds(run: Run) -> None:
    began, done = time.monotonic(), 0
    while done < run.ask.records:
        count = min(run.ask.round, run.ask.records - done)
        await run.round(count)
        done += count
        seconds = time.monotonic() - began
        run.show(f"{done:,} records, {done / seconds:,.0f} a second, {run.peak_mb()} MB")
    rows = run.drawing.rows(run.sound, _ROWS)
    await asyncio.to_thread(run._write_rows, rows)  # noqa: SLF001
    await _publish(run)
    config = str(run.world.stage.folder / "hookstream.toml")
    broken = await tools.failures(run.world.stage, config, run.ask.records)
    if broken:
        raise Failed("\n  ".join([f"{len(broken)} commands:", *broken]))
    run.show(f"{len(tools.COMMANDS)} commands read all of it")
    run.alive()
    await asyncio.to_thread(run._write_rows, rows, gone=True)  # noqa: SLF001
    code = await run.world.stage.stop_worker()
    if code:
        raise Failed(f"the worker ended with {code} when it was shut down")


async def _publish(run: Run) -> None:
    """Publish an event with the producer kit while untrusted rows are in the schemas table."""
    happening = run.world.next_event()
    async with EventProducer(
        run.world.stage.servers,
        schemas_topic=f"{run.world.prefix}.schemas",
        topic_prefix=f"{run.world.prefix}.events.",
    ) as producer:
        await producer.send(WANTED, happening.data, entity_id=happening.entity_id)


def _make(servers: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": servers})
    for made in admin.create_topics([NewTopic(topic, 1, 1, config=_ANY_TIME)]).values():
        made.result(10)


def _rows(servers: str, prefix: str) -> list[Row]:
    """Return the rows of the tables, and a few of unknown kinds."""
    topics = Topics(prefix)
    tables = read_tables({"bootstrap.servers": servers}, topics.tables)
    found = [
        Row(table, key, row.value)
        for table, rows in tables.items()
        for key, row in rows.items()
        if row.value is not None
    ]
    tree = json.loads((ROOT / "schemas" / WANTED / "v1.avsc").read_text())
    for schema in (RegisteredId("main", "7"), RegisteredId("old", str(uuid.UUID(int=7)))):
        found += [Row(topics.schemas, schema.key, registered_row(schema, tree))] * 3
    hold = write_hold(Hold(HoldKind.PARTNER, "nobody", 0, "why", "kim"))
    found.append(Row(topics.subscriptions, "hold/partner/nobody", hold))
    place = f"{prefix}.events.{WANTED}/1"
    asked = b'{"format":1,"revision":1,"at":"earliest","asked_at":"2026-11-28T08:00:00Z"}'
    found.append(Row(topics.subscriptions, f"start/{place}", asked))
    found.append(Row(topics.subscriptions, f"skip/{place}/1", asked))
    since = b'{"format":1,"revision":1,"since":"2026-11-28T08:00:00Z","reason":"gone"}'
    found.append(Row(topics.health, "nobody/disabled", since))
    found.append(Row(topics.health, "nobody/failing", since))
    mark = b'{"format":1,"revision":1,"partition":0,"offsets":[1,2,3]}'
    found.append(Row(topics.jobs, "job-of-nobody/0/1", mark))
    job = (
        b'{"format":1,"revision":7,"kind":"replay","asked":{"from":1},"total":9,"done":1,"rate":2.5,'
        b'"asked_at":"2026-11-28T08:00:00Z","state":"running","holder":"host:1:ab","counts":{"a":1},'
        b'"held_until":"2026-11-28T08:00:30Z","notes":[{"at":"2026-11-28T08:00:00Z","text":"why"}]}'
    )
    found.append(Row(topics.jobs, "job-of-nobody", job))
    return found


def _size(batch: Iterable[Drawn]) -> int:
    return sum(
        len(drawn.record.value or b"")
        + len(drawn.record.key or b"")
        + sum(len(name) + len(value or b"") for name, value in drawn.record.headers)
        for drawn in batch
    )
