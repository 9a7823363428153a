"""Partitions that move from worker to worker take their deliveries' whole state with them."""

import asyncio
import json
import zlib
from collections import Counter

from tests.doubles.endpoint import Behaviour, status
from tests.scenarios.world import TIERS, World

from hookstream.core.model.instant import SECOND
from hookstream.core.model.outcome import Answer, Response
from hookstream.pipeline.engine import EngineRules
from hookstream.pipeline.ports import Post

MOVES = 10
FAILURES = 3
EVENTS = [f"e{n}" for n in range(80)]
FAILING = EVENTS[::8]
"""Few enough for the breaker to stay closed."""


def failing_at_first() -> tuple[Behaviour, Counter[tuple[str, str]]]:
    """Answer some events 503 three times before 204; count requests by event and attempt."""
    seen: Counter[tuple[str, str]] = Counter()

    async def behave(post: Post) -> Answer:
        event_id = json.loads(post.body)["id"]
        attempt = dict(post.headers)["hookstream-attempt"]
        seen[event_id, attempt] += 1
        fails = event_id in FAILING and int(attempt) <= FAILURES
        answer: Answer = await status(503 if fails else 204, after=0.1)(post)
        assert isinstance(answer, Response)
        return answer

    return behave, seen


async def test_partitions_that_move_ten_times_lose_nothing_and_count_no_attempt_again() -> None:
    """State in a worker's memory would restart with every reassignment, and never end."""
    async with World(partitions=4) as world:
        world.subscribe("crm", schedule=(5 * SECOND,) * 8, max_in_flight=4)
        behave, seen = failing_at_first()
        world.endpoints.script("crm", behave)
        await world.worker()
        for move in range(MOVES // 2):
            world.publish(*EVENTS[move * 16 : (move + 1) * 16])
            second = await world.worker()
            await asyncio.sleep(4)
            assert len(second.engine.events.owned) == 2
            assert await second.terminate()

        await world.until(world.settled)

        moves = sum(
            event in ("partitions.assigned", "partitions.revoked")
            for _, event, _ in world.logger.lines
        )
        assert moves >= 2 * MOVES
        assert world.accepted("crm") == dict.fromkeys(EVENTS, 1)
        assert world.dead() == []
        wanted = dict.fromkeys(((event, "1") for event in EVENTS), 1)
        wanted |= {(event, str(n)): 1 for event in FAILING for n in range(1, FAILURES + 2)}
        assert seen == wanted


async def test_an_event_whose_partition_moves_while_it_is_matched_reaches_every_subscription() -> (
    None
):
    """Its deliveries are taken one by one, as there is room; those not taken yet must not be lost."""
    async with World(partitions=2, rules=EngineRules(TIERS, max_deliveries=2)) as world:
        everybody = [f"s{n}" for n in range(8)]
        for name in everybody:
            world.subscribe(name)
            world.endpoints.script(name, status(204, after=0.2))
        await world.worker()
        where = next(f"e{n}" for n in range(9) if zlib.crc32(b"e%d" % n) % 2)
        world.publish(where)
        await world.until(lambda: len(world.endpoints.requests) == 2)

        second = await world.worker()

        await world.until(world.settled, within=30)
        assert len(second.engine.events.owned) == 1
        assert {name: world.accepted(name)[where] > 0 for name in everybody} == dict.fromkeys(
            everybody, True
        )
