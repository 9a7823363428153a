"""Work that takes long is done for few at a time: a partner's keeps no other caller waiting."""

from contextlib import ExitStack

import pytest
from tests.doubles.api import ApiWorld

from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.model.json import JsonObject
from hookstream.entry.api.services import HeavyWork
from hookstream.entry.console.at_once import MOST

HEAVY: dict[str, tuple[JsonObject, HeavyWork]] = {
    "/v1/subscriptions/crm/test": ({"wait": 0}, HeavyWork.TEST),
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
