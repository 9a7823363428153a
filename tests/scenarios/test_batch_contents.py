"""A batch has what its lane holds, in one body, within its bounds, and no delivery waits longer than it may."""

import asyncio
import datetime as dt
import json
from dataclasses import replace

import pytest
from standardwebhooks import Webhook
from tests.doubles.batch_bodies import (
    CLOUDEVENTS,
    STANDARD,
    batch_id,
    delivery_ids,
    event_ids,
    is_batch,
    members_of,
)
from tests.doubles.codec import json_record
from tests.doubles.endpoint import QUICK_ANSWER, Switch, status
from tests.scenarios.batching import OTHER_TYPE, attempts, audit, batching, named, sent, starts
from tests.scenarios.test_large_events import watched
from tests.scenarios.world import EVENT_TYPE, EVENTS, TIERS, World

from hookstream.core.model.event import LARGE
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.instant import HOUR, SECOND
from hookstream.core.model.record import TopicPartition
from hookstream.core.model.subscription import (
    Batch,
    BodyFormat,
    Content,
    Grant,
    Partner,
    SubscriptionState,
)
from hookstream.pipeline.engine import EngineRules

SOON = 0.05
"""Seconds within which a record is taken and its request is made."""
QUICK = status(204, after=QUICK_ANSWER)


def at(timestamp: str) -> dt.datetime:
    """Return the instant of a `webhook-timestamp`."""
    return dt.datetime.fromtimestamp(int(timestamp), dt.UTC)


def publish_other(world: World, *ids: str) -> None:
    """Append events of the second type."""
    world.codec.publish(OTHER_TYPE)
    for each in ids:
        outgoing = json_record(OTHER_TYPE, each, topic=EVENTS)
        world.broker.append(EVENTS, outgoing.value, key=each.encode())


# When it goes out.


async def test_a_batch_goes_out_as_soon_as_it_is_full() -> None:
    async with World() as world:
        batching(world, "crm", max_events=3, max_wait=500)
        await world.worker()
        world.publish("e0", "e1", "e2")
        await world.until(world.settled, step=0.01)

        assert sent(world, "crm") == [["e0", "e1", "e2"]]
        assert starts(world, "crm")[0] < SOON


async def test_a_batch_that_is_not_full_goes_out_when_its_oldest_delivery_has_waited() -> None:
    async with World() as world:
        batching(world, "crm", max_events=3, max_wait=500)
        await world.worker()
        world.publish("e0")
        await asyncio.sleep(0.3)
        world.publish("e1")
        await world.until(world.settled, step=0.01)

        assert sent(world, "crm") == [["e0", "e1"]]
        assert 0.5 <= starts(world, "crm")[0] < 0.5 + SOON


@pytest.mark.parametrize("max_wait", [0, 100, 500])
async def test_no_delivery_waits_longer_than_the_wait_of_a_batch(max_wait: int) -> None:
    async with World() as world:
        batching(world, "crm", max_events=1_000, max_wait=max_wait)
        world.endpoints.script("crm", QUICK)
        await world.worker()
        published: dict[str, float] = {}
        for each in named(60):
            published[each] = asyncio.get_running_loop().time()
            world.publish(each)
            await asyncio.sleep(0.03)
        await world.until(world.settled)

        waited = [
            request.at - published[each]
            for request in world.endpoints.to("crm")
            for each in event_ids(request.post)
        ]
        assert len(waited) == 60
        assert max(waited) <= max_wait / 1000 + SOON
        # As few requests as the wait allows, a slot being free all the time.
        assert len(starts(world, "crm")) <= 60 * 30 / max(max_wait, 30) + 1


async def test_without_a_wait_a_batch_has_what_was_queued_while_no_slot_was_free() -> None:
    async with World() as world:
        batching(world, "crm", max_wait=0, max_in_flight=1)
        world.endpoints.script("crm", status(204, after=0.3))
        await world.worker()
        world.publish("e0")
        await asyncio.sleep(0.1)
        world.publish("e1", "e2")
        await asyncio.sleep(0.1)
        world.publish("e3")
        await world.until(world.settled)

        assert sent(world, "crm") == [["e0"], ["e1", "e2", "e3"]]


