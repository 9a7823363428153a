"""Schemas are published and events sent and watched, on a real broker, from the command line."""

import asyncio
import io
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec  # type: ignore[attr-defined]
from examples.printprice.generator import events
from tests.conftest import Broker
from tests.doubles.schemas import EVENT_TYPES, ROOT, event_schema, field

from hookstream.adapters.avro.published import schema_row
from hookstream.adapters.kafka.scan import LogScan
from hookstream.adapters.kafka.tables.writer import TableChange, TableWriter
from hookstream.adapters.kafka.topics import KafkaTopics
from hookstream.adapters.tables.subscriptions import write_subscription
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import BodyFormat, Endpoint, Subscription
from hookstream.core.model.topics import Topics
from hookstream.entry.admin.tables import SEALED
from hookstream.entry.cli import root
from hookstream.errors import ConfigurationError, InputRefused
from hookstream.producer import BlockingProducer, EventProducer, Published

SCHEMAS = ROOT / "schemas"
OUR_SCHEMAS = ROOT / "src" / "hookstream" / "schemas"
ID = "7d5f6d9e-6f2e-4b8e-9d53-6d7f2f1a4c11"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[JsonObject]:
        return [orjson.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True, slots=True)
class World:
    """A cluster with empty tables and event topics of one test, and the command line."""

    client: Mapping[str, str]
    names: Topics
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    @property
    def topic_prefix(self) -> str:
        return f"{self.names.prefix}.events."

    def run(self, *arguments: str, stdin: bytes = b"") -> Ended:
        self.capsys.readouterr()
        self.monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        options = [
            *("--bootstrap-servers", self.client["bootstrap.servers"]),
            *("--prefix", self.names.prefix),
            *("--set", f"events.topics={self.topic_prefix}*"),
        ]
        with pytest.raises(SystemExit) as ended:
            root.main([*options, *arguments])
        captured = self.capsys.readouterr()
        code = ended.value.code
        return Ended(code if isinstance(code, int) else 0, captured.out, captured.err)

    def send(self, *lines: JsonObject | bytes) -> Ended:
        text = b"\n".join(x if isinstance(x, bytes) else orjson.dumps(x) for x in lines)
        return self.run("events", "send", "-", "--topic-prefix", self.topic_prefix, stdin=text)

    def tail(self, *options: str) -> Ended:
        return self.run("events", "tail", "--from-beginning", "--no-follow", *options)

    def producer(self) -> EventProducer:
        return EventProducer(
            self.client["bootstrap.servers"],
            schemas_topic=self.names.schemas,
            topic_prefix=self.topic_prefix,
        )


