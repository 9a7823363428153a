"""What becomes of deliveries when endpoints fail, workers die and writes are refused."""

import asyncio
import json
from collections import Counter

import pytest
from tests.doubles.endpoint import Switch, hang, refuse_connections, status
from tests.scenarios.world import EVENTS, World

from hookstream.core.model.instant import HOUR, MINUTE, SECOND
from hookstream.core.model.record import TopicPartition, header_text
from hookstream.core.model.subscription import Disabled
from hookstream.core.offsets.commit_metadata import CommitPosition
from hookstream.pipeline.ports import WriteRefused

pytestmark = pytest.mark.timeout(240)


async def test_an_event_reaches_every_subscription_once_and_its_offset_is_committed() -> None:
    async with World() as world:
        world.subscribe("crm")
        world.subscribe("orders")
        await world.worker()
        world.publish("e1", "e2")

        await world.until(world.settled)

        assert world.accepted("crm") == Counter({"e1": 1, "e2": 1})
        assert world.accepted("orders") == Counter({"e1": 1, "e2": 1})
        assert world.dead() == []
        assert world.tier_writes() == []


async def test_an_endpoint_that_is_down_for_an_hour_gets_everything_and_its_neighbour_waits_for_nothing() -> (
    None
):
    async with World() as world:
        down = Switch(refuse_connections())
        world.subscribe("down", schedule=(5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR))
        world.subscribe("fine")
        world.endpoints.script("down", down)
        await world.worker()
        events = [f"e{n}" for n in range(50)]
        world.publish(*events)
        await world.until(lambda: len(world.accepted("fine")) == 50, within=2)
        await asyncio.sleep(3600)
        down.behaviour = status(204)

        await world.until(world.settled, within=4 * 3600, step=5)

        assert world.accepted("down") == Counter(dict.fromkeys(events, 1))
        assert world.dead() == []


async def test_no_retry_is_made_early() -> None:
    """A tier's delay and the rest in the waiting room both count from the append."""
    async with World() as world:
        world.subscribe("crm", schedule=(5 * SECOND, 7 * MINUTE))
        world.endpoints.script("crm", status(500), status(500), status(204))
        await world.worker()
        world.publish("e1")

        await world.until(world.settled)

        at = [request.at for request in world.endpoints.to("crm")]
        assert 5 <= at[1] - at[0] <= 5.5 + 1
        assert 420 <= at[2] - at[1] <= 420 + 30 + 1


async def test_retry_after_is_waited_out_by_hops_down_the_tiers() -> None:
    """Seven minutes fit no tier: five, then one, then one; or thirty seconds and the room."""
    async with World() as world:
        world.subscribe("crm", schedule=(5 * SECOND,))
        world.endpoints.script("crm", status(429, retry_after="420"), status(204))
        await world.worker()
        world.publish("e1")

        await world.until(world.settled)

        at = [request.at for request in world.endpoints.to("crm")]
        assert 420 <= at[1] - at[0] <= 423


async def test_a_delivery_that_fails_to_the_end_of_its_schedule_is_dead_lettered_with_its_bytes() -> (
    None
):
    async with World() as world:
        world.subscribe("crm", schedule=(5 * SECOND, 30 * SECOND))
        world.endpoints.script("crm", status(500))
        await world.worker()
        world.publish("e1")

        await world.until(world.settled)

        [dead_letter] = world.broker.records(world.topics.dead_letters)
        [source] = world.broker.records(EVENTS)
        assert world.dead() == [("crm", "e1", "attempts_exhausted")]
        assert dead_letter.value == source.value
        assert header_text(dead_letter.headers, "hs-attempt") == "3"
        assert header_text(dead_letter.headers, "hs-last-status") == "500"
        assert header_text(dead_letter.headers, "hs-origin-topic") == EVENTS


async def test_an_undecodable_record_goes_to_its_topic_and_the_stream_continues() -> None:
    async with World() as world:
        world.subscribe("crm")
        await world.worker()
        world.broker.append(EVENTS, b"\x00garbage", key=b"k")
        world.publish("e1")

        await world.until(world.settled)

        [aside] = world.broker.records(world.topics.undecodable)
        assert aside.value == b"\x00garbage"
        assert header_text(aside.headers, "hs-reason") == "not_framed"
        assert world.accepted("crm") == Counter({"e1": 1})


