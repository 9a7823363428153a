"""Dead letters and undecodable records are listed, shown and redriven on a real broker."""

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from tests.conftest import Broker
from tests.e2e.forked_stage import BlockingProcess
from tests.integration.dead_letters_world import NOW, World, delivery, make_world

from hookstream.adapters.kafka.scan import LogScan
from hookstream.adapters.kafka.tables.log import read_tables
from hookstream.adapters.keyring import read_ring
from hookstream.adapters.system import random_bytes
from hookstream.adapters.tables.rows import disabled_row
from hookstream.adapters.tables.subscriptions import write_subscription
from hookstream.core.model.delivery import Delivery, Trigger
from hookstream.core.model.delivery_headers import (
    is_for_subscription,
    read_delivery,
    read_unmatched,
)
from hookstream.core.model.event import Undecodable, UndecodableReason
from hookstream.core.model.instant import DAY, Millis
from hookstream.core.model.json import Json
from hookstream.core.model.outcome import DeadReason
from hookstream.core.model.record import Origin, Record
from hookstream.core.model.subscription import (
    Disabled,
    Endpoint,
    RetryPolicy,
    SigningSecret,
    Subscription,
    SubscriptionState,
)

KEYS = read_ring(
    b'{"active":"k","keys":{"k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}',
    "test",
    random_bytes,
)


@pytest.fixture
def world(broker: Broker, prefix: str, capsys: pytest.CaptureFixture[str]) -> World:
    return make_world(broker, prefix, capsys)


def subscription(
    name: str, state: SubscriptionState = SubscriptionState.ACTIVE, active_from: Millis = 0
) -> tuple[str, bytes]:
    secret = SigningSecret("s", bytes(32))
    made = Subscription(
        name,
        "acme",
        Endpoint("https://crm.example/h", (secret,)),
        ("*",),
        active_from=active_from,
        retry=RetryPolicy(expires_after=2 * DAY),
        state=state,
    )
    return name, write_subscription(made, KEYS)


def back(world: World) -> list[tuple[str, Trigger, int, int]]:
    """Deliveries in `retry.0s`: id, trigger, attempts and step."""
    found: list[tuple[str, Trigger, int, int]] = []
    for record in world.door():
        state = read_delivery(record.headers)
        assert isinstance(state, Delivery)
        found.append((state.delivery_id, state.trigger, state.attempt, state.step))
    return sorted(found)


def groups(document: dict[str, Json]) -> list[tuple[Json, Json, Json]]:
    groups = document["groups"]
    assert isinstance(groups, list)
    rows = [row for row in groups if isinstance(row, dict)]
    first = "subscription_id" if rows and "subscription_id" in rows[0] else "origin_topic"
    return [(row[first], row["reason"], row["letters"]) for row in rows]


def test_open_dead_letters_are_counted_and_listed(world: World) -> None:
    world.die(delivery(1), partition=1)
    world.die(delivery(2))
    world.die(delivery(3, "shop"), DeadReason.GONE)
    listed = world.run("dlq", "list", "--json").json
    assert groups(listed) == [("crm-orders", "attempts_exhausted", 2), ("shop", "gone", 1)]
    only = world.run("dlq", "list", "--reason", "gone", "--since", "1h", "--json").json
    assert (groups(only), only["redriven"]) == ([("shop", "gone", 1)], 0)
    none = world.run("dlq", "list", "--until", "1h", "--json").json
    assert none["open"] == 0


def test_a_dead_letter_shows_its_headers_its_event_and_its_reason(world: World) -> None:
    world.die(delivery(1), partition=1)
    by_place = world.run("dlq", "show", "1@0", "--json").json
    by_delivery = world.run("dlq", "show", delivery(1).delivery_id, "--json").json
    assert by_place == by_delivery
    assert by_place["event"] == {
        "type": "thing.done",
        "version": 1,
        "timestamp": "2026-11-18T11:06:40.000000Z",
        "id": "7d5f6d9e-6f2e-4b8e-9d53-6d7f2f1a4c11",
        "environment": "production",
        "entity_id": "order-7",
        "data": {"pages": 48},
    }
    assert (by_place["reason"], by_place["open"]) == ("attempts_exhausted", True)
    text = world.run("dlq", "show", f"{world.names.dead_letters}-1@0").out
    for part in ("hs-last-status", "503", "x-tenant", '"pages": 48', "dead-lettered"):
        assert part in text


def test_a_missing_dead_letter_is_refused(world: World) -> None:
    ended = [world.run("dlq", "show", named) for named in ("0@7", "msg_x", "elsewhere-0@7")]
    assert [end.code for end in ended] == [2, 2, 2]
    assert "holds no record at 0@7" in ended[0].err
    assert "hookstream attempts show msg_x" in ended[1].err
    assert "another topic" in ended[2].err


