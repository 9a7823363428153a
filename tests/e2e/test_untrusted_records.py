"""Untrusted records in a real log harm neither a worker nor a partner."""

import json

import pytest
from tests.e2e.world import EVENT_TYPE, World, until
from tests.raw_kafka import RawProducer, RawRecord

from hookstream.core.model.delivery import UnmatchedEvent
from hookstream.core.model.delivery_headers import tier_headers
from hookstream.core.model.record import Origin

pytestmark = pytest.mark.timeout(400)

BAD = (b"Gr\xf6\xdfe", b"1")


@pytest.mark.case("header-name")
async def test_a_header_name_that_is_not_text_does_not_prevent_delivery(world: World) -> None:
    """A tier record with the same name, which may hide its subscription, is not sent at all."""
    partner = await world.subscribe("crm")
    await world.publish(1)
    [sound] = [entry.value for entry in await world.read(f"events.{EVENT_TYPE}")]
    state = UnmatchedEvent(Origin(world.topic, 0, 7, 1_795_000_000_000), 1_795_000_000_000)
    headers = [
        (name.encode(), value)
        for name, value in tier_headers(state, (), written_at=1_795_000_000_000)
    ]
    with RawProducer(world.stage.servers) as producer:
        producer.write(world.topic, [RawRecord(sound, b"k", [BAD])])
        tier = f"{world.prefix}.retry.5s"
        producer.write(
            tier, [RawRecord(sound, b"k", [*headers, (b"hs-subscription-id\xff", b"x")])]
        )
    await world.stage.start_worker()

    await until(lambda: sum(partner.accepted.values()) >= 2, 60, lambda: partner.statuses)
    await world.until_settled(60)
    listed = await world.stage.hookstream(
        "events", "tail", "--topic", world.topic, "--from-beginning", "--no-follow"
    )
    aside = await world.ask("undecodable", "list")

    assert sum(partner.accepted.values()) == 2
    assert len([json.loads(line) for line in listed.splitlines()]) == 2
    assert [(group["reason"], group["letters"]) for group in aside["groups"]] == [
        ("headers_unreadable", 1)
    ]
