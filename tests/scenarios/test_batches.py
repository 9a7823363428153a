"""Several deliveries go out in one request, and each of them is settled alone."""

import json
from dataclasses import replace

from tests.doubles.endpoint import Behaviour, status
from tests.scenarios.world import World

from hookstream.core.delivery.identity import batch_id, delivery_id
from hookstream.core.model.outcome import Answer, Response
from hookstream.core.model.subscription import Batch, BodyFormat, Subscription
from hookstream.pipeline.ports import Post


def subscribe(
    world: World, name: str, events: int, body_format: BodyFormat = BodyFormat.STANDARD
) -> Subscription:
    subscription = replace(world.subscribe(name), batch=Batch(events, 500), format=body_format)
    world.directory.put_subscription(subscription)
    return subscription


def ids(post: Post) -> list[str]:
    return [event["id"] for event in json.loads(post.body)["events"]]


def refuses(*events: str) -> Behaviour:
    async def behave(post: Post) -> Answer:
        return Response(400 if set(events) & set(ids(post)) else 204)

    return behave


async def test_what_waits_goes_out_in_one_request_whose_id_is_made_of_its_members() -> None:
    async with World() as world:
        subscribe(world, "crm", 100)
        await world.worker()
        for number in range(5):
            world.publish(f"e{number}")
        await world.until(world.settled)

        (request,) = world.endpoints.accepted("crm")
        headers = dict(request.post.headers)
        members = [delivery_id("pricing.completed", event, "crm") for event in ids(request.post)]
        assert sorted(ids(request.post)) == ["e0", "e1", "e2", "e3", "e4"]
        assert headers["webhook-id"] == batch_id(members)
        assert "hookstream-attempt" not in headers


async def test_of_a_refused_batch_all_arrive_but_the_one_that_it_was_refused_for() -> None:
    async with World() as world:
        subscribe(world, "crm", 100)
        world.endpoints.script("crm", refuses("e3"))
        await world.worker()
        for number in range(8):
            world.publish(f"e{number}")
        await world.until(lambda: len(arrived(world)) == 7)

        assert arrived(world) == {f"e{number}" for number in range(8) if number != 3}
        assert len(world.endpoints.requests) <= 5


def arrived(world: World) -> set[str]:
    return {event for request in world.endpoints.accepted("crm") for event in ids(request.post)}


async def test_after_a_failure_each_member_is_retried_by_its_own_schedule() -> None:
    async with World() as world:
        subscribe(world, "crm", 100)
        world.endpoints.script("crm", status(500), status(204))
        await world.worker()
        for number in range(3):
            world.publish(f"e{number}")
        await world.until(world.settled)

        assert arrived(world) == {"e0", "e1", "e2"}
