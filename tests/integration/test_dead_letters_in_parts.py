"""An export in parts on a real broker: together they are the whole, and a partner sees what it was granted."""

import json
import time
from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests.conftest import Broker
from tests.integration.dead_letters_world import NOW, World, delivery, make_world

from hookstream.adapters.keyring import read_ring
from hookstream.adapters.system import random_bytes
from hookstream.adapters.tables.rows import write_partner
from hookstream.adapters.tables.subscriptions import write_subscription
from hookstream.core.model.instant import HOUR
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import (
    Endpoint,
    Grant,
    HeldGrant,
    Partner,
    SigningSecret,
    Subscription,
)
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.redrive.selector import Selector
from hookstream.entry.admin.dead_letter_details import event_decoder
from hookstream.entry.admin.dead_letter_export import (
    DeadLetterExport,
    ExportPosition,
    ShownEvent,
    part_beginning,
)
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.admin.granted_events import NOT_SHOWN, GrantedEvents
from hookstream.entry.admin.tables import read_state
from hookstream.settings import Settings, load

RING = b'{"active":"k","keys":{"k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}'
KEYS = read_ring(RING, "test", random_bytes)
EVERY, WITH_RESOLVED = Selector(), False
"""Of all subscriptions; those that were redriven are left out."""
EVERYTHING, NOTHING = Grant(("*",), ("*",)), Grant((), ())


@pytest.fixture
def world(broker: Broker, prefix: str, capsys: pytest.CaptureFixture[str]) -> World:
    return make_world(broker, prefix, capsys)


def settings_of(world: World) -> Settings:
    return load(
        None,
        {},
        {
            "kafka.bootstrap_servers": world.bootstrap_servers,
            "topics.prefix": world.names.prefix,
        },
    )


def part(
    reader: DeadLetterReader,
    position: ExportPosition | None,
    *,
    most: int = 2,
    selector: Selector = EVERY,
    shown: ShownEvent | None = None,
) -> tuple[list[JsonObject], ExportPosition]:
    """Return the lines of a part, and where the next one begins."""
    begin = part_beginning(reader, position)
    export = DeadLetterExport(reader, reader.ledger(), selector, WITH_RESOLVED, shown)
    lines: list[JsonObject] = []
    following: ExportPosition | None = None
    for found in export.part(begin, most, 60.0, time.monotonic):
        if isinstance(found, ExportPosition):
            following = found
        else:
            lines += found.lines
    assert following is not None
    assert [lines[0]["kind"], lines[-1]["kind"]] == ["export", "end"]
    return lines[1:-1], following


def test_the_parts_of_an_export_are_the_whole_and_nothing_newer_is_in_them(world: World) -> None:
    for number in range(7):
        world.die(delivery(number), partition=number % 2)
    world.run("dlq", "redrive", "0@1", "--yes")
    reader = DeadLetterReader(settings_of(world), RedriveSource.DEAD_LETTERS)
    found: list[JsonObject] = []
    position: ExportPosition | None = None
    while position is None or not position.is_over:
        lines, position = part(reader, position)
        assert len(lines) <= 2
        found += lines
        world.die(delivery(99))
    places = [line["place"] for line in found]
    assert sorted(map(str, places)) == ["0@0", "0@2", "0@3", "1@0", "1@1", "1@2"]
    assert [line["event"] for line in found if line["event"] is None] == []


def test_an_export_over_a_topic_that_is_created_again_has_all_of_the_new_one_and_says_so(
    world: World,
) -> None:
    for number in range(5):
        world.die(delivery(number))
    world.run("dlq", "redrive", "0@1", "--yes")
    reader = DeadLetterReader(settings_of(world), RedriveSource.DEAD_LETTERS)
    first, position = part(reader, None)
    world.remove(world.names.dead_letters)
    world.create(world.names.dead_letters)
    for number in range(10, 14):
        world.die(delivery(number))
    found, again = [*first], []
    for _ in range(2):
        again.append(part_beginning(reader, position).began_again)
        lines, position = part(reader, position)
        found += lines
    assert position.is_over
    numbers = [int(str(line["delivery_id"]).removeprefix("msg_")) for line in found]
    assert numbers == [0, 2, 10, 11, 12, 13]
    assert again == [True, False]


def test_a_partner_sees_an_event_that_its_grants_of_then_and_of_today_cover(
    world: World,
) -> None:
    secret = SigningSecret("s", bytes(32))
    histories: Mapping[str, tuple[Grant, tuple[HeldGrant, ...]]] = {
        "always": (EVERYTHING, (HeldGrant(EVERYTHING, NOW - HOUR),)),
        "before": (NOTHING, (HeldGrant(EVERYTHING, NOW - HOUR), HeldGrant(NOTHING, NOW))),
        "today": (EVERYTHING, (HeldGrant(NOTHING, NOW - HOUR), HeldGrant(EVERYTHING, NOW))),
    }
    for number, (name, (grant, history)) in enumerate(histories.items()):
        partner = Partner(name, name, grant, history=history)
        row = Subscription(
            name, name, Endpoint("https://x.example/h", (secret,)), ("*",), NOW - HOUR
        )
        world.write(world.names.partners, (name, write_partner(partner)))
        world.write(world.names.subscriptions, (name, write_subscription(row, KEYS)))
        world.die(replace(delivery(number, name), partner_id=name))
    settings = settings_of(world)
    reader = DeadLetterReader(settings, RedriveSource.DEAD_LETTERS)
    state, decoder, shown = read_state(settings, KEYS), event_decoder(reader), {}
    for name in histories:
        for asking in histories:
            selector = Selector(partners=frozenset({name}))
            granted = GrantedEvents(decoder, state, asking).shown
            [line], _ = part(reader, None, selector=selector, shown=granted)
            if line["event"] is not None:
                shown[name, asking] = json.dumps(line["event"])
            else:
                assert line["event_problem"] == NOT_SHOWN
    assert [*shown] == [("always", "always")]
    assert '"pages": 48' in shown["always", "always"]
