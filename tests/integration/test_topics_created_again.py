"""Jobs over a topic of dead letters that is deleted, and created again under its name, on a real broker."""

import time

import orjson
import pytest
from tests.conftest import Broker
from tests.integration.dead_letters_world import NOW, World, delivery, make_world
from tests.integration.index_world import settings_of

from hookstream.adapters.kafka.tables.log import read_tables
from hookstream.core.jobs.job import PURGE, REDRIVE, Job
from hookstream.core.jobs.lease import handed_back
from hookstream.core.model.event import Undecodable, UndecodableReason
from hookstream.core.model.json import Json
from hookstream.core.model.record import Record
from hookstream.core.redrive.marks import RedriveSource
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.admin.purges import new_purge_until
from hookstream.entry.admin.redrives import new_redrive_until

GROUPS = {RedriveSource.DEAD_LETTERS: "dlq", RedriveSource.UNDECODABLE: "undecodable"}


@pytest.fixture
def world(broker: Broker, prefix: str, capsys: pytest.CaptureFixture[str]) -> World:
    return make_world(broker, prefix, capsys)


def put(world: World, source: RedriveSource, number: int) -> None:
    if source is RedriveSource.DEAD_LETTERS:
        world.die(delivery(number))
        return
    record = Record("things", 3, number, NOW, b"q-1", b"\xc3\x01nonsense", ())
    world.set_aside(record, Undecodable(UndecodableReason.UNKNOWN_SCHEMA, "never published"))


def job_of(world: World, kind: str, source: RedriveSource) -> Job:
    """A job over everything that the topic has now, which nobody works on yet."""
    until = DeadLetterReader(settings_of(world), source).topic_ends()
    if kind == REDRIVE:
        return new_redrive_until(source, {}, until, None)
    return new_purge_until(source, {}, until, "sent by mail")


def rows(world: World) -> dict[str, dict[str, Json]]:
    table = read_tables(world.client, [world.names.jobs])[world.names.jobs]
    return {key: orjson.loads(row.value) for key, row in table.items() if row.value is not None}


@pytest.mark.parametrize("source", RedriveSource)
@pytest.mark.parametrize("kind", [REDRIVE, PURGE])
def test_a_job_takes_nothing_of_the_successor_of_its_topic(
    world: World, kind: str, source: RedriveSource
) -> None:
    topic = DeadLetterReader(settings_of(world), source).topic
    put(world, source, 1)
    put(world, source, 2)
    job = job_of(world, kind, source)
    world.write(world.names.jobs, (job.id, handed_back(job, int(time.time() * 1000)).encode()))
    world.remove(topic)
    world.create(topic)
    put(world, source, 3)

    ended = world.run("jobs", "resume", job.id)
    assert (ended.code, world.door()) == (1, [])
    assert f"{job.id} is incomplete: its topic was deleted and created again" in ended.err
    assert set(rows(world)) == {job.id}
    listed = world.run(GROUPS[source], "list", "--json").json
    assert [listed[name] for name in ("open", "redriven", "purged")] == [1, 0, 0]


def test_a_job_and_its_marks_name_the_topic_by_the_same_id(world: World) -> None:
    put(world, RedriveSource.DEAD_LETTERS, 1)
    assert world.run("dlq", "redrive", "--yes").code == 0
    topic_id = DeadLetterReader(settings_of(world), RedriveSource.DEAD_LETTERS).topic_ends()[1]
    named = [row["topic_id"] for row in rows(world).values()]
    assert (named, len(topic_id)) == ([topic_id] * 2, 32)


def test_a_job_whose_topic_is_deleted_fails_and_ends_once_it_is_created_again(
    world: World,
) -> None:
    """While there is no topic, nobody knows whether it will come back."""
    source = RedriveSource.DEAD_LETTERS
    put(world, source, 1)
    job = job_of(world, REDRIVE, source)
    world.write(world.names.jobs, (job.id, handed_back(job, int(time.time() * 1000)).encode()))
    world.remove(world.names.dead_letters)
    without = world.run("jobs", "resume", job.id)
    assert (without.code, "hookstream topics apply" in without.err) == (2, True)
    assert rows(world)[job.id]["state"] == "failed"
    world.create(world.names.dead_letters)
    put(world, source, 2)
    ended = world.run("jobs", "resume", job.id)
    assert (ended.code, rows(world)[job.id]["state"], world.door()) == (1, "incomplete", [])
