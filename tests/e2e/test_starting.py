"""A worker that could never deliver anything says so and ends, before it joins a group."""

import pytest
from tests.e2e.world import World, refused

pytestmark = [pytest.mark.looptime(False), pytest.mark.timeout(90)]  # noqa: FBT003


async def test_a_worker_on_a_wrong_prefix_refuses_to_start(world: World) -> None:
    """Nothing would be delivered and nothing would look wrong: an empty table is an error."""
    other = f"{world.prefix}x"
    world.stage.environ["HOOKSTREAM_TOPICS__PREFIX"] = other

    without_topics = await refused(world)
    await world.stage.hookstream("topics", "apply", "--yes")
    with_empty_tables = await refused(world)

    tables = ", ".join(
        f"{other}.{table}" for table in ("schemas", "partners", "subscriptions", "health", "jobs")
    )
    assert without_topics == (
        2,
        f"hookstream: topics are missing: {tables}. Create them: hookstream topics apply",
    )
    sentence = (
        f"hookstream: {other}.schemas is empty, so nothing could ever be delivered: is"
        f" topics.prefix {other!r} right? Set tables.allow_empty = true where it is meant"
    )
    assert with_empty_tables == (2, sentence)
