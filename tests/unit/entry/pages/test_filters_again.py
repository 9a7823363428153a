"""A form of filters whose page the API refuses is shown again: what was entered, what is wrong with it, the remedy."""

from collections.abc import Callable

import msgspec
import pytest
from tests.doubles.pages import HERE, PageReply, PagesWorld, logged_in
from tests.unit.entry.pages.forms import asking_forms

from hookstream.core.access.scopes import Caller, Scope
from hookstream.entry.api.problems import ProblemKind, RequestRefused
from hookstream.entry.api.requests import ApiRequest, ApiResponse

TIME = "write a time such as 2026-11-23T00:00:00Z"
FROM_WHAT_IS_SHOWN = ("/ui/catalogue/", "/try")
"""Forms that only choose among what their page shows."""

WRONG = [
    ("/ui/deliveries", {"since": "yesterday", "subscription": "crm", "state": "pending"}, TIME),
    ("/ui/dead-letters", {"since": "2h", "until": "noon", "reason": "expired"}, TIME),
    ("/ui/audit", {"type": "hold.changed", "since": "monday"}, TIME),
    ("/ui/failures", {"since": "long ago", "state": "all", "partner": "acme"}, TIME),
    ("/ui/failures/by-error", {"since": "long ago", "outcome": "failed"}, TIME),
    ("/ui/explain", {"event": "e-1", "since": "now-ish"}, TIME),
    ("/ui/retries/waiting", {"tier": "5s", "due_from": "2h"}, TIME),
    ("/ui/retries", {"hours": "24", "partner": "acme", "tier": "9q"}, "name a tier by its delay"),
    ("/ui/replays/new", {"subscription": "crm", "since": "banana", "until": "1h"}, TIME),
]


def typed(reply: PageReply, action: str) -> dict[str, str]:
    """Return what a form of a page has: without what is empty."""
    return {name: value for name, value in reply.form(action).fields.items() if value}


def wrong_fields(reply: PageReply) -> list[str]:
    return [
        found["name"]
        for tag, found in reply.parsed.tags
        if tag in ("input", "select") and found.get("aria-invalid") == "true"
    ]


@pytest.mark.parametrize(("path", "filters", "remedy"), WRONG)
async def test_filters_of_which_one_is_wrong_are_shown_again_with_what_was_entered(
    world: PagesWorld, path: str, filters: dict[str, str], remedy: str
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.ADMIN])
    shown = await browser.get(path)
    refused = await browser.submit(shown.form(path), HERE, **filters)
    assert (refused.status, typed(refused, path)) == (422, filters)
    (name,) = wrong_fields(refused)
    assert filters[name] in refused.text
    assert remedy in refused.text


async def test_what_is_wrong_is_said_beside_its_field(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.ADMIN])
    refused = await browser.get("/ui/deliveries?since=yesterday")
    (said,) = [each for each in refused.attributes("span") if each.get("class") == "wrong"]
    assert said["id"] == "wrong-since"
    assert "Since: a time, or 2h 'yesterday' is not an RFC 3339 time" in refused.text


async def test_a_choice_that_a_form_does_not_offer_is_shown_again_as_it_came(
    world: PagesWorld,
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.ADMIN])
    for path in ("/ui/deliveries", "/ui/jobs", "/ui/subscriptions", "/ui/dead-letters"):
        refused = await browser.get(f"{path}?state=nope")
        assert (refused.status, typed(refused, path)) == (422, {"state": "nope"})
        assert wrong_fields(refused) == ["state"]


async def test_filters_that_name_what_does_not_exist_are_shown_again(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.ADMIN])
    for path, filters in (
        ("/ui/overview", {"window": "24h", "subscription": "nobody"}),
        ("/ui/holds/new", {"kind": "partner", "name": "nobody"}),
        ("/ui/replays/new", {"subscription": "nobody", "since": "2h"}),
    ):
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        refused = await browser.get(f"{path}?{query}")
        assert (refused.status, typed(refused, path)) == (404, filters)


class Refusing:
    """An API that refuses everything."""

    async def answer(
        self, request: ApiRequest, identify: Callable[[], Caller | None] | None = None
    ) -> ApiResponse:
        del request, identify
        document = RequestRefused(ProblemKind.INVALID, "no", remedy="ask again").document()
        return ApiResponse(422, {}, msgspec.json.encode(document))


@pytest.mark.parametrize("scope", [Scope.ADMIN, Scope.PARTNER_MANAGE])
async def test_each_form_that_asks_for_a_page_is_shown_again(
    world: PagesWorld, scope: Scope
) -> None:
    browser = await logged_in(world, world.api.tokens[scope])
    found = await asking_forms(browser, scope)
    forms = {
        action: (await browser.get(path)).form(action)
        for path, action in found.items()
        if not any(each in action for each in FROM_WHAT_IS_SHOWN)
    }
    assert len(forms) > 8
    world.site._dispatcher = Refusing()  # noqa: SLF001
    for action, form in forms.items():
        texts = {name: "5s" for name, kind in form.kinds.items() if kind == "text"}
        if action == "/ui/deliveries":
            # It leads to the delivery's page, and asks nothing.
            del texts["delivery"]
        selects = {
            name: "partner"
            for name, kind in form.kinds.items()
            if (name, kind) == ("kind", "select")
        }
        refused = await browser.submit(form, HERE, **texts, **selects)
        again = typed(refused, action)
        assert (refused.status, {**again, **texts, **selects}) == (422, again), action


async def test_a_live_part_that_is_refused_is_no_form(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.ADMIN])
    refused = await browser.get("/ui/deliveries?since=yesterday&live=live")
    assert (refused.status, [each.action for each in refused.parsed.forms]) == (
        422,
        ["/ui/logout"],
    )
