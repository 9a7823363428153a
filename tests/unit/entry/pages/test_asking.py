"""How pages ask the API: several things at once, and what it refuses."""

import pytest
from tests.doubles.api import ApiWorld

from hookstream.core.access.scopes import Caller, Scope
from hookstream.entry.pages.asking import PageApi, PageProblem, at, query_text
from hookstream.errors import InvariantBroken

ADMIN = Caller("tok-admin", Scope.ADMIN, None)
ACME = Caller("tok-acme", Scope.PARTNER_READ, "acme")


@pytest.fixture
def api() -> ApiWorld:
    return ApiWorld()


def asking(api: ApiWorld, caller: Caller | None) -> PageApi:
    return PageApi(api.dispatcher, lambda: caller, "request", "192.0.2.7")


async def test_several_things_are_asked_at_once_and_answered_in_their_order(
    api: ApiWorld,
) -> None:
    page = asking(api, ADMIN)
    one, me, two = await page.each(
        (at("/v1/subscriptions/{}", "crm"), {}),
        ("/v1/me", {}),
        ("/v1/subscriptions", {"partner": "rival", "limit": 1}),
    )
    assert (one["id"], me["token"], [each["id"] for each in two["items"]]) == (
        "crm",
        "tok-admin",
        ["theirs"],
    )


async def test_the_first_thing_that_is_refused_is_said(api: ApiWorld) -> None:
    with pytest.raises(PageProblem) as refused:
        await asking(api, ACME).each(
            ("/v1/me", {}), ("/v1/subscriptions/theirs", {}), ("/v1/statistics", {})
        )
    assert (refused.value.document.status, refused.value.document.detail) == (404, "")


async def test_what_is_not_there_is_none_and_another_refusal_is_one(api: ApiWorld) -> None:
    assert await asking(api, ACME).find("/v1/subscriptions/theirs") is None
    with pytest.raises(PageProblem) as refused:
        await asking(api, ACME).find("/v1/holds")
    assert refused.value.document.status == 403


async def test_who_has_no_session_any_more_is_nobody(api: ApiWorld) -> None:
    with pytest.raises(PageProblem) as refused:
        await asking(api, None).get("/v1/me")
    assert refused.value.document.reason == "unauthenticated"


async def test_an_answer_says_its_revision(api: ApiWorld) -> None:
    found = await asking(api, ADMIN).asked("/v1/subscriptions/crm")
    assert (found.status, found.revision, found.body["id"]) == (200, '"1"', "crm")


async def test_a_page_does_not_ask_for_what_comes_in_pieces(api: ApiWorld) -> None:
    with pytest.raises(InvariantBroken):
        await asking(api, ADMIN).get("/v1/dead-letters/export")
    # Its slot is free again.
    assert (await api.send("GET", "/v1/dead-letters/export")).status == 200


def test_a_name_is_one_segment_whatever_it_has_in_it() -> None:
    assert at("/v1/jobs/{}/x", "a/b?c#d%2e\N{BULLET}{}") == (
        "/v1/jobs/a%2Fb%3Fc%23d%252e%E2%80%A2%7B%7D/x"
    )


def test_a_query_has_what_is_not_empty() -> None:
    assert query_text({"a": None, "b": "", "c": (), "d": ("x", "y&z"), "e": True, "f": 0}) == (
        "d=x&d=y%26z&e=true&f=0"
    )