async def test_a_schema_that_arrives_late_is_waited_for() -> None:
    async with World() as world:
        world.subscribe("crm")
        world.codec.published.clear()
        await world.worker()
        world.publish("e1")
        await asyncio.sleep(60)
        world.codec.publish("pricing.completed")

        await world.until(world.settled)

        assert world.accepted("crm") == Counter({"e1": 1})
        assert world.broker.records(world.topics.undecodable) == []


async def test_a_schema_that_never_comes_makes_the_record_undecodable_after_its_grace() -> None:
    async with World() as world:
        world.subscribe("crm")
        world.codec.published.clear()
        await world.worker()
        world.publish("e1")

        await world.until(world.settled, within=4 * 3600, step=5)

        [aside] = world.broker.records(world.topics.undecodable)
        assert header_text(aside.headers, "hs-reason") == "unknown_schema"


async def test_a_subscription_sees_no_record_that_is_older_than_itself() -> None:
    async with World() as world:
        world.publish("before")
        await asyncio.sleep(1)
        world.subscribe("crm", active_from=world.clock.now())
        await asyncio.sleep(1)
        world.publish("after")
        await world.worker()

        await world.until(world.settled)

        assert world.accepted("crm") == Counter({"after": 1})


async def test_a_subscription_whose_row_arrives_late_is_waited_for_and_never_treated_as_deleted() -> (
    None
):
    async with World() as world:
        subscription = world.subscribe("crm", schedule=(5 * SECOND,))
        world.endpoints.script("crm", status(500), status(204))
        await world.worker()
        world.publish("e1")
        await world.until(lambda: len(world.tier_writes()) == 1)
        world.directory.drop_subscription("crm")
        await asyncio.sleep(120)
        world.directory.put_subscription(subscription)

        await world.until(world.settled)

        assert world.accepted("crm") == Counter({"e1": 1})
        assert world.metrics.deferrals["subscription_absent"] > 0


async def test_sigterm_lets_attempts_finish_and_loses_nothing() -> None:
    async with World() as world:
        world.subscribe("slow", max_in_flight=2)
        world.endpoints.script("slow", status(204, after=0.4))
        first = await world.worker()
        events = [f"e{n}" for n in range(20)]
        world.publish(*events)
        await world.until(lambda: len(world.accepted("slow")) >= 3)

        assert await first.terminate()

        sent = len(world.endpoints.to("slow"))
        assert len(world.endpoints.accepted("slow")) == sent
        await world.worker()
        await world.until(world.settled)
        received = world.accepted("slow")
        assert set(received) == set(events)
        # What was attempted while an older one was open is committed only with it: one permit's worth.
        assert sum(received.values()) - len(events) <= 2


async def test_a_worker_that_hangs_on_an_endpoint_ends_at_the_deadline_and_settles_nothing() -> (
    None
):
    async with World() as world:
        world.subscribe("dead", timeout=60 * SECOND)
        world.endpoints.script("dead", hang())
        worker = await world.worker()
        world.publish("e1")
        await world.until(lambda: len(world.endpoints.to("dead")) == 1)

        assert not await worker.terminate()

        assert world.endpoints.to("dead")[0].cancelled
        assert world.broker.commits["hookstream"][TopicPartition(EVENTS, 0)] == 0


async def test_a_killed_worker_loses_nothing_and_repeats_only_what_was_unsettled() -> None:
    async with World() as world:
        world.subscribe("crm", max_in_flight=4)
        world.endpoints.script("crm", status(204, after=0.05))
        worker = await world.worker()
        events = [f"e{n}" for n in range(200)]
        world.publish(*events)
        await world.until(lambda: len(world.accepted("crm")) >= 120)
        await worker.kill()
        committed = world.broker.commits["hookstream"][TopicPartition(EVENTS, 0)]

        await world.worker()

        await world.until(world.settled)
        received = world.accepted("crm")
        assert set(received) == set(events)
        repeated = {event for event, count in received.items() if count > 1}
        assert repeated <= set(events[committed:])


