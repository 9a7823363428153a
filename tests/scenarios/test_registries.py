"""Schemas of registries are resolved once, and whatever a registry does costs no event and no neighbour."""

import asyncio
from collections import Counter
from random import Random

import pytest
from tests.doubles.codec import json_value
from tests.doubles.endpoint import status
from tests.scenarios.test_fence import UnexpectedError, break_
from tests.scenarios.world import EVENT_TYPE, EVENTS, World

from hookstream.core.model.delivery import UnmatchedEvent
from hookstream.core.model.delivery_headers import tier_headers
from hookstream.core.model.framing import prefixed
from hookstream.core.model.instant import HOUR, MINUTE, SECOND
from hookstream.core.model.record import Origin, TopicPartition, header_text
from hookstream.core.model.registered import RegisteredId
from hookstream.pipeline.engine import EngineRules

SCHEMA = RegisteredId("main", "7")
HERE = TopicPartition(EVENTS, 0)


def served(world: World, *ids: str) -> None:
    """Let registry `main` serve the event topic, and have these ids for pricing.completed v1."""
    world.codec.registries[EVENTS] = "main"
    for each in ids:
        world.registries.schemas[RegisteredId("main", each)] = (EVENT_TYPE, 1)


async def test_an_event_in_confluents_framing_is_delivered_and_its_schema_resolved_once() -> None:
    async with World(partitions=3) as world:
        served(world, "7")
        world.subscribe("crm")
        await world.worker()
        names = [f"e{number}" for number in range(60)]
        world.publish_registered(7, *names)

        await world.until(world.settled, within=10)

        assert world.accepted("crm") == dict.fromkeys(names, 1)
        assert world.registries.asked == {SCHEMA: 1}
        assert world.registries.written == {SCHEMA: 1}


async def test_framings_may_be_mixed_on_one_topic() -> None:
    async with World() as world:
        served(world, "7")
        world.subscribe("crm")
        await world.worker()
        world.publish("e1")
        world.publish_registered(7, "e2")
        world.publish("e3")

        await world.until(world.settled, within=10)

        assert world.accepted("crm") == {"e1": 1, "e2": 1, "e3": 1}


async def test_a_record_in_a_framing_for_which_nothing_is_set_is_undecodable_and_says_what_is_missing() -> (
    None
):
    async with World() as world:
        world.subscribe("crm")
        await world.worker()
        world.publish_registered(7, "e1")
        world.publish("e2")

        await world.until(world.settled, within=10)

        [aside] = world.broker.records(world.topics.undecodable)
        assert header_text(aside.headers, "hs-reason") == "not_framed"
        detail = header_text(aside.headers, "__connect.errors.exception.message")
        assert detail is not None
        assert "[registry.<name>]" in detail
        assert world.accepted("crm") == {"e2": 1}


async def test_a_row_is_durable_before_an_event_is_sent() -> None:
    """Otherwise a retry could be rendered by another answer of the registry."""
    async with World() as world:
        served(world, "7")
        world.registries.row_takes = 5.0
        world.subscribe("crm")
        await world.worker()
        world.publish_registered(7, "e1")

        await asyncio.sleep(4.9)
        assert world.endpoints.requests == []

        await world.until(world.settled, within=10)
        assert world.accepted("crm") == {"e1": 1}


async def test_retries_and_other_workers_need_no_registry_once_there_is_a_row() -> None:
    async with World() as world:
        served(world, "7")
        world.subscribe("crm")
        world.endpoints.script("crm", status(500), status(500), status(204))
        first = await world.worker()
        world.publish_registered(7, "e1")
        await world.until(lambda: len(world.endpoints.requests) == 1)
        world.registries.down["main"] = "it refused the connection"
        await first.kill()
        await world.worker()
        world.publish_registered(7, "e2")

        await world.until(world.settled)

        assert world.accepted("crm").keys() == {"e1", "e2"}
        assert world.registries.written == {SCHEMA: 1}
        assert world.logger.events("error") == []


async def test_a_registry_that_cannot_be_reached_holds_its_partition_and_no_other() -> None:
    async with World(partitions=2) as world:
        served(world, "7")
        world.registries.down["main"] = "it answered 401: the credentials are refused"
        world.subscribe("crm")
        worker = await world.worker()
        world.publish_registered(7, "e1", partition=0)
        await asyncio.sleep(1)
        world.publish("e2", partition=0)
        world.publish("e3", partition=1)

        await asyncio.sleep(200)

        assert world.accepted("crm") == {"e3": 1}
        assert world.broker.commits["hookstream"][HERE] == 0
        assert worker.engine.events.blocked == 1
        assert world.tier_writes() == []
        alarms = [f for _, event, f in world.logger.lines if event == "registry.unreachable"]
        assert 5 <= len(alarms) <= 7
        assert alarms[0]["seconds"] in range(30, 41)
        assert alarms[0]["detail"] == "it answered 401: the credentials are refused"

        del world.registries.down["main"]
        await world.until(world.settled, within=30)

        assert world.accepted("crm") == {"e1": 1, "e2": 1, "e3": 1}
        assert worker.engine.events.blocked == 0
        assert "registry.reached" in world.logger.events("info")