async def test_a_backlog_goes_out_in_full_batches_the_oldest_first() -> None:
    async with World() as world:
        batching(world, "crm", max_events=10, max_wait=500, max_in_flight=1)
        world.endpoints.script("crm", QUICK)
        await world.worker()
        world.publish(*named(45))
        await world.until(world.settled)

        events = named(45)
        assert sent(world, "crm") == [events[at : at + 10] for at in range(0, 45, 10)]
        assert world.tier_writes() == []


async def test_requests_in_flight_are_bounded_whatever_number_of_deliveries_they_have() -> None:
    async with World() as world:
        batching(world, "crm", max_events=5, max_wait=0, max_in_flight=2)
        world.endpoints.script("crm", status(204, after=0.2))
        await world.worker()
        world.publish(*named(60))
        await world.until(world.settled)

        assert world.endpoints.peak_in_flight["crm"] == 2
        assert max(len(each) for each in sent(world, "crm")) == 5
        assert world.accepted("crm") == dict.fromkeys(named(60), 1)


async def test_first_attempts_and_due_retries_share_a_batch() -> None:
    async with World() as world:
        batching(world, "crm", max_wait=500, schedule=(5 * SECOND,))
        world.endpoints.script("crm", status(500), status(204))
        await world.worker()
        world.publish("e0", "e1")
        await world.until(lambda: len(starts(world, "crm")) == 1, step=0.01)
        await asyncio.sleep(5.2)
        world.publish("e2")
        await world.until(world.settled)

        first, second = sent(world, "crm")
        assert first == ["e0", "e1"]
        assert sorted(second) == ["e0", "e1", "e2"]
        assert attempts(world, "crm") == {
            "e0": [(1, "failed", "retry"), (2, "delivered", "complete")],
            "e1": [(1, "failed", "retry"), (2, "delivered", "complete")],
            "e2": [(1, "delivered", "complete")],
        }


async def test_a_retry_that_is_due_waits_for_no_others_longer_than_a_first_attempt() -> None:
    async with World() as world:
        batching(world, "crm", max_wait=500, schedule=(5 * SECOND,))
        world.endpoints.script("crm", status(500), status(204))
        await world.worker()
        world.publish("e0")
        await world.until(world.settled, step=0.01)

        first, second = starts(world, "crm")
        # The schedule's delay, jitter of half a tenth, and the wait of a batch.
        assert 5.75 <= second - first < 5.75 + 2 * SOON


# What is in it.


async def test_also_a_single_delivery_has_the_body_of_a_batch() -> None:
    async with World() as world:
        batching(world, "crm")
        await world.worker()
        world.publish("e0", data={"n": 1})
        await world.until(world.settled)

        [request] = world.endpoints.to("crm")
        assert json.loads(request.post.body) == {
            "type": "hookstream.batch",
            "events": [
                {
                    "type": EVENT_TYPE,
                    "version": 1,
                    "timestamp": "2025-11-24T16:00:00.000000Z",
                    "id": "e0",
                    "environment": "production",
                    "entity_id": "job-1",
                    "data": {"n": 1},
                }
            ],
        }
        assert request.header("content-type") == STANDARD


async def test_a_batch_of_cloudevents_is_an_array_with_a_media_type_of_its_own() -> None:
    async with World() as world:
        batching(world, "crm", body_format=BodyFormat.CLOUDEVENTS)
        await world.worker()
        world.publish("e0", "e1", data={"n": 1})
        await world.until(world.settled)

        [request] = world.endpoints.to("crm")
        body = json.loads(request.post.body)
        assert [(each["specversion"], each["id"], each["data"]) for each in body] == [
            ("1.0", "e0", {"n": 1}),
            ("1.0", "e1", {"n": 1}),
        ]
        assert request.header("content-type") == CLOUDEVENTS


