"""What a delivery was made of is freed when it ends: nothing of it is left to the garbage collector.

Objects that refer to each other keep an event and its bodies until the collector comes, however small the
budget is. With 50,000 of them at a time, each collection stops the event loop for longer than an attempt takes.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.doubles.collector import left_to_the_collector
from tests.doubles.endpoint import Behaviour, refuse_connections, status
from tests.scenarios.replaying import grant_ever, replay, send_test
from tests.scenarios.world import World

from hookstream.core.model.subscription import Batch

EVENTS = 20


def publish(world: World) -> None:
    world.publish(*(f"e{number}" for number in range(EVENTS)))


def replay_all(world: World) -> None:
    grant_ever(world)
    publish(world)
    replay(world, "crm")


def send_tests(world: World) -> None:
    for number in range(EVENTS):
        send_test(world, "crm", f"test-{number}", job=f"test-{number}")


@pytest.mark.parametrize(
    ("act", "answers", "batched"),
    [
        pytest.param(publish, [status(204)], 1, id="delivered"),
        pytest.param(publish, [status(204, after=0.05)], 1, id="queued"),
        pytest.param(publish, [status(204, after=0.7)], 1, id="deferred"),
        pytest.param(publish, [status(500)] * EVENTS + [status(204)], 1, id="retried"),
        pytest.param(publish, [refuse_connections()], 1, id="dead-lettered"),
        pytest.param(publish, [status(204)], 5, id="batched"),
        pytest.param(publish, [status(400)] * 3 + [status(204)], 5, id="searched"),
        pytest.param(replay_all, [status(204)], 1, id="replayed"),
        pytest.param(send_tests, [status(204)], 1, id="tested"),
    ],
)
async def test_nothing_of_a_delivery_that_ended_is_left_to_the_collector(
    act: Callable[[World], None], answers: list[Behaviour], batched: int
) -> None:
    async with World() as world:
        subscription = world.subscribe("crm", schedule=(5_000,), max_in_flight=2)
        world.subscribe("neighbour")
        if batched > 1:
            subscription = replace(subscription, batch=Batch(batched, 500))
            world.directory.put_subscription(subscription)
        world.endpoints.script("crm", *answers)
        await world.worker()
        with left_to_the_collector() as left:
            act(world)
            await world.until(world.settled)
        assert world.endpoints.to("crm")
        assert left == {}