async def test_a_registry_that_cannot_be_reached_is_asked_ever_less() -> None:
    """Whatever number of ids wait for it."""
    async with World(partitions=4) as world:
        served(world)
        world.registries.down["main"] = "no answer"
        world.subscribe("crm")
        await world.worker()
        for number in range(100):
            world.publish_registered(number, f"e{number}")
        await asyncio.sleep(600)

        before = world.registries.asked.total()
        await asyncio.sleep(100)
        assert world.registries.asked.total() - before <= 60
        assert world.registries.most_at_once <= 4


async def test_a_slow_registry_holds_a_record_and_delivers_it() -> None:
    async with World(partitions=2) as world:
        served(world, "7")
        world.registries.takes = 4.0
        world.subscribe("crm")
        await world.worker()
        world.publish_registered(7, "e1", partition=0)
        world.publish("e2", partition=1)
        await asyncio.sleep(1)
        assert world.accepted("crm") == {"e2": 1}

        await world.until(world.settled, within=10)

        assert world.accepted("crm") == {"e1": 1, "e2": 1}
        assert world.tier_writes() == []


async def test_an_id_that_the_registry_does_not_have_waits_in_tiers_and_blocks_nothing() -> None:
    async with World() as world:
        served(world)
        world.subscribe("crm")
        worker = await world.worker()
        world.publish_registered(7, "e1")
        world.publish("e2")
        await asyncio.sleep(2)
        assert world.accepted("crm") == {"e2": 1}
        assert worker.engine.events.blocked == 0

        served(world, "7")
        await world.until(world.settled, within=120)

        assert world.accepted("crm") == {"e1": 1, "e2": 1}
        deferred = [header_text(r.headers, "hs-deferred-reason") for r in world.tier_writes()]
        assert set(deferred) == {"schema_unknown"}


async def test_an_id_that_never_comes_is_undecodable_after_the_grace_and_says_why() -> None:
    async with World() as world:
        served(world)
        world.subscribe("crm")
        await world.worker()
        world.publish_registered(7, "e1")

        await world.until(lambda: bool(world.broker.records(world.topics.undecodable)))

        [aside] = world.broker.records(world.topics.undecodable)
        assert header_text(aside.headers, "hs-reason") == "unknown_schema"
        detail = header_text(aside.headers, "__connect.errors.exception.message")
        assert detail == (
            "schema 7 of registry main was not found: it answered 40403; it waited for"
            " retry.unknown_schema_grace"
        )
        assert world.clock.now() - aside.timestamp < MINUTE
        assert aside.timestamp >= HOUR


async def test_an_unknown_id_is_asked_for_at_most_every_ten_seconds() -> None:
    async with World(partitions=4) as world:
        served(world)
        world.subscribe("crm")
        await world.worker()
        for second in range(100):
            world.publish_registered(7, *(f"e{second}-{number}" for number in range(20)))
            await asyncio.sleep(1)

        assert 8 <= world.registries.asked[SCHEMA] <= 11


async def test_ids_drawn_at_random_neither_flood_the_registry_nor_hold_the_topic() -> None:
    """A thousand a second, on the partition of sound events."""
    random = Random(5)
    async with World() as world:
        served(world, "7")
        world.subscribe("crm")
        worker = await world.worker()
        for second in range(3):
            ids = [random.randrange(2**32) for _ in range(1_000)]
            for number, schema_id in enumerate(ids):
                world.publish_registered(schema_id, f"garbage-{second}-{number}")
            world.publish_registered(7, f"sound-{second}")
            world.publish(f"plain-{second}")
            await asyncio.sleep(1)

        await asyncio.sleep(1)
        accepted = world.accepted("crm")
        assert sum(name.startswith("plain") for name in accepted) == 3
        # 50 a second and a burst of 100.
        assert world.registries.asked.total() <= 4 * 50 + 100
        assert world.broker.records(world.topics.undecodable) == []

        await world.until(
            lambda: sum(name.startswith("sound") for name in world.accepted("crm")) == 3
        )
        assert worker.engine.events.blocked == 0