@pytest.mark.parametrize("body_format", [BodyFormat.STANDARD, BodyFormat.CLOUDEVENTS])
@pytest.mark.parametrize("content", [Content.FULL, Content.THIN])
async def test_each_member_has_the_bytes_that_it_would_have_alone(
    body_format: BodyFormat, content: Content
) -> None:
    async with World() as world:
        batching(world, "crm", body_format=body_format, content=content)
        single = replace(world.subscribe("single"), format=body_format, content=content)
        world.directory.put_subscription(single)
        await world.worker()
        world.publish("e0", "e1", data={"price": "1.50", "name": "Zoë"})
        await world.until(world.settled)

        [request] = world.endpoints.to("crm")
        alone = [each.post.body for each in world.endpoints.to("single")]
        assert members_of(request.post) == [json.loads(each) for each in alone]
        for each in alone:
            assert each in request.post.body
        assert [each["request_bytes"] for each in audit(world, "crm")] == [
            len(each) for each in alone
        ]


async def test_a_batch_has_the_id_of_its_members_and_no_header_of_an_attempt() -> None:
    async with World() as world:
        batching(world, "crm")
        await world.worker()
        world.publish("e0", "e1", "e2")
        await world.until(world.settled)

        [request] = world.endpoints.to("crm")
        assert request.header("webhook-id") == batch_id(delivery_ids(request.post))
        assert request.header("hookstream-attempt") is None
        assert request.header("hookstream-trigger") is None
        assert {each["batch_id"] for each in audit(world, "crm")} == {request.header("webhook-id")}


async def test_a_stock_library_verifies_a_batch() -> None:
    async with World() as world:
        subscription = batching(world, "crm")
        await world.worker()
        world.publish("e0", "e1")
        await world.until(world.settled)

        [request] = world.endpoints.to("crm")
        # Its age is not what is tested: virtual time is not the library's.
        key = subscription.endpoint.secrets[0].key
        post, headers = request.post, dict(request.post.headers)
        signed = Webhook(key).sign(
            headers["webhook-id"], at(headers["webhook-timestamp"]), post.body.decode()
        )
        assert headers["webhook-signature"] == signed


async def test_equal_members_in_equal_order_have_an_equal_id_and_any_others_another() -> None:
    async with World() as world:
        batching(world, "crm", schedule=(5 * SECOND,) * 2)
        world.endpoints.script("crm", status(500), status(500), status(204))
        await world.worker()
        world.publish("e0", "e1", "e2")
        await world.until(lambda: len(starts(world, "crm")) == 2)
        world.publish("e3")
        await world.until(world.settled)

        ids = {
            (*event_ids(each.post),): each.header("webhook-id")
            for each in world.endpoints.to("crm")
        }
        requests = world.endpoints.to("crm")
        assert event_ids(requests[0].post) == event_ids(requests[1].post)
        assert requests[0].header("webhook-id") == requests[1].header("webhook-id")
        assert len(set(ids.values())) == len(ids) > 1


async def test_no_delivery_id_is_twice_in_a_batch() -> None:
    """Two events with one id are two deliveries with one id, which a receiver takes for one."""
    async with World() as world:
        batching(world, "crm", max_in_flight=1)
        await world.worker()
        for number in range(3):
            world.publish("e0", data={"n": number})
        world.publish("e1")
        await world.until(world.settled)

        for each in sent(world, "crm"):
            assert len(each) == len(set(each))
        bodies = [m for each in world.endpoints.to("crm") for m in members_of(each.post)]
        assert sorted(each["data"].get("n", 9) for each in bodies) == [0, 1, 2, 9]


@pytest.mark.parametrize("body_format", [BodyFormat.STANDARD, BodyFormat.CLOUDEVENTS])
async def test_a_body_is_at_most_as_large_as_any_with_what_is_around_its_members(
    body_format: BodyFormat,
) -> None:
    async with World() as world:
        batching(world, "crm", body_format=body_format)
        single = replace(world.subscribe("single"), format=body_format)
        world.directory.put_subscription(single)
        await world.worker(EngineRules(tiers=TIERS, max_body_bytes=2_000))
        events = named(20)
        world.publish(*events, data={"x": "x" * 300})
        await world.until(world.settled)

        sizes = [len(each.post.body) for each in world.endpoints.to("crm")]
        one = max(len(each.post.body) for each in world.endpoints.to("single"))
        assert max(sizes) <= 2_000
        # But for the last, each is as full as it can be.
        assert sorted(sizes)[1] + one + 1 > 2_000
        assert world.accepted("crm") == dict.fromkeys(events, 1)


