"""Work that takes long is done for few at a time: a partner's keeps no other caller waiting."""

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from tests.doubles.api import ApiReply, ApiWorld
from tests.doubles.api_records import SAMPLE, subscription

from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.model.json import Json, JsonObject
from hookstream.entry.api.services import HeavyWork
from hookstream.entry.console.at_once import MOST

TRY = "/v1/subscriptions/crm/try"
HEAVY: dict[str, tuple[Any, HeavyWork]] = {
    "/v1/subscriptions/crm/test": ({"wait": 0}, HeavyWork.TEST),
    "/v1/subscriptions/crm/test/preview": ({}, HeavyWork.TRIAL),
    TRY: ({"event": SAMPLE}, HeavyWork.TRIAL),
    "/v1/dead-letters/preview": ({"selector": {}}, HeavyWork.COUNT),
    "/v1/subscriptions/crm/replays/preview": (
        {"since": "2026-11-23T00:00:00Z"},
        HeavyWork.COUNT,
    ),
}


def of(partner_id: str) -> Caller:
    return Caller(f"tok-{partner_id}", Scope.PARTNER_MANAGE, partner_id)


@pytest.mark.parametrize("path", HEAVY)
async def test_a_second_one_of_a_partner_is_refused_and_one_of_an_operator_is_not(
    world: ApiWorld, path: str
) -> None:
    body, work = HEAVY[path]
    token = world.tokens[Scope.PARTNER_MANAGE]
    with world.services.one(work, of("acme")):
        refused = await world.send("POST", path, body, token=token)
        assert (refused.status, refused.headers["Retry-After"]) == (429, "5")
        assert (await world.send("POST", path, body)).status == 200
    assert (await world.send("POST", path, body, token=token)).status == 200


@pytest.mark.parametrize("path", HEAVY)
async def test_all_partners_together_leave_one_place_to_operators(
    world: ApiWorld, path: str
) -> None:
    body, work = HEAVY[path]
    with ExitStack() as others:
        for number in range(MOST[work] - 1):
            others.enter_context(world.services.one(work, of(f"other-{number}")))
        refused = await world.send("POST", path, body, token=world.tokens[Scope.PARTNER_MANAGE])
        assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
        assert (await world.send("POST", path, body)).status == 200


async def test_an_event_that_a_filter_would_compare_for_seconds_is_refused_with_a_remedy(
    world: ApiWorld,
) -> None:
    wildcards: list[Json] = [{"wildcard": f"*a{number}b*"} for number in range(490)]
    pattern: JsonObject = {"data": {"customer_id": wildcards}}
    world.add(replace(subscription("crm"), pattern=pattern))
    data: Any = SAMPLE["data"]
    token = world.tokens[Scope.PARTNER_READ]

    async def trial(times: int) -> ApiReply:
        event = {**SAMPLE, "data": {**data, "breaks": data["breaks"] * times}}
        return await world.send("POST", TRY, {"event": event}, token=token)

    assert (await trial(1)).json["matches"] is False
    refused = await trial(2_000)
    assert (refused.status, refused.json["field"]) == (422, "event")
    assert "at most 1,000,000" in refused.json["detail"]
    assert "shorter lists" in refused.json["detail"]


async def test_one_partners_requests_keep_threads_for_others_and_are_believed_again_after_a_wait(
    world: ApiWorld,
) -> None:
    gate = world.threads.gate = asyncio.Event()
    token = world.tokens[Scope.PARTNER_READ]
    async with asyncio.TaskGroup() as tasks:
        sent = [
            tasks.create_task(world.send("GET", "/v1/subscriptions", token=each))
            for each in [*[token] * 10, world.rival, world.tokens[Scope.OPERATOR_READ]]
        ]
        for _ in range(10):
            await asyncio.sleep(0)
        # Four of the ten, and those of both other callers.
        assert world.threads.runs == 6
        world.services.is_current = False
        gate.set()
    statuses = [each.result().status for each in sent]
    assert statuses == [*[200] * 4, *[503] * 6, 200, 200]
