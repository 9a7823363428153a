"""Every route of the table: without a token, with each scope, with what is another partner's.

Requests that are refused are sent one after another in one world, which they leave as it is: a test for each would
take more CPU than its request. A failing route is named by the assertion.
"""

import json
from dataclasses import replace
from itertools import product

import pytest
from tests.doubles.api import ApiReply, ApiWorld
from tests.unit.entry.api.expectations import EXPECTATIONS

from hookstream.core.access.scopes import IMPLIED, Scope
from hookstream.entry.api.fields import masks
from hookstream.entry.api.routes import Route, RouteTable
from hookstream.entry.api.table import TABLE

ROUTES = [pytest.param(route, id=route.name) for route in TABLE.routes]
OF_PARTNERS = [route for route in TABLE.routes if route.scope.is_of_partner]


async def sent(
    world: ApiWorld, route: Route, token: str, params: dict[str, str] | None = None
) -> ApiReply:
    """Send the good request of a route, or the same with other things in its path."""
    expected = EXPECTATIONS[route.name]
    operator = token in (
        world.tokens[Scope.ADMIN],
        world.tokens[Scope.OPERATOR_WRITE],
        world.tokens[Scope.OPERATOR_READ],
    )
    return await world.send(
        route.method,
        expected.path(route.path, params),
        expected.body_of(operator=operator),
        token=token,
        # Answers that say which request they are to would differ by it.
        headers={**(expected.headers or {}), "X-Request-Id": "the-same"},
    )


def test_each_route_has_one_row_of_expectations() -> None:
    names = [route.name for route in TABLE.routes]
    assert sorted(names) == sorted(EXPECTATIONS)


async def test_without_a_token_or_with_an_unknown_one_the_answer_is_401(world: ApiWorld) -> None:
    for route, token in product(TABLE.routes, ("", "hs_adm_" + "A" * 43, "nonsense")):
        answer = await sent(world, route, token)
        said = (answer.status, answer.json["reason"])
        assert said == (401, "unauthenticated"), (route.name, token)
        assert answer.headers["WWW-Authenticate"] == "Bearer", (route.name, token)
        assert world.tables.records == [], (route.name, token)


@pytest.mark.parametrize("scope", Scope)
async def test_a_token_does_nothing_that_its_scope_does_not_allow(
    world: ApiWorld, scope: Scope
) -> None:
    for route in TABLE.routes:
        if route.scope not in IMPLIED[scope]:
            answer = await sent(world, route, world.tokens[scope])
            assert (answer.status, answer.json["reason"]) == (403, "forbidden"), route.name
            assert world.tables.records == [], route.name


@pytest.mark.parametrize("route", ROUTES)
async def test_a_token_does_what_its_scope_allows(
    worlds: dict[Scope, ApiWorld], route: Route
) -> None:
    for scope, world in worlds.items():
        if route.scope in IMPLIED[scope]:
            answer = await sent(world, route, world.tokens[scope])
            assert answer.status == EXPECTATIONS[route.name].status, (scope, answer.content)


async def test_what_is_another_partners_is_answered_as_what_is_absent_to_the_byte(
    world: ApiWorld,
) -> None:
    token = world.tokens[Scope.PARTNER_MANAGE]
    for route in OF_PARTNERS:
        named = EXPECTATIONS[route.name].foreign
        if named is None:
            any_ones = {"subscription_id", "partner_id", "delivery_id", "job_id", "group_id"}
            assert not any_ones & {*route.parameters}, route.name
            continue
        foreign = await sent(world, route, token, named)
        absent = await sent(world, route, token, dict.fromkeys(named, "no-such-thing"))
        assert (foreign.status, foreign.content) == (404, absent.content), route.name
        assert {**foreign.headers, "X-Request-Id": ""} == {
            **absent.headers,
            "X-Request-Id": "",
            "RateLimit": foreign.headers["RateLimit"],
        }, route.name
        assert world.tables.records == [], route.name


async def test_a_token_that_was_revoked_or_has_expired_does_nothing(world: ApiWorld) -> None:
    expired = world.token(Scope.ADMIN, expires=world.tables.now)
    for route in TABLE.routes:
        assert (await sent(world, route, expired)).status == 401, route.name


async def test_while_the_tables_are_not_current_nothing_is_answered(world: ApiWorld) -> None:
    world.services.is_current = False
    for route in TABLE.routes:
        answer = await sent(world, route, world.tokens[Scope.ADMIN])
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1"), route.name
        assert world.tables.records == [], route.name