async def test_what_was_not_asked_for_yet_never_becomes_undecodable() -> None:
    random = Random(6)
    rules = EngineRules(tiers=World().rules.tiers, unknown_schema_grace=20 * SECOND)
    async with World(rules=rules) as world:
        served(world)
        world.registries.takes = 1.0
        world.subscribe("crm")
        await world.worker()
        ids = [random.randrange(2**32) for _ in range(400)]
        for number, schema_id in enumerate(ids):
            world.publish_registered(schema_id, f"garbage-{number}")

        await world.until(world.settled, within=3_600)

        assert len(world.broker.records(world.topics.undecodable)) == 400
        assert len(world.registries.asked) == 400


async def test_an_event_in_a_tier_waits_there_while_the_registry_cannot_be_reached() -> None:
    """Its tier has deliveries of other events, which go on; and the outage does not age it."""
    rules = EngineRules(tiers=World().rules.tiers, unknown_schema_grace=2 * MINUTE)
    async with World(rules=rules) as world:
        served(world)
        world.subscribe("crm", schedule=(5 * SECOND,) * 40)
        world.endpoints.script("crm", *[status(500)] * 20, status(204))
        worker = await world.worker()
        world.publish_registered(7, "e1")
        await asyncio.sleep(1)
        world.registries.down["main"] = "no answer"
        world.publish("e2")

        await world.until(lambda: world.accepted("crm") == {"e2": 1})
        await asyncio.sleep(600)
        assert worker.engine.tiers.blocked == 0
        assert world.broker.records(world.topics.undecodable) == []

        served(world, "7")
        del world.registries.down["main"]
        await world.until(world.settled, within=90)
        assert world.accepted("crm") == {"e1": 1, "e2": 1}


async def test_a_schema_that_must_not_be_used_makes_its_records_undecodable_at_once() -> None:
    async with World() as world:
        served(world, "7")
        world.registries.unusable.add(SCHEMA)
        world.subscribe("crm")
        await world.worker()
        world.publish_registered(7, "e1", "e2")

        await world.until(world.settled, within=10)

        assert world.metrics.set_aside == {"hostile_schema": 2}
        assert world.registries.asked == {SCHEMA: 1}


@pytest.mark.parametrize("after", [0.001, 0.007, 0.012, 0.02])
async def test_a_worker_that_dies_while_it_resolves_loses_nothing(after: float) -> None:
    """While the registry answers, while the row is written, and after that."""
    async with World() as world:
        served(world, "7")
        world.subscribe("crm")
        first = await world.worker()
        world.publish_registered(7, "e1")
        await asyncio.sleep(after)
        await first.kill()
        await world.worker()

        await world.until(world.settled, within=30)

        assert world.accepted("crm").keys() == {"e1"}
        assert world.registries.written == {SCHEMA: 1}


async def test_a_partition_that_moves_while_its_record_waits_is_read_by_the_next_owner() -> None:
    async with World(partitions=2) as world:
        served(world, "7")
        world.registries.down["main"] = "no answer"
        world.subscribe("crm")
        await world.worker()
        world.publish_registered(7, "e1", partition=0)
        world.publish_registered(7, "e2", partition=1)
        await asyncio.sleep(5)
        await world.worker()
        await asyncio.sleep(5)

        del world.registries.down["main"]
        await world.until(world.settled, within=60)

        assert world.accepted("crm") == {"e1": 1, "e2": 1}


async def test_a_drain_does_not_wait_for_a_registry() -> None:
    async with World() as world:
        served(world, "7")
        world.registries.down["main"] = "no answer"
        world.subscribe("crm")
        worker = await world.worker()
        world.publish_registered(7, "e1")
        await asyncio.sleep(5)

        assert await worker.terminate()

        assert world.broker.commits["hookstream"].get(HERE, 0) in (0, (0, ""))


async def test_an_operator_can_skip_a_record_that_waits_for_a_registry() -> None:
    async with World() as world:
        served(world, "7")
        world.registries.down["main"] = "no answer"
        world.subscribe("crm")
        worker = await world.worker()
        world.publish_registered(7, "e1")
        await asyncio.sleep(5)
        world.publish("e2")

        worker.skips.skip(HERE, 0, world.clock.now())

        await world.until(world.settled, within=10)
        assert world.accepted("crm") == {"e2": 1}
        [logged] = [f for _, event, f in world.logger.lines if event == "partition.skipped"]
        assert (logged["topic"], logged["partition"], logged["offset"]) == (EVENTS, 0, 0)