async def test_a_delivery_that_does_not_fit_alone_with_what_is_around_it_is_refused() -> None:
    async with World() as world:
        batching(world, "crm")
        world.subscribe("single")
        await world.worker(EngineRules(tiers=TIERS, max_body_bytes=2_000))
        world.publish("e0", data={"x": ""})
        await world.until(world.settled)
        [first] = world.endpoints.to("crm")
        room = 2_000 - len(first.post.body)
        world.publish("e1", data={"x": "x" * room})
        world.publish("e2", data={"x": "x" * (room + 1)})
        await world.until(world.settled)

        assert world.accepted("crm") == {"e0": 1, "e1": 1}
        assert world.accepted("single") == {"e0": 1, "e1": 1, "e2": 1}
        assert world.dead() == [("crm", "e2", "body_too_large")]
        assert len(world.endpoints.to("crm")[1].post.body) == 2_000


async def test_the_body_of_a_large_member_is_made_beside_the_event_loop() -> None:
    async with World() as world:
        _, codec = watched(world)
        batching(world, "crm")
        await world.worker()
        world.publish("e0")
        world.publish("e1", data={"load": LARGE + 1})
        world.publish("e2")
        await world.until(world.settled)

        assert world.accepted("crm") == dict.fromkeys(["e0", "e1", "e2"], 1)
        assert sorted(beside for step, beside in codec.steps if step == "encode") == [
            False,
            False,
            True,
        ]
        assert {each["attempt"] for each in audit(world, "crm")} == {1}


# What is asked when it is made.


async def test_a_grant_is_asked_for_each_member_when_the_batch_is_made() -> None:
    async with World() as world:
        batching(world, "crm", max_wait=500)
        await world.worker()
        world.publish("e0", data={"n": 1})
        world.publish("e1", data={"n": 2})
        await asyncio.sleep(0.2)
        grant = Grant(("*",), ("*",), {"data": {"n": [2]}})
        world.directory.put_partner(Partner("acme", "Acme", grant))
        await world.until(world.settled)

        assert sent(world, "crm") == [["e1"]]
        assert world.dead() == [("crm", "e0", "not_granted")]


async def test_a_hold_is_asked_for_each_member_when_the_batch_is_made() -> None:
    async with World() as world:
        batching(world, "crm", max_wait=500)
        await world.worker()
        world.publish("e0")
        publish_other(world, "e1")
        world.publish("e2")
        await asyncio.sleep(0.2)
        world.directory.holds.put(Hold(HoldKind.EVENT_TYPE, OTHER_TYPE, world.clock.now(), "stop"))
        await asyncio.sleep(2)
        held = sent(world, "crm")
        world.directory.holds.drop(HoldKind.EVENT_TYPE, OTHER_TYPE)
        await world.until(world.settled)

        assert held == [["e0", "e2"]]
        assert sent(world, "crm") == [["e0", "e2"], ["e1"]]
        assert attempts(world, "crm")["e1"] == [(1, "delivered", "complete")]


async def test_a_subscription_that_is_deleted_while_its_batch_waits_gets_nothing() -> None:
    async with World() as world:
        subscription = batching(world, "crm", max_wait=500)
        await world.worker()
        world.publish("e0", "e1")
        await asyncio.sleep(0.2)
        world.directory.put_subscription(replace(subscription, state=SubscriptionState.DELETED))
        await world.until(world.settled)

        assert sent(world, "crm") == []
        assert [each["disposition"] for each in audit(world, "crm")] == ["cancel", "cancel"]


async def test_a_subscription_that_is_paused_while_its_batch_waits_gets_it_once_it_is_resumed() -> (
    None
):
    async with World() as world:
        subscription = batching(world, "crm", max_wait=500)
        await world.worker()
        world.publish("e0", "e1")
        await asyncio.sleep(0.2)
        world.directory.put_subscription(replace(subscription, state=SubscriptionState.PAUSED))
        await asyncio.sleep(HOUR / 1000)
        paused = sent(world, "crm")
        world.directory.put_subscription(subscription)
        await world.until(world.settled)

        assert paused == []
        assert sent(world, "crm") == [["e0", "e1"]]
        assert {each["attempt"] for each in audit(world, "crm")} == {1}


