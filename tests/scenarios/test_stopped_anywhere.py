"""A worker that is stopped, at whichever step, finishes what it began, and settles what it finished."""

import asyncio
from collections.abc import Callable

import pytest
from tests.scenarios.world import World

from hookstream.core.model.json import JsonObject

TURNS = 14
"""Turns of the loop within which events are taken, offered and attempted."""
BEFORE = 9
"""Events that came before, at most: every few offers, the intake lets others have a turn."""


async def repeated(
    names: list[str],
    subscribe: Callable[[World], None],
    *,
    before: int = 0,
) -> list[tuple[int, str]]:
    """Stop a worker at each of the first turns, and have another go on; return what was accepted twice.

    Args:
        names: The subscriptions that want every event.
        subscribe: Makes them, and others.
        before: How many events come one by one before the one that it is stopped at.
    """
    found: list[tuple[int, str]] = []
    for turns in range(TURNS):
        async with World() as world:
            subscribe(world)
            first = await world.worker()
            events = [f"e{n}" for n in range(before + 1)]
            for event in events[:-1]:
                world.publish(event)
                await world.until(world.settled)
            world.publish(events[-1])
            for _ in range(turns):
                await asyncio.sleep(0)
            assert await first.terminate()
            await world.worker()
            await world.until(world.settled)
            for name in names:
                accepted = world.accepted(name)
                assert accepted.keys() == set(events)
                assert max(accepted.values()) <= 2
                if accepted.total() > len(events):
                    found.append((turns, name))
    return found


def to_all(names: list[str], pattern: JsonObject | None = None) -> Callable[[World], None]:
    def subscribe(world: World) -> None:
        for name in names:
            world.subscribe(name, pattern=pattern)

    return subscribe


@pytest.mark.parametrize("subscriptions", [1, 3, 16])
async def test_what_endpoints_accepted_while_their_worker_was_stopped_is_not_sent_again(
    subscriptions: int,
) -> None:
    names = [f"crm-{n}" for n in range(subscriptions)]
    found = {
        before: again
        for before in range(BEFORE)
        if (again := await repeated(names, to_all(names), before=before))
    }
    assert found == {}


async def test_the_last_candidate_of_an_event_is_not_waited_after() -> None:
    """Many are judged, in several steps, and one of them wants the event."""
    others = [f"other-{n}" for n in range(15)]

    def subscribe(world: World) -> None:
        world.subscribe("crm")
        to_all(others, {"id": [{"wildcard": "*-no"}]})(world)

    assert await repeated(["crm"], subscribe) == []


async def test_of_an_event_with_many_subscriptions_what_was_begun_is_sent_again_and_once() -> None:
    names = [f"crm-{n}" for n in range(40)]
    assert len(await repeated(names, to_all(names))) < len(names) * TURNS / 2