def test_a_redrive_takes_what_was_selected_and_no_longer_counts_it_as_open(world: World) -> None:
    world.write(world.names.subscriptions, subscription("crm-orders"))
    world.die(delivery(1), partition=1)
    world.die(delivery(2))
    world.die(delivery(3, "shop"), DeadReason.GONE)
    dry = world.run("dlq", "redrive", "--subscription", "crm-orders", "--dry-run")
    assert (dry.code, back(world)) == (0, [])
    assert "2 open dead letters to redrive" in dry.out
    ended = world.run("dlq", "redrive", "--subscription", "crm-orders", "--yes")
    assert (ended.code, back(world)) == (
        0,
        [(delivery(n).delivery_id, Trigger.REDRIVE, 9, 0) for n in (1, 2)],
    )
    state = read_delivery(world.door()[0].headers)
    assert isinstance(state, Delivery)
    assert abs(state.expires_at - (int(time.time() * 1000) + 2 * DAY)) < 60_000
    assert {record.value for record in world.door()} == {world.event()}
    opened = world.run("dlq", "list", "--json").json
    assert (groups(opened), opened["redriven"]) == ([("shop", "gone", 1)], 2)
    assert world.run("dlq", "list", "--all", "--json").json["open"] == 1
    again = world.run("dlq", "redrive", "--subscription", "crm-orders", "--yes")
    assert (len(back(world)), again.out.splitlines()[0].split()[0]) == (2, "0")
    assert world.run("dlq", "jobs").out.count("done") == 2  # the heading, and the job's state


def test_dead_letters_of_a_topic_that_was_created_again_are_open_and_redriven(
    world: World,
) -> None:
    """They have the positions of others, which were redriven."""
    world.write(world.names.subscriptions, subscription("crm-orders"))
    world.die(delivery(1))
    world.die(delivery(2))
    assert world.run("dlq", "redrive", "--yes").code == 0
    world.remove(world.names.dead_letters)
    world.create(world.names.dead_letters)
    world.die(delivery(3))

    listed = world.run("dlq", "list", "--json").json
    assert (listed["open"], listed["redriven"]) == (1, 0)
    assert world.run("dlq", "show", "0@0", "--json").json["open"] is True
    assert world.run("dlq", "redrive", "--yes").code == 0
    assert [each[0] for each in back(world)] == [delivery(n).delivery_id for n in (1, 2, 3)]
    assert world.run("dlq", "list", "--json").json["open"] == 0


def test_nothing_is_redriven_without_a_yes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.die(delivery(1))
    with open(os.devnull) as nothing:  # noqa: PTH123  stdin of a script
        monkeypatch.setattr(sys, "stdin", nothing)
        ended = world.run("dlq", "redrive")
    assert (ended.code, back(world)) == (1, [])


def test_dead_letters_of_disabled_and_deleted_subscriptions_are_left_out(world: World) -> None:
    """The first would be dead-lettered again at once, the second cancelled."""
    world.write(
        world.names.subscriptions,
        subscription("crm-orders"),
        subscription("gone"),
        subscription("old", SubscriptionState.DELETED),
    )
    world.write(world.names.health, disabled_row(Disabled("gone", NOW, "gone", "410")))
    for number, name in enumerate(("crm-orders", "gone", "old", "never-heard-of")):
        world.die(delivery(number, name))
    ended = world.run("dlq", "redrive", "--yes")
    assert [row[0] for row in back(world)] == [delivery(n).delivery_id for n in (0, 3)]
    assert "left out: 1, gone is disabled since" in ended.out
    assert "left out: 1, old is deleted" in ended.out


def test_dead_letters_of_an_earlier_life_of_an_id_are_left_out(world: World) -> None:
    """A worker would cancel them: the subscription that was created again has not asked for them."""
    letter = delivery(1)
    again = subscription("crm-orders", active_from=letter.origin.timestamp)
    world.write(world.names.subscriptions, again)
    world.die(letter)
    ended = world.run("dlq", "redrive", "--yes")
    assert back(world) == []
    assert "left out: 1, crm-orders was deleted, and created again after the event" in ended.out


def test_dead_letters_of_runs_of_an_earlier_life_of_an_id_are_left_out(world: World) -> None:
    """What counts is when the run began, which was before its dead letter was written."""
    world.die(replace(delivery(1), job="replay-1"))
    [letter] = LogScan(world.client, world.names.dead_letters).read()
    world.write(
        world.names.subscriptions, subscription("crm-orders", active_from=letter.timestamp)
    )
    world.die(replace(delivery(2), job="replay-2"))
    ended = world.run("dlq", "redrive", "--yes")
    assert [row[0] for row in back(world)] == [delivery(2).delivery_id]
    what = "left out: 1, crm-orders was deleted, and created again after its run had begun"
    assert what in ended.out