@pytest.fixture
def world(
    broker: Broker,
    prefix: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    client = {"bootstrap.servers": broker.bootstrap_servers}
    names = Topics(prefix)
    made = World(client, names, capsys, monkeypatch)
    table = {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"}
    topics = [NewTopic(name, 1, 1, config=table) for name in names.tables]
    topics += [
        NewTopic(
            f"{made.topic_prefix}{event_type}",
            2,
            1,
            config={"message.timestamp.type": "LogAppendTime"},
        )
        for event_type in EVENT_TYPES
    ]
    admin = AdminClient(dict(client))
    for future in admin.create_topics(topics).values():
        future.result(30)
    settle(
        admin,
        [(topic.topic, number) for topic in topics for number in range(topic.num_partitions)],
    )
    return made


def settle(admin: AdminClient, partitions: list[tuple[str, int]]) -> None:
    """Wait until new partitions have their leader: until then a broker refuses queries."""
    newest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    asked = {KafkaPartition(*place): newest for place in partitions}
    for _ in range(100):
        try:
            for future in admin.list_offsets(asked).values():
                future.result(30)
        except KafkaException:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the partitions never settled")


def write(folder: Path, tree: JsonObject) -> None:
    path = folder / str(tree["eventType"]) / f"v{tree['eventVersion']}.avsc"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(orjson.dumps(tree))


def lines_of(n: int) -> list[JsonObject]:
    return [
        {
            "type": happening.event_type,
            "entity_id": happening.entity_id,
            "environment": happening.environment,
            "version": happening.version,
            "data": happening.data,
        }
        for happening in events(11, n)
    ]


def test_schemas_are_published_once_and_listed(world: World) -> None:
    first = world.run("schemas", "apply", str(SCHEMAS), "--yes")
    again = world.run("schemas", "apply", str(SCHEMAS), "--yes")
    listed = world.run("schemas", "list", "--json").lines
    ours = {file.name.removesuffix(".v1.avsc") for file in OUR_SCHEMAS.glob("*.avsc")}
    versions = {(event_type, 1) for event_type in {*EVENT_TYPES, *ours}} | {("order.generated", 2)}
    expected = f"{len(versions)} to publish, 0 unchanged."
    assert (first.code, expected in first.out) == (0, True)
    assert (again.code, again.out) == (0, "Nothing to publish.\n")
    assert [(row["event_type"], row["version"], row["revision"]) for row in listed] == [
        (event_type, version, 1) for event_type, version in sorted(versions)
    ]


def test_a_revision_is_added_and_a_breaking_change_refused(world: World, tmp_path: Path) -> None:
    write(tmp_path, event_schema(field("a", "int")))
    world.run("schemas", "apply", str(tmp_path), "--yes")
    write(tmp_path, event_schema(field("a", "int"), field("b", "int", default=0)))
    revised = world.run("schemas", "apply", str(tmp_path), "--yes")
    write(tmp_path, event_schema(field("a", "int")))
    broken = world.run("schemas", "apply", str(tmp_path), "--yes")
    assert "~ thing.done v1 revision 2 (revision)" in revised.out
    assert broken.code == 2
    assert broken.err.startswith("thing.done/v1.avsc: data.b: nothing carries this field any more")


def test_a_version_that_lacks_a_path_of_a_template_is_published_with_a_note(
    world: World, tmp_path: Path
) -> None:
    """A refusal would let one partner block the platform."""
    write(tmp_path, event_schema(field("a", "int"), field("b", "int")))
    world.run("schemas", "apply", str(tmp_path), "--yes")
    rows = [
        (name, write_subscription(templated(name, path), SEALED))
        for name, path in (("crm", "<$.data.b>"), ("sound", "<$.data.a>"))
    ]
    topic = world.names.subscriptions
    with TableWriter(world.client, world.names.writer, [topic], topic) as writer:
        writer.write([TableChange(topic, *row) for row in rows])
    write(tmp_path, event_schema(field("a", "int"), version=2))
    ended = world.run("schemas", "apply", str(tmp_path), "--yes")
    again = world.run("schemas", "apply", str(tmp_path), "--yes")
    assert (ended.code, [line for line in ended.err.splitlines() if "subscription" in line]) == (
        0,
        [
            (
                "note: thing.done/v2.avsc: subscription crm: template.text: <$.data.b> is not in"
                " thing.done v2: nothing stands there in its bodies"
            )
        ],
    )
    assert "subscription" not in again.err


def templated(name: str, path: str) -> Subscription:
    return Subscription(
        name,
        "acme",
        Endpoint("https://acme.example/h", ()),
        ("thing.done",),
        active_from=0,
        versions={"thing.done": "latest"},
        format=BodyFormat.TEMPLATE,
        template={"text": f"it is {path}"},
    )


def test_events_are_sent_and_come_out_as_they_went_in(world: World) -> None:
    world.run("schemas", "apply", str(SCHEMAS), "--yes")
    sent = world.send(*lines_of(60))
    shown = world.tail().lines
    given = sorted(orjson.dumps(line["data"]) for line in lines_of(60))
    audience, last = sent.err.splitlines()[0], sent.err.splitlines()[-1]
    assert (sent.code, last) == (0, "60 sent, 0 refused")
    assert audience.endswith("no subscription asks for the type, so no partner gets it")
    assert sorted(orjson.dumps(line["data"]) for line in shown) == given


def test_what_tail_shows_can_be_sent_again(world: World) -> None:
    world.run("schemas", "apply", str(SCHEMAS), "--yes")
    world.send(*lines_of(5))
    shown = world.tail().lines
    again = world.send(*shown)
    assert again.err.endswith("5 sent, 0 refused\n")


def test_the_sample_of_each_published_type_can_be_sent(world: World) -> None:
    world.run("schemas", "apply", str(SCHEMAS), "--yes")
    samples = [
        world.run("schemas", "sample", event_type, "--format", "input").lines[0]
        for event_type in EVENT_TYPES
    ]
    sent = world.send(*samples)
    shown = world.tail().lines
    assert sent.err.endswith(f"{len(EVENT_TYPES)} sent, 0 refused\n")
    assert sorted(orjson.dumps(each["data"]) for each in shown) == sorted(
        orjson.dumps(each["data"]) for each in samples
    )


def test_lines_are_refused_one_by_one(world: World) -> None:
    world.run("schemas", "apply", str(SCHEMAS), "--yes")
    sound = next(line for line in lines_of(50) if line["type"] == "pricing.completed")
    data = sound["data"]
    assert isinstance(data, dict)
    ended = world.send(
        sound,
        b"{",
        b"",
        {**sound, "type": "pricing.done"},
        {**sound, "data": {**data, "setup_cost": 48.5}},
        {**sound, "timestamp": "yesterday"},
        {**sound, "id": ID, "timestamp": "2026-11-24T08:15:30Z"},
    )
    assert ended.code == 1
    refused = [line for line in ended.err.splitlines() if line.startswith("line")]
    assert sorted(line.split(":")[0] for line in refused) == [
        "line 2",
        "line 4",
        "line 5",
        "line 6",
    ]
    assert (
        "line 5: data.setup_cost: 48.5 is a binary fraction: write the decimal as text" in refused
    )
    assert ended.err.endswith("2 sent, 4 refused\n")


@pytest.mark.case("shown-form-refused")
def test_the_same_bytes_come_of_what_tail_shows(world: World, tmp_path: Path) -> None:
    day: JsonObject = {"type": "int", "logicalType": "date"}
    nanos: JsonObject = {"type": "long", "logicalType": "timestamp-nanos"}
    tree = event_schema(
        field("due", ["null", day, "string"]),
        field("ratio", {"type": "array", "items": ["null", "float", "double"]}),
        field("number", ["null", "long"], json="string"),
        field("at", nanos),
        event_type="order.generated",
    )
    write(tmp_path, tree)
    world.run("schemas", "apply", str(tmp_path), "--yes")
    data: JsonObject = {
        "due": {"date": "2026-11-28"},
        "ratio": [{"float": 0.7}, {"double": 0.7}, 0.1 + 0.2, None],
        "number": "9007199254740993",
        "at": "2026-11-28T08:00:00.000000001Z",
    }
    sound: JsonObject = {"type": "order.generated", "entity_id": "e", "environment": "production"}
    texts: list[JsonObject] = [{"string": "2026-11-28"}, {"string": "tomorrow"}]
    lines: list[JsonObject] = [{**sound, "data": data}]
    lines += [{**sound, "data": {**data, "due": text}} for text in texts]
    sent = world.send(*lines)
    shown = world.tail()
    again = world.send(shown.out.encode())

    topic = f"{world.topic_prefix}order.generated"
    values = [record.value for record in LogScan(world.client, topic).read()]
    ends = [each.err.splitlines()[-1] for each in (sent, again)]
    assert ends == ["3 sent, 0 refused"] * 2
    assert [line["data"] for line in shown.lines] == [
        {**data, "due": {"int": "2026-11-28"}},
        {**data, "due": {"string": "2026-11-28"}},
        {**data, "due": "tomorrow"},
    ]
    assert values[3:] == values[:3]


def test_every_problem_of_a_line_is_reported_at_once(world: World) -> None:
    world.run("schemas", "apply", str(SCHEMAS), "--yes")
    sound = next(line for line in lines_of(50) if line["type"] == "pricing.completed")
    data = sound["data"]
    assert isinstance(data, dict)
    refused = world.send(
        {"type": sound["type"], "data": {**data, "setup_cost": 48.5, "setup": 1}, "version": "1"},
        orjson.dumps(sound)[:-1] + b',"type":"x"}',
        b"[" * 100_000,
    )
    assert (refused.code, sorted(refused.err.splitlines())) == (
        1,
        [
            "0 sent, 3 refused",
            (
                "line 1: "
                "entity_id: must be there, as text; environment: must be there, as text; version: must be a whole number; data.setup_cost: 48.5 is a binary fraction: write the decimal as text; data.setup: there is no such field (did you mean setup_cost?)"
            ),
            "line 2: type: appears twice in one object",
            "line 3: not taken: nested more than 100 deep",
        ],
    )


def test_tail_shows_one_type_with_its_place_and_stops_after_n(world: World) -> None:
    world.run("schemas", "apply", str(SCHEMAS), "--yes")
    world.send(*lines_of(80))
    shown = world.tail("--type", "order.generated", "--where", "-n", "2").lines
    places = [line["record"] for line in shown]
    assert [line["type"] for line in shown] == ["order.generated"] * 2
    assert [place["topic"] for place in places if isinstance(place, dict)] == [
        f"{world.topic_prefix}order.generated"
    ] * 2


def test_tail_reports_what_is_not_an_event(world: World) -> None:
    topic = f"{world.topic_prefix}order.generated"
    producer = Producer(dict(world.client))
    producer.produce(topic, b"garbage", partition=0)
    producer.produce(topic, b"\xc3\x01" + bytes(8) + b"x", partition=0)
    producer.flush(10)
    ended = world.tail("--topic", topic)
    assert (ended.code, ended.out) == (0, "")
    assert [line.split(": ")[:2] for line in ended.err.splitlines()] == [
        [f"{topic}/0@0", "not_framed"],
        [f"{topic}/0@1", "unknown_schema"],
    ]


@pytest.mark.timeout(400)
def test_tail_passes_a_thousand_records_of_unknown_schemas_in_seconds(world: World) -> None:
    """It read the whole table of schemas again for each of them."""
    topic = f"{world.topic_prefix}order.generated"
    producer = Producer(dict(world.client))
    for number in range(1_000):
        producer.produce(topic, b"\xc3\x01" + number.to_bytes(8, "big"), partition=0)
    producer.flush(10)
    began = time.monotonic()
    ended = world.tail("--topic", topic)
    assert len(ended.err.splitlines()) == 1_000
    assert time.monotonic() - began < 30


async def test_a_service_picks_up_schemas_that_are_published_while_it_runs(world: World) -> None:
    """A deployment need not restart its producers for a new type."""
    tree = event_schema(field("a", "int"), event_type="order.generated")
    async with world.producer() as producer:
        with pytest.raises(InputRefused, match="no schema"):
            await producer.send("order.generated", {"a": 1}, entity_id="job-1")
        key, value = schema_row(tree, 1)
        writer = Producer(dict(world.client))
        writer.produce(world.names.schemas, value, key)
        await asyncio.to_thread(writer.flush, 10)
        published = await accepted(producer)
    assert published.topic == f"{world.topic_prefix}order.generated"


async def accepted(producer: EventProducer) -> Published:
    """Send until the type is known: within a second, a producer has read it."""
    for _ in range(100):
        try:
            return await producer.send("order.generated", {"a": 1}, entity_id="job-1")
        except InputRefused:
            await asyncio.sleep(0.05)
    raise AssertionError("the schema never came")


async def test_an_event_carries_its_trace_and_its_key(world: World) -> None:
    happening = next(h for h in events(11, 50) if h.event_type == "order.generated")
    trees = [orjson.loads((SCHEMAS / "order.generated" / "v1.avsc").read_bytes())]
    producer = EventProducer(
        world.client["bootstrap.servers"],
        schemas=trees,
        topic_prefix=world.topic_prefix,
        trace_ratio=1,
    )
    given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with producer:
        first = await producer.send("order.generated", happening.data, entity_id="job-7")
        second = await producer.send(
            "order.generated", happening.data, entity_id="job-7", event_id=ID, traceparent=given
        )
        with pytest.raises(InputRefused, match="traceparent"):
            await producer.send(
                "order.generated", happening.data, entity_id="job-7", traceparent="nonsense"
            )
    records = await asyncio.to_thread(lambda: list(LogScan(world.client, first.topic).read()))
    assert [(record.key, dict(record.headers)) for record in records] == [
        (b"job-7", {"traceparent": first.traceparent.encode()}),
        (b"job-7", {"traceparent": given.encode()}),
    ]
    assert (second.event_id, second.traceparent, first.traceparent[-2:]) == (ID, given, "01")


async def test_a_producer_without_its_schemas_topic_reports_that(
    broker: Broker, prefix: str
) -> None:
    producer = EventProducer(broker.bootstrap_servers, schemas_topic=f"{prefix}.schemas")
    with pytest.raises(ConfigurationError, match="hookstream topics apply"):
        async with producer:
            pass


async def test_an_event_of_a_topic_that_is_not_there_is_refused(world: World) -> None:
    tree = event_schema(field("a", "int"))
    producer = EventProducer(
        world.client["bootstrap.servers"],
        client={"topic.metadata.propagation.max.ms": 0},
        schemas=[tree],
        topic_prefix=world.topic_prefix,
    )
    async with producer:
        with pytest.raises(InputRefused, match=r"events\.thing\.done refused the event"):
            await producer.send("thing.done", {"a": 1}, entity_id="job-1")


def test_a_service_without_an_event_loop_publishes_too(world: World) -> None:
    tree = event_schema(field("a", "int"), event_type="order.generated")
    producer = EventProducer(
        world.client["bootstrap.servers"], schemas=[tree], topic_prefix=world.topic_prefix
    )
    with BlockingProducer(producer) as blocking:
        published = blocking.send("order.generated", {"a": 1}, entity_id="job-1")
        with pytest.raises(InputRefused, match=r"data\.a: 'x' is not a whole number"):
            blocking.send("order.generated", {"a": "x"}, entity_id="job-1")
    assert [record.key for record in LogScan(world.client, published.topic).read()] == [b"job-1"]


def test_event_topics_for_development_are_made_once_and_stamped_by_the_broker(
    world: World,
) -> None:
    name = f"{world.topic_prefix}paper.ordered"

    made = [world.run("dev", "topics", name).code for _ in range(2)]

    topic = KafkaTopics(world.client).existing(lambda _: [name])[name]
    assert made == [0, 0]
    assert (topic.partitions, topic.config["message.timestamp.type"]) == (3, "LogAppendTime")