@pytest.mark.parametrize("route", [each for each in TABLE.routes if each.takes_revision])
async def test_a_change_needs_the_revision_that_it_is_for(world: ApiWorld, route: Route) -> None:
    expected = EXPECTATIONS[route.name]
    for if_match, status in ((None, 428), ('"999"', 409), ("seven", 422)):
        answer = await world.send(
            route.method,
            expected.path(route.path),
            expected.body,
            headers={} if if_match is None else {"If-Match": if_match},
        )
        assert answer.status == status, answer.content
    assert world.tables.records == []


async def test_an_unknown_parameter_and_an_unknown_field_are_refused(world: ApiWorld) -> None:
    for route in TABLE.routes:
        expected = EXPECTATIONS[route.name]
        path = expected.path(route.path)
        good = expected.operator_body or expected.body
        asked = [(f"{path}{'&' if expected.query else '?'}nonsense=1", good)]
        if route.body is not None:
            asked.append((path, {**good, "nonsense": 1}))
        for where, body in asked:
            answer = await world.send(route.method, where, body, headers=expected.headers)
            assert (answer.status, answer.json["field"]) == (422, "nonsense"), (route.name, where)
    assert world.tables.records == []


async def test_the_rate_of_a_partner_is_bounded_over_its_tokens(world: ApiWorld) -> None:
    world.per_second = 0.1
    first = await world.send("GET", "/v1/me", token=world.tokens[Scope.PARTNER_READ])
    assert (first.status, first.headers["RateLimit"]) == (200, '"requests";r=0;t=10')
    for route in TABLE.routes:
        path = EXPECTATIONS[route.name].path(route.path)
        refused = await world.send(route.method, path, token=world.tokens[Scope.PARTNER_MANAGE])
        assert (refused.status, refused.headers["Retry-After"]) == (429, "10"), route.name
    assert (await world.send("GET", "/v1/me", token=world.rival)).status == 200


@pytest.mark.parametrize("route", OF_PARTNERS, ids=lambda route: route.name)
async def test_a_partner_sees_no_field_of_operators_and_nothing_of_another_partner(
    world: ApiWorld, unchanged: ApiWorld, route: Route
) -> None:
    """Places in our topics, holds, owners, details: all of them are in the rows and answers of this world."""
    shown = (await sent(world, route, world.tokens[Scope.PARTNER_MANAGE])).content.decode()
    if route.is_in_pieces:
        # Its first and last line are of other types.
        shown = shown.splitlines()[1]
    for text in ("hush", "theirs", "rival", "t-3@40", "files:core", "crm.example-1"):
        assert text not in shown, shown
    if route.answer is None:
        return
    for path in masks(route.answer):
        name = path.rpartition(".")[2].replace("[]", "")
        assert f'"{name}":' not in shown, shown
    operators = await sent(unchanged, route, unchanged.tokens[Scope.ADMIN])
    for path in masks(route.answer):
        name = path.rpartition(".")[2].replace("[]", "")
        if '"items":[]' not in operators.content.decode():
            assert f'"{name}":' in operators.content.decode(), operators.content


KEYED = [pytest.param(route, id=route.name) for route in TABLE.routes if route.is_idempotent]
ONCE = {"Idempotency-Key": "once"}
SHOWN_ONCE: dict[str, object] = {"generated": [], "text": None, "url": None}
"""Secrets, and what is left of them in the answer to a repeated request."""


def test_each_route_that_may_change_something_takes_an_idempotency_key_or_says_why_not() -> None:
    without = {route.name: route.needs_no_key for route in TABLE.routes if route.needs_no_key}
    assert without == {
        "preview_selection": "it changes nothing",
        "preview_replay": "it changes nothing",
        "preview_subscription_test": "it changes nothing",
        "try_subscription": "it changes nothing",
        "plan_definitions": "it changes nothing",
        "plan_schemas": "it changes nothing",
        "read_events": "it changes nothing",
        "send_events": "an event that is sent again has its own id",
    }
    for route in TABLE.routes:
        assert route.is_idempotent == (route.method != "GET" and route.name not in without)


def test_a_table_with_a_route_that_does_not_say_so_cannot_be_made() -> None:
    route = next(route for route in TABLE.routes if route.name == "pause_subscription")
    for careless in (
        replace(route, is_idempotent=False),
        replace(route, needs_no_key="laziness"),
        replace(route, method="GET"),
    ):
        with pytest.raises(ValueError, match="Idempotency-Key"):
            RouteTable((careless,))


async def keyed(world: ApiWorld, route: Route, token: str, key: str = "once") -> ApiReply:
    expected = EXPECTATIONS[route.name]
    return await world.send(
        route.method,
        expected.path(route.path),
        expected.body_of(operator=token == world.tokens[Scope.ADMIN]),
        token=token,
        headers={**(expected.headers or {}), "Idempotency-Key": key},
    )