def test_single_places_are_redriven_and_nothing_else(world: World) -> None:
    for number in range(4):
        world.die(delivery(number), partition=number % 2)
    ended = world.run("dlq", "redrive", "1@0", f"{world.names.dead_letters}-0@1", "--yes")
    assert (ended.code, [row[0] for row in back(world)]) == (
        0,
        [delivery(n).delivery_id for n in (1, 2)],
    )
    again = world.run("dlq", "redrive", "0@0", "1@0", "1@7", "--yes")
    assert (again.code, len(back(world))) == (2, 2)
    assert "1@0 was redriven by redrive-" in again.err
    assert "holds no record at 1@7" in again.err
    both = world.run("dlq", "redrive", "0@0", "--reason", "gone", "--yes")
    assert (both.code, "omit the conditions" in both.err) == (2, True)


def test_a_preview_is_taken_as_it_was_counted_and_nothing_newer(world: World) -> None:
    world.die(delivery(1))
    world.die(delivery(2, "shop"))
    dry = world.run("dlq", "redrive", "--subscription", "crm-orders", "--dry-run", "--json").json
    token = str(dry["preview"])
    world.die(delivery(3))
    other = world.run("dlq", "redrive", "--subscription", "shop", "--preview", token, "--yes")
    undecodable = world.run("undecodable", "redrive", "--preview", token, "--yes")
    assert (other.code, undecodable.code, back(world)) == (2, 2, [])
    assert "the preview has other conditions" in other.err
    assert "not of a redrive of undecodable" in undecodable.err
    ended = world.run("dlq", "redrive", "--preview", token, "--yes")
    assert (ended.code, [row[0] for row in back(world)]) == (0, [delivery(1).delivery_id])


def test_a_preview_of_a_topic_that_was_created_again_is_refused(world: World) -> None:
    world.die(delivery(1))
    token = str(world.run("dlq", "redrive", "--dry-run", "--json").json["preview"])
    world.remove(world.names.dead_letters)
    world.create(world.names.dead_letters)
    world.die(delivery(2))
    ended = world.run("dlq", "redrive", "--preview", token, "--yes")
    assert (ended.code, "created again since then" in ended.err, back(world)) == (2, True, [])


def test_dead_letters_are_counted_by_status_and_host(world: World) -> None:
    world.write(world.names.subscriptions, subscription("crm-orders"))
    world.die(delivery(1))
    world.die(delivery(2))
    world.die(replace(delivery(3, "shop"), last_status=None))
    found: list[tuple[Json, Json]] = []
    for by in ("status", "host"):
        groups_by = world.run("dlq", "list", "--group-by", by, "--json").json["groups"]
        assert isinstance(groups_by, list)
        found += [(row[by], row["letters"]) for row in groups_by if isinstance(row, dict)]
    assert found == [("503", 2), ("-", 1), ("crm.example", 2), ("-", 1)]


def test_an_export_has_every_open_dead_letter_with_its_event(world: World, tmp_path: Path) -> None:
    events = f"{world.names.prefix}.ev"
    world.append(events, world.event(pages=999))
    there = LogScan(world.client, events).at(0, 0)
    assert there is not None
    origin = Origin(events, 0, 0, there.timestamp)
    world.die(delivery(1), partition=1)
    world.die(replace(delivery(2), origin=origin), by_reference=True)
    world.die(delivery(3))
    world.run("dlq", "redrive", "0@1", "--yes")
    file = tmp_path / "letters.jsonl"
    ended = world.run("dlq", "export", str(file))
    again = world.run("dlq", "export", str(file))
    lines = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    assert (ended.code, again.code) == (0, 2)
    assert "2 exported, 1 left out as redriven" in ended.err
    assert "exists: name another file" in again.err
    assert [line["kind"] for line in lines] == ["export", "letter", "letter", "end"]
    letters = {line["place"]: line for line in lines[1:3]}
    assert (letters["1@0"]["event"]["data"], letters["1@0"]["value_from_origin"]) == (
        {"pages": 48},
        False,
    )
    assert (letters["0@0"]["event"]["data"], letters["0@0"]["value_from_origin"]) == (
        {"pages": 999},
        True,
    )
    assert lines[3]["left_out"] == {"redriven": 1, "purged": 0}
    printed = world.run("dlq", "export", "-", "--all", "--reason", "attempts_exhausted")
    assert [orjson.loads(line)["kind"] for line in printed.out.splitlines()].count("letter") == 3