async def test_the_identity_of_a_delivery_is_the_same_after_a_crash() -> None:
    async with World() as world:
        world.subscribe("crm")
        world.endpoints.script("crm", status(204, after=0.5))
        worker = await world.worker()
        world.publish("e1")
        await world.until(lambda: len(world.endpoints.to("crm")) == 1)
        await worker.kill()
        await world.worker()

        await world.until(world.settled)

        ids = {request.header("webhook-id") for request in world.endpoints.to("crm")}
        assert len(ids) == 1
        assert len(world.endpoints.to("crm")) == 2


async def test_a_gone_endpoint_is_disabled_and_what_was_matched_is_dead_lettered() -> None:
    async with World() as world:
        world.subscribe("crm", max_in_flight=1)
        world.endpoints.script("crm", status(410, after=0.2))
        await world.worker()
        world.publish("e1", "e2", "e3")

        await world.until(world.settled)

        assert world.dead()[0] == ("crm", "e1", "gone")
        assert {dead_letter[1] for dead_letter in world.dead()} == {"e1", "e2", "e3"}
        [row] = world.broker.records(world.topics.health)[:1]
        assert row.key == b"crm/disabled"
        operations = [r.value or b"" for r in world.broker.records(world.topics.operations)]
        assert any(b"endpoint.disabled" in value for value in operations)


async def test_a_disabled_subscription_is_sent_nothing() -> None:
    async with World() as world:
        world.subscribe("crm", schedule=(5 * SECOND,))
        world.endpoints.script("crm", status(500))
        await world.worker()
        world.publish("e1")
        await world.until(lambda: len(world.tier_writes()) == 1)
        world.directory.put_disabled(Disabled("crm", world.clock.now(), "gone"))
        await asyncio.sleep(0.1)
        world.publish("e2")

        await world.until(world.settled)

        assert len(world.endpoints.to("crm")) == 1
        assert world.dead() == [("crm", "e1", "disabled")]


async def test_a_lane_that_hangs_defers_and_the_source_partition_continues() -> None:
    async with World() as world:
        stuck = Switch(hang())
        world.subscribe("stuck", max_in_flight=2, schedule=(5 * SECOND,) * 20)
        world.subscribe("fine")
        world.endpoints.script("stuck", stuck)
        await world.worker()
        events = [f"e{n}" for n in range(500)]
        world.publish(*events)

        await world.until(lambda: len(world.accepted("fine")) == 500, within=5)

        stuck.behaviour = status(204)
        await world.until(world.settled)
        assert set(world.accepted("stuck")) == set(events)
        assert world.metrics.deferrals["lane_full"] > 0


async def test_a_healthy_endpoints_backlog_is_never_copied_to_a_tier() -> None:
    async with World() as world:
        world.subscribe("alone", max_in_flight=2)
        world.endpoints.script("alone", status(204, after=0.1))
        world.publish(*[f"e{n}" for n in range(3_000)])
        await world.worker()

        await world.until(world.settled)

        assert len(world.accepted("alone")) == 3_000
        assert world.tier_writes() == []


async def test_a_record_too_large_for_a_tier_is_dead_lettered_by_reference() -> None:
    async with World() as world:
        world.subscribe("crm")
        world.endpoints.script("crm", status(500))
        world.broker.refuse(
            world.topics.tier(5 * SECOND), WriteRefused("message too large", too_large=True)
        )
        await world.worker()
        world.publish("e1")

        await world.until(world.settled)

        [dead_letter] = world.broker.records(world.topics.dead_letters)
        assert world.dead() == [("crm", "e1", "record_too_large")]
        assert dead_letter.value is None
        assert header_text(dead_letter.headers, "hs-origin-offset") == "0"


async def test_the_audit_log_ends_with_the_dead_letter_of_a_record_too_large_for_its_tier() -> (
    None
):
    """Its attempt announced another one."""
    async with World() as world:
        world.subscribe("crm")
        world.endpoints.script("crm", status(500))
        world.broker.refuse(
            world.topics.tier(5 * SECOND), WriteRefused("message too large", too_large=True)
        )
        await world.worker()
        world.publish("e1")

        await world.until(world.settled)

        published = [
            json.loads(r.value or b"") for r in world.broker.records(world.topics.attempts)
        ]
        assert [(one["disposition"], one["reason"]) for one in published] == [
            ("retry", None),
            ("dead_letter", "record_too_large"),
        ]


