"""Dead letters are purged, redriven and exported side by side on a real broker."""

import time

import orjson
import pytest
from tests.conftest import Broker
from tests.integration.dead_letters_world import NOW, World, delivery, make_world
from tests.properties.test_ledger_properties import as_the_release_before

from hookstream.adapters.kafka.tables.log import read_tables
from hookstream.adapters.kafka.tables.writer import TableChange, TableWriter
from hookstream.core.jobs import lease
from hookstream.core.jobs.job import REDRIVE, Job
from hookstream.core.model.event import Undecodable, UndecodableReason
from hookstream.core.model.json import JsonObject
from hookstream.core.model.outcome import DeadReason
from hookstream.core.model.record import Record
from hookstream.core.redrive.marks import RedriveSource
from hookstream.core.redrive.purge import PurgeRequest
from hookstream.entry.admin.actor import who


@pytest.fixture
def world(broker: Broker, prefix: str, capsys: pytest.CaptureFixture[str]) -> World:
    return make_world(broker, prefix, capsys)


def rows(world: World) -> dict[str, bytes]:
    table = read_tables(world.client, [world.names.jobs])[world.names.jobs]
    return {key: row.value for key, row in table.items() if row.value is not None}


def put(world: World, job: Job) -> None:
    with TableWriter(world.client, world.names.writer, [world.names.jobs], "jobs") as writer:
        writer.write([TableChange(world.names.jobs, job.id, job.encode())])


def places(world: World, *arguments: str) -> dict[str, JsonObject]:
    """The letters of an export by place; its last line says that it is whole."""
    exported = world.run("dlq", "export", "-", *arguments)
    lines = [orjson.loads(line) for line in exported.out.splitlines()]
    assert (exported.code, lines[0]["kind"], lines[-1]["kind"]) == (0, "export", "end")
    assert lines[-1]["letters"] == len(lines) - 2
    return {line["place"]: line for line in lines[1:-1]}


def test_what_was_purged_is_never_redriven_and_says_by_whom_and_why(world: World) -> None:
    for number in range(4):
        world.die(delivery(number), partition=number % 2)
    world.die(delivery(4, "shop"), DeadReason.GONE)
    counted = world.run("dlq", "purge", "--subscription", "crm-orders", "--dry-run", "--json").json
    world.die(delivery(5), partition=1)  # after the count

    reasonless = world.run("dlq", "purge", "--yes")
    assert (reasonless.code, "give the reason with --because" in reasonless.err) == (2, True)
    token = str(counted["preview"])
    other_act = world.run("dlq", "redrive", "--preview", token, "--yes")
    assert (other_act.code, "a purge of dead-letters" in other_act.err) == (2, True)
    because = ("--because", "sent by mail", "--yes")
    purged = world.run("dlq", "purge", "--preview", token, *because, "--json").json
    job = purged["job"]
    assert isinstance(job, dict)
    assert (job["done"], job["total"], job["by"], job["state"]) == (4, 4, who(), "done")

    listed = world.run("dlq", "list", "--json").json
    assert (listed["open"], listed["purged"], listed["redriven"]) == (2, 4, 0)
    again = world.run("dlq", "redrive", "1@0", "--yes")
    assert (again.code, f"1@0 was purged by {who()}" in again.err, world.door()) == (2, True, [])
    ended = world.run("dlq", "redrive", "--yes")
    assert (ended.code, len(world.door())) == (0, 2)

    assert set(places(world)) == set()
    everything = places(world, "--all")
    purges = {place: line["purged"] for place, line in everything.items() if line["purged"]}
    assert (len(everything), sorted(purges)) == (6, ["0@0", "0@1", "1@0", "1@1"])
    assert {(line["by"], line["why"]) for line in purges.values() if isinstance(line, dict)} == {
        (who(), "sent by mail")
    }
    shown = world.run("dlq", "show", "1@0").out
    assert f"1@0: purged by {who()} (job {job['id']}): sent by mail" in shown
    history = world.run("attempts", "show", delivery(1).delivery_id)
    assert f"dead-lettered and purged by {who()}: sent by mail" in history.out
    document = world.run("attempts", "show", delivery(1).delivery_id, "--json").json
    assert (document["state"], document["purged"]) == ("dead-lettered", True)

    # The release before refuses to redrive, and no barrier is left that nobody needs.
    marks = [key for key in rows(world) if key.startswith(f"{job['id']}/")]
    assert sorted(marks) == [f"{job['id']}/0/0", f"{job['id']}/1/0"]
    assert sorted(as_the_release_before(rows(world))[1]) == sorted(marks)


def test_a_purge_and_a_redrive_of_one_topic_exclude_each_other(world: World) -> None:
    world.die(delivery(1))
    now = int(time.time() * 1000)
    asked: JsonObject = {"topic": "dead-letters", "selector": {}, "ends": {"0": 1}}
    redrive = lease.held(Job("redrive-1", REDRIVE, asked, now, total=1), "somebody", now)
    put(world, redrive)
    refused = world.run("dlq", "purge", "--because", "sent by mail", "--yes")
    assert (refused.code, "redrive-1 is already redriving" in refused.err) == (2, True)
    assert set(rows(world)) == {"redrive-1"}
    world.run("jobs", "cancel", "redrive-1")

    request = PurgeRequest(RedriveSource.DEAD_LETTERS, {}, {0: 1}, "ada@ops", "sent by mail")
    put(world, lease.held(request.job("purge-1", now, 1), "somebody", now))
    refused = world.run("dlq", "redrive", "--yes")
    assert (refused.code, "purge-1 is already purging" in refused.err) == (2, True)
    assert set(rows(world)) == {"redrive-1", "purge-1"}
    # Looking is no work on it.
    assert world.run("dlq", "redrive", "--dry-run").code == 0
    assert (world.door(), world.run("dlq", "list", "--json").json["open"]) == ([], 1)


def test_undecodable_records_are_purged_and_exported_too(world: World) -> None:
    for offset, reason in enumerate((UndecodableReason.TOMBSTONE, UndecodableReason.MALFORMED)):
        record = Record("things", 0, offset, NOW, b"q", b"nonsense", ())
        world.set_aside(record, Undecodable(reason, "-"))
    ended = world.run("undecodable", "purge", "0@0", "--because", "a test of ours", "--yes")
    assert (ended.code, "Purged 1 undecodable record " in ended.out) == (0, True)
    listed = world.run("undecodable", "list", "--group-by", "topic", "--json").json
    assert (listed["open"], listed["purged"]) == (1, 1)
    exported = world.run("undecodable", "export", "-")
    lines = [orjson.loads(line) for line in exported.out.splitlines()]
    assert [line.get("place") for line in lines] == [None, "0@1", None]
    assert lines[1]["value_base64"] == "bm9uc2Vuc2U="
    assert lines[2]["left_out"] == {"redriven": 0, "purged": 1}
