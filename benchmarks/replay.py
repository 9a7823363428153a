"""What a replay costs the live deliveries of others: `python -m benchmarks.replay --events 1000000`.

1. The past: N events are written while no subscription exists.
2. Ten subscriptions to their type; a worker on one core; live events at an even rate, which all ten get.
3. Stretches in turn: without a replay, and with one of the past to the tenth subscription by the real
   command, which is stopped after each stretch and resumed for the next.
4. From append to receipt at the other nine, in both kinds of stretches, and from when each event was due;
   the job is cancelled at the end, and the audit log says when each attempt began.
"""

import argparse
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from benchmarks.gauge import core_busy_seconds, cpu_seconds, peak_mib
from benchmarks.installation import last_words
from benchmarks.load import EVENT_TYPE, Load, ends, topic_names
from benchmarks.replay_report import WINDOW, Measured, Result, Stretch, Tiers
from benchmarks.rig import Rig, cores, rig_on, say
from benchmarks.sink import Receipt, Sink
from benchmarks.stage import PARTNER, PREFIX, Stage
from hookstream.adapters.avro.audit_reader import AuditReader
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.delivery.identity import delivery_id
from hookstream.core.model import header_names
from hookstream.core.model.instant import from_rfc3339, to_rfc3339

REPLAYED = "catching-up"

_SLICE = 50_000
"""Events of the past that are written between two waits for the broker."""
_WARM_UP = 2.0
"""Seconds of each stretch that are left out."""
_SETTLED = 1.5
"""Seconds without a replayed delivery after which none is out."""
_PATIENCE = 240.0
"""Seconds; at the start the worker passes over the whole past, which nobody wanted then."""
_STOP_SECONDS = 40
_LOOK = 0.05
_JAVA = ("-Xms768m", "-Xmx768m", "-Xmn320m", "-XX:MetaspaceSize=128m")
"""A heap of the broker with room: a full collection stops all of it for 0.2 s, and may come every few seconds."""


