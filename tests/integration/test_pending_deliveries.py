"""A tier record is pending only if neither the commit nor its metadata says that it is settled."""

from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import Producer
from tests.conftest import Broker
from tests.integration.dead_letters_world import DELIVERY, NOW, World, delivery, make_world

from hookstream.core.model.delivery import DeferReason, UnmatchedEvent
from hookstream.core.model.delivery_headers import tier_headers
from hookstream.core.model.outcome import DeadLetter, DeadReason, Delivered, Failed, FailureKind


@pytest.fixture
def world(broker: Broker, prefix: str, capsys: pytest.CaptureFixture[str]) -> World:
    return make_world(broker, prefix, capsys)


def test_what_is_settled_or_aborted_is_not_pending_and_what_was_not_read_is_said(
    world: World,
) -> None:
    tier = world.names.tier(0)
    for number in range(6):
        world.wait(replace(delivery(number), deferred_reason=DeferReason.PAUSED))
    world.wait(UnmatchedEvent(DELIVERY.origin, NOW, deferred_reason=DeferReason.SCHEMA_UNKNOWN))
    state = tier_headers(delivery(7), (), written_at=NOW)
    world.append(tier, b"v", [*state, ("hs-attempt", b"many\x1b[2J")])
    producer = Producer({**world.client, "transactional.id": f"{world.names.prefix}.t"})
    producer.init_transactions(30)
    producer.begin_transaction()
    headers = tier_headers(delivery(9), (), written_at=NOW)
    producer.produce(tier, b"v", b"k", 0, headers=list(headers))
    producer.flush(30)
    producer.abort_transaction(30)
    producer.close()
    world.settle(1, (2, 4))

    listed = world.run("deliveries", "list", "--state", "pending", "--json")
    found: Any = listed.json
    shown = [each["delivery_id"] for each in found["deliveries"]]
    assert shown == [delivery(number).delivery_id for number in (1, 4, 5)]
    assert found["groups"] == [
        {
            "subscription_id": "crm-orders",
            "state": "pending",
            "reason": "paused",
            "deliveries": 3,
            "oldest": found["deliveries"][0]["at"],
            "newest": found["deliveries"][2]["at"],
            "next_due_at": None,
        }
    ]
    assert (found["unmatched_events"], found["unreadable"]) == (1, 1)
    assert "hs-attempt" in listed.err
    assert "\x1b" not in listed.err

    some: Any = world.run("deliveries", "list", "--state", "pending", "--scan", "4", "--json").json
    assert (some["total"], some["not_read"]["tiers"] > 0) == (2, True)
    assert world.run("deliveries", "show", delivery(1).delivery_id).code == 0
    settled = world.run("deliveries", "show", delivery(2).delivery_id)
    assert (settled.code, "has a record of" in settled.err) == (2, True)


def test_a_limited_reading_of_the_past_has_the_newest_and_says_from_when_on_it_is_complete(
    world: World,
) -> None:
    for number in range(20):
        world.attempt(delivery(number), Delivered(204), DeadLetter(DeadReason.EXPIRED, ""), NOW)
    failed = Failed(FailureKind.STATUS, "answered 503", 503)
    world.attempt(delivery(20), failed, DeadLetter(DeadReason.EXPIRED, "late"), NOW + 1)
    world.die(delivery(20), DeadReason.EXPIRED)
    since = ("deliveries", "list", "--since", "2026-01-01T00:00:00Z", "--json")
    some: Any = world.run(*since, "--scan", "5").json
    assert some["total"] == 5
    newest = some["deliveries"][-1]
    assert (newest["delivery_id"], newest["place"]) == (delivery(20).delivery_id, "0@0")
    assert some["not_read"]["attempts"] == 16
    assert some["not_read"]["attempts_complete_from"]
