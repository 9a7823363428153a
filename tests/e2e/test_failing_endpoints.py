"""A failing endpoint: retries are never early, dead letters can be redriven, 410 disables."""

import asyncio
import json
from typing import Any

import pytest
from tests.e2e.world import World, take_nothing, until, until_accepted, until_status

pytestmark = pytest.mark.timeout(400)


async def test_a_delivery_goes_through_its_tiers_to_a_dead_letter_and_back(world: World) -> None:
    crm = await world.subscribe("crm", schedule="[1s, 2s]")
    is_up = False

    async def down(_: object, __: int) -> int:
        return 204 if is_up else 500

    crm.answer(down)
    await world.stage.start_worker()
    [sent] = await world.publish(1)
    await until(lambda: len(crm.statuses) == 3, 60, lambda: crm.statuses)
    await world.until_settled(60)

    # Never early, by the broker's own times: the whole delay lies between a record and its attempt.
    hops = [*await world.read("retry.1s"), *await world.read("retry.2s")]
    retries = crm.receiver.book.entries[1:]
    waited = [made.at * 1_000 - hop.timestamp for hop, made in zip(hops, retries, strict=True)]
    assert [
        (hop.headers["hs-attempt"], ms >= delay)
        for hop, ms, delay in zip(hops, waited, (1_000, 2_000), strict=True)
    ] == [("1", True), ("2", True)]
    [dead_letter] = await world.read("dead-letters")
    assert {
        name: dead_letter.headers[name]
        for name in ("hs-event-id", "hs-subscription-id", "hs-attempt", "hs-last-status")
    } == {
        "hs-event-id": sent.event_id,
        "hs-subscription-id": "crm",
        "hs-attempt": "3",
        "hs-last-status": "500",
    }
    trace_id = sent.traceparent.split("-")[1]
    assert {hop.headers["traceparent"].split("-")[1] for hop in [*hops, dead_letter]} == {trace_id}

    before = await world.ask("dlq", "list")
    assert (before["open"], before["redriven"]) == (1, 0)
    is_up = True
    await world.stage.hookstream("dlq", "redrive", "--subscription", "crm", "--yes")
    await until_accepted(crm, [sent], 60)
    last = crm.receiver.book.entries[-1]
    assert (last.attempt, last.trigger, last.status) == (4, "redrive", 204)
    assert len({entry.webhook_id for entry in crm.receiver.book.entries}) == 1
    after = await world.ask("dlq", "list")
    assert (after["open"], after["redriven"]) == (0, 1)


async def test_a_gone_endpoint_is_not_attempted_until_it_is_enabled(world: World) -> None:
    crm = await world.subscribe("crm")

    async def gone(_: object, __: int) -> int:
        return 410

    crm.answer(gone)
    await world.stage.start_worker()
    [died] = await world.publish(1)
    await until_status(crm, 410, 10)
    await world.until_settled(60)
    [found] = await world.ask("subscriptions", "list")
    assert (found["state"], found["reason"]) == ("disabled", "gone")
    [dead_letter] = await world.read("dead-letters")
    assert (dead_letter.headers["hs-event-id"], dead_letter.headers["hs-reason"]) == (
        died.event_id,
        "gone",
    )

    crm.answer(None)
    [in_gap] = await world.publish(1)
    await world.until_settled(60)

    await world.stage.hookstream("subscriptions", "enable", "crm", "--no-replay", "--no-redrive")

    sent = await world.publish(3)
    await until_accepted(crm, sent, 60)
    assert sorted(crm.statuses) == [204, 204, 204, 410]
    assert in_gap.event_id not in crm.accepted
    [enabled] = await world.ask("subscriptions", "list")
    assert enabled["state"] == "active"


async def test_an_operator_skips_a_record_that_stops_its_partition(world: World) -> None:
    """Nothing else ever skips a record, and the operations topic shows who did."""
    crm = await world.subscribe("crm", schedule="[]")

    async def refuse(_: object, __: int) -> int:
        return 500

    crm.answer(refuse)
    await asyncio.to_thread(take_nothing, world.stage.servers, f"{world.prefix}.dead-letters")
    await world.stage.start_worker()
    [lost] = await world.publish(1)
    await until_status(crm, 500, 20)

    def stopped() -> dict[str, Any]:
        for line in world.stage.log.read_text().splitlines():
            if '"partition.stopped"' in line and line.startswith("{"):
                found: dict[str, Any] = json.loads(line)
                return found
        return {}

    await until(lambda: bool(stopped()), 60, world.stage.log.read_text)
    line = stopped()
    place = f"{line['topic']}/{line['partition']}"
    assert f"hookstream partition skip {place} {line['offset']}" in line["remedy"]

    await world.stage.hookstream("partition", "skip", place, str(line["offset"]), "--reason", "A1")

    await world.until_settled(60)
    crm.answer(None)
    await until_accepted(crm, await world.publish(6), 60)
    assert lost.event_id not in crm.accepted
    [found] = [entry for entry in await world.read("operations") if entry.key == place.encode()]
    assert found.value is not None
    assert b"A1" in found.value