class Replay:
    """The replay by the real commands: started once, then stopped and resumed."""

    def __init__(
        self, stage: Stage, past: tuple[str, str], rate: float | None, niceness: int
    ) -> None:
        self._installation = stage.installation
        self._log = stage.folder / "replay.log"
        self._past = past
        self._rate = [] if rate is None else ["--rate", f"{rate:g}"]
        self._niceness = niceness
        self._process: subprocess.Popen[bytes] | None = None
        self.job: str | None = None

    def start(self) -> None:
        """Start it, or go on with it."""
        since, until = self._past
        command = ["replay", "start", REPLAYED, "--from", since, "--to", until, "--yes"]
        if self.job is not None:
            command = ["jobs", "resume", self.job]
        self._process = self._installation.start(
            self._log, *command, *self._rate, niceness=self._niceness
        )

    def check(self) -> None:
        """End where the command ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise SystemExit(
                "the replay ended before its stretch did: it needs more --events, or fewer"
                f" --seconds; it said:\n{last_words(self._log)}"
            )

    def stop(self) -> None:
        """Stop it between two steps, as Ctrl-C does; the job goes on when it is started again."""
        self.check()
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(_STOP_SECONDS)
        self._process = None
        named = re.search(r"Replaying as (\S+)", self._log.read_text())
        if named is None:
            raise SystemExit(f"the replay names no job:\n{last_words(self._log)}")
        self.job = named[1]

    def cancel(self) -> dict[str, object]:
        """Cancel the job and return its row."""
        job = self.job or ""
        self._installation.run("jobs", "cancel", job)
        row: dict[str, object] = json.loads(self._installation.run("jobs", "show", job, "--json"))
        return row


@dataclass(slots=True)
class Beside:
    """One run."""

    rig: Rig
    own: Sink
    """Of the replayed subscription."""
    healthy: list[str]
    cores: tuple[int, int]
    worker_pid: int
    replay: Replay
    live: set[str] = field(default_factory=set)
    """Webhook-ids of live deliveries to the replayed subscription."""
    arrived: dict[str, float] = field(default_factory=dict)
    """First receipt of each delivery to the replayed subscription."""
    others: dict[str, float] = field(default_factory=dict)
    """First receipt of each delivery to healthy endpoints, of the present stretch."""
    refused: int = 0
    repeated: int = 0

    def look(self) -> None:
        """Take what arrived; end where the worker ended."""
        self.rig.stage.check_worker()
        self.take()

    def take(self) -> None:
        """Take what arrived, whether the worker runs or not."""
        self._note(self.rig.sink.take(), self.others)
        self._note(self.own.take(), self.arrived)

    def _note(self, got: list[Receipt], into: dict[str, float]) -> None:
        for receipt in got:
            self.refused += receipt.status != 204
            self.repeated += receipt.webhook_id in into
            into.setdefault(receipt.webhook_id, receipt.at)

    def begin_replay(self) -> None:
        """Start the replay; return when a whole window of it has arrived."""
        self.look()
        before, since = len(self.arrived), time.monotonic()
        self.replay.start()
        while len(self.arrived) < before + WINDOW:
            self.replay.check()
            self._check(since, "no window of replayed deliveries arrived")
            time.sleep(_LOOK)
            self.look()

    def end_replay(self) -> None:
        """Stop the replay; return when nothing of it is out."""
        self.replay.stop()
        quiet_since, had = time.monotonic(), len(self.arrived)
        while time.monotonic() - quiet_since < _SETTLED:
            time.sleep(_LOOK)
            self.look()
            if len(self.arrived) > had:
                quiet_since, had = time.monotonic(), len(self.arrived)

    def stretch(self, rate: float, seconds: float, *, replaying: bool) -> Stretch:
        """Write live events for so long, and return how they arrived."""
        load = self.rig.load
        since = load.ends()
        self.look()
        self.others.clear()
        before = self._used()
        began = time.time()
        sent = load.scheduled(rate, seconds)
        ended = time.time()
        used = [now - then for now, then in zip(self._used(), before, strict=True)]
        worker, own_core, other_core = (each / (ended - began) for each in used)
        logged = load.appended(since)
        healthy, own = self._deliveries(logged, self.healthy), self._deliveries(logged, [REPLAYED])
        self.live.update(own)
        self._receive([*healthy], self.others)
        self._receive([*own], self.arrived)
        if replaying:
            self.replay.check()
        counted = {each: at for each, at in logged.items() if at >= began + _WARM_UP}
        return Stretch(
            replaying=replaying,
            seconds=ended - began,
            healthy=[
                Measured(name, *sent[event_id], at, self.others[name])
                for event_id, at in counted.items()
                for name in self._deliveries({event_id: at}, self.healthy)
            ],
            own_ms=[
                (self.arrived[name] - at) * 1000
                for name, at in self._deliveries(counted, [REPLAYED]).items()
            ],
            late_ms=[(handed - due) * 1000 for due, handed in sent.values()],
            worker=worker,
            other_core=other_core,
            others=max(0.0, own_core - worker),
            replayed=sum(
                began <= at <= ended for name, at in self.arrived.items() if name not in self.live
            ),
        )

    def _used(self) -> tuple[float, float, float]:
        """Return what the worker, its core and the other core have used, in seconds."""
        own, other = self.cores
        return cpu_seconds(self.worker_pid), core_busy_seconds(own), core_busy_seconds(other)

    def _deliveries(self, logged: dict[str, float], names: list[str]) -> dict[str, float]:
        """Return when the event of each delivery to some subscriptions was appended."""
        return {
            delivery_id(EVENT_TYPE, event_id, name): at
            for event_id, at in logged.items()
            for name in names
        }

    def _receive(self, wanted: list[str], arrived: dict[str, float]) -> None:
        """Return when all of them have arrived."""
        since = time.monotonic()
        while missing := sum(name not in arrived for name in wanted):
            self._check(since, f"{missing} of {len(wanted)} live deliveries did not arrive")
            time.sleep(_LOOK)
            self.look()

    def _check(self, since: float, what: str) -> None:
        if time.monotonic() - since > _PATIENCE:
            raise SystemExit(
                f"{what} within {_PATIENCE:.0f} s; the worker's log ends:\n"
                f"{self.rig.stage.last_words()}"
            )


def tiers_of(servers: str, arrived: dict[str, float]) -> Tiers:
    """Return what the replay wrote, and how much of it was out at once, by the brokers' times."""
    prefix = f"{PREFIX}.retry."
    topics = [name for name in topic_names(servers) if name.startswith(prefix)]
    written: dict[str, float] = {}
    records = 0
    for record in _records(servers, topics):
        headers = dict(cast("list[tuple[str, bytes]]", record.headers() or []))
        if header_names.JOB in headers:
            name, at = headers[header_names.DELIVERY_ID].decode(), record.timestamp()[1] / 1000
            records += 1
            written[name] = min(at, written.get(name, at))
    steps = [(at, 1) for at in written.values()]
    # Those that were cancelled with the worker's end are out for good.
    steps += [(arrived[name], -1) for name in written if name in arrived]
    out = most = 0
    for _, change in sorted(steps):
        out += change
        most = max(most, out)
    return Tiers(len(written), records, most)


def begun_at(servers: str) -> dict[str, float]:
    """Return when the worker began each live delivery's attempt, by its audit log, in seconds."""
    reader, found = AuditReader(SchemaBook([])), {}
    for record in _records(servers, [f"{PREFIX}.attempts"]):
        entry = reader.read(record.value())
        if isinstance(entry, AuditEntry) and entry.job_id is None:
            found[entry.delivery_id] = entry.started_at / 1000
    return found


