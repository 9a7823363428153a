"""`hookstream stats` counts deliveries from the topics, and says what it did not read."""

import time
from dataclasses import replace
from typing import Any

import pytest
from tests.conftest import Broker
from tests.integration.dead_letters_world import World, delivery, make_world

from hookstream.core.model.delivery import DeferReason, Delivery, Trigger
from hookstream.core.model.delivery_headers import tier_headers
from hookstream.core.model.outcome import Complete, Delivered, Failed, FailureKind, RetryAt

FAILED = Failed(FailureKind.CONNECT, "connect to 10.0.0.7:443 timed out after 5 s")


@pytest.fixture
def world(broker: Broker, prefix: str, capsys: pytest.CaptureFixture[str]) -> World:
    return make_world(broker, prefix, capsys)


def fresh(number: int, published: int, subscription: str = "crm-orders") -> Delivery:
    """A delivery of an event that was published then."""
    made = delivery(number, subscription)
    origin = made.origin._replace(offset=number, timestamp=published)
    return replace(made, origin=origin, attempt=1, trigger=Trigger.INITIAL)


def test_statistics_are_counted_by_events_and_say_what_was_not_read(world: World) -> None:
    now = int(time.time() * 1000)
    tier = world.names.tier(0)
    early = now - 10 * 60_000
    for number in range(3):
        world.attempt(fresh(number, now), Delivered(200), Complete(), now)
    for made_again in range(2):  # the second after a crash
        world.attempt(fresh(3, early), FAILED, RetryAt(now), now + made_again)
    world.attempt(fresh(4, early), FAILED, RetryAt(now), early)
    world.attempt(replace(fresh(4, early), attempt=2), Delivered(200), Complete(), now)
    held = replace(fresh(5, now), deferred_reason=DeferReason.HELD)
    world.append(tier, world.event(), tier_headers(held, (), written_at=now))
    world.attempt(fresh(6, now, "shop"), Delivered(200), Complete(), now)
    world.attempt(replace(fresh(7, now), job="replay-1"), Delivered(200), Complete(), now)

    shown = world.run("stats", "crm-orders", "--json")
    found: Any = shown.json
    counts = found["counts"]
    assert (counts["events"], counts["delivered"], counts["open"], counts["overdue"]) == (
        5,
        4,
        1,
        1,
    )
    assert (counts["delivered_at_once"], counts["retries"]) == (3, 1)
    assert (counts["success_rate"], counts["at_once_rate"]) == (0.8, 0.6)
    assert (counts["held"], counts["replays"], counts["left_out_share"]) == (1, 1, 2 / 7)
    [error] = found["errors"]
    assert (error["outcome"], error["text"], error["count"]) == (
        "failed",
        "connect to <address> timed out after <n> s",
        3,
    )
    assert found["last_attempt"]["outcome"] == "failed"
    assert found["whole"]

    text = world.run("stats", "--partner", "acme").out
    assert "6 deliveries of events since" in text
    assert "83.33 %" in text
    assert "connect to <address> timed out" in text

    unknown = world.run("stats", "crm-order")
    assert (unknown.code, "--subscription 'crm-order'" in unknown.err) == (2, True)

    part = world.run("stats", "crm-orders", "--scan", "2", "--json")
    assert part.json["whole"] is False
    assert "were not read" in part.err
