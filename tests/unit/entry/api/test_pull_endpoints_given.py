"""A pull subscription is created over HTTP in both forms that a definition file has."""

import pytest
from tests.doubles.api import ApiWorld
from tests.doubles.api_records import TYPE

from hookstream.core.access.scopes import Scope


@pytest.mark.parametrize("endpoint", ["pull", {"pull": True}])
@pytest.mark.parametrize("scope", [Scope.OPERATOR_WRITE, Scope.PARTNER_MANAGE])
async def test_both_forms_create_the_same(world: ApiWorld, endpoint: object, scope: Scope) -> None:
    body = {"endpoint": endpoint, "event_types": [TYPE]}
    if not scope.is_of_partner:
        body["partner"] = "acme"
    created = await world.send("POST", "/v1/subscriptions", body, token=world.tokens[scope])
    assert created.status == 201, created.content
    assert created.json["subscription"]["endpoint"]["pull"] is True
    [secret] = created.json["generated"]
    assert secret["secret"].startswith("whsec_")


async def test_no_other_text_is_an_endpoint(world: ApiWorld) -> None:
    body = {"endpoint": "https://crm.example/", "event_types": [TYPE], "partner": "acme"}
    refused = await world.send("POST", "/v1/subscriptions", body)
    assert (refused.status, refused.json["field"]) == (422, "endpoint")
    assert world.tables.records == []


async def test_a_change_has_no_short_form(world: ApiWorld) -> None:
    refused = await world.send(
        "PATCH", "/v1/subscriptions/crm", {"endpoint": "pull"}, headers={"If-Match": "*"}
    )
    assert (refused.status, refused.json["field"]) == (422, "endpoint")


async def test_the_document_of_the_api_has_the_short_form(world: ApiWorld) -> None:
    document = (await world.send("GET", "/openapi.json")).json
    given = document["components"]["schemas"]["SubscriptionGiven"]["properties"]["endpoint"]
    assert {"enum": ["pull"]} in given["anyOf"]
