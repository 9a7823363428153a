"""What a receiver says in the head of its answer: disable, abort-message, nothing left of a limit."""

import asyncio
import json
from collections import Counter

from tests.doubles.codec import json_record
from tests.doubles.endpoint import Switch, status
from tests.scenarios.test_health import granted_operations
from tests.scenarios.world import EVENT_TYPE, EVENTS, World

from hookstream.core.model.delivery import Delivery, Trigger
from hookstream.core.model.delivery_headers import tier_headers
from hookstream.core.model.instant import DAY, SECOND
from hookstream.core.model.outcome import Words
from hookstream.core.model.record import Origin, header_text
from hookstream.core.model.subscription import Disabled
from hookstream.core.planning.transitions import enable
from hookstream.pipeline.ports import WriteRefused

DISABLE = Words("disable")
ABORT = Words("abort-message")
NOTHING_LEFT = Words(ratelimit='"default";r=0;t=30')


def starts(world: World, subscription_id: str) -> list[float]:
    return [request.at for request in world.endpoints.to(subscription_id)]


def audit_entries(world: World) -> list[dict[str, str]]:
    records = world.broker.records(world.topics.attempts)
    return [json.loads(each.value or b"{}") for each in records]


def audited(world: World) -> list[tuple[str, str, str | None]]:
    """Return outcome, disposition and reason of every audit record."""
    return [
        (each["outcome"], each["disposition"], each["reason"]) for each in audit_entries(world)
    ]


async def test_a_refusal_with_disable_is_a_dead_letter_and_disables_the_subscription() -> None:
    async with World() as world:
        granted_operations(world)
        world.subscribe("crm")
        world.subscribe("watch", event_types=("endpoint.disabled",))
        world.endpoints.script("crm", status(500, words=DISABLE))
        await world.worker()
        world.publish("e1")
        await world.until(lambda: world.dead() != [])
        await asyncio.sleep(2)
        world.publish("e2")
        await world.until(world.settled)

        assert world.dead() == [("crm", "e1", "asked")]
        assert len(world.endpoints.to("crm")) == 1
        row = world.health()["crm/disabled"]
        assert row is not None
        assert (row["reason"], row["evidence"]) == (
            "asked",
            "answered 500 with webhook-delivery: disable",
        )
        [(about, data)] = world.published("endpoint.disabled")
        assert (about, data["partner_id"], data["reason"]) == ("crm", "acme", "asked")
        assert len(world.endpoints.accepted("watch")) == 1


async def test_what_was_accepted_with_disable_is_complete_and_the_subscription_disabled() -> None:
    async with World() as world:
        subscription = world.subscribe("crm")
        switch = Switch(status(204, words=DISABLE))
        world.endpoints.script("crm", switch)
        await world.worker()
        world.publish("e1")
        await world.until(lambda: "crm/disabled" in world.health())
        await asyncio.sleep(2)
        world.publish("in the gap")
        await world.until(world.settled)
        row = world.health()["crm/disabled"]
        assert row is not None
        switch.behaviour = status(204)
        disabled = Disabled("crm", row["since"], row["reason"])
        world.directory.put_subscription(enable(subscription, disabled, world.clock.now()))
        world.directory.drop_disabled("crm")
        await asyncio.sleep(1)
        world.publish("e2")
        await world.until(world.settled)

        assert row["reason"] == "asked"
        assert world.dead() == []
        assert world.accepted("crm") == Counter({"e1": 1, "e2": 1})
        assert [data["reason"] for _, data in world.published("endpoint.disabled")] == ["asked"]


async def test_an_accepted_delivery_waits_for_the_row_that_disables_its_subscription() -> None:
    async with World() as world:
        world.subscribe("crm")
        world.endpoints.script("crm", status(204, words=DISABLE))
        world.broker.refuse(world.topics.health, WriteRefused("not now", too_large=False))
        worker = await world.worker()
        world.publish("e1")
        await asyncio.sleep(30)
        before = (world.settled(), "crm/disabled" in world.health())
        await worker.kill()
        world.broker.refuse(world.topics.health, None)
        await world.worker()
        await world.until(world.settled)

        assert before == (False, False)
        assert "crm/disabled" in world.health()
        assert world.dead() == []


