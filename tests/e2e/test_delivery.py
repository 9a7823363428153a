"""An event that a service publishes reaches a partner who verifies it, under one trace."""

import pytest
from tests.e2e.world import EVENT_TYPE, World, until_accepted

pytestmark = pytest.mark.timeout(90)

GARBAGE = b"not an event at all"


async def test_an_event_reaches_a_verified_partner_under_one_trace(world: World) -> None:
    """A support engineer searches for the trace id that the publishing service logged."""
    crm = await world.subscribe("crm")
    await world.stage.start_worker()
    [sent] = await world.publish(1)
    await until_accepted(crm, [sent], 10)
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


async def test_a_record_that_is_not_an_event_is_listed_and_the_stream_continues(
    world: World,
) -> None:
    """One program that writes invalid records must not block the records of others."""
    crm = await world.subscribe("crm")
    await world.stage.start_worker()
    await world.publish_bytes(GARBAGE)
    sent = await world.publish(6)
    await until_accepted(crm, sent, 10)
    await world.until_settled(10)

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
    await until_accepted(crm, sent, 20)

    assert await world.group_types() == {"CLASSIC"}
    assert sorted(crm.statuses) == [204] * 6 + [503]
    assert await world.stage.stop_worker() == 0
