"""How workers treat an endpoint that only fails, and its recovery, and whom they notify."""

import asyncio
from collections import Counter
from dataclasses import replace

from tests.doubles.endpoint import Switch, status
from tests.scenarios.world import TIERS, World

from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.instant import HOUR, MINUTE, SECOND
from hookstream.core.model.subscription import Disabled, Grant, Partner
from hookstream.core.planning.transitions import enable
from hookstream.pipeline.engine import EngineRules
from hookstream.pipeline.ports import WriteRefused

RULES = EngineRules(
    tiers=TIERS, disable_after=15 * MINUTE, disable_attempts=5, probe_every=5 * MINUTE
)
"""A breaker may leave five minutes between two attempts: less than half of the period."""
OFTEN = (30 * SECOND,) * 40
OPERATIONS_EVENTS = ("endpoint.disabled", "endpoint.recovered", "delivery.dead_lettered")


def granted_operations(world: World, *, partner: str = "acme", operator: bool = False) -> None:
    """Let a partner see operations events, by their names: `*` includes none of them."""
    grant = Grant(("*", *OPERATIONS_EVENTS), ("*",), operator=operator)
    world.directory.put_partner(Partner(partner, partner, grant))


async def test_an_endpoint_that_only_fails_is_disabled_and_what_is_pending_is_dead_lettered() -> (
    None
):
    async with World(rules=RULES) as world:
        world.subscribe("crm", schedule=OFTEN)
        world.endpoints.script("crm", status(500))
        await world.worker()
        world.publish("e1", "e2")
        started = world.clock.now()

        await world.until(lambda: len(world.dead()) == 2, within=22 * 60, step=1)
        world.publish("e3")
        await world.until(world.settled)

        assert sorted(world.dead()) == [("crm", "e1", "disabled"), ("crm", "e2", "disabled")]
        rows = world.health()
        failing, disabled = rows["crm/failing"], rows["crm/disabled"]
        assert failing is not None
        assert disabled is not None
        assert disabled["since"] - failing["since"] >= 15 * MINUTE
        assert failing["since"] - started < SECOND
        [(about, data)] = world.published("endpoint.disabled")
        assert (about, data["partner_id"], data["reason"]) == ("crm", "acme", "failing")
        assert str(data["evidence"]).startswith("nothing but failures since ")
        assert [data["reason"] for _, data in world.published("delivery.dead_lettered")] == [
            "disabled",
            "disabled",
        ]


async def test_after_one_success_in_the_period_no_endpoint_is_disabled() -> None:
    async with World(rules=RULES) as world:
        switch = Switch(status(500))
        world.endpoints.script("crm", switch)
        world.subscribe("crm", schedule=OFTEN)
        await world.worker()
        world.publish("e1")
        await asyncio.sleep(13 * 60)
        switch.behaviour = status(204)
        await world.until(lambda: len(world.accepted("crm")) == 1)
        switch.behaviour = status(500)
        world.publish("e2")
        await asyncio.sleep(13 * 60)

        assert "crm/disabled" not in world.health()
        assert world.dead() == []


async def test_a_recovery_after_minutes_is_published_once_and_one_after_seconds_is_not() -> None:
    async with World(rules=RULES) as world:
        switch = Switch(status(500))
        world.endpoints.script("crm", switch)
        world.subscribe("crm", schedule=OFTEN)
        await world.worker()
        world.publish("e1", "e2", "e3")
        await asyncio.sleep(40)
        switch.behaviour = status(204)
        await world.until(lambda: len(world.accepted("crm")) == 3)
        after_seconds = world.published("endpoint.recovered")
        switch.behaviour = status(500)
        await asyncio.sleep(60)
        world.publish("e4", "e5")
        await asyncio.sleep(6 * 60)
        switch.behaviour = status(204)
        await world.until(lambda: len(world.accepted("crm")) == 5)
        await world.until(world.settled)

        assert after_seconds == []
        [(about, data)] = world.published("endpoint.recovered")
        assert (about, data["partner_id"]) == ("crm", "acme")
        assert world.health() == {"crm/failing": None}


async def test_health_rows_are_written_on_transitions_only() -> None:
    async with World(rules=RULES) as world:
        world.subscribe("crm", schedule=OFTEN)
        world.subscribe("fine")
        world.endpoints.script("crm", status(500))
        await world.worker()
        world.publish(*(f"e{number}" for number in range(50)))
        await asyncio.sleep(5 * 60)

        rows = world.broker.records(world.topics.health)

        assert len(world.endpoints.to("crm")) > 5
        assert [(row.key or b"").decode() for row in rows] == ["crm/failing"]


async def test_a_failing_period_outlives_the_worker_that_marked_it() -> None:
    async with World(rules=RULES) as world:
        world.subscribe("crm", schedule=OFTEN)
        world.endpoints.script("crm", status(500))
        worker = await world.worker()
        world.publish("e1")
        await asyncio.sleep(10 * 60)
        await worker.kill()
        await world.worker()

        await world.until(lambda: world.dead() != [], within=120 * 60, step=1)

        assert world.dead() == [("crm", "e1", "disabled")]


async def test_a_delivery_waits_for_the_row_that_disables_its_subscription() -> None:
    """A worker that dies before the row is durable has settled nothing."""
    async with World(rules=RULES) as world:
        world.subscribe("crm", schedule=OFTEN)
        world.endpoints.script("crm", status(410))
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
        assert world.health()["crm/disabled"] is not None
        assert set(world.dead()) == {("crm", "e1", "gone")}


