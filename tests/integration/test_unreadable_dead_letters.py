"""An unreadable dead letter is shown with its position and the reason, and ends no command."""

import pytest
from tests.conftest import Broker
from tests.integration.dead_letters_world import World, delivery, make_world
from tests.raw_kafka import RawProducer, RawRecord

from hookstream.core.redrive.marks import Mark, OffsetRange, RedriveSource

BAD = (b"Gr\xf6\xdfe", b"1")
PROBLEM = r"the header name Gr\xf6\xdfe is not UTF-8"


@pytest.fixture
def world(broker: Broker, prefix: str, capsys: pytest.CaptureFixture[str]) -> World:
    return make_world(broker, prefix, capsys)


def write(world: World, topic: str, record: RawRecord) -> None:
    with RawProducer(world.bootstrap_servers) as producer:
        producer.write(topic, [record])


def test_a_dead_letter_with_a_header_name_that_is_not_text_is_listed_and_shown_but_not_redriven(
    world: World,
) -> None:
    headers = ((b"hs-subscription-id", b"crm\x1b[31m"), (b"hs-reason", b"\xff"), BAD)
    write(world, world.names.dead_letters, RawRecord(b"v", b"k", headers))

    listed = world.run("dlq", "list", "--json").json
    shown = world.run("dlq", "show", "0@0")
    document = world.run("dlq", "show", "0@0", "--json").json
    redriven = world.run("dlq", "redrive", "--yes", "--json")

    assert listed["open"] == 1
    assert f"unreadable: {PROBLEM}" in shown.out
    assert r"crm\x1b[31m" in shown.out
    assert "\x1b" not in shown.out
    assert document["headers_problem"] == PROBLEM
    assert redriven.code == 1
    assert redriven.json["not_redriven_examples"] == [
        {"place": "0@0", "why": f"it cannot be read: {PROBLEM}"}
    ]
    assert world.door() == []


def test_an_unknown_row_among_the_jobs_is_reported_and_ends_no_view(world: World) -> None:
    """What is open is then not known for certain: views show that, and a redrive refuses to start."""
    world.die(delivery(1))
    key = Mark("job-1", RedriveSource.DEAD_LETTERS, 0, (OffsetRange(0, 0),)).key
    write(world, world.names.jobs, RawRecord(b"[" * 50_000, key.encode()))

    listed = world.run("dlq", "list")
    shown = world.run("dlq", "show", "0@0")
    redriven = world.run("dlq", "redrive", "--dry-run")

    assert (listed.code, shown.code, redriven.code) == (0, 0, 2)
    assert f"unreadable: {key}: it is not JSON" in listed.err
    assert "may have been redriven or purged" in listed.err