@pytest.mark.parametrize(("port", "method"), [("registries", "fetch"), ("schema_rows", "add")])
async def test_a_defect_of_the_registrys_adapter_is_our_defect_and_the_record_waits(
    port: str, method: str
) -> None:
    async with World() as world:
        served(world, "7")
        world.subscribe("crm")
        break_(world, port, method, UnexpectedError, lambda call: call <= 2)
        await world.worker()
        world.publish_registered(7, "e1")

        await world.until(world.settled, within=30)

        assert world.accepted("crm") == {"e1": 1}
        assert world.broker.records(world.topics.undecodable) == []
        assert [event for _, event, _ in world.logger.lines].count("defect.found") == 1


async def test_a_delivery_whose_row_comes_late_waits_for_it() -> None:
    """A redrive may be read before the table is."""
    async with World() as world:
        served(world, "7")
        world.subscribe("crm")
        world.endpoints.script("crm", status(500), status(204))
        await world.worker()
        world.publish_registered(7, "e1")
        await world.until(lambda: len(world.endpoints.requests) == 1)
        row = world.codec.rows.pop(SCHEMA)
        world.registries.down["main"] = "no answer"
        await asyncio.sleep(60)
        assert world.dead() == []
        assert len(world.endpoints.requests) == 1

        world.codec.rows[SCHEMA] = row
        del world.registries.down["main"]
        await world.until(world.settled, within=60)

        assert world.accepted("crm") == Counter({"e1": 1})


async def test_a_registry_that_was_restored_with_other_ids_is_raised_and_rows_stay() -> None:
    async with World() as world:
        served(world, "7")
        world.subscribe("crm")
        await world.worker()
        world.publish_registered(7, "e1")
        await world.until(world.settled, within=10)

        world.registries.schemas[SCHEMA] = ("order.generated", 1)
        await asyncio.sleep(1_300)
        world.publish_registered(7, "e2")
        await world.until(world.settled, within=10)

        assert world.accepted("crm") == {"e1": 1, "e2": 1}
        raised = [f for _, event, f in world.logger.lines if event == "registry.differs"]
        assert [(each["registry"], each["schema"]) for each in raised] == [("main", "7")] * 3


async def test_checking_rows_asks_a_registry_seldom_and_raises_nothing_while_it_is_down() -> None:
    async with World() as world:
        served(world, "7")
        world.subscribe("crm")
        await world.worker()
        world.publish_registered(7, "e1")
        await world.until(world.settled, within=10)
        world.registries.down["main"] = "no answer"

        await asyncio.sleep(6_000)

        assert 8 <= world.registries.asked[SCHEMA] <= 12
        assert world.logger.events("error") == []


async def test_a_redriven_record_does_not_stop_its_tier_while_the_registry_cannot_be_reached() -> (
    None
):
    async with World() as world:
        served(world, "7")
        world.registries.down["main"] = "no answer"
        world.subscribe("crm")
        worker = await world.worker()
        state = UnmatchedEvent(Origin(EVENTS, 0, 41, world.clock.now()), world.clock.now())
        headers = tier_headers(state, (), written_at=world.clock.now())
        value = prefixed(7) + json_value(EVENT_TYPE, "e1")
        world.broker.append(world.topics.tier(0), value, key=b"k", headers=tuple(headers))
        await asyncio.sleep(60)
        assert worker.engine.tiers.blocked == 0
        assert len(world.tier_writes()) > 1

        del world.registries.down["main"]
        await world.until(world.settled, within=120)
        assert world.accepted("crm") == {"e1": 1}


async def test_a_slow_registry_and_ids_drawn_at_random_hold_a_topic_for_seconds_only() -> None:
    random = Random(8)
    async with World() as world:
        served(world, "7")
        world.subscribe("crm")
        await world.worker()
        world.publish_registered(7, "e1")
        await world.until(lambda: world.accepted("crm").keys() == {"e1"}, within=10)
        world.registries.takes = 4.0
        for second in range(10):
            for number in range(100):
                world.publish_registered(random.randrange(2**32), f"garbage-{second}-{number}")
            await asyncio.sleep(1)
        world.publish("e2")
        world.publish_registered(7, "e3")

        await world.until(lambda: world.accepted("crm").keys() == {"e1", "e2", "e3"}, within=30)


async def test_ids_that_are_asked_for_while_the_registry_is_down_all_wait_at_their_places() -> (
    None
):
    async with World(partitions=4) as world:
        served(world)
        world.registries.down["main"] = "it refused the connection"
        world.subscribe("crm")
        await world.worker()
        world.publish_registered(1, "e1")
        await asyncio.sleep(1)
        for number in range(2, 300):
            world.publish_registered(number, f"e{number}")
        await asyncio.sleep(60)
        assert world.tier_writes() == []

        served(world, *map(str, range(1, 300)))
        del world.registries.down["main"]
        await world.until(world.settled, within=300)
        assert len(world.accepted("crm")) == 299
