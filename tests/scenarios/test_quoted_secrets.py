"""An endpoint that quotes its request puts no secret into the audit log."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.doubles.endpoint import status
from tests.scenarios.world import World

from hookstream.core.delivery.quoted_secrets import LEFT_OUT
from hookstream.core.model.subscription import Basic, Bearer, Endpoint, Secret

HUSH = Secret("value-1", b"hush-0123456789")
PLACES: dict[str, Callable[[Endpoint], Endpoint]] = {
    "header": lambda endpoint: replace(endpoint, secret_headers=(("x-api-key", HUSH),)),
    "bearer token": lambda endpoint: replace(endpoint, credentials=Bearer(HUSH)),
    "password": lambda endpoint: replace(endpoint, credentials=Basic("kim", HUSH)),
    "template secret": lambda endpoint: replace(endpoint, template_secrets=(("key", HUSH),)),
    "URL": lambda endpoint: replace(
        endpoint, url_secret=Secret("value-2", b"https://p.example/x?key=hush-0123456789")
    ),
    "path": lambda endpoint: replace(endpoint, url="https://p.example/hush-0123456789"),
}


@pytest.mark.parametrize("place", PLACES)
async def test_an_answer_that_quotes_a_secret_of_its_request_is_not_kept(place: str) -> None:
    async with World() as world:
        subscription = world.subscribe("crm")
        world.directory.put_subscription(
            replace(subscription, endpoint=PLACES[place](subscription.endpoint), revision=2)
        )
        world.endpoints.script(
            "crm",
            status(500, excerpt='{"x-api-key": "hush-0123456789"}'),
            status(500, excerpt="!"),
        )
        await world.worker()
        world.publish("e1")
        await world.until(lambda: len(excerpts(world)) >= 2)
        assert excerpts(world)[:2] == [LEFT_OUT, "!"]


def excerpts(world: World) -> list[str]:
    """Return what is kept of the answers to attempts."""
    records = world.broker.records(world.topics.attempts)
    return [json.loads(each.value or b"{}")["response_excerpt"] for each in records]
