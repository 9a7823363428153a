"""`hookstream partition list` shows who owns each partition, and what is unsettled in one without an owner."""

from typing import Any

import pytest
from tests.e2e.world import World, until_accepted

pytestmark = pytest.mark.timeout(400)


async def positions(world: World, *options: str) -> dict[tuple[str, int], dict[str, Any]]:
    listed = await world.ask("partition", "list", *options)
    return {(each["topic"], each["partition"]): each for each in listed}


async def test_partitions_are_listed_with_their_owner_and_what_is_unsettled(world: World) -> None:
    crm = await world.subscribe("crm")
    await world.stage.start_worker()
    await until_accepted(crm, await world.publish(6), 60)
    await world.until_settled(60)

    held = await positions(world)

    tiers = {name for name, _ in held} - {world.topic, f"{world.prefix}.operations"}
    assert tiers == {f"{world.prefix}.retry.{delay}" for delay in ("0s", "1s", "2s", "5s")}
    assert {each["group"] for each in held.values()} == {world.prefix, f"{world.prefix}.retry"}
    assert {each["held_by"]["host"] for each in held.values()} == {"127.0.0.1"}
    assert {each["held_by"]["client_id"][:11] for each in held.values()} == {"hookstream-"}
    assert sum(each["end"] for (name, _), each in held.items() if name == world.topic) == 6
    assert {each["unsettled"] for each in held.values()} == {0}
    assert await positions(world, "--open") == {}

    assert await world.stage.stop_worker() == 0
    await world.publish(2)
    left = await positions(world, "--open")

    assert left.keys() == held.keys()
    assert {each["held_by"] for each in left.values()} == {None}
    assert sum(each["unsettled"] for each in left.values()) == 2
    shown = await world.stage.hookstream("partition", "list")
    rows = [line.split() for line in shown.splitlines()[1:]]
    assert {row[1] for row in rows} == {"nobody"}
    assert len(rows) == len(held)
