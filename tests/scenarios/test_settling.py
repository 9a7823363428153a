"""What settling guarantees when the broker is down, refuses, or acknowledges slowly."""

import asyncio

from tests.doubles.endpoint import hang, status
from tests.scenarios.world import EVENTS, World

from hookstream.core.model.instant import MINUTE, SECOND
from hookstream.core.model.record import TopicPartition, header_text
from hookstream.pipeline.ports import WriteRefused

TOO_LARGE = WriteRefused("message too large", too_large=True)


async def test_a_failed_commit_is_repeated_though_nothing_new_comes() -> None:
    """Otherwise a crash in the next quiet hour would repeat what was settled long ago."""
    async with World() as world:
        world.subscribe("crm")
        await world.worker()
        world.publish("e1")
        await world.until(lambda: len(world.broker.records(world.topics.attempts)) == 1)
        world.broker.stop()
        await asyncio.sleep(3)
        world.broker.resume()

        await world.until(world.settled, within=10)

        assert world.broker.commits["hookstream"][TopicPartition(EVENTS, 0)] == 1


async def test_an_event_without_a_subscription_that_is_too_large_for_a_tier_is_undecodable_by_reference() -> (
    None
):
    """Its value is at its origin only, and the reason must state that."""
    async with World() as world:
        world.subscribe("crm")
        world.codec.published.clear()
        world.broker.refuse(world.topics.tier(5 * SECOND), TOO_LARGE)
        await world.worker()
        world.publish("e1")

        await world.until(world.settled)

        [aside] = world.broker.records(world.topics.undecodable)
        assert aside.value is None
        assert header_text(aside.headers, "hs-reason") == "too_large"
        assert header_text(aside.headers, "hs-origin-topic") == EVENTS
        assert world.metrics.set_aside == {"too_large": 1}
        assert world.logger.events("warning") == ["record.undecodable"]


async def test_a_delivery_that_becomes_too_large_for_its_next_tier_is_dead_lettered_by_reference() -> (
    None
):
    async with World() as world:
        world.subscribe("crm", schedule=(7 * MINUTE,))
        world.endpoints.script("crm", status(500))
        world.broker.refuse(world.topics.tier(MINUTE), TOO_LARGE)
        await world.worker()
        world.publish("e1")

        await world.until(world.settled)

        [dead_letter] = world.broker.records(world.topics.dead_letters)
        assert world.dead() == [("crm", "e1", "record_too_large")]
        assert dead_letter.value is None
        assert header_text(dead_letter.headers, "hs-attempt") == "1"


async def test_a_record_that_is_undecodable_once_more_keeps_its_origin() -> None:
    """It was redriven through retry.0s: the tier's own coordinates would not help an SRE."""
    async with World() as world:
        world.subscribe("crm")
        world.codec.published.clear()
        await world.worker()
        world.publish("e1")
        await world.until(lambda: len(world.tier_writes()) == 1)
        world.codec.hostile.add(("pricing.completed", 1))

        await world.until(world.settled)

        [aside] = world.broker.records(world.topics.undecodable)
        assert header_text(aside.headers, "hs-reason") == "hostile_schema"
        assert header_text(aside.headers, "hs-origin-topic") == EVENTS
        assert header_text(aside.headers, "hs-origin-offset") == "0"


async def test_a_retried_write_does_not_prevent_shutdown() -> None:
    """The broker may accept it after the drain gave up: that answer is not awaited any more."""
    async with World() as world:
        world.subscribe("crm", schedule=())
        world.endpoints.script("crm", status(500))
        world.broker.refuse(world.topics.dead_letters, WriteRefused("not now", too_large=False))
        worker = await world.worker()
        world.publish("e1")
        await asyncio.sleep(5)
        worker.sink.latency = 60.0

        assert not await worker.terminate()

        world.broker.refuse(world.topics.dead_letters, None)
        await asyncio.sleep(120)
        assert not worker.sink.failed.done()


async def test_a_refused_write_of_a_partition_that_moved_away_does_not_delay_a_shutdown() -> None:
    """Its next owner writes it; whoever drains waits for no pause of its retries."""
    for partition in (0, 1):
        async with World(partitions=2) as world:
            world.subscribe("crm", schedule=())
            world.endpoints.script("crm", status(500))
            world.broker.refuse(
                world.topics.dead_letters, WriteRefused("not now", too_large=False)
            )
            first = await world.worker()
            world.publish("e1", partition=partition)
            # Its pauses have grown to a minute by then.
            await asyncio.sleep(70)
            assert first.engine.events.blocked == 1
            await world.worker()
            await asyncio.sleep(2)
            if TopicPartition(EVENTS, partition) in first.engine.events.owned:
                continue
            world.broker.refuse(world.topics.dead_letters, None)
            await world.until(world.settled, within=10)
            began = asyncio.get_running_loop().time()

            assert await first.terminate()

            assert asyncio.get_running_loop().time() - began < 2
            return
    raise AssertionError("neither partition moved")


async def test_upstreams_trace_state_travels_with_its_trace() -> None:
    async with World() as world:
        world.subscribe("crm", schedule=(5 * SECOND,))
        world.endpoints.script("crm", status(500), status(204))
        await world.worker()
        trace = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-00"
        world.publish("e1", headers=(("traceparent", trace), ("tracestate", b"vendor=1")))

        await world.until(lambda: len(world.tier_writes()) == 1)

        [tier] = world.tier_writes()
        assert header_text(tier.headers, "tracestate") == "vendor=1"


async def test_a_crash_above_an_unsettled_offset_repeats_only_what_was_unsettled() -> None:
    """One slow answer delays the commit, not the metadata about what is settled above it."""
    async with World() as world:
        world.subscribe("crm")
        world.subscribe("slow", timeout=60 * SECOND, pattern={"id": ["e0"]})
        world.endpoints.script("slow", hang(), status(204))
        worker = await world.worker()
        events = [f"e{n}" for n in range(100)]
        world.publish(*events)
        await world.until(lambda: len(world.accepted("crm")) == 100)
        await asyncio.sleep(2)
        await worker.kill()
        assert world.broker.commits["hookstream"][TopicPartition(EVENTS, 0)] == 0

        await world.worker()

        await world.until(world.settled)
        assert world.accepted("slow") == {"e0": 1}
        assert world.accepted("crm") == dict.fromkeys(events, 1) | {"e0": 2}


async def test_a_record_with_a_producers_time_is_not_skipped_for_the_one_after_it() -> None:
    """The topic was repaired while the batch was read: its partition stops at the first of them."""
    async with World() as world:
        world.subscribe("crm")
        log = world.broker.logs[TopicPartition(EVENTS, 0)]
        log.append_time = False
        world.publish("e1")
        log.append_time = True
        world.publish("e2")
        await world.worker()

        await asyncio.sleep(5)

        assert world.broker.commits["hookstream"][TopicPartition(EVENTS, 0)] == 0
        assert world.accepted("crm") == {}
        assert "partition.stopped" in world.logger.events("error")


async def test_a_batch_that_waits_for_the_tables_is_no_part_of_a_later_assignment() -> None:
    """Its partition may move away and back meanwhile, and is then read again from its commit."""
    async with World() as world:
        world.subscribe("crm")
        worker = await world.worker()
        await asyncio.sleep(1.05)
        world.tables.stale = True
        world.publish("e1", "e2")
        await asyncio.sleep(1)
        await worker.events.lose()
        world.tables.stale = False

        await world.until(world.settled, within=60)

        assert world.accepted("crm") == {"e1": 1, "e2": 1}
