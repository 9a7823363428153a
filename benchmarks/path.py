"""The path of an event without Kafka and sockets: what the pipeline itself costs a delivery.

    python -m benchmarks.path [--events N] [--subscriptions N] [--batch N] [--at-once N] [--calls]

Everything of a worker is real but its ends: records come from a list, a POST is answered 204 in a
later turn of the loop, and writes are acknowledged together, as a broker would. The cheapest
stretch is reported beside the median one: it is what the code costs undisturbed, and so
compares on a crowded machine, too.
"""

import argparse
import asyncio
import cProfile
import pstats
import statistics
import time
import uuid
from collections.abc import Mapping, Sequence
from itertools import pairwise

import orjson
import uvloop

from benchmarks.installation import ROOT
from benchmarks.load import BODY_BYTES, EVENT_TYPE, templates
from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.own_events import AvroOwnRecords
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.ed25519 import signer
from hookstream.adapters.system import SystemChance, SystemClock, ThreadOffload, spare_collector
from hookstream.adapters.tables.rows import disabled_row, failing_row
from hookstream.adapters.telemetry.log import StructuredLogger
from hookstream.adapters.telemetry.metrics import PrometheusMetrics
from hookstream.adapters.telemetry.no_tracer import NoTracer
from hookstream.core.matching.directory import Directory
from hookstream.core.model.freshness import age
from hookstream.core.model.instant import parse_duration
from hookstream.core.model.json import JsonObject
from hookstream.core.model.outcome import Answer, Response
from hookstream.core.model.record import OutgoingRecord, Record, TopicPartition
from hookstream.core.model.subscription import (
    Batch,
    Endpoint,
    Grant,
    Partner,
    SigningSecret,
    Subscription,
)
from hookstream.core.model.topics import Topics
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.pipeline.engine import Engine, EngineRules, Ports
from hookstream.pipeline.ports import (
    Acknowledged,
    Answered,
    Exchange,
    Permitted,
    Post,
    always_permitted,
)

_TOPIC = f"path.{EVENT_TYPE}"
_STRETCH = 2000
"""Deliveries between two looks at the clock: as many as may be in memory, so that stretches are alike."""
_ONCE_IN_EACH = b',"entity_id":'
"""What the body of each event has once."""
_ACKNOWLEDGED_AFTER = 0.005
"""Seconds, as a broker on this machine takes."""
_TIERS = tuple(
    map(parse_duration, ("0s", "5s", "30s", "1m", "5m", "30m", "2h", "6h", "12h", "24h"))
)


class Ends:
    """Where records come from, and where requests and writes go.

    Args:
        records: What is taken, in this order.
        deliveries: How many they make; None: one each.
        at_once: So many records are given, and the next ones when these have arrived; None: as many as are asked for.
    """

    def __init__(
        self,
        records: Sequence[Record],
        deliveries: int | None = None,
        at_once: int | None = None,
    ) -> None:
        self._at_once = at_once
        self._arrived = asyncio.Event()
        self._records = records
        self._deliveries = len(records) if deliveries is None else deliveries
        self._given = 0
        self._loop = asyncio.get_running_loop()
        self._written: list[Acknowledged] = []
        self.done = asyncio.Event()
        self.looks: list[float] = []
        """CPU seconds after each stretch of deliveries."""
        self._delivered = 0

    @property
    def delivered(self) -> int:
        """How many deliveries were made so far."""
        return self._delivered

    # The source.

    async def take(self, most: int) -> Sequence[Record]:
        """Give the next records, or wait."""
        if self._at_once is not None:
            most = min(most, self._at_once)
            while self._delivered < self._given < len(self._records):
                self._arrived.clear()
                await self._arrived.wait()
        taken = self._records[self._given : self._given + most]
        self._given += len(taken)
        if not taken:
            await asyncio.sleep(0.2)
        return taken

    def commit(self, offsets: Mapping[TopicPartition, CommitPosition]) -> None:
        """Commit nothing."""

    def pause(self, partition: TopicPartition) -> None:
        """Continue returning records."""

    def resume(self, partition: TopicPartition) -> None:
        """Continue returning records."""

    @property
    def exist(self) -> int:
        """How many partitions there are."""
        return 4

    # The sink.

    def write(self, record: OutgoingRecord, acknowledged: Acknowledged) -> None:  # noqa: ARG002  the port's names
        """Acknowledge a little later, together with whatever is written until then."""
        if not self._written:
            self._loop.call_later(_ACKNOWLEDGED_AFTER, self._acknowledge)
        self._written.append(acknowledged)

    def _acknowledge(self) -> None:
        written, self._written = self._written, []
        for acknowledged in written:
            acknowledged(None)

    # The sender.

    async def send(self, post: Post, permitted: Permitted = always_permitted) -> Answer:
        """Answer in a later turn of the loop."""
        answered: asyncio.Future[Answer] = self._loop.create_future()
        self.begin(post, permitted, answered.set_result)  # type: ignore[arg-type]  # it is a Response
        return await answered

    def begin(self, post: Post, permitted: Permitted, answered: Answered) -> Exchange:
        """Answer in a later turn of the loop, as an open connection does."""
        if not permitted():
            raise SystemExit("the tables of the benchmark are a day old")
        self._loop.call_soon(self._answer, post, answered)
        return self

    def abandon(self) -> None:
        """Answer all the same."""

    def _answer(self, post: Post, answered: Answered) -> None:
        before = self._delivered
        # Counted, not parsed: a parser would cost as much as the path.
        self._delivered += 1 if post.batch_id is None else post.body.count(_ONCE_IN_EACH)
        if self._delivered == self._given:
            self._arrived.set()
        if self._delivered // _STRETCH > before // _STRETCH:
            self.looks.append(time.process_time())
        if self._delivered == self._deliveries:
            self.done.set()
        answered(Response(204))


