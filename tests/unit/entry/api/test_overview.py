"""The overview and what waits, over the API: what operators and partners are shown of it."""

from dataclasses import replace
from typing import Any

import pytest
from tests.doubles.api import ApiWorld
from tests.doubles.clock import NOON

from hookstream.adapters.tables.holds_and_skips import hold_key, write_hold
from hookstream.core.access.scopes import Scope
from hookstream.core.jobs.job import Job
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.instant import HOUR, MINUTE
from hookstream.core.model.record import OutgoingRecord

LONG = "hookstream.retry.1h"


def waiting_in(world: ApiWorld, topic: str) -> None:
    """Let all that waits wait in one tier."""
    index = world.services.memory_index
    index.waiting[:] = [replace(each, topic=topic) for each in index.waiting]


def stalled(world: ApiWorld, job_id: str, subscription: str) -> None:
    job = Job(job_id, "replay", {"subscription": subscription}, NOON - HOUR, 9, 2, held_until=0)
    topic = world.settings.topics_names.jobs
    world.tables.write((), [OutgoingRecord(topic, job_id.encode(), job.encode())])


async def overview(world: ApiWorld, scope: Scope, query: str = "") -> Any:  # noqa: ANN401  JSON
    answer = await world.send("GET", f"/v1/overview{query}", token=world.tokens[scope])
    assert answer.status == 200, answer.content
    return answer.json


async def test_operators_see_how_all_is_going_and_what_needs_a_look(world: ApiWorld) -> None:
    world.services.stopped = replace(world.services.stopped, oldest=NOON - 3 * MINUTE)
    stalled(world, "replay-stuck", "crm")
    waiting_in(world, LONG)
    found = await overview(world, Scope.OPERATOR_READ)
    assert (found["asked_window"], found["step_seconds"], len(found["steps"])) == ("1h", 60, 61)
    assert (found["attempts"]["attempts"], found["attempts"]["failed"]) == (2, 2)
    assert found["attempts"]["p50_ms"] is not None
    assert found["attempts_per_minute"] == round(2 / 60, 3)
    assert [(each["subscription"], each["failed"]) for each in found["worst"]] == [
        ("crm", 1),
        ("theirs", 1),
    ]
    assert [(each["tier"], each["topic"], each["reasons"]) for each in found["tiers"]] == [
        ("1h", LONG, {"held": 1})
    ]
    assert found["dead_letters"] == [{"reason": "exhausted", "records": 2, "open": 0}]
    assert [(each["kind"], each["name"]) for each in found["holds"]["items"]] == [
        ("endpoint", "theirs")
    ]
    [partition] = found["partitions"]["items"]
    assert (found["partitions"]["count"], found["partitions"]["problem"]) == (1, None)
    assert partition["why"] == "its oldest event has not been settled for 3m"
    assert "replay-stuck" in [each["id"] for each in found["stalled_jobs"]["items"]]
    # Whose deliveries are suspended says nothing that the holds do not.
    assert found["suspended"] is None


async def test_a_partner_sees_its_own_and_of_a_hold_only_that_deliveries_are_suspended(
    world: ApiWorld,
) -> None:
    stalled(world, "replay-stuck", "crm")
    stalled(world, "replay-foreign", "theirs")
    waiting_in(world, LONG)
    hold = Hold(HoldKind.PARTNER, "acme", NOON, "hush-reason", "hush-who")
    subscriptions = world.settings.topics_names.subscriptions
    world.tables.put(subscriptions, hold_key(hold.kind, hold.name), write_hold(hold))
    found = await overview(world, Scope.PARTNER_READ)
    assert not {"holds", "partitions", "undecodable"} & set(found)
    assert "crm" in found["suspended"]["subscriptions"]
    assert found["suspended"]["count"] == len(found["suspended"]["subscriptions"])
    assert "theirs" not in found["suspended"]["subscriptions"]
    assert [each["subscription"] for each in found["worst"]] == ["crm"]
    assert found["attempts"]["attempts"] == 1
    assert found["dead_letters"] == [{"reason": "exhausted", "records": 1, "open": 0}]
    assert [(each["tier"], each["reasons"]) for each in found["tiers"]] == [
        ("1h", {"suspended": 1})
    ]
    ids = [each["id"] for each in found["stalled_jobs"]["items"]]
    assert ("replay-stuck" in ids, "replay-foreign" in ids) == (True, False)