async def test_a_dead_letter_that_cannot_be_written_stops_its_partition_until_it_can() -> None:
    async with World() as world:
        world.subscribe("crm", schedule=())
        world.endpoints.script("crm", status(500))
        world.broker.refuse(
            world.topics.dead_letters, WriteRefused("not authorised", too_large=False)
        )
        await world.worker()
        world.publish("e1")
        await asyncio.sleep(300)
        assert not world.settled()
        assert "partition.stopped" in world.logger.events("error")

        world.broker.refuse(world.topics.dead_letters, None)

        await world.until(world.settled)
        assert world.dead() == [("crm", "e1", "attempts_exhausted")]


async def test_nothing_is_matched_while_the_tables_are_not_current() -> None:
    async with World() as world:
        world.subscribe("crm")
        world.tables.stale = True
        await world.worker()
        world.publish("e1")
        await asyncio.sleep(60)
        assert world.endpoints.requests == []
        assert "matching.waits" in world.logger.events("error")

        world.tables.stale = False

        await world.until(world.settled)
        assert world.accepted("crm") == Counter({"e1": 1})


async def test_two_workers_share_the_partitions_and_a_moving_partition_loses_nothing() -> None:
    async with World(partitions=4) as world:
        world.subscribe("crm")
        world.endpoints.script("crm", status(204, after=0.02))
        await world.worker()
        events = [f"e{n}" for n in range(400)]
        world.publish(*events[:200])
        second = await world.worker()
        world.publish(*events[200:])
        await asyncio.sleep(0.2)
        await second.terminate()

        await world.until(world.settled)

        assert set(world.accepted("crm")) == set(events)


async def test_records_that_are_gone_from_the_log_are_counted_and_raised() -> None:
    async with World() as world:
        world.subscribe("crm")
        world.publish("e0", "e1", "e2")
        worker = await world.worker()
        await world.until(world.settled)
        await worker.terminate()
        world.publish("e3", "e4", "e5")
        world.broker.delete_before(TopicPartition(EVENTS, 0), 5)

        await world.worker()

        await world.until(world.settled)
        assert world.metrics.gaps == Counter({EVENTS: 2})
        assert set(world.accepted("crm")) == {"e0", "e1", "e2", "e5"}
        operations = [r.value or b"" for r in world.broker.records(world.topics.operations)]
        assert any(b"log.gap" in value for value in operations)


async def test_a_gap_at_the_end_of_the_log_is_reported_once_however_often_its_partition_moves() -> (
    None
):
    at = TopicPartition(EVENTS, 0)
    async with World() as world:
        world.subscribe("crm")
        world.publish("e0", "e1", "e2")
        world.broker.delete_before(at, 3)
        world.broker.commit("hookstream", {at: CommitPosition(0)})
        worker = await world.worker()
        await world.until(lambda: world.broker.commits["hookstream"][at] == 3)
        await worker.terminate()

        await world.worker()

        assert world.metrics.gaps == Counter({EVENTS: 3})


async def test_a_gap_is_reported_again_if_the_worker_died_before_the_report_was_durable() -> None:
    """Its partition is not committed before, though what follows is settled without a write."""
    at = TopicPartition(EVENTS, 0)
    async with World() as world:
        world.publish("e0", "e1", "e2")
        world.broker.delete_before(at, 2)
        world.broker.commit("hookstream", {at: CommitPosition(0)})
        worker = await world.worker()
        worker.sink.hold()
        await asyncio.sleep(5)
        assert world.broker.commits["hookstream"][at] == 0
        await worker.kill()

        await world.worker()

        await world.until(world.settled)
        published = [
            json.loads(r.value or b"") for r in world.broker.records("hookstream.operations")
        ]
        assert [each["type"] for each in published] == ["log.gap"]
        assert world.broker.commits["hookstream"][at] == 3
