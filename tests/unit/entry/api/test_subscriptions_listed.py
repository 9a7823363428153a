"""Lists of subscriptions over the API: by partner, by state, and whether their endpoints only fail."""

import pytest
from tests.doubles.api import ApiWorld
from tests.doubles.api_records import subscription
from tests.doubles.clock import NOON

from hookstream.adapters.tables.rows import disabled_row, failing_row
from hookstream.core.access.scopes import Scope
from hookstream.core.model.subscription import Disabled, Failing


def put(world: ApiWorld, row: tuple[str, bytes]) -> None:
    world.tables.put(world.settings.topics_names.health, *row)


@pytest.mark.parametrize(
    ("query", "operators", "partners"),
    [
        (
            "",
            ["crm", "filed", "ours-held", "resting", "theirs"],
            ["crm", "filed", "ours-held", "resting"],
        ),
        ("state=active", ["crm", "filed"], ["crm", "filed"]),
        ("state=disabled", ["resting"], ["resting"]),
        ("state=held", ["ours-held", "theirs"], []),
        ("state=suspended", [], ["ours-held"]),
        ("failing=true", ["filed"], ["filed"]),
        ("failing=false&state=active", ["crm"], ["crm"]),
        ("partner=rival&state=held", ["theirs"], []),
    ],
)
async def test_a_list_has_what_is_shown_with_that_state(
    world: ApiWorld, query: str, operators: list[str], partners: list[str]
) -> None:
    world.add(subscription("resting"))
    put(world, disabled_row(Disabled("resting", NOON, "gone")))
    world.add(subscription("ours-held"))
    hold = {"kind": "endpoint", "name": "ours-held", "reason": "it burns"}
    assert (await world.send("POST", "/v1/holds", hold)).status == 201
    put(world, failing_row(Failing("filed", NOON)))
    for token, expected in (
        (world.tokens[Scope.OPERATOR_READ], operators),
        (world.tokens[Scope.PARTNER_READ], partners),
    ):
        found = await world.send("GET", f"/v1/subscriptions?{query}", token=token)
        assert [each["id"] for each in found.json["items"]] == expected
        for each in found.json["items"]:
            assert f"state={each['state']}" in query or "state=" not in query


async def test_a_state_that_there_is_not_is_refused(world: ApiWorld) -> None:
    found = await world.send("GET", "/v1/subscriptions?state=asleep")
    assert (found.status, found.json["field"]) == (422, "state")


async def test_of_each_of_a_partners_own_subscriptions_there_are_counts_and_of_no_other(
    world: ApiWorld,
) -> None:
    asked = "/v1/statistics/by-subscription?subscription=theirs&subscription=crm&subscription=none"
    for token, expected in (
        (world.tokens[Scope.OPERATOR_READ], [("theirs", 1), ("crm", 1)]),
        (world.tokens[Scope.PARTNER_READ], [("crm", 1)]),
    ):
        found = await world.send("GET", asked + "&subscription=crm", token=token)
        assert found.status == 200
        assert [
            (each["subscription"], each["counts"]["delivered"]) for each in found.json["items"]
        ] == expected
    many = "&".join(f"subscription=s{n}" for n in range(51))
    refused = await world.send("GET", f"/v1/statistics/by-subscription?{many}")
    assert (refused.status, refused.json["field"]) == (422, "subscription")
