"""`hookstream hold` on a real broker: rows, operations events, and a worker's tables within two seconds."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from tests.conftest import Broker
from tests.doubles.logger import BookkeepingLogger
from tests.integration.definitions_world import KEYS, Ended, World, make_folder, make_world

from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.published import own_schemas
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.kafka.tables.log import read_tables
from hookstream.adapters.kafka.tables.reader import TableReader
from hookstream.adapters.system import SystemClock
from hookstream.core.matching.directory import Directory
from hookstream.core.model.event import Identified
from hookstream.core.model.hold import HoldKind
from hookstream.core.model.record import Record
from hookstream.core.model.subscription_status import Held, Live
from hookstream.entry.worker.feed import TableConsumer


@pytest.fixture
def world(
    broker: Broker,
    prefix: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> World:
    made = make_world(broker, prefix, capsys, monkeypatch)
    assert made.run("apply", str(make_folder(tmp_path)), "--yes", "--no-wait").code == 0
    return made


def held(world: World) -> list[tuple[str, str | None, str]]:
    listed = orjson.loads(world.run("hold", "list", "--json").out)
    return [(each["kind"], each["name"], each["reason"]) for each in listed]


def published(world: World) -> dict[str, object]:
    """The newest operations event of each thing that was held, by what it was."""
    codec = AvroCodec(SchemaBook(own_schemas()))
    rows = read_tables(world.client, [world.names.operations])[world.names.operations]
    found: dict[str, object] = {}
    for key, row in rows.items():
        record = Record(row.table, 0, row.offset, row.timestamp, None, row.value, ())
        identified = codec.identify(record)
        assert isinstance(identified, Identified)
        fields = codec.fields(identified, record)
        assert isinstance(fields, dict)
        found[key] = fields["data"]
    return found


def test_a_hold_is_set_listed_and_cleared(world: World) -> None:
    everything = world.run("hold", "set", "everything", "--reason", "a deploy")
    world.run("hold", "set", "endpoint", "orders", "--reason", "it drowns")
    world.run("hold", "set", "partner", "acme", "--reason", "they asked")
    world.run("hold", "set", "event-type", "order.generated", "--reason", "wrong prices")

    assert (everything.code, everything.err) == (
        0,
        (
            "everything is held: every worker stops within two seconds\n"
            "To clear it: hookstream hold clear everything\n"
        ),
    )
    assert held(world) == [
        ("everything", None, "a deploy"),
        ("endpoint", "orders", "it drowns"),
        ("partner", "acme", "they asked"),
        ("event-type", "order.generated", "wrong prices"),
    ]
    assert "wrong prices" in world.run("hold", "list").out
    [listed] = orjson.loads(world.run("subscriptions", "list", "--json").out)
    assert (listed["state"], listed["hold"]) == ("held", {"kind": "everything", "name": "all"})

    cleared = world.run("hold", "clear", "everything", "--reason", "deployed")

    assert cleared.err == (
        "everything is no longer held\n"
        "Still held: endpoint orders, event-type order.generated, partner acme\n"
    )
    assert len(held(world)) == 3


def test_every_change_of_a_hold_is_an_operations_event(world: World) -> None:
    world.run("hold", "set", "partner", "acme", "--reason", "they asked")
    set_ = published(world)["partner/acme"]
    world.run("hold", "set", "partner", "acme", "--reason", "they asked twice")
    changed = published(world)["partner/acme"]
    world.run("hold", "clear", "partner", "acme")
    cleared = published(world)["partner/acme"]

    assert isinstance(set_, dict)
    assert isinstance(changed, dict)
    assert isinstance(cleared, dict)
    common = {"kind": "partner", "name": "acme", "changed_by": set_["changed_by"]}
    assert set_["changed_by"] != ""
    assert [
        set_,
        changed,
        cleared,
    ] == [
        {**common, "change": "set", "reason": "they asked", "since": set_["since"]},
        {**common, "change": "changed", "reason": "they asked twice", "since": set_["since"]},
        {**common, "change": "cleared", "reason": "", "since": set_["since"]},
    ]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("set", "endpoint", "--reason", "x"),
            "name the endpoint: hookstream hold ... endpoint NAME",
        ),
        (("set", "everything", "acme", "--reason", "x"), "`everything` takes no name"),
        (("set", "endpoint", "odrers", "--reason", "x"), "there is no subscription 'odrers'"),
        (("set", "partner", "orders", "--reason", "x"), "there is no partner 'orders'"),
        (
            ("set", "event-type", "order.*", "--reason", "x"),
            "no schema of an event type 'order.*'",
        ),
        (("set", "everything", "--reason", "  "), "--reason: write 1 to 200 characters"),
        (("set", "everything", "--reason", "a\nb"), "--reason: write 1 to 200 characters"),
        (("set", "everything", "--reason", "x" * 201), "--reason: write 1 to 200 characters"),
        (("clear", "endpoint", "orders"), "endpoint orders is not held; nothing is"),
    ],
)
def test_what_cannot_be_held_or_cleared_is_reported_in_one_sentence(
    world: World, arguments: tuple[str, ...], sentence: str
) -> None:
    ended = world.run("hold", *arguments)
    assert ended.code == 2
    assert ended.err.startswith(f"hookstream: {sentence}")
    assert held(world) == []


def test_a_hold_without_a_reason_or_of_an_unknown_kind_is_a_usage_error(world: World) -> None:
    ended = [
        world.run("hold", "set", "everything"),
        world.run("hold", "set", "planet", "mars", "--reason", "x"),
    ]
    assert [each.code for each in ended] == [2, 2]
    assert "--reason" in ended[0].err
    assert "'planet' is not one of" in ended[1].err
    assert held(world) == []


def test_a_deleted_subscription_cannot_be_held(world: World) -> None:
    world.run("subscriptions", "delete", "orders", "--yes")
    ended = world.run("hold", "set", "endpoint", "orders", "--reason", "x")
    assert (ended.code, ended.err) == (2, "hookstream: subscription 'orders' is deleted\n")


@pytest.fixture
async def directory(world: World) -> AsyncIterator[Directory]:
    """The tables as a worker follows them."""
    found = Directory()
    logger = BookkeepingLogger()
    feed = TableConsumer(world.names, SchemaBook(), found, KEYS, logger)
    reader = TableReader(world.client, world.names.tables, feed.take, logger, SystemClock())
    reader.start()
    await reader.read_to_end(10)
    yield found
    await reader.close()


async def test_a_worker_knows_of_a_hold_and_of_its_end_within_a_second(
    world: World, directory: Directory
) -> None:
    def state() -> str:
        found = directory.holds.over(directory.status("orders", SystemClock().now()))
        assert isinstance(found, Held | Live)
        return type(found).__name__

    async def run(*arguments: str) -> Ended:
        return await asyncio.to_thread(world.run, *arguments)

    async def seconds_until(wanted: str) -> float:
        began = time.monotonic()
        async with asyncio.timeout(60):
            while state() != wanted:  # noqa: ASYNC110 - a broker sets no asyncio.Event
                await asyncio.sleep(0.02)
        return time.monotonic() - began

    assert state() == "Live"
    held, cleared = [], []
    for _ in range(3):
        await run("hold", "set", "endpoint", "orders", "--reason", "it drowns")
        held.append(await seconds_until("Held"))
        await run("hold", "clear", "endpoint", "orders")
        cleared.append(await seconds_until("Live"))

    # The quickest of three: what else the machine does must not count.
    assert min(held) < 1
    assert min(cleared) < 1
    assert len(directory.holds) == 0
    assert not directory.holds.drop(HoldKind.ENDPOINT, "orders")
