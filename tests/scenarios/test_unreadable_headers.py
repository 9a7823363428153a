"""A record with a header name that is not UTF-8 harms neither the stream nor a partner."""

from collections import Counter

import pytest
from tests.doubles.codec import json_record
from tests.doubles.endpoint import status
from tests.scenarios.world import EVENT_TYPE, EVENTS, World

from hookstream.core.model.delivery import UnmatchedEvent
from hookstream.core.model.delivery_headers import tier_headers
from hookstream.core.model.instant import SECOND
from hookstream.core.model.record import Origin, header_text

PROBLEM = r"the header name Gr\xf6\xdfe is not UTF-8"
BAD = (r"Gr\xf6\xdfe", b"1")


@pytest.mark.case("header-name")
async def test_an_event_with_such_a_header_is_delivered_and_the_header_travels_along() -> None:
    async with World() as world:
        world.subscribe("crm")
        world.endpoints.script("crm", status(500), status(204))
        await world.worker()
        event = json_record(EVENT_TYPE, "e1")
        world.broker.append(EVENTS, event.value, key=b"k", headers=[BAD], headers_problem=PROBLEM)

        await world.until(world.settled)

        assert world.accepted("crm") == Counter({"e1": 1})
        [waited] = world.tier_writes()
        assert BAD in waited.headers


async def test_an_event_whose_schema_only_such_a_header_names_is_undecodable() -> None:
    async with World() as world:
        world.subscribe("crm")
        await world.worker()
        world.broker.append(EVENTS, b"body", key=b"k", headers=[BAD], headers_problem=PROBLEM)
        world.publish("e1")

        await world.until(world.settled)

        [aside] = world.broker.records(world.topics.undecodable)
        assert (aside.key, aside.value) == (b"k", b"body")
        assert header_text(aside.headers, "hs-reason") == "headers_unreadable"
        assert BAD in aside.headers
        assert world.accepted("crm") == Counter({"e1": 1})


async def test_an_operations_event_with_such_a_header_is_not_sent() -> None:
    """Its headers decide who may see it, and those of an unreadable record are not trusted."""
    async with World() as world:
        world.subscribe("crm", event_types=(EVENT_TYPE,))
        await world.worker()
        event = json_record(EVENT_TYPE, "e1")
        world.broker.append(
            world.topics.operations,
            event.value,
            key=b"k",
            headers=[BAD],
            headers_problem=PROBLEM,
        )

        await world.until(world.settled)

        [aside] = world.broker.records(world.topics.undecodable)
        assert world.endpoints.to("crm") == []
        assert header_text(aside.headers, "hs-reason") == "headers_unreadable"


async def test_a_tier_record_that_may_hide_its_subscription_is_never_sent() -> None:
    """Without its subscription it looks like an event, which would be matched again for all subscriptions."""
    async with World() as world:
        for number in range(20):
            world.subscribe(f"s{number}")
        await world.worker()
        tier = world.topics.tier(5 * SECOND)
        now = world.broker.clock.now()
        state = UnmatchedEvent(Origin(EVENTS, 0, 7, now), now)
        headers = [*tier_headers(state, (), written_at=now), ("hs-subscription-id\\xff", b"s1")]
        event = json_record(EVENT_TYPE, "e1")
        world.broker.append(tier, event.value, key=b"k", headers=headers, headers_problem=PROBLEM)

        await world.until(world.settled)

        [aside] = world.broker.records(world.topics.undecodable)
        assert [request for n in range(20) for request in world.endpoints.to(f"s{n}")] == []
        assert aside.value == event.value
        assert header_text(aside.headers, "hs-reason") == "headers_unreadable"
        assert header_text(aside.headers, "__connect.errors.exception.message") == PROBLEM
        assert header_text(aside.headers, "hs-origin-topic") == EVENTS