async def test_an_aborted_delivery_ends_and_leaves_the_subscription_alone() -> None:
    async with World() as world:
        world.subscribe("crm")
        world.endpoints.script(
            "crm", status(400, words=ABORT), status(200, words=ABORT), status(204)
        )
        await world.worker()
        for event in ("refused", "accepted", "next"):
            world.publish(event)
            await world.until(world.settled)

        assert world.dead() == [("crm", "refused", "aborted")]
        assert world.accepted("crm") == Counter({"accepted": 1, "next": 1})
        assert "crm/disabled" not in world.health()
        assert audited(world) == [
            ("failed", "dead_letter", "aborted"),
            ("delivered", "complete", None),
            ("delivered", "complete", None),
        ]


async def test_a_lane_rests_until_the_reset_of_its_rate_limit_while_others_go_on() -> None:
    """The delivery that learnt of it is complete, nothing else is attempted, lost or counted."""
    async with World() as world:
        world.subscribe("limited", max_in_flight=1)
        world.subscribe("fine")
        world.endpoints.script("limited", status(204, words=NOTHING_LEFT), status(204))
        await world.worker()
        events = [f"e{number}" for number in range(40)]
        world.publish(*events)
        await world.until(lambda: len(world.accepted("fine")) == 40, within=3)
        await world.until(world.settled, within=120)

        first, second, *_ = starts(world, "limited")
        assert 30 <= second - first < 35
        assert world.accepted("limited") == Counter(dict.fromkeys(events, 1))
        assert world.dead() == []
        tiers = [
            each
            for each in world.tier_writes()
            if header_text(each.headers, "hs-subscription-id") == "limited"
        ]
        assert {header_text(each.headers, "hs-deferred-reason") for each in tiers} == {"throttled"}
        assert {header_text(each.headers, "hs-attempt") for each in tiers} == {"0"}
        assert world.health() == {}


async def test_a_lane_that_has_the_worker_to_itself_rests_as_well() -> None:
    """Its queue does not stay unsettled until the reset."""
    async with World() as world:
        world.subscribe("limited", max_in_flight=1)
        world.endpoints.script("limited", status(200, words=NOTHING_LEFT), status(204))
        await world.worker()
        events = [f"e{number}" for number in range(40)]
        world.publish(*events)
        await asyncio.sleep(20)
        during = len(world.endpoints.to("limited"))
        committed = world.broker.commits[world.topics.group]
        waiting = sum(
            log.high - committed.get(at, 0)
            for at, log in world.broker.logs.items()
            if at.topic.endswith("pricing.completed")
        )
        await world.until(world.settled, within=120)

        assert (during, waiting) == (1, 0)
        assert world.accepted("limited") == Counter(dict.fromkeys(events, 1))


async def test_a_failure_with_nothing_left_is_one_failure_and_is_retried_after_the_reset() -> None:
    async with World() as world:
        world.subscribe("crm", schedule=(5 * SECOND,))
        world.endpoints.script("crm", status(500, words=NOTHING_LEFT), status(204))
        await world.worker()
        world.publish("e1")
        await world.until(world.settled, within=120)

        first, second = starts(world, "crm")
        assert second - first >= 30
        assert world.accepted("crm") == Counter({"e1": 1})
        assert world.endpoints.to("crm")[1].header("hookstream-attempt") == "2"


async def test_a_retry_after_that_was_followed_takes_precedence_over_a_rate_limit() -> None:
    async with World() as world:
        world.subscribe("crm", schedule=(SECOND,))
        words = Words(ratelimit='"default";r=0;t=3000')
        world.endpoints.script("crm", status(429, retry_after="10", words=words), status(204))
        await world.worker()
        world.publish("e1")
        await world.until(world.settled, within=120)

        first, second = starts(world, "crm")
        assert 10 <= second - first < 20


async def test_what_a_test_is_answered_disables_and_aborts_nothing() -> None:
    async with World() as world:
        world.subscribe("crm", schedule=(5 * SECOND, 5 * SECOND))
        world.endpoints.script("crm", status(204, words=DISABLE))
        await world.worker()
        event, now = json_record(EVENT_TYPE, "e1"), world.clock.now()
        delivery = Delivery(
            "msg_a", "crm", "acme", EVENT_TYPE, "e1", Origin(EVENTS, 0, 7, now), now, now + DAY
        )
        delivery.trigger, delivery.job = Trigger.TEST, "test-1"
        delivery.due_at = now
        headers = tier_headers(delivery, (), written_at=now)
        world.broker.append(
            world.topics.tier(5 * SECOND), event.value, key=b"crm", headers=headers
        )

        await world.until(world.settled)

        assert [each["disposition"] for each in audit_entries(world)] == ["complete"]
        assert world.health().get("crm/disabled") is None
        assert world.dead() == []
