"""An event that a service publishes reaches a partner who verifies it, under one trace."""

import json

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from tests.e2e.world import EVENT_TYPE, World, until_accepted

pytestmark = pytest.mark.timeout(400)

GARBAGE = b"not an event at all"


async def test_an_event_reaches_a_verified_partner_under_one_trace(world: World) -> None:
    """A support engineer searches for the trace id that the publishing service logged."""
    crm = await world.subscribe("crm")
    await world.stage.start_worker()
    [sent] = await world.publish(1)
    await until_accepted(crm, [sent], 60)
    assert await world.stage.stop_worker() == 0

    body = crm.bodies[sent.event_id]
    keys = ["type", "version", "timestamp", "id", "environment", "entity_id", "data"]
    assert list(body) == keys
    assert (body["type"], body["version"], body["id"]) == (EVENT_TYPE, 1, sent.event_id)
    assert (crm.statuses, crm.receiver.book.forged) == ([204], 0)

    _, trace_id, producer_span, _ = sent.traceparent.split("-")
    spans = {span["span_id"]: span for span in world.stage.read_spans()}
    [post] = [span for span in spans.values() if span["name"] == "POST"]
    process = spans[post["parent_span_id"]]
    assert (process["name"], process["parent_span_id"]) == (
        f"process {world.topic}",
        producer_span,
    )
    # What `apply` published on the operations topic is processed too, in separate traces.
    ours = f"process {world.prefix}.operations"
    assert {span["trace_id"] for span in spans.values() if span["name"] != ours} == {trace_id}


async def test_each_partner_gets_the_body_that_its_file_asks_for(world: World) -> None:
    world.stage.environ["E2E_DESK_KEY"] = "hush-hush"
    template = """\
format: template
template:
  id: <$.id>
  text: "<$.type|slack>: <$.data.currency>"
  prices: <$.data.breaks>
  desk: {secret: desk}
template_secrets:
  desk: {env: E2E_DESK_KEY}
"""
    full = await world.subscribe("full")
    thin = await world.subscribe("thin", more="content: thin\n")
    cloud = await world.subscribe("cloud", more="format: cloudevents\n")
    own = await world.subscribe("own", more=template)
    await world.stage.start_worker()
    [sent] = await world.publish(1)
    for partner in (full, thin, cloud, own):
        await until_accepted(partner, [sent], 60)
    assert await world.stage.stop_worker() == 0

    standard = full.bodies[sent.event_id]
    data = standard.pop("data")
    assert thin.bodies[sent.event_id] == standard
    read = from_structured_event(
        HTTPMessage(
            {"content-type": "application/cloudevents+json"},
            json.dumps(cloud.bodies[sent.event_id]).encode(),
        )
    )
    assert (read.get_id(), read.get_type(), read.get_data()) == (sent.event_id, EVENT_TYPE, data)
    assert own.bodies[sent.event_id] == {
        "id": sent.event_id,
        "text": f"{EVENT_TYPE}: {data['currency']}",
        "prices": data["breaks"],
        "desk": "hush-hush",
    }
    shown = await world.stage.hookstream("subscriptions", "show", "own")
    assert "(not shown) env:E2E_DESK_KEY" in shown
    for topic in ("subscriptions", "attempts", "operations"):
        records = await world.read(topic)
        assert records
        assert "hush-hush" not in repr(records)


async def test_a_record_that_is_not_an_event_is_listed_and_the_stream_continues(
    world: World,
) -> None:
    """One program that writes invalid records must not block the records of others."""
    crm = await world.subscribe("crm")
    await world.stage.start_worker()
    await world.publish_bytes(GARBAGE)
    sent = await world.publish(6)
    await until_accepted(crm, sent, 60)
    await world.until_settled(60)

    listed = await world.ask("undecodable", "list")

    [aside] = await world.read("undecodable")
    assert (aside.value, aside.headers["hs-origin-topic"]) == (GARBAGE, world.topic)
    [group] = listed["groups"]
    assert (group["letters"], group["origin_topic"], group["reason"]) == (
        1,
        world.topic,
        "not_framed",
    )


async def test_groups_of_the_classic_protocol_deliver_and_retry(world: World) -> None:
    """A cluster without KIP-848 needs one setting and no more."""
    world.stage.environ["HOOKSTREAM_KAFKA__GROUP_PROTOCOL"] = "classic"
    crm = await world.subscribe("crm")

    async def down_at_first(_: object, before: int) -> int:
        return 503 if before == 0 else 204

    crm.answer(down_at_first)
    await world.stage.start_worker()
    sent = await world.publish(6)
    await until_accepted(crm, sent, 60)

    assert await world.group_types() == {"CLASSIC"}
    assert sorted(crm.statuses) == [204] * 6 + [503]
    assert await world.stage.stop_worker() == 0