async def test_an_overview_is_the_same_for_all_who_ask_within_a_second(world: ApiWorld) -> None:
    first = await overview(world, Scope.ADMIN)
    world.tables.now += 999
    assert await overview(world, Scope.ADMIN) == first
    world.tables.now += 1
    assert await overview(world, Scope.ADMIN) != first


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("overview?window=2h", "window"),
        ("pending/histogram?hours=0", "hours"),
        ("pending/histogram?hours=73", "hours"),
        ("pending/histogram?tier=soon", "tier"),
        ("pending?tier=soon", "tier"),
        ("pending?due_from=noon", "due_from"),
        ("pending?due_to=noon", "due_to"),
    ],
)
async def test_what_is_no_window_tier_or_time_is_refused_by_its_field(
    world: ApiWorld, query: str, field: str
) -> None:
    answer = await world.send("GET", f"/v1/{query}")
    assert (answer.status, answer.json["field"]) == (422, field)


@pytest.mark.parametrize("path", ["overview", "pending/histogram"])
async def test_anothers_subscription_is_as_absent_and_only_operators_name_a_partner(
    world: ApiWorld, path: str
) -> None:
    partner = world.tokens[Scope.PARTNER_READ]
    for name in ("theirs", "nothing"):
        answer = await world.send("GET", f"/v1/{path}?subscription={name}", token=partner)
        assert answer.status == 404
    refused = await world.send("GET", f"/v1/{path}?partner=rival", token=partner)
    assert refused.status in (403, 422)
    allowed = await world.send("GET", f"/v1/{path}?partner=rival")
    assert b'"crm"' not in allowed.content


async def test_what_waits_is_counted_for_the_next_hours_with_its_tiers(world: ApiWorld) -> None:
    waiting_in(world, LONG)
    answer = await world.send("GET", "/v1/pending/histogram?hours=1&tier=60m")
    found = answer.json
    assert (found["hours"], len(found["due"]), found["at"]) == (1, 60, "2026-11-24T12:00:00.000Z")
    first = found["due"][0]
    assert (first["at"], first["until"]) == (
        "2026-11-24T12:00:00.000Z",
        "2026-11-24T12:01:00.000Z",
    )
    assert first["tiers"] == [{"tier": "1h", "runs": 1}]
    assert {each["runs"] for each in found["due"][1:]} == {0}
    assert found["waiting"] == 1
    other = await world.send("GET", "/v1/pending/histogram?tier=5s")
    assert (other.json["waiting"], other.json["tiers"]) == (0, [])


async def test_a_partner_filters_what_is_suspended_by_the_word_that_it_is_shown(
    world: ApiWorld,
) -> None:
    partner = world.tokens[Scope.PARTNER_READ]

    async def wanted(reason: str, token: str) -> frozenset[str] | None:
        await world.send("GET", f"/v1/pending?reason={reason}", token=token)
        return world.services.memory_index.asked.reasons

    assert await wanted("suspended", partner) == frozenset({"held"})
    assert await wanted("retry", partner) == frozenset({"retry"})
    assert await wanted("held", partner) == frozenset({""})
    assert await wanted("held", world.tokens[Scope.ADMIN]) == frozenset({"held"})


async def test_a_list_of_what_waits_takes_the_interval_of_a_bar(world: ApiWorld) -> None:
    found = await world.send("GET", "/v1/pending/histogram?hours=6")
    bar = found.json["due"][3]
    query = f"due_from={bar['at']}&due_to={bar['until']}&tier=1h"
    assert (await world.send("GET", f"/v1/pending?{query}")).status == 200
    asked = world.services.memory_index.asked
    assert (asked.due_from, asked.due_before) == (NOON + 15 * MINUTE, NOON + 20 * MINUTE)
    assert asked.tiers == frozenset({LONG})
