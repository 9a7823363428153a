"""Tables on a real broker, and the command line: the world of tests of operators' commands."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from tests.conftest import ROOT, Broker

from hookstream.adapters.avro.published import schema_row
from hookstream.adapters.kafka.scan import LogScan
from hookstream.adapters.kafka.tables.log import read_tables
from hookstream.adapters.kafka.tables.writer import TableWriter
from hookstream.adapters.keyring import read_ring
from hookstream.adapters.system import random_bytes
from hookstream.core.delivery.signing import write_secret
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import Subscription
from hookstream.core.model.topics import Topics
from hookstream.entry.admin.tables import State, state_of
from hookstream.entry.cli import root
from hookstream.settings import Settings, load

RING = orjson.dumps({"active": "k1", "keys": {"k1": base64.b64encode(bytes(32)).decode()}})
KEYS = read_ring(RING, "test", random_bytes)
SCHEMAS = ROOT / "schemas"
LEAD: Millis = 300
SECRET = write_secret(bytes(range(32)))


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class World:
    """A cluster with empty tables, and the command line."""

    client: Mapping[str, str]
    names: Topics
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str) -> Ended:
        self.capsys.readouterr()
        options = [
            *("--bootstrap-servers", self.client["bootstrap.servers"]),
            *("--prefix", self.names.prefix),
            *("--set", f"tables.activation_lead={LEAD}ms"),
        ]
        with pytest.raises(SystemExit) as ended:
            root.main([*options, *arguments])
        captured = self.capsys.readouterr()
        code = ended.value.code
        return Ended(code if isinstance(code, int) else 0, captured.out, captured.err)

    def state(self) -> State:
        tables = (
            self.names.schemas,
            self.names.partners,
            self.names.subscriptions,
            self.names.health,
        )
        return state_of(read_tables(self.client, tables), self.names, KEYS)

    def subscription(self, name: str) -> Subscription:
        found = self.state().current.subscriptions[name]
        assert isinstance(found, Subscription)
        return found

    def writer(self) -> TableWriter:
        tables = (self.names.subscriptions, self.names.health)
        return TableWriter(self.client, self.names.writer, tables, self.names.subscriptions)

    def appended(self, topic: str) -> int:
        records = read_tables(self.client, [topic])[topic].values()
        return max((record.offset for record in records), default=-1) + 1


def make_world(
    broker: Broker,
    prefix: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    client = {"bootstrap.servers": broker.bootstrap_servers}
    names = Topics(prefix)
    config = {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"}
    admin = AdminClient(dict(client))
    made = admin.create_topics(
        [NewTopic(name, 1, 1, config=config) for name in (*names.tables, names.operations)]
    )
    for future in made.values():
        future.result(30)
    monkeypatch.setenv("HOOKSTREAM_KEYS__RING", RING.decode())
    monkeypatch.setenv("ORDERS", SECRET)
    rows = [schema_row(tree(path), 1) for path in sorted(SCHEMAS.glob("*/v1.avsc"))]
    write_rows(client, names.schemas, rows)
    return World(client, names, capsys)


def write_rows(
    client: Mapping[str, str], topic: str, rows: Iterable[tuple[str, bytes | None]]
) -> None:
    """Write rows of a table that has no other writer yet: a transaction would cost five times as much."""
    producer = Producer({**client, "linger.ms": 0})
    refused: list[KafkaError] = []
    for key, value in rows:
        producer.produce(
            topic,
            value,
            key.encode(),
            on_delivery=lambda error, _: refused.append(error) if error is not None else None,
        )
    assert (producer.flush(30), refused) == (0, [])


def make_console(world: World) -> World:
    """Create the console topic, which only consoles and commands about tokens need."""
    config = {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"}
    admin = AdminClient(dict(world.client))
    topic = NewTopic(world.names.console, 1, 1, config=config)
    admin.create_topics([topic])[world.names.console].result(30)
    return world


def tree(path: Path) -> JsonObject:
    document: JsonObject = orjson.loads(path.read_bytes())
    return document


def make_folder(path: Path) -> Path:
    (path / "partners").mkdir()
    (path / "subscriptions").mkdir()
    (path / "partners" / "acme.yaml").write_text(
        "{id: acme, name: Acme, grant: {event_types: ['*'], environments: ['*']}}"
    )
    (path / "hookstream.yaml").write_text("name: shop\n")
    declare(path)
    return path


def declare(
    folder: Path,
    name: str = "orders",
    timeout: str = "15s",
    kind: str = "env",
    url: str = "https://acme.example/h",
) -> None:
    source = "{env: ORDERS}" if kind == "env" else "{generate: true}"
    (folder / "subscriptions" / f"{name}.yaml").write_text(
        f"{{id: {name}, partner: acme, event_types: [order.generated],"
        f" endpoint: {{url: '{url}', timeout: {timeout},"
        f" signing_secrets: [{source}]}}}}"
    )


def settings_of(world: World) -> Settings:
    """Return settings with a world's broker and prefix."""
    servers = world.client["bootstrap.servers"]
    flags = {"kafka.bootstrap_servers": servers, "topics.prefix": world.names.prefix}
    return load(None, {}, flags)


def everything_written(world: World) -> bytes:
    """Return all bytes of the topics that making a token or a session may touch."""
    names = (world.names.console, world.names.operations, world.names.subscriptions)
    records = [each for name in names for each in LogScan(world.client, name).read()]
    return b"\n".join(
        part
        for each in records
        for part in (each.key or b"", each.value or b"", repr(each).encode())
    )