def written(world: ApiWorld) -> tuple[int, int]:
    return world.tables.offset, len(world.services.tests)


@pytest.mark.parametrize("route", KEYED)
async def test_a_repeated_change_is_answered_as_the_first_and_not_made_again(
    world: ApiWorld, route: Route
) -> None:
    """Also by a console that has not read yet what another one did."""
    token = world.tokens[Scope.PARTNER_MANAGE if route.scope.is_of_partner else Scope.ADMIN]
    first = await keyed(world, route, token)
    assert first.status == EXPECTATIONS[route.name].status, first.content
    before = written(world)
    for is_behind in (False, True):
        world.services.is_behind = is_behind
        again = await keyed(world, route, token)
        assert (again.status, again.headers.get("Idempotency-Replayed")) == (first.status, "true")
        assert written(world) == before
        if first.content:
            shown = {name: SHOWN_ONCE[name] for name in first.json if name in SHOWN_ONCE}
            assert again.json == {**first.json, **shown}
        assert again.headers.get("ETag") == first.headers.get("ETag")


@pytest.mark.parametrize("route", [each for each in KEYED if each.values[0].body is not None])  # type: ignore[union-attr]  # A route
async def test_another_request_with_the_key_of_a_change_is_refused(
    world: ApiWorld, route: Route
) -> None:
    token = world.tokens[Scope.ADMIN]
    await keyed(world, route, token)
    before = written(world)
    expected = EXPECTATIONS[route.name]
    other = {**expected.body_of(operator=True), "reason": "another"}
    answer = await world.send(
        route.method,
        expected.path(route.path) + "?",
        None,
        token=token,
        headers={**(expected.headers or {}), **ONCE},
        content=json.dumps(other, indent=1).encode(),
    )
    assert answer.status == 422, answer.content
    assert written(world) == before


WRITES_ITS_OWN_EVENT = {
    "create_subscription",
    "change_subscription",
    "delete_subscription",
    "rotate_subscription_secret",
    "pause_subscription",
    "resume_subscription",
    "enable_subscription",
    "release_subscription",
    "set_hold",
    "clear_hold",
    "skip_record",
    "start_partition",
}
"""Routes whose operations event commits with what they change."""
SAYS_NOT_WHO = {
    "acknowledge_failure_group",
    "resolve_failure_group",
    "reopen_failure_group",
}
"""Routes whose operations event may be sent to a partner, so that another one says who acted."""
READS = {
    "get_delivery_payload",
    "pull_events",
    "read_events",
    "export_dead_letters",
    "export_undecodable",
    "get_dead_letter",
    "get_undecodable",
    "list_dead_letters_of_delivery",
    "explain_event",
}
"""Routes that show payloads."""


@pytest.mark.parametrize("route", ROUTES)
async def test_whoever_changes_something_or_reads_a_payload_is_in_operators_audit_log(
    world: ApiWorld, route: Route
) -> None:
    await sent(world, route, world.tokens[Scope.ADMIN])
    operations = world.settings.topics_names.operations
    own = [each for each in world.tables.records if each.topic == operations]
    noted = [act for act, _, _ in world.services.uses]
    if route.name in WRITES_ITS_OWN_EVENT:
        assert (bool(own) or route.name in NOTHING_TO_CHANGE, noted) == (True, [])
    elif route.name in SAYS_NOT_WHO:
        assert (len(own), noted) == (1, [route.act])
    elif route.is_idempotent or route.name in {*READS, "send_events"}:
        assert (own, noted) == ([], [route.act])
    else:
        assert (own, noted) == ([], [])


NOTHING_TO_CHANGE = {"resume_subscription", "enable_subscription", "release_subscription"}
"""Routes whose good request finds nothing to change in this world: no event is written of that."""


async def test_what_is_noted_says_what_it_is_about_and_refusals_are_not_noted(
    world: ApiWorld,
) -> None:
    for path in ("deliveries/msg_ours/payload", "subscriptions/crm/events", "dead-letters/export"):
        await world.send("GET", f"/v1/{path}")
    job = await world.send("POST", "/v1/redrives", {"selector": {}})
    assert [(act, subject) for act, _, subject in world.services.uses] == [
        ("payload.read", "msg_ours"),
        ("events.read", "crm"),
        ("dead_letters.exported", ""),
        ("redrive.started", job.json["id"]),
    ]
    world.services.uses.clear()
    await world.send("GET", "/v1/deliveries/nothing/payload")
    assert world.services.uses == []
