"""Each subscription gets its own format of body, all of them from one rendering of the event."""

import json
from dataclasses import replace
from typing import Any

from tests.doubles.endpoint import status
from tests.scenarios.test_large_events import watched
from tests.scenarios.world import EVENT_TYPE, TIERS, World

from hookstream.core.model.event import LARGE
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.subscription import (
    BodyFormat,
    Content,
    Grant,
    Partner,
    Secret,
    Subscription,
)
from hookstream.pipeline.engine import EngineRules

DATA: JsonObject = {"order_number": 4711, "who": "<!here>"}
TEMPLATE: Json = {"text": "Order <$.data.order_number>", "who": "<$.data.who|slack>"}


def subscribe(
    world: World,
    name: str,
    body_format: BodyFormat = BodyFormat.STANDARD,
    content: Content = Content.FULL,
    template: Json = None,
) -> Subscription:
    subscription = replace(
        world.subscribe(name), format=body_format, content=content, template=template
    )
    world.directory.put_subscription(subscription)
    return subscription


def bodies(world: World, name: str) -> list[Any]:
    return [json.loads(request.post.body) for request in world.endpoints.accepted(name)]


async def test_every_format_is_made_of_one_rendering() -> None:
    async with World() as world:
        _, codec = watched(world)
        subscribe(world, "full")
        subscribe(world, "thin", content=Content.THIN)
        subscribe(world, "cloud", BodyFormat.CLOUDEVENTS)
        subscribe(world, "cloud-thin", BodyFormat.CLOUDEVENTS, Content.THIN)
        subscribe(world, "own", BodyFormat.TEMPLATE, template=TEMPLATE)
        await world.worker()
        world.publish("e1", data={**DATA})
        await world.until(world.settled)

        (full,), (thin,) = bodies(world, "full"), bodies(world, "thin")
        assert (full["id"], full["data"]) == ("e1", DATA)
        assert thin == {name: value for name, value in full.items() if name != "data"}
        (cloud,), (cloud_thin,) = bodies(world, "cloud"), bodies(world, "cloud-thin")
        assert (cloud["id"], cloud["data"]) == ("e1", DATA)
        assert cloud["source"] == f"/production/{EVENT_TYPE}"
        assert cloud.keys() - cloud_thin.keys() == {"data", "datacontenttype"}
        assert bodies(world, "own") == [{"text": "Order 4711", "who": "&lt;!here&gt;"}]
        assert [step for step, _ in codec.steps].count("document") == 1


async def test_each_request_names_the_media_type_of_its_body() -> None:
    async with World() as world:
        subscribe(world, "full")
        subscribe(world, "cloud", BodyFormat.CLOUDEVENTS, Content.THIN)
        subscribe(world, "own", BodyFormat.TEMPLATE, template=TEMPLATE)
        await world.worker()
        world.publish("e1", data={**DATA})
        await world.until(world.settled)

        types = {
            name: [each.header("content-type") for each in world.endpoints.to(name)]
            for name in ("full", "cloud", "own")
        }
        assert types == {
            "full": ["application/json"],
            "cloud": ["application/cloudevents+json"],
            "own": ["application/json"],
        }


async def test_every_format_of_a_large_event_is_made_beside_the_event_loop() -> None:
    async with World() as world:
        offload, codec = watched(world)
        subscribe(world, "cloud", BodyFormat.CLOUDEVENTS)
        subscribe(world, "thin", content=Content.THIN)
        subscribe(world, "own", BodyFormat.TEMPLATE, template={"all": "<$.data>"})
        world.endpoints.script("own", status(500), status(204))
        await world.worker()
        world.publish("e1", data={"load": LARGE + 1})
        await world.until(world.settled)

        assert bodies(world, "own") == [{"all": {"load": LARGE + 1}}]
        assert world.accepted("cloud") == world.accepted("thin") == {"e1": 1}
        large = [beside for step, beside in codec.steps if step in ("decode", "document")]
        assert large
        assert all(large)
        assert offload.runs >= 3


async def test_a_secret_of_a_template_stands_in_the_body_alone() -> None:
    async with World() as world:
        template: Json = {"routing_key": {"secret": "key"}, "id": "<$.id>"}
        subscription = subscribe(world, "own", BodyFormat.TEMPLATE, template=template)
        endpoint = replace(
            subscription.endpoint, template_secrets=(("key", Secret("env:KEY", b"hush-hush")),)
        )
        world.directory.put_subscription(replace(subscription, endpoint=endpoint))
        await world.worker()
        world.publish("e1")
        await world.until(world.settled)

        assert bodies(world, "own") == [{"routing_key": "hush-hush", "id": "e1"}]
        assert "hush" not in repr(world.directory.subscriptions["own"])
        records = [each for topic in world.broker.topics() for each in world.broker.records(topic)]
        assert records
        assert "hush" not in repr(records)


async def test_a_changed_template_makes_the_next_body() -> None:
    async with World() as world:
        subscription = subscribe(world, "own", BodyFormat.TEMPLATE, template={"a": 1})
        await world.worker()
        world.publish("e1")
        await world.until(lambda: len(bodies(world, "own")) == 1)
        world.directory.put_subscription(replace(subscription, template={"a": "<$.id>"}))
        world.publish("e2")
        await world.until(lambda: len(bodies(world, "own")) == 2)
        assert bodies(world, "own") == [{"a": 1}, {"a": "e2"}]


async def test_what_a_template_cannot_render_is_dead_lettered_and_the_rest_goes_on() -> None:
    async with World() as world:
        subscribe(world, "own", BodyFormat.TEMPLATE, template={"a": "is <$.data.x>"})
        subscribe(world, "full")
        await world.worker()
        world.publish("e1", data={"x": {"y": 1}})
        world.publish("e2", data={"x": 5})
        await world.until(world.settled)

        assert world.dead() == [("own", "e1", "not_renderable")]
        assert bodies(world, "own") == [{"a": "is 5"}]
        assert world.accepted("full") == {"e1": 1, "e2": 1}


async def test_a_body_by_a_template_is_refused_beyond_the_bound_and_a_thin_one_is_not() -> None:
    async with World() as world:
        rules = EngineRules(tiers=TIERS, max_body_bytes=1_000)
        subscribe(world, "own", BodyFormat.TEMPLATE, template=["<$.data.x>", "<$.data.x>"])
        subscribe(world, "thin", content=Content.THIN)
        subscribe(world, "cloud", BodyFormat.CLOUDEVENTS)
        await world.worker(rules)
        world.publish("e1", data={"x": "x" * 600})
        world.publish("e2", data={"x": "x" * 2_000})
        await world.until(world.settled)

        assert sorted(world.dead()) == [
            ("cloud", "e2", "body_too_large"),
            ("own", "e1", "body_too_large"),
            ("own", "e2", "body_too_large"),
        ]
        assert world.accepted("thin") == {"e1": 1, "e2": 1}


async def test_a_grant_is_asked_before_any_format_is_made() -> None:
    async with World() as world:
        grant = Grant((EVENT_TYPE,), ("*",), {"data": {"order_number": [1]}})
        world.directory.put_partner(Partner("acme", "Acme", grant))
        subscribe(world, "own", BodyFormat.TEMPLATE, template={"a": "<$.data.order_number>"})
        subscribe(world, "thin", content=Content.THIN)
        await world.worker()
        world.publish("e1", data={"order_number": 1})
        world.publish("e2", data={"order_number": 2})
        await world.until(world.settled)

        assert bodies(world, "own") == [{"a": 1}]
        assert world.accepted("thin") == {"e1": 1}