async def test_attempts_in_flight_at_a_disabling_write_no_second_verdict() -> None:
    """It would move the start of the gap past records that were no longer matched."""
    async with World(rules=RULES) as world:
        world.subscribe("crm", max_in_flight=8)
        world.endpoints.script("crm", status(410, after=1.0))
        await world.worker()
        world.publish(*(f"e{number}" for number in range(8)))
        await world.until(world.settled)

        rows = [row.key for row in world.broker.records(world.topics.health)]

        assert len([dead_letter for dead_letter in world.dead() if dead_letter[2] == "gone"]) > 1
        assert rows == [b"crm/disabled"]
        assert len(world.published("endpoint.disabled")) == 1


async def test_an_endpoint_that_is_disabled_again_right_after_enabling_is_published_again() -> (
    None
):
    async with World(rules=RULES) as world:
        subscription = world.subscribe("crm")
        world.endpoints.script("crm", status(410))
        await world.worker()
        world.publish("e1")
        await world.until(lambda: world.directory.is_disabled("crm"))
        disabled = world.health()["crm/disabled"]
        assert disabled is not None
        since = disabled["since"]
        await asyncio.sleep(1)
        world.directory.put_subscription(
            enable(subscription, Disabled("crm", since, "gone"), world.clock.now())
        )
        world.directory.drop_disabled("crm")
        await asyncio.sleep(1)

        world.publish("e2")
        await asyncio.sleep(2)

        again = world.health()["crm/disabled"]
        assert again is not None
        assert again["since"] > since
        assert len(world.published("endpoint.disabled")) == 2


async def test_operations_events_are_delivered_by_name_to_the_partner_concerned_and_to_operators() -> (
    None
):
    async with World(rules=RULES) as world:
        granted_operations(world)
        granted_operations(world, partner="brightside")
        granted_operations(world, partner="platform", operator=True)
        world.subscribe("crm", schedule=())
        world.subscribe("hers", event_types=("delivery.dead_lettered",))
        world.subscribe("everything", event_types=("*", "delivery.*"))
        world.subscribe("theirs", partner="brightside", event_types=("delivery.dead_lettered",))
        world.subscribe("ours", partner="platform", event_types=("delivery.dead_lettered",))
        world.endpoints.script("crm", status(500))
        await world.worker()
        world.publish("e1")

        await world.until(world.settled)
        await asyncio.sleep(5)

        published = [request.header("webhook-id") for request in world.endpoints.accepted("hers")]
        assert len(published) == 1
        assert len(world.endpoints.accepted("ours")) == 1
        assert world.endpoints.to("theirs") == []
        assert world.accepted("everything") == Counter({"e1": 1})


async def test_no_failure_of_delivering_an_operations_event_raises_another() -> None:
    async with World(rules=RULES) as world:
        granted_operations(world)
        world.subscribe("crm", schedule=())
        world.subscribe("hers", event_types=OPERATIONS_EVENTS, schedule=(5 * SECOND,))
        world.endpoints.script("crm", status(500))
        world.endpoints.script("hers", status(500))
        await world.worker()
        world.publish("e1")
        await world.until(world.settled)
        dead = world.dead()
        world.endpoints.script("hers", status(410))
        world.publish("e2")
        await world.until(world.settled)
        await asyncio.sleep(5)
        await world.until(world.settled)

        assert [(subscription, reason) for subscription, _, reason in dead] == [
            ("crm", "attempts_exhausted"),
            ("hers", "attempts_exhausted"),
        ]
        assert {about for about, _ in world.published("delivery.dead_lettered")} == {"crm"}
        assert world.published("endpoint.disabled") == []
        assert world.health()["hers/disabled"] is not None


async def test_a_delivery_that_is_too_large_for_a_tier_is_reported_as_dead_lettered() -> None:
    async with World(rules=RULES) as world:
        world.subscribe("crm")
        world.endpoints.script("crm", status(500))
        for tier in TIERS:
            world.broker.refuse(world.topics.tier(tier), WriteRefused("too large", too_large=True))
        await world.worker()
        world.publish("e1")

        await world.until(world.settled)

        assert world.dead() == [("crm", "e1", "record_too_large")]
        assert [data["reason"] for _, data in world.published("delivery.dead_lettered")] == [
            "record_too_large"
        ]


async def test_a_hold_that_outlasts_the_period_does_not_end_in_a_disabling() -> None:
    """The endpoint had no chance to answer meanwhile."""
    async with World(rules=replace(RULES, disable_attempts=2)) as world:
        world.endpoints.script("crm", status(500))
        world.subscribe("crm", schedule=(*OFTEN[:6], 6 * HOUR))
        await world.worker()
        world.publish("e1")
        await asyncio.sleep(65)
        world.directory.holds.put(Hold(HoldKind.ENDPOINT, "crm", 0, "they mend it"))
        before = len(world.endpoints.to("crm"))
        await asyncio.sleep(20 * 60)
        world.directory.holds.drop(HoldKind.ENDPOINT, "crm")
        await asyncio.sleep(10 * 60)

        assert before == 3
        assert len(world.endpoints.to("crm")) > 4
        assert "crm/disabled" not in world.health()