class Current:
    """Tables that are always current, by the check that a worker uses, and a clock that agrees."""

    known = True
    needs_timestamp = False

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._asked = self._clock.moment()

    def current(self) -> bool:
        """Report that they are, for a day."""
        return age(self._asked, self._clock.moment()) <= 86_400

    def agrees(self) -> bool:
        """Return True."""
        return True

    def why(self) -> str:
        """Return nothing."""
        return ""

    def unstamped(self, refusal: str | None = None) -> None:
        """Do nothing."""

    def look(self) -> None:
        """Log nothing."""


def directory_of(subscriptions: int, batch: int | None) -> Directory:
    """Return one subscription that matches, with batches of so many events, and others that do not."""
    directory = Directory()
    directory.put_partner(Partner("bench", "Benchmark", Grant(("*",), ("*",)), 0))
    secret = SigningSecret("s1", b"k" * 24)
    endpoint = Endpoint("http://127.0.0.1:1/hook", (secret,))
    for number in range(subscriptions):
        pattern: JsonObject | None = None
        if number > 0:
            pattern = {"data": {"customer_id": [f"nobody-{number}"]}}
        directory.put_subscription(
            Subscription(
                f"sub-{number}",
                "bench",
                endpoint,
                (EVENT_TYPE,),
                0,
                pattern=pattern,
                batch=None if batch is None else Batch(batch),
            )
        )
    return directory


def records_of(n: int, body_bytes: int = BODY_BYTES) -> list[Record]:
    """Return records as the benchmark's load writes them, whose bodies have about so many bytes."""
    values = templates(ROOT / "schemas", body_bytes)
    # A distinct id for each, as events have: reuse would be reported each time.
    ids = [str(uuid.UUID(int=number, version=4)).encode() for number in range(n)]
    now = time.time_ns() // 1_000_000
    header = ("traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-00")
    return [
        Record(
            _TOPIC,
            number % 4,
            number // 4,
            now,
            b"key",
            values[number % len(values)].replace(ids[0], ids[number], 1),
            [header],
        )
        for number in range(n)
    ]


async def run(
    events: int, subscriptions: int, batch: int | None = None, at_once: int | None = None
) -> list[float]:
    """Deliver everything; return microseconds of CPU a delivery, stretch by stretch."""
    ends = Ends(records_of(events), at_once=at_once)
    await deliver(ends, directory_of(subscriptions, batch), codec_of_schemas())
    # At the end nothing is taken in any more: the last stretches cost less.
    return costs(ends.looks[:-1])


def costs(looks: Sequence[float]) -> list[float]:
    """Return microseconds of CPU a delivery between two looks each."""
    return [(b - a) / _STRETCH * 1e6 for a, b in pairwise(looks)]


def codec_of_schemas() -> AvroCodec:
    """Return a codec that knows the schemas of this repository."""
    files = (ROOT / "schemas").rglob("*.avsc")
    return AvroCodec(SchemaBook(orjson.loads(file.read_bytes()) for file in files))


async def deliver(ends: Ends, directory: Directory, codec: AvroCodec) -> None:
    """Run an engine until everything is delivered."""
    topics = Topics("path")
    current = Current()
    outside = Ports(
        events=ends,
        tiers=Ends([]),
        topics=topics,
        directory=directory,
        tables=current,
        codec=codec,
        offload=ThreadOffload(),
        sink=ends,
        sender=ends,
        public_key_signing=signer,
        own_records=AvroOwnRecords(topics, "path", disabled_row, failing_row),
        clock=SystemClock(),
        agreement=current,
        chance=SystemChance(),
        tracer=NoTracer(),
        metrics=PrometheusMetrics(),
        logger=StructuredLogger(),
    )
    engine = Engine(outside, EngineRules(_TIERS))
    engine.events.on_assigned({TopicPartition(_TOPIC, p): CommitPosition(0) for p in range(4)})
    outside.directory.has_subscribers(EVENT_TYPE, outside.clock.now())
    spare_collector()
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(engine.run(stop, 1_000))
        await ends.done.wait()
        stop.set()


def main() -> None:
    """Read the command line, run, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.path", description=__doc__)
    parser.add_argument("--events", type=int, default=30_000)
    parser.add_argument("--subscriptions", type=int, default=1000, help="one of them matches")
    parser.add_argument("--batch", type=int, help="the most events in a request; else one in each")
    parser.add_argument("--at-once", type=int, help="records given before the last ones arrived")
    parser.add_argument("--calls", action="store_true", help="print a profile of all calls")
    given = parser.parse_args()
    profile = cProfile.Profile()
    if given.calls:
        profile.enable()
    found = uvloop.run(run(given.events, given.subscriptions, given.batch, given.at_once))
    profile.disable()
    print(
        f"{min(found):.1f} µs of CPU a delivery in the cheapest stretch of {_STRETCH},"
        f" {statistics.median(found):.1f} in the median one"
    )
    if given.calls:
        pstats.Stats(profile).sort_stats("tottime").print_stats(60)


if __name__ == "__main__":
    main()
