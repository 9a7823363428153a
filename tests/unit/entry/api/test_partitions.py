"""Partitions over the API: what stops one is skipped by whoever saw it, once, and with a reason."""

import json
from typing import Any

import pytest
from tests.doubles.api import ApiWorld

from hookstream.adapters.tables.holds_and_skips import read_skip, read_start

PATH = "/v1/partitions/printprice.pricing/0"


def rows(world: ApiWorld, prefix: str) -> dict[str, bytes]:
    table = world.tables.snapshot[world.settings.topics_names.subscriptions]
    return {key: row.value or b"" for key, row in table.items() if key.startswith(prefix)}


def reasons(world: ApiWorld) -> list[bytes]:
    topic = world.settings.topics_names.operations
    return [each.value or b"" for each in world.tables.records if each.topic == topic]


async def test_the_record_that_stops_a_partition_is_skipped_with_a_reason(
    world: ApiWorld,
) -> None:
    body = {"offset": 4, "reason": "no such schema"}
    answer = await world.send("POST", f"{PATH}/skip", body)
    assert (answer.status, answer.json["committed"]) == (202, 4)
    [(key, row)] = rows(world, "skip/").items()
    asked = read_skip(key, row)
    assert (asked.topic, asked.partition, asked.offset) == ("printprice.pricing", 0, 4)
    [event] = reasons(world)
    assert b"no such schema" in event
    assert b"token tok-admin" in event


@pytest.mark.parametrize(
    ("offset", "status", "said"),
    [(3, 409, "is settled"), (9, 422, "ends before 9"), (-1, 422, ""), (2**63, 422, "")],
)
async def test_a_record_that_does_not_stop_its_partition_is_not_skipped(
    world: ApiWorld, offset: int, status: int, said: str
) -> None:
    body = {"offset": offset, "reason": "no such schema"}
    answer = await world.send("POST", f"{PATH}/skip", body)
    assert (answer.status, answer.json["field"]) == (status, "offset")
    assert said in answer.json["detail"]
    assert rows(world, "skip/") == {}


async def test_a_partition_starts_elsewhere_only_as_it_was_when_it_was_looked_at(
    world: ApiWorld,
) -> None:
    seen = await world.send("GET", PATH)
    assert (seen.etag, seen.json["unsettled"]) == ('"4"', 5)
    body = {"at": "2026-11-23T00:00:00Z", "reason": "its records are gone"}
    moved = await world.send("POST", f"{PATH}/start", body, headers={"If-Match": '"3"'})
    assert (moved.status, moved.json["field"]) == (409, "if-match")
    assert rows(world, "start/") == {}
    answer = await world.send("POST", f"{PATH}/start", body, headers={"If-Match": seen.etag})
    assert answer.status == 202
    [(key, row)] = rows(world, "start/").items()
    assert (read_start(key, row).revision, json.loads(row)["at"]) == (
        1,
        "2026-11-23T00:00:00.000Z",
    )
    [event] = reasons(world)
    assert b"start at 2026-11-23T00:00:00.000Z. its records are gone" in event


@pytest.mark.parametrize("at", ["", "yesterday", "1969-01-01T00:00:00Z"])
async def test_a_partition_starts_at_an_end_or_at_a_time_and_nowhere_else(
    world: ApiWorld, at: str
) -> None:
    answer = await world.send(
        "POST", f"{PATH}/start", {"at": at, "reason": "x"}, headers={"If-Match": "*"}
    )
    assert (answer.status, answer.json["field"]) == (422, "at")


@pytest.mark.parametrize("number", ["1", "-1", "x", "9999999", "٣", "1.0"])
async def test_a_partition_that_is_not_read_is_not_there(world: ApiWorld, number: str) -> None:
    for method, path, body in (
        ("GET", "", None),
        ("POST", "/skip", {"offset": 4, "reason": "x"}),
        ("POST", "/start", {"at": "latest", "reason": "x"}),
    ):
        answer: Any = await world.send(
            method,
            f"/v1/partitions/printprice.pricing/{number}{path}",
            body,
            headers={"If-Match": "*"},
        )
        assert answer.status == 404
