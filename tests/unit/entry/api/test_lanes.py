"""What the API says of a subscription's lane: sums for its partner, and each worker's own for operators."""

from dataclasses import replace

import pytest
from tests.doubles.api import ApiWorld
from tests.doubles.api_records import subscription
from tests.doubles.lanes import BROKEN, CALM, SAID

from hookstream.adapters.telemetry.asked_workers import WorkerLane
from hookstream.core.access.scopes import Scope
from hookstream.core.lanes.lane_status import BreakerState, LaneStatus
from hookstream.core.model.subscription import Limits

LANE = "/v1/subscriptions/crm/lane"
SUM = {
    "subscription": "crm",
    "known": True,
    "whole": False,
    "idle": False,
    "in_flight": 1,
    "limit": 8,
    "max_in_flight": 32,
    "ramping": False,
    "queued": 2,
    "rate": 10.0,
    "throttled": False,
    "breaker": "partly_open",
    "probe_at": "2026-11-24T12:00:30.000Z",
    "rests_until": None,
    "answers_in_ms": 250,
}


async def test_a_partner_gets_the_sum_and_nothing_of_workers(world: ApiWorld) -> None:
    found = await world.send("GET", LANE, token=world.tokens[Scope.PARTNER_READ])
    assert (found.status, found.json) == (200, SUM)


async def test_an_operator_gets_each_workers_own_and_who_did_not_answer(world: ApiWorld) -> None:
    found = await world.send("GET", LANE, token=world.tokens[Scope.OPERATOR_READ])
    shown = found.json
    workers = shown.pop("workers")
    assert shown == SUM
    assert [(each["address"], each["worker"], each["problem"]) for each in workers] == [
        (each.address, each.worker or None, each.problem or None) for each in SAID
    ]
    assert workers[1]["lane"] == {
        "in_flight": 0,
        "limit": 4,
        "max_in_flight": 10,
        "ramping": False,
        "overdue": False,
        "queued": 0,
        "rate": 5.0,
        "throttled": False,
        "breaker": "open",
        "probe_at": "2026-11-24T12:00:30.000Z",
        "rests_until": None,
        "answers_in_ms": 250,
    }
    assert [each["lane"] for each in workers[2:]] == [None, None]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ((), (False, False)),
        ((WorkerLane("a:1", problem="gone"),), (False, False)),
        ((WorkerLane("a:1", "a"),), (True, True)),
        ((WorkerLane("a:1", "a"), WorkerLane("b:1", problem="gone")), (True, False)),
    ],
)
async def test_it_is_known_if_any_worker_answered_and_whole_if_all_did(
    world: ApiWorld, said: tuple[WorkerLane, ...], expected: tuple[bool, bool]
) -> None:
    world.services.lanes_said = said
    found = (await world.send("GET", LANE)).json
    assert (found["known"], found["whole"]) == expected
    assert found["answers_in_ms"] is None


async def test_where_no_worker_has_the_lane_any_more_it_is_idle_with_what_its_row_allows(
    world: ApiWorld,
) -> None:
    world.add(replace(subscription("crm"), limits=Limits(max_in_flight=7, rate_limit=2.5)))
    world.services.lanes_said = [WorkerLane("a:1", "a"), WorkerLane("b:1", "b")]
    found = (await world.send("GET", LANE)).json
    expected = {"idle": True, "in_flight": 0, "limit": 7, "max_in_flight": 7, "rate": 2.5}
    assert {name: found[name] for name in expected} == expected
    # Nobody knows whether the lane of one that did not answer is idle, too.
    world.services.lanes_said = [WorkerLane("b:1", problem="gone")]
    assert (await world.send("GET", LANE)).json["idle"] is False


@pytest.mark.parametrize(
    ("lanes", "expected"),
    [
        ([CALM, CALM], {"breaker": "closed", "probe_at": None}),
        ([BROKEN, BROKEN], {"breaker": "open"}),
        ([BROKEN, replace(BROKEN, breaker=BreakerState.HALF_OPEN)], {"breaker": "half_open"}),
        ([CALM, replace(CALM, rate=None)], {"rate": None}),
        ([CALM, replace(CALM, rests=9.0)], {"rests_until": None}),
        ([replace(CALM, rests=9.0)] * 2, {"rests_until": "2026-11-24T12:00:09.000Z"}),
        (
            [CALM, replace(CALM, throttled=True, ramping=True)],
            {"throttled": True, "ramping": True},
        ),
    ],
)
async def test_the_sum_says_what_holds_for_all_that_is_sent_to_it(
    world: ApiWorld, lanes: list[LaneStatus], expected: dict[str, object]
) -> None:
    world.services.lanes_said = [WorkerLane(f"w{n}:1", "w", each) for n, each in enumerate(lanes)]
    found = (await world.send("GET", LANE)).json
    assert {name: found[name] for name in expected} == expected