def test_a_dead_letter_by_reference_is_read_from_its_origin(world: World) -> None:
    events = f"{world.names.prefix}.ev"
    world.append(events, world.event(pages=999))
    origin = LogScan(world.client, events).at(0, 0)
    assert origin is not None
    there = Origin(events, 0, 0, origin.timestamp)
    world.die(replace(delivery(1), origin=there), by_reference=True)
    world.die(replace(delivery(2), origin=there._replace(offset=5)), by_reference=True)
    world.die(replace(delivery(3), origin=Origin("nowhere", 0, 0, NOW)), by_reference=True)
    ended = world.run("dlq", "redrive", "--yes")
    assert (ended.code, [record.value for record in world.door()]) == (1, [world.event(pages=999)])
    assert f"0@1 stays open: it was kept without its value, and {events}-0@5" in ended.err
    assert world.run("dlq", "list", "--json").json["open"] == 2


@pytest.fixture
def cut_off(world: World, tmp_path: Path) -> str:
    """A redrive of 12 dead letters whose process was killed after some steps: its job."""
    for number in range(12):
        world.die(delivery(number), partition=number % 2)
    command = (*world.options, "--set", "jobs.lease=2s", "dlq", "redrive", "--yes", "--rate", "3")
    with (tmp_path / "redrive.log").open("wb") as log:
        process = BlockingProcess(command, log)
    try:
        for _ in range(300):
            jobs = job_rows(world)
            if any(0 < job["done"] < 12 for job in jobs.values()):
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait(10)
    return next(iter(job_rows(world)))


def job_rows(world: World) -> dict[str, dict[str, int]]:
    table = read_tables(world.client, [world.names.jobs])[world.names.jobs]
    return {key: orjson.loads(row.value or b"{}") for key, row in table.items() if "/" not in key}


def test_a_killed_redrive_continues_and_redrives_no_dead_letter_twice(
    world: World, cut_off: str
) -> None:
    before = len(back(world))
    refused = world.run("dlq", "redrive", "--yes")
    assert (refused.code, "is already redriving" in refused.err) == (2, True)
    assert set(job_rows(world)) == {cut_off}
    ended = world.run("dlq", "redrive", "--resume", cut_off)
    assert (ended.code, 0 < before < 12) == (0, True)
    assert [row[0] for row in back(world)] == [delivery(n).delivery_id for n in range(12)]
    assert job_rows(world)[cut_off]["done"] == 12
    assert world.run("dlq", "list", "--json").json["open"] == 0


def test_a_cancelled_redrive_leaves_the_rest_to_the_next(world: World, cut_off: str) -> None:
    cancelled = world.run("dlq", "redrive", "--cancel", cut_off)
    again = world.run("dlq", "redrive", "--resume", cut_off)
    ended = world.run("dlq", "redrive", "--yes")
    assert (cancelled.code, again.code, ended.code) == (0, 2, 0)
    assert [row[0] for row in back(world)] == [delivery(n).delivery_id for n in range(12)]


def test_undecodable_records_go_back_as_events_without_a_subscription(world: World) -> None:
    foreign = Record("things", 3, 40, NOW - 5_000, b"q-1", b"\xc3\x01nonsense", ())
    world.set_aside(foreign, Undecodable(UndecodableReason.UNKNOWN_SCHEMA, "never published"))
    world.set_aside(
        Record("other", 0, 1, NOW, None, None, ()), Undecodable(UndecodableReason.TOMBSTONE, "-")
    )
    listed = world.run("undecodable", "list", "--json").json
    assert groups(listed) == [("other", "tombstone", 1), ("things", "unknown_schema", 1)]
    shown = world.run("undecodable", "show", "0@0")
    assert "is not published" in shown.out
    ended = world.run("undecodable", "redrive", "--yes", "--topic", "things")
    (record,) = world.door()
    unmatched = read_unmatched(record.headers)
    assert (ended.code, record.key, record.value) == (0, b"things/3/40", b"\xc3\x01nonsense")
    assert not is_for_subscription(record.headers)
    assert getattr(unmatched, "origin", None) == Origin("things", 3, 40, NOW - 5_000)
    assert world.run("undecodable", "list", "--json").json["open"] == 1
    assert world.run("dlq", "list", "--json").json["redriven"] == 0


def test_a_time_is_an_instant_or_an_age(world: World) -> None:
    ended = world.run("dlq", "list", "--since", "yesterday")
    assert (ended.code, "neither a time such as" in ended.err) == (2, True)
    assert world.run("dlq", "list", "--since", "2026-01-01T00:00:00Z").code == 0
