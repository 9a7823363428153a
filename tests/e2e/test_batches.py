"""Partners that ask for batches get many events by few requests, and one that is refused delays no other."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from tests.e2e.world import EVENT_TYPE, Partner, World, until, until_accepted

from hookstream.core.delivery.identity import batch_id, delivery_id
from hookstream.receiver import BodySchema

pytestmark = pytest.mark.timeout(400)

COUNT = 60
KILLED_AFTER = 40
"""Events that are accepted before the worker is killed."""
REFUSALS = 6
"""How often one event is refused: by one search or several, and alone."""


async def test_batches_of_both_formats_are_what_was_agreed_and_the_audit_has_each_member(
    world: World,
) -> None:
    more = "content: {}\nformat: {}\nbatch: {{max_events: 25, max_wait: 200ms}}\n"
    plain = await world.subscribe("plain", more=more.format("full", "standard"))
    cloud = await world.subscribe("cloud", more=more.format("thin", "cloudevents"))
    agreed = await world.stage.hookstream("schemas", "jsonschema", EVENT_TYPE, "--batch")
    # Its library reads files when it is used first.
    schema = await asyncio.to_thread(BodySchema, json.loads(agreed))

    async def valid(batch: dict[str, Any], _: int) -> int:
        schema.check({"type": "hookstream.batch", **batch})
        return 204

    plain.answer(valid)
    await world.stage.start_worker()
    sent = await world.publish(COUNT)
    for partner in (plain, cloud):
        await until_accepted(partner, sent, 60)
    assert await world.stage.stop_worker() == 0

    for partner, name, media_type in (
        (plain, "plain", "application/json"),
        (cloud, "cloud", "application/cloudevents-batch+json"),
    ):
        assert partner.receiver.book.requests <= COUNT // 5
        assert {entry.media_type for entry in partner.receiver.book.entries} == {media_type}
        for webhook_id, events in batches(partner).items():
            assert len(events) <= 25
            assert webhook_id == batch_id([delivery_id(EVENT_TYPE, each, name) for each in events])
    one = cloud.bodies[sent[0].event_id]
    read = from_structured_event(
        HTTPMessage({"content-type": "application/cloudevents+json"}, json.dumps(one).encode())
    )
    assert (read.get_id(), read.get_type(), read.get_data()) == (
        sent[0].event_id,
        EVENT_TYPE,
        None,
    )
    webhook_id, events = max(batches(plain).items(), key=lambda each: len(each[1]))
    lines = await world.stage.hookstream("attempts", "list", "--delivery", webhook_id, "--json")
    audited = [json.loads(line) for line in lines.splitlines()]
    assert sorted(each["event_id"] for each in audited) == sorted(events)
    assert {each["batch_id"] for each in audited} == {webhook_id}


async def test_an_event_that_is_refused_comes_again_until_it_is_accepted_and_the_others_at_once(
    world: World,
) -> None:
    crm = await world.subscribe(
        "crm",
        more="batch: {max_events: 50, max_wait: 500ms}\n",
        schedule="[1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s]",
    )
    refused: Counter[str] = Counter()

    async def picky(batch: dict[str, Any], _: int) -> int:
        ids = [event["id"] for event in batch["events"]]
        if not refused:
            refused[ids[len(ids) // 3]] = 0
        for event_id in refused.keys() & {*ids}:
            refused[event_id] += 1
            return 422 if refused[event_id] <= REFUSALS else 204
        return 204

    crm.answer(picky)
    await world.stage.start_worker()
    sent = await world.publish(COUNT)
    await until_accepted(crm, sent, 60)
    await world.until_settled(60)

    assert crm.accepted == Counter(each.event_id for each in sent)
    [late] = refused
    first = [entry for entry in crm.receiver.book.entries if entry.event_id == late]
    assert [entry.status for entry in first] == [422] * REFUSALS + [204]
    assert await world.read("dead-letters") == []


@pytest.mark.timeout(400)
@pytest.mark.parametrize("picky", [False, True], ids=["in flight", "in a search"])
async def test_a_worker_killed_amid_batches_loses_nothing_and_repeats_what_was_unsettled(
    world: World,
    picky: bool,  # noqa: FBT001
) -> None:
    """The receiver verifies with a stock library and acts once on each event, whatever is repeated."""
    crm = await world.subscribe(
        "crm",
        schedule="[1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s]",
        more="batch: {max_events: 10, max_wait: 200ms}\nlimits: {max_in_flight: 2}\n",
    )
    refused: Counter[str] = Counter()
    killed = asyncio.Event()

    async def answer(batch: dict[str, Any], _: int) -> int:
        if len(crm.accepted) >= KILLED_AFTER:
            # However busy the machine is, the kill finds requests that have no answer yet.
            await killed.wait()
        ids = [event["id"] for event in batch["events"]]
        if picky and len(refused) < REFUSALS:
            refused[ids[-1]] += 0
        for event_id in refused.keys() & {*ids}:
            refused[event_id] += 1
        again = [each for each in refused.keys() & {*ids} if refused[each] <= REFUSALS]
        return 422 if again else 204

    crm.answer(answer)
    await world.stage.start_worker()
    sent = await world.publish(150)
    await until(lambda: len(crm.accepted) >= KILLED_AFTER, 60, lambda: crm.accepted)

    await world.stage.kill_worker()
    killed.set()

    unsettled = await world.unsettled()
    assert len(crm.accepted) < len(sent)
    await world.stage.start_worker()
    await until_accepted(crm, sent, 90)
    await world.until_settled(60)
    repeated = {event_id for event_id, times in crm.accepted.items() if times > 1}
    assert repeated <= unsettled
    assert crm.receiver.book.forged == 0
    assert crm.receiver.book.not_valid == []
    assert crm.acted == Counter(each.event_id for each in sent)
    assert await world.read("dead-letters") == []


def batches(partner: Partner) -> dict[str, list[str]]:
    """Return the events of each request by its webhook-id, in order."""
    found: dict[str, list[str]] = {}
    for entry in partner.receiver.book.entries:
        found.setdefault(entry.webhook_id, []).append(entry.event_id)
    return found
