"""A test has one attempt through the whole path, is kept nowhere, and teaches the worker nothing."""

import asyncio
from dataclasses import replace

import pytest
from tests.doubles.endpoint import Behaviour, hang, refuse_connections, status
from tests.scenarios.batching import batching
from tests.scenarios.replaying import audited, lives, send_test, sent
from tests.scenarios.world import World

from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.json import JsonObject
from hookstream.core.model.outcome import Words
from hookstream.core.model.subscription import (
    Disabled,
    Gap,
    Grant,
    Partner,
    SubscriptionState,
    UnreadableSubscription,
)


def kept(world: World) -> list[str]:
    """Return the topics in which something of a test is kept: none but the door and the audit log."""
    return sorted(
        {
            at.topic
            for at, log in world.broker.logs.items()
            if log.records and at.topic not in (world.topics.attempts, world.topics.tier(0))
        }
    )


@pytest.mark.parametrize(
    ("behaviour", "outcome", "disposition", "reason"),
    [
        (status(204), "delivered", "complete", None),
        (status(500), "failed", "cancel", None),
        (status(429, retry_after="30"), "throttled", "cancel", None),
        (status(410), "gone", "cancel", None),
        (status(404), "failed", "cancel", None),
        (status(500, words=Words(delivery="disable")), "failed", "cancel", None),
        (status(204, words=Words(delivery="disable")), "delivered", "complete", None),
        (refuse_connections(), "failed", "cancel", None),
    ],
    ids=("204", "500", "429", "410", "404", "500 disable", "204 disable", "down"),
)
async def test_a_test_has_one_attempt_whatever_it_is_answered(
    behaviour: Behaviour, outcome: str, disposition: str, reason: str | None
) -> None:
    async with World() as world:
        world.subscribe("crm")
        world.endpoints.script("crm", behaviour)
        await world.worker()

        send_test(world, "crm")
        await world.until(world.settled)
        await asyncio.sleep(60)

        [entry] = audited(world, "crm")
        assert (entry["outcome"], entry["disposition"]) == (outcome, disposition)
        assert (entry["trigger"], entry["job_id"], entry["reason"]) == ("test", "test-1", reason)
        assert sent(world, "crm") == [("test", None)]
        assert kept(world) == []
        assert b'"environment":"test"' in world.endpoints.to("crm")[0].post.body.replace(b" ", b"")


async def test_tests_that_fail_disable_nothing_open_no_breaker_and_slow_no_lane() -> None:
    async with World() as world:
        world.subscribe("crm")
        world.endpoints.script("crm", *[status(410)] * 30, status(204))
        worker = await world.worker()

        for number in range(30):
            send_test(world, "crm", f"test-{number}")
        await world.until(world.settled)
        began = asyncio.get_running_loop().time()
        world.publish("e1")
        await world.until(lambda: world.accepted("crm")["e1"] == 1)

        assert asyncio.get_running_loop().time() - began < 0.2
        assert world.health() == {}
        assert len(worker.engine.lanes.open_breakers) == 0
        assert len(lives(world, "crm")) == 31


async def test_a_test_reaches_an_endpoint_whose_breaker_is_open_and_leaves_it_open() -> None:
    async with World() as world:
        world.subscribe("crm")
        world.endpoints.script("crm", refuse_connections())
        worker = await world.worker()
        world.publish(*(f"e{number}" for number in range(30)))
        await world.until(lambda: len(worker.engine.lanes.open_breakers) == 1)
        world.endpoints.script("crm", status(204))

        send_test(world, "crm")
        await world.until(lambda: ("test", None) in sent(world, "crm"), within=0.5)
        await asyncio.sleep(0.1)

        assert len(worker.engine.lanes.open_breakers) == 1
        assert ("test-1", "test", 1, "complete") in lives(world, "crm")


async def test_a_test_overtakes_a_lane_that_is_full_and_takes_nothing_of_its_rate() -> None:
    async with World() as world:
        world.subscribe("crm", rate_limit=1, max_in_flight=1)
        world.subscribe("other")
        world.endpoints.script("crm", status(204, after=0.1))
        await world.worker()
        world.publish(*(f"e{number}" for number in range(20)))
        await world.until(lambda: len(world.endpoints.to("crm")) == 2)
        live = len(world.endpoints.to("crm"))

        for number in range(5):
            send_test(world, "crm", f"test-{number}")
        began = asyncio.get_running_loop().time()
        await world.until(
            lambda: sum(trigger == "test" for trigger, _ in sent(world, "crm")) == 5, within=2
        )

        assert asyncio.get_running_loop().time() - began < 1
        await world.until(lambda: len(world.endpoints.to("crm")) == live + 5 + 10)
        # One a second, as if there had been no tests.
        assert asyncio.get_running_loop().time() - began < 12


async def test_an_endpoint_that_hangs_has_one_test_at_a_time_and_the_others_are_over_after_a_minute() -> (
    None
):
    async with World() as world:
        world.subscribe("crm", timeout=15_000)
        world.subscribe("other")
        world.endpoints.script("crm", hang())
        await world.worker()

        for number in range(8):
            send_test(world, "crm", f"test-{number}")
        send_test(world, "other", "test-other")
        await world.until(lambda: ("test-1", "test", 1, "complete") in lives(world, "other"), 1)
        await world.until(world.settled, within=120)

        found = [(each["outcome"], each["reason"]) for each in audited(world, "crm")]
        assert found == [("failed", None)] * 4 + [(None, "expired")] * 4
        assert kept(world) == []


