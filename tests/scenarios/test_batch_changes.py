"""What changes, is large or fails while a batch is made concerns no more than it must."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from tests.doubles.endpoint import hang, status
from tests.scenarios.test_batches import arrived, ids, subscribe
from tests.scenarios.world import TIERS, World

from hookstream.core.delivery.signing import Sign
from hookstream.core.model.json import Json
from hookstream.core.model.outcome import Answer, Response
from hookstream.core.model.subscription import Batch, SigningScheme, SigningSecret
from hookstream.pipeline.engine import EngineRules, Ports
from hookstream.pipeline.ports import Post

T = TypeVar("T")

SMALL = EngineRules(tiers=TIERS, max_body_bytes=1000)


async def test_a_subscription_that_has_no_batches_any_more_while_one_is_made_gets_single_requests() -> (
    None
):
    async with World() as world:
        subscription = subscribe(world, "crm", 1000)
        encode, made = world.codec.encode, 0

        def encoding(value: Json) -> bytes:
            nonlocal made
            made += 1
            if made == 30:
                change = replace(subscription, batch=None)
                asyncio.get_running_loop().call_soon(world.directory.put_subscription, change)
            return encode(value)

        world.codec.encode = encoding  # type: ignore[method-assign]
        for number in range(120):
            world.publish(f"e{number}", data={"load": 40})
        await world.worker()
        await world.until(world.settled)

        requests = world.endpoints.accepted("crm")
        assert len(requests) == 120
        assert all(b"hookstream.batch" not in request.post.body for request in requests)


async def test_one_exception_of_signing_a_batch_stops_one_partition() -> None:
    async with World(partitions=8) as world:
        raised: list[int] = []

        def signing(_: bytes) -> Sign:
            def sign(_: bytes) -> bytes:
                if not raised:
                    raised.append(1)
                    raise RuntimeError("once")
                return b"x" * 64

            return sign

        def altered(ports: Ports) -> Ports:
            return replace(ports, public_key_signing=signing)

        world.altered = altered
        subscription = subscribe(world, "crm", 1000)
        secret = SigningSecret("s1", b"0" * 32, SigningScheme.V1A)
        world.directory.put_subscription(
            replace(subscription, endpoint=replace(subscription.endpoint, secrets=(secret,)))
        )
        for number in range(40):
            world.publish(f"e{number}")
        await world.worker()
        await world.until(world.settled)

        assert arrived(world) == {f"e{number}" for number in range(40)}
        assert world.logger.events("error").count("partition.stopped") == 1


async def test_batches_that_became_smaller_are_smaller_from_the_next_request_on() -> None:
    async with World() as world:
        subscription = subscribe(world, "crm", 100)

        async def behave(post: Post) -> Answer:
            if len(world.endpoints.requests) == 1:
                world.directory.put_subscription(replace(subscription, batch=Batch(2, 500)))
            return Response(400 if "e0" in ids(post) else 204)

        world.endpoints.script("crm", behave)
        await world.worker()
        for number in range(64):
            world.publish(f"e{number}")
        await world.until(lambda: len(arrived(world)) == 63)

        first, *others = [len(ids(request.post)) for request in world.endpoints.requests]
        assert first == 64
        assert max(others) == 2


async def test_what_does_not_fit_into_a_batch_does_not_wait_for_its_answer() -> None:
    async with World(rules=SMALL) as world:
        subscribe(world, "crm", 100)
        world.endpoints.script("crm", status(204, after=0.8))
        await world.worker()
        for number in range(40):
            world.publish(f"e{number}", data={"x": "y" * 300})
        await world.until(world.settled)

        assert world.endpoints.peak_in_flight["crm"] > 1


async def test_what_does_not_fit_into_a_batch_is_deferred_while_its_endpoint_hangs() -> None:
    async with World(rules=SMALL) as world:
        subscribe(world, "crm", 100)
        world.endpoints.script("crm", hang())
        await world.worker()
        for number in range(40):
            world.publish(f"e{number}", data={"x": "y" * 300})
        await asyncio.sleep(5)

        assert len(world.tier_writes()) > 20


class SlowBodies:
    """Takes a tenth of a second for each body, one after the other; all else takes no time."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def run(self, compute: Callable[[], T]) -> T:
        made = getattr(getattr(compute, "func", None), "__name__", "")
        if made == "_made":
            async with self._lock:
                await asyncio.sleep(0.1)
        return compute()


async def test_a_large_event_waits_for_its_own_body_and_for_no_other() -> None:
    async with World() as world:
        world.altered = lambda ports: replace(ports, offload=SlowBodies())
        subscribe(world, "crm", 100)
        await world.worker()
        began = asyncio.get_running_loop().time()
        for number in range(100):
            world.publish(f"e{number}", data={"load": 3000})
        await world.until(lambda: bool(world.endpoints.requests))

        assert world.endpoints.requests[0].at - began < 1


async def test_a_lane_queues_no_more_than_a_second_of_large_bodies() -> None:
    async with World(rules=SMALL) as world:
        subscription = subscribe(world, "crm", 100)
        limits = replace(subscription.limits, max_in_flight=1)
        world.directory.put_subscription(replace(subscription, limits=limits))
        world.subscribe("neighbour")
        world.endpoints.script("crm", status(204, after=0.9))
        await world.worker()
        for number in range(300):
            world.publish(f"e{number}", data={"x": "y" * 300})
            await asyncio.sleep(0.1)

        # Two bodies fit, and an answer takes nearly a second.
        assert len(world.tier_writes()) > 200


async def test_a_worker_that_drains_in_a_search_hands_on_the_number_of_attempts() -> None:
    async with World() as world:
        subscribe(world, "crm", 100)
        world.endpoints.script("crm", status(400), status(400, after=1), status(204))
        worker = await world.worker()
        for number in range(8):
            world.publish(f"e{number}")
        await world.until(lambda: len(world.endpoints.requests) == 2)
        assert await worker.terminate()
        await world.worker()
        await world.until(world.settled)

        attempts = Counter(
            (record.delivery.event_id, record.attempt) for record in world.logger.attempts
        )
        assert len(attempts) == 8 + 4 + 8
        assert set(attempts.values()) == {1}


async def test_partitions_that_move_in_a_search_take_the_number_of_attempts_along() -> None:
    async with World(partitions=4) as world:
        subscribe(world, "crm", 100)

        async def behave(post: Post) -> Answer:
            await asyncio.sleep(0.2)
            together = len(ids(post)) > 1
            return Response(400 if together and "e3" in ids(post) else 204)

        world.endpoints.script("crm", behave)
        await world.worker()
        for number in range(16):
            world.publish(f"e{number}")
        await world.until(lambda: len(world.endpoints.requests) == 2)
        await world.worker()
        await world.until(world.settled)

        attempts = Counter(
            (record.delivery.event_id, record.attempt) for record in world.logger.attempts
        )
        assert arrived(world) == {f"e{number}" for number in range(16)}
        assert set(attempts.values()) == {1}