def _records(servers: str, topics: Sequence[str]) -> Iterator[Message]:
    """Read topics from their beginnings to their ends."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "benchmark",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )
    open_ = set(ends(servers, list(topics)))
    consumer.assign([TopicPartition(topic, p, 0) for topic, p in open_])
    try:
        while open_:
            for record in consumer.consume(1000, 1.0):
                error = record.error()
                if error is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  its public name
                    open_.discard((record.topic() or "", record.partition() or 0))
                    continue
                if error is not None:
                    raise KafkaException(error)
                yield record
    finally:
        consumer.close()


def measure(given: argparse.Namespace) -> bool:
    """Measure, print the table, and write the JSON where it is wanted; return whether the target is met."""
    own, other = cores()
    with rig_on(other, "lz4", _JAVA) as rig, Sink(_folder(rig.stage.folder / "replayed")) as sink:
        past = write_past(rig.stage, rig.load, given.events)
        healthy = [f"healthy-{number}" for number in range(given.endpoints)]
        say(f"{len(healthy)} healthy subscriptions, and one whose past is replayed")
        urls = dict.fromkeys(healthy, rig.sink.url) | {REPLAYED: sink.url}
        rig.stage.installation.apply(rig.stage.declare_endpoints(urls))
        worker_pid = rig.stage.start_worker(own)
        replay = Replay(rig.stage, past, given.replay_rate, given.nice)
        beside = Beside(rig, sink, healthy, (own, other), worker_pid, replay)
        say("a worker reads up to the present")
        beside.stretch(given.rate, 2 * _WARM_UP, replaying=False)
        say(f"{given.warm_up:g} s of each kind, which are left out")
        stretches = []
        beside.stretch(given.rate, given.warm_up, replaying=False)
        beside.begin_replay()
        beside.stretch(given.rate, given.warm_up, replaying=True)
        beside.end_replay()
        for number in range(2 * given.rounds + 1):
            replaying = number % 2 == 1
            if replaying:
                beside.begin_replay()
            say(f"{given.seconds:g} s {'beside the replay' if replaying else 'without a replay'}")
            stretches.append(beside.stretch(given.rate, given.seconds, replaying=replaying))
            if replaying:
                beside.end_replay()
        job = replay.cancel()
        if job["counts"]:
            raise SystemExit(f"the replay left events out: {job['counts']}")
        peak = peak_mib(worker_pid)
        code = rig.stage.stop_worker()
        beside.take()
        tiers = tiers_of(rig.stage.servers, beside.arrived)
        begun = begun_at(rig.stage.servers)
    found = Result(
        stretches, begun, tiers, job, given, beside.refused, beside.repeated, peak, code
    )
    found.show()
    if given.json is not None:
        given.json.write_text(json.dumps(found.document(), indent=2) + "\n")
    return found.reached


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def write_past(stage: Stage, load: Load, events: int) -> tuple[str, str]:
    """Write the events that are replayed, before any subscription exists; return their interval.

    Their partner exists: what it was not granted when they were recorded would not be replayed.
    """
    load.create_topic()
    stage.prepare_endpoints({})
    partner = json.loads(stage.installation.run("partners", "show", PARTNER, "--json"))
    while time.time() * 1000 <= from_rfc3339(partner["granted_from"]):
        time.sleep(_LOOK)
    say(f"{events:,} events of the past, of {load.record_bytes} bytes")
    since, began = _now(), time.monotonic()
    for done in range(0, events, _SLICE):
        load.preload(min(_SLICE, events - done))
    say(f"written in {time.monotonic() - began:.0f} s")
    time.sleep(0.1)  # apart from what follows, in whole milliseconds
    return since, _now()


def _now() -> str:
    return to_rfc3339(int(time.time() * 1000))


def main() -> int:
    """Read the command line and measure; return 0 where the target is met."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.replay", description="Measure what a replay costs others."
    )
    parser.add_argument("--events", type=int, default=1_000_000, help="of the past")
    parser.add_argument("--endpoints", type=int, default=9, help="healthy ones")
    parser.add_argument(
        "--rate", type=float, default=100, help="live events/s; all endpoints get them"
    )
    parser.add_argument("--seconds", type=float, default=20, help="length of a stretch")
    parser.add_argument("--rounds", type=int, default=2, help="stretches beside the replay")
    parser.add_argument(
        "--warm-up", type=float, default=10, help="seconds of each kind before the first stretch"
    )
    parser.add_argument("--replay-rate", type=float, help="the replay's --rate; else unlimited")
    parser.add_argument("--nice", type=int, default=10, help="niceness of the replay's executor")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return 0 if measure(parser.parse_args()) else 1


if __name__ == "__main__":
    sys.exit(main())