async def test_more_tests_than_may_wait_end_at_once_with_the_word_for_it() -> None:
    async with World() as world:
        world.subscribe("crm", timeout=15_000)
        world.endpoints.script("crm", hang())
        await world.worker()

        for number in range(105):
            send_test(world, "crm", f"test-{number}")
        await world.until(lambda: len(audited(world, "crm")) == 4, within=2)
        found = [(each["disposition"], each["reason"]) for each in audited(world, "crm")]
        await world.until(world.settled, within=120)

        assert found == [("cancel", "lane_full")] * 4
        assert len(audited(world, "crm")) == 105
        assert kept(world) == []


@pytest.mark.parametrize(
    ("stands", "reason"),
    [
        ("held", "held"),
        ("disabled", "disabled"),
        ("deleted", None),
        ("absent", "subscription_absent"),
        ("unreadable", "subscription_unreadable"),
    ],
)
async def test_a_test_of_what_may_not_be_attempted_ends_at_once_with_the_word_for_it(
    stands: str, reason: str | None
) -> None:
    """The command refuses it before; what changes meanwhile is in the audit log."""
    async with World() as world:
        subscription = world.subscribe("crm")
        send_test(world, "crm")
        match stands:
            case "held":
                world.directory.holds.put(Hold(HoldKind.ENDPOINT, "crm", 0, "a deploy"))
            case "disabled":
                world.directory.put_disabled(Disabled("crm", 0, "gone"))
            case "deleted":
                gone = replace(subscription, state=SubscriptionState.DELETED)
                world.directory.put_subscription(gone)
            case "absent":
                world.directory.drop_subscription("crm")
            case _:
                unreadable = UnreadableSubscription("crm", "acme", ("*",), 0, (), "a newer one")
                world.directory.put_subscription(unreadable)
        await world.worker()
        await world.until(world.settled, within=5)

        [entry] = audited(world, "crm")
        assert (entry["disposition"], entry["outcome"]) == ("cancel", None)
        assert entry["reason"] == reason
        assert (world.endpoints.to("crm"), kept(world)) == ([], [])


async def test_a_paused_subscription_can_be_tested_before_it_is_resumed() -> None:
    async with World() as world:
        paused = Gap(world.clock.now() - 60_000, None, "paused")
        world.directory.put_subscription(
            replace(world.subscribe("crm"), state=SubscriptionState.PAUSED, gaps=(paused,))
        )
        await world.worker()

        send_test(world, "crm")
        await world.until(world.settled)

        assert lives(world, "crm") == [("test-1", "test", 1, "complete")]


async def test_a_test_is_granted_by_its_type_alone_and_only_as_a_test() -> None:
    async with World() as world:
        subscription = world.subscribe("crm", active_from=world.clock.now() + 86_400_000)
        never: JsonObject = {"data": {"colour": ["none"]}}
        world.directory.put_subscription(
            replace(subscription, environments=("production",), pattern=never)
        )
        grant = Grant(("pricing.*",), ("production",), pattern=never)
        world.directory.put_partner(Partner("acme", "Acme", grant))
        await world.worker()

        send_test(world, "crm", "test-1")
        # An event of the platform that somebody wrote as a test is asked for in full.
        send_test(world, "crm", "test-2", environment="staging")
        await world.until(world.settled)
        world.directory.put_partner(Partner("acme", "Acme", Grant(("order.*",), ("*",))))
        send_test(world, "crm", "test-3")
        await world.until(world.settled)

        found = [
            (each["event_id"], each["disposition"], each["reason"])
            for each in audited(world, "crm")
        ]
        assert found == [
            ("test-1", "complete", None),
            ("test-2", "cancel", "not_granted"),
            ("test-3", "cancel", "not_granted"),
        ]


async def test_a_test_of_an_unknown_schema_ends_and_waits_for_none() -> None:
    async with World() as world:
        world.subscribe("crm")
        await world.worker()

        send_test(world, "crm", event_type="order.generated")
        await world.until(world.settled)

        [entry] = audited(world, "crm")
        assert (entry["disposition"], entry["reason"]) == ("cancel", "not_decodable")
        assert kept(world) == []


async def test_a_test_that_was_asked_for_before_a_worker_was_there_is_not_sent() -> None:
    async with World() as world:
        world.subscribe("crm")
        send_test(world, "crm")
        await asyncio.sleep(61)
        await world.worker()
        await world.until(world.settled)

        [entry] = audited(world, "crm")
        assert (entry["disposition"], entry["reason"]) == ("cancel", "expired")
        assert world.endpoints.to("crm") == []


async def test_a_test_is_a_batch_of_its_own_where_live_deliveries_wait_for_theirs() -> None:
    async with World() as world:
        batching(world, "crm", max_events=100, max_wait=500)
        await world.worker()
        world.publish("e1", "e2")

        send_test(world, "crm")
        await world.until(world.settled)

        bodies = [each.post.body for each in world.endpoints.to("crm")]
        assert [b"test-1" in body for body in bodies] == [True, False]
        assert world.accepted("crm") == {"test-1": 1, "e1": 1, "e2": 1}


async def test_a_worker_that_drains_hands_a_waiting_test_on() -> None:
    async with World() as world:
        world.subscribe("crm", timeout=2_000)
        world.endpoints.script("crm", hang())
        worker = await world.worker()
        send_test(world, "crm", "test-1")
        send_test(world, "crm", "test-2")
        await world.until(lambda: len(world.endpoints.to("crm")) == 1)

        assert await worker.terminate()
        world.endpoints.script("crm", status(204))
        await world.worker()
        await world.until(world.settled)

        ended = {each["event_id"]: each["disposition"] for each in audited(world, "crm")}
        assert ended == {"test-1": "cancel", "test-2": "complete"}
