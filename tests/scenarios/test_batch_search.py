"""A batch that is refused for what is in it is halved: who is at fault is found, and nobody pays for it."""

import asyncio
import itertools
import json
from collections.abc import Collection

import pytest
from tests.doubles.batch_bodies import event_ids, refuse
from tests.doubles.endpoint import Switch, status
from tests.scenarios.batching import (
    alone,
    attempts,
    audit,
    batching,
    longest_search,
    named,
    sent,
    starts,
)
from tests.scenarios.world import TIERS, World

from hookstream.core.model.instant import MINUTE, SECOND
from hookstream.core.model.outcome import Answer, Response
from hookstream.core.model.record import header_text
from hookstream.pipeline.engine import EngineRules
from hookstream.pipeline.ports import Post

MANY = EngineRules(tiers=TIERS, max_deliveries=4_000)
QUICKLY = 3.0
"""Seconds within which a search ends whose requests are answered at once."""


@pytest.mark.parametrize("place", ["first", "second", "middle", "last"])
@pytest.mark.parametrize(
    ("members", "code"), [(2, 400), (3, 413), (7, 422), (8, 400), (100, 413), (1_000, 422)]
)
async def test_one_member_at_fault_is_found_and_all_others_arrive_at_once(
    members: int, place: str, code: int
) -> None:
    events = named(members)
    at = {"first": 0, "second": 1, "middle": members // 2, "last": members - 1}[place]
    async with World(rules=MANY) as world:
        batching(world, "crm", max_events=members, max_wait=500)
        world.endpoints.script("crm", refuse(code, {events[at]}))
        await world.worker()
        world.publish(*events)
        others = dict.fromkeys((each for each in events if each != events[at]), 1)

        await world.until(lambda: world.accepted("crm") == others, within=QUICKLY, step=0.01)
        await asyncio.sleep(QUICKLY)

        assert len(sent(world, "crm")[0]) == members
        assert len(sent(world, "crm")) <= longest_search(members)
        assert world.dead() == []
        # Only what was found waits, by its own schedule.
        [waiting] = world.tier_writes()
        assert header_text(waiting.headers, "hs-event-id") == events[at]
        assert header_text(waiting.headers, "hs-step") == "1"


async def test_what_was_found_is_retried_by_its_schedule_and_dead_lettered_at_its_end() -> None:
    async with World() as world:
        batching(world, "crm", schedule=(5 * SECOND, 30 * SECOND))
        world.endpoints.script("crm", refuse(400, {"e3"}))
        await world.worker()
        world.publish(*named(8))
        await world.until(world.settled)

        assert world.dead() == [("crm", "e3", "attempts_exhausted")]
        assert world.accepted("crm") == dict.fromkeys((f"e{n}" for n in range(8) if n != 3), 1)
        found = [at for at in starts(world, "crm") if at > QUICKLY]
        assert len(found) == 2
        assert 5 <= found[0] < 10
        assert 30 <= found[1] - found[0] < 40
        assert alone(world, "crm", 400) == {"e3"}


async def test_a_member_that_is_accepted_later_is_complete_with_all_its_attempts_counted() -> None:
    async with World() as world:
        batching(world, "crm", schedule=(5 * SECOND, 30 * SECOND))
        switch = Switch(refuse(422, {"e1"}))
        world.endpoints.script("crm", switch)
        await world.worker()
        world.publish("e0", "e1")
        await asyncio.sleep(QUICKLY)
        before = len(sent(world, "crm"))
        switch.behaviour = status(204)
        await world.until(world.settled)

        made = attempts(world, "crm")["e1"]
        assert [number for number, _, _ in made] == list(range(1, len(made) + 1))
        assert len([each for each in sent(world, "crm")[:before] if "e1" in each]) == len(made) - 1
        assert made[-1][1:] == ("delivered", "complete")
        assert world.accepted("crm") == {"e0": 1, "e1": 1}


async def test_every_request_of_a_search_is_an_attempt_of_its_members_and_no_step_of_a_schedule() -> (
    None
):
    """Each is audited with the batch that it was made in, and due at once."""
    async with World() as world:
        batching(world, "crm", schedule=(5 * SECOND,))
        world.endpoints.script("crm", refuse(400, {"e5"}))
        await world.worker()
        world.publish(*named(8))
        await asyncio.sleep(QUICKLY)

        seen = [
            (request.header("webhook-id"), each)
            for request in world.endpoints.to("crm")
            for each in event_ids(request.post)
        ]
        entries = audit(world, "crm")
        assert [(each["batch_id"], each["event_id"]) for each in entries] == seen
        for each in named(8):
            numbers = [number for number, _, _ in attempts(world, "crm")[each]]
            assert numbers == list(range(1, len(numbers) + 1))
        again = [each for each in entries if each["disposition"] == "retry"]
        assert len(again) > 8
        assert {each["due_at"] - each["started_at"] for each in again} == {20}
        assert {each["disposition"] for each in entries} == {"retry", "complete"}
        [waiting] = world.tier_writes()
        assert header_text(waiting.headers, "hs-step") == "1"
        made = len(attempts(world, "crm")["e5"])
        assert header_text(waiting.headers, "hs-attempt") == str(made)


@pytest.mark.parametrize("at_fault", [("e0", "e1"), ("e0", "e7"), ("e2", "e5"), ("e6", "e7")])
async def test_of_two_members_at_fault_both_end_alone_and_every_other_arrives(
    at_fault: Collection[str],
) -> None:
    async with World() as world:
        batching(world, "crm", schedule=(5 * SECOND, 30 * SECOND, MINUTE))
        world.endpoints.script("crm", refuse(422, at_fault))
        await world.worker()
        world.publish(*named(8))
        await asyncio.sleep(QUICKLY)
        assert len(sent(world, "crm")) <= longest_search(8)
        await world.until(world.settled)

        assert world.accepted("crm") == dict.fromkeys(
            (each for each in named(8) if each not in at_fault), 1
        )
        assert sorted(world.dead()) == [
            ("crm", each, "attempts_exhausted") for each in sorted(at_fault)
        ]
        assert alone(world, "crm", 422) == set(at_fault)


async def test_of_a_hundred_members_ten_at_fault_keep_no_other_from_arriving() -> None:
    events, at_fault = named(100), set(named(100)[5::10])
    async with World() as world:
        batching(world, "crm", schedule=(5 * SECOND,) * 20)
        world.endpoints.script("crm", refuse(400, at_fault))
        await world.worker()
        world.publish(*events)
        await world.until(world.settled)

        assert world.accepted("crm") == dict.fromkeys(
            (each for each in events if each not in at_fault), 1
        )
        assert {event for _, event, _ in world.dead()} == at_fault
        assert alone(world, "crm", 400) >= at_fault


@pytest.mark.parametrize("members", [2, 3, 8, 50])
async def test_an_endpoint_that_refuses_everything_is_not_searched_again_for_a_minute(
    members: int,
) -> None:
    async with World() as world:
        batching(world, "crm", max_events=members, schedule=(5 * SECOND,) * 30)
        world.endpoints.script("crm", status(400))
        await world.worker()
        world.publish(*named(members))
        await asyncio.sleep(QUICKLY)
        search = len(sent(world, "crm"))
        assert search <= longest_search(members)
        await asyncio.sleep(54)
        minute = sent(world, "crm")[search:]
        # All meet again every 5 s, and are not halved.
        assert {len(each) for each in minute} == {members}
        assert 8 <= len(minute) <= 11
        await asyncio.sleep(30)

        again = sent(world, "crm")[search + len(minute) :]
        assert min(len(each) for each in again) <= members // 2
        assert world.dead() == []


async def test_after_a_search_that_found_something_the_next_refused_batch_is_searched_at_once() -> (
    None
):
    async with World() as world:
        batching(world, "crm", max_events=8, schedule=(MINUTE,))
        world.endpoints.script("crm", refuse(400, {"e3", "f3"}))
        await world.worker()
        world.publish(*named(8))
        await asyncio.sleep(QUICKLY)
        world.publish(*named(8, "f"))
        await asyncio.sleep(QUICKLY)

        assert len(world.accepted("crm")) == 14
        assert len(sent(world, "crm")) <= 2 * longest_search(8)


@pytest.mark.parametrize("refused", [["e1"], ["e0", "e1", "e2"]])
async def test_nobody_is_dead_lettered_for_a_400_that_it_did_not_get_alone(
    refused: list[str],
) -> None:
    """There is no schedule: what is left of a search is sent alone once more."""
    async with World() as world:
        batching(world, "crm", schedule=())
        world.endpoints.script("crm", refuse(400, refused))
        await world.worker()
        world.publish(*named(3))
        await world.until(world.settled)

        assert sorted(world.dead()) == [("crm", each, "attempts_exhausted") for each in refused]
        assert world.accepted("crm") == dict.fromkeys(
            (each for each in named(3) if each not in refused), 1
        )
        for each in refused:
            assert alone(world, "crm", 400) >= {each}
            last = [found for found in sent(world, "crm") if each in found][-1]
            assert last == [each]


async def test_a_delivery_at_the_end_of_its_schedule_is_sent_alone_once_more_and_may_succeed() -> (
    None
):
    """The lane does not halve again within the minute, so the last batch of all is refused as a whole."""
    async with World() as world:
        batching(world, "crm", max_events=4, schedule=(5 * SECOND,))
        seen: list[list[str]] = []

        async def only_alone(post: Post) -> Answer:
            seen.append(event_ids(post))
            return Response(422 if len(seen[-1]) > 1 or len(seen) <= longest_search(4) else 204)

        world.endpoints.script("crm", only_alone)
        await world.worker()
        world.publish(*named(4))
        await world.until(world.settled)

        assert world.dead() == []
        assert world.accepted("crm") == dict.fromkeys(named(4), 1)
        assert sorted(each for each in seen[-4:]) == [[each] for each in named(4)]


async def test_a_413_that_is_about_the_size_of_a_batch_costs_no_member_anything() -> None:
    async with World() as world:
        batching(world, "crm", max_events=16, schedule=(5 * SECOND,) * 5)

        async def at_most_three(post: Post) -> Answer:
            return Response(413 if len(event_ids(post)) > 3 else 204)

        world.endpoints.script("crm", at_most_three)
        await world.worker()
        world.publish(*named(16))
        await world.until(world.settled)

        assert world.accepted("crm") == dict.fromkeys(named(16), 1)
        assert world.dead() == []


# Final statuses.


async def test_a_final_status_applies_to_a_member_alone() -> None:
    async with World() as world:
        batching(world, "crm", final_statuses=(422,))
        world.endpoints.script("crm", refuse(422, {"e2"}))
        await world.worker()
        world.publish(*named(4))
        await world.until(world.settled)

        assert world.dead() == [("crm", "e2", "final_status")]
        assert world.accepted("crm") == dict.fromkeys(["e0", "e1", "e3"], 1)
        assert alone(world, "crm", 422) == {"e2"}
        final = [each for each in audit(world, "crm") if each["disposition"] == "dead_letter"]
        assert [each["event_id"] for each in final] == ["e2"]


async def test_a_final_status_that_is_no_refusal_of_a_body_retries_every_member_of_a_batch() -> (
    None
):
    async with World() as world:
        batching(world, "crm", final_statuses=(403,), schedule=(5 * SECOND,))
        world.endpoints.script("crm", status(403), status(204))
        await world.worker()
        world.publish("e0", "e1")
        await world.until(world.settled)

        assert world.dead() == []
        assert sent(world, "crm") == [["e0", "e1"], ["e0", "e1"]]


async def test_a_final_status_applies_to_a_batch_of_one() -> None:
    async with World() as world:
        batching(world, "crm", final_statuses=(403,))
        world.endpoints.script("crm", status(403))
        await world.worker()
        world.publish("e0")
        await world.until(world.settled)

        assert world.dead() == [("crm", "e0", "final_status")]
        assert len(sent(world, "crm")) == 1


async def test_a_search_delays_no_other_lane_and_its_own_goes_on_after_it() -> None:
    async with World() as world:
        batching(world, "crm", max_events=8, max_wait=0, max_in_flight=1)
        world.subscribe("fine")
        world.endpoints.script("crm", refuse(400, {"e3"}, after=0.2))
        await world.worker()
        world.publish(*named(40))
        await world.until(lambda: len(world.accepted("fine")) == 40, within=1, step=0.01)
        await world.until(lambda: len(world.accepted("crm")) == 39, within=10, step=0.01)
        await world.until(world.settled)

        assert world.dead() == [("crm", "e3", "attempts_exhausted")]


async def test_a_search_respects_the_rate_limit() -> None:
    async with World() as world:
        batching(world, "crm", max_events=8, rate_limit=2)
        world.endpoints.script("crm", refuse(400, {"e3"}))
        await world.worker()
        world.publish(*named(8))
        await world.until(lambda: len(world.accepted("crm")) == 7, within=30, step=0.01)

        at = starts(world, "crm")
        assert all(later - earlier > 0.35 for earlier, later in itertools.pairwise(at))
        assert json.loads(world.endpoints.to("crm")[0].post.body)["type"] == "hookstream.batch"