async def test_the_version_of_each_member_is_that_of_the_moment_when_the_batch_is_made() -> None:
    async with World() as world:
        world.codec.publish(EVENT_TYPE, 2)
        subscription = batching(world, "crm", max_wait=500)
        await world.worker()
        world.publish("e0", "e1")
        await asyncio.sleep(0.2)
        world.directory.put_subscription(replace(subscription, versions={EVENT_TYPE: 2}))
        await world.until(world.settled)

        [request] = world.endpoints.to("crm")
        assert [each["version"] for each in members_of(request.post)] == [2, 2]


async def test_a_member_that_cannot_be_rendered_is_dead_lettered_and_the_others_are_sent() -> None:
    async with World() as world:
        batching(world, "crm")
        await world.worker()
        world.publish("e0")
        world.publish("e1", data={"not_renderable": True})
        world.publish("e2")
        await world.until(world.settled)

        assert sent(world, "crm") == [["e0", "e2"]]
        assert world.dead() == [("crm", "e1", "not_renderable")]


async def test_members_of_several_types_and_partitions_settle_each_on_its_own() -> None:
    async with World(partitions=3) as world:
        batching(world, "crm")
        await world.worker()
        for partition in range(3):
            world.publish(f"e{partition}", partition=partition)
        await world.until(world.settled, within=5)

        [request] = world.endpoints.to("crm")
        assert sorted(event_ids(request.post)) == ["e0", "e1", "e2"]
        commits = world.broker.commits["hookstream"]
        assert [commits[TopicPartition(EVENTS, n)] for n in range(3)] == [1, 1, 1]


async def test_a_subscription_that_changes_to_batches_and_back_loses_and_repeats_nothing() -> None:
    async with World() as world:
        batches = batching(world, "crm", max_events=10, max_in_flight=1)
        single = replace(batches, batch=None)
        world.directory.put_subscription(single)
        world.endpoints.script("crm", status(204, after=0.1))
        await world.worker()
        world.publish(*named(60))
        for subscription in (batches, single, batches):
            await asyncio.sleep(1.5)
            world.directory.put_subscription(subscription)
        await world.until(world.settled)

        assert world.accepted("crm") == dict.fromkeys(named(60), 1)
        shapes = [is_batch(each.post) for each in world.endpoints.to("crm")]
        assert set(shapes) == {True, False}
        for request in world.endpoints.to("crm"):
            assert is_batch(request.post) is (request.header("hookstream-attempt") is None)
        assert {each["attempt"] for each in audit(world, "crm")} == {1}


async def test_a_batch_that_waits_when_its_subscription_becomes_single_goes_out_one_by_one() -> (
    None
):
    async with World() as world:
        batches = batching(world, "crm", max_wait=500)
        await world.worker()
        world.publish("e0", "e1")
        await asyncio.sleep(0.2)
        world.directory.put_subscription(replace(batches, batch=None))
        await world.until(world.settled, within=30)

        assert sorted(sent(world, "crm")) == [["e0"], ["e1"]]
        assert not any(is_batch(each.post) for each in world.endpoints.to("crm"))


async def test_a_smaller_batch_applies_to_what_waits_already() -> None:
    async with World() as world:
        batches = batching(world, "crm", max_events=100, max_in_flight=1)
        switch = Switch(status(204, after=2))
        world.endpoints.script("crm", switch)
        await world.worker()
        world.publish("e0")
        await asyncio.sleep(0.5)
        world.publish(*named(20, "f"))
        await asyncio.sleep(0.1)
        switch.behaviour = QUICK
        world.directory.put_subscription(replace(batches, batch=Batch(5, 0)))
        await world.until(world.settled)

        assert max(len(each) for each in sent(world, "crm")) == 5
        assert world.accepted("crm") == dict.fromkeys(["e0", *named(20, "f")], 1)
