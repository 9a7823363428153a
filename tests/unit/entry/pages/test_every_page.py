"""Every page of the table: without a session, with each scope, with hostile names, and each form of another's.

Pages that change nothing are asked for one after another in one world: a test for each would take more CPU than
its page. A failing one is named by the assertion.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from types import MappingProxyType
from typing import Any

import pytest
from tests.doubles.pages import A_FORM, HERE, Browser, PageReply, PagesWorld, logged_in
from tests.unit.entry.pages.expectations import EXPECTATIONS

from hookstream.core.access.scopes import IMPLIED, Caller, Scope
from hookstream.entry.api.requests import ApiRequest, ApiResponse
from hookstream.entry.pages.asking import DispatchesApi
from hookstream.entry.pages.page import ConsolePage
from hookstream.entry.pages.table import PAGES

ALL = [pytest.param(page, id=page.name) for page in PAGES.pages]
ACTS = [pytest.param(page, id=page.name) for page in PAGES.pages if page.method == "POST"]
SHOWN = [page for page in PAGES.pages if page.method == "GET"]
IN_SESSIONS = [page for page in PAGES.pages if page.scope]
POLICY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
HOSTILE = "<script>alert(1)</script>\"'&\x1b[2J\u202e\u2066\x00"


async def asked(
    browser: Browser,
    page: ConsolePage,
    params: dict[str, str] | None = None,
    *,
    headers: Mapping[str, str] = HERE,
    fields: Mapping[str, str] = MappingProxyType({}),
) -> PageReply:
    """Send the good request for a page; of an act, the form that its browser was shown anywhere."""
    expected = EXPECTATIONS[page.name]
    path = expected.path(page.path, params)
    if page.method == "GET":
        return await browser.get(path)
    shown = await browser.get("/ui/login" if page.scope is None else A_FORM)
    hidden = {
        name: value
        for form in shown.parsed.forms
        for name, value in form.fields.items()
        if name.startswith("_")
    }
    filled = {**hidden, **(expected.form or {}), **fields}
    return await browser.send("POST", path, filled, headers=headers)


def written(world: PagesWorld) -> tuple[int, int]:
    return world.api.tables.offset, len(world.api.services.tests)


def test_each_page_has_one_row_of_expectations() -> None:
    assert sorted(page.name for page in PAGES.pages) == sorted(EXPECTATIONS)


def test_each_page_in_the_navigation_has_a_path_without_parameters() -> None:
    assert [page.path for page in PAGES.pages if page.nav and "{" in page.path] == []


@pytest.mark.parametrize("page", ALL)
async def test_a_session_shows_what_its_scope_allows_and_nothing_else(
    worlds: dict[Scope, PagesWorld], page: ConsolePage
) -> None:
    for scope, world in worlds.items():
        await _shows_what_is_allowed(world, page, scope)


async def _shows_what_is_allowed(world: PagesWorld, page: ConsolePage, scope: Scope) -> None:
    browser = await logged_in(world, world.api.tokens[scope])
    reply, expected = await asked(browser, page), EXPECTATIONS[page.name]
    if page.scope is None or page.scope in IMPLIED[scope]:
        assert reply.status == expected.status, (scope, reply.text)
        said = reply.headers["Location"] if reply.status == 303 else reply.text
        assert expected.says in said, scope
    elif scope.is_of_partner and not page.scope.is_of_partner:
        # As a page that nobody has.
        absent = await browser.get("/ui/no-such-page")
        assert (reply.status, reply.text) == (404, absent.text), scope
        other = "GET" if page.method == "POST" else "POST"
        again = await browser.send(other, expected.path(page.path), {}, headers=HERE)
        assert (again.status, again.text) == (404, absent.text), scope
    else:
        assert reply.status == 403, scope
        assert "forbidden" in reply.text, scope


async def test_without_a_session_a_page_leads_to_the_login_and_an_act_does_nothing(
    world: PagesWorld,
) -> None:
    before = written(world)
    for page, cookie in product(IN_SESSIONS, ("", "nonsense", "A" * 200)):
        browser = Browser(world)
        browser.cookies = {"__Host-hookstream": cookie} if cookie else {}
        path = EXPECTATIONS[page.name].path(page.path)
        reply = await browser.send(page.method, path, {}, headers=HERE)
        if page.method == "GET":
            led = (reply.status, reply.headers["Location"][:13])
            assert led == (303, "/ui/login?to="), (page.name, cookie)
        else:
            assert (reply.status, written(world)) == (401, before), (page.name, cookie)


async def test_a_session_ends_with_its_token(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.ADMIN])
    cookies = {**browser.cookies}
    world.api.tables.now += 10 * 86_400_000
    before = written(world)
    for page in IN_SESSIONS:
        browser.cookies = {**cookies}
        path = EXPECTATIONS[page.name].path(page.path)
        reply = await browser.send(page.method, path, {}, headers=HERE)
        ended = 303 if page.method == "GET" else 401
        assert (reply.status, written(world)) == (ended, before), page.name


async def test_while_the_tables_are_not_current_no_session_is_believed(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.ADMIN])
    cookies = {**browser.cookies}
    world.api.services.is_current = False
    for page in PAGES.pages:
        browser.cookies = {**cookies}
        path = EXPECTATIONS[page.name].path(page.path)
        reply = await browser.send(page.method, path, {}, headers=HERE)
        assert (reply.status, reply.headers["Retry-After"]) == (503, "1"), page.name
        assert "Log out" not in reply.text, page.name


@pytest.mark.parametrize("page", ALL)
async def test_each_page_says_that_nothing_from_elsewhere_and_nothing_inline_runs_in_it(
    world: PagesWorld, page: ConsolePage
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.ADMIN])
    reply = await asked(browser, page)
    assert {name: reply.headers[name] for name in POLICY} == POLICY
    for tag, attributes in reply.parsed.tags:
        assert tag != "style"
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "action"):
            assert attributes.get(name, "/").startswith(("/", "#")), attributes
        if tag == "script":
            assert attributes["src"].startswith("/ui/static/")


NOT_SHOWN_HERE: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "another site": ({"sec-fetch-site": "cross-site"}, {}),
    "a neighbouring host": ({"sec-fetch-site": "same-site"}, {}),
    "no page": ({"sec-fetch-site": "none"}, {}),
    "nobody says where from": ({}, {}),
    "another origin": ({"origin": "https://evil.example"}, {}),
    "no origin": ({"origin": "null"}, {}),
    "a broken origin": ({"origin": "https://[", "host": "console.example"}, {}),
    "without the form's token": (HERE, {"_form": ""}),
    "with another token": (HERE, {"_form": "A" * 43}),
    "with a token that is none": (HERE, {"_form": "\N{PILE OF POO}"}),
}
"""What a browser sends with a form: headers, and fields in place of those that it was shown."""


@pytest.mark.parametrize("page", ACTS)
async def test_a_form_that_this_browser_was_not_shown_here_is_refused(
    world: PagesWorld, page: ConsolePage
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.ADMIN])
    before, cookies = written(world), {**browser.cookies}
    for case, (headers, fields) in NOT_SHOWN_HERE.items():
        reply = await asked(browser, page, headers=headers, fields=fields)
        assert reply.status == 403, f"{case}: {reply.text}"
        assert written(world) == before, case
        assert browser.cookies.get("__Host-hookstream") == cookies["__Host-hookstream"], case
    # Nothing else was wrong with it.
    reply = await asked(browser, page)
    assert reply.status == EXPECTATIONS[page.name].status, reply.text


@pytest.mark.parametrize("page", ACTS)
async def test_a_form_that_another_session_was_shown_is_refused(
    world: PagesWorld, page: ConsolePage
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.ADMIN])
    other = await logged_in(world, world.api.tokens[Scope.ADMIN])
    shown = await other.get("/ui/login" if page.scope is None else A_FORM)
    token = shown.parsed.forms[0].fields["_form"]
    before = written(world)
    assert (await asked(browser, page, fields={"_form": token})).status == 403
    assert written(world) == before


async def test_what_is_another_partners_is_shown_as_what_is_absent(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    before = written(world)
    for page in IN_SESSIONS:
        named = EXPECTATIONS[page.name].foreign
        if named is None:
            assert "{" not in page.path or (page.scope and not page.scope.is_of_partner), page.name
            continue
        foreign = await asked(browser, page, named)
        absent = await asked(browser, page, dict.fromkeys(named, "no-such-thing"))
        assert (foreign.status, foreign.text) == (404, absent.text), page.name
        assert written(world) == before, page.name


async def test_a_partner_sees_no_word_of_operators_and_nothing_of_another_partner(
    world: PagesWorld,
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_MANAGE])
    for page in SHOWN:
        shown = (await asked(browser, page)).html
        for text in ("hush", "theirs", "rival", "t-3@40", "files:core", "crm.example-1"):
            assert text not in shown, (page.name, text)


class HostileApi:
    """An API that ends every text, and every name of a mapping, with what would take a page over."""

    def __init__(self, dispatcher: DispatchesApi) -> None:
        self._dispatcher = dispatcher

    async def answer(
        self, request: ApiRequest, identify: Callable[[], Caller | None] | None = None
    ) -> ApiResponse:
        response = await self._dispatcher.answer(request, identify)
        if request.method != "GET" or not response.body:
            return response
        return replace(response, body=json.dumps(_hostile(json.loads(response.body))).encode())


def _hostile(value: Any) -> Any:  # noqa: ANN401  JSON
    match value:
        case str():
            return value + HOSTILE
        case list():
            return [_hostile(each) for each in value]
        case dict():
            return {name: _hostile(each) for name, each in value.items()}
        case _:
            return value


@pytest.mark.parametrize("scope", [Scope.ADMIN, Scope.PARTNER_MANAGE])
async def test_whatever_texts_have_in_them_is_shown_and_never_interpreted(
    world: PagesWorld, scope: Scope
) -> None:
    browser = await logged_in(world, world.api.tokens[scope])
    world.site._dispatcher = HostileApi(world.api.dispatcher)  # noqa: SLF001
    for page in SHOWN:
        _interprets_nothing(await asked(browser, page), page)


def _interprets_nothing(reply: PageReply, page: ConsolePage) -> None:
    expected = EXPECTATIONS[page.name]
    assert reply.status in (200, 403, 404, expected.status), (page.name, reply.text)
    strange = re.findall(
        r"[^\x20-\x7e\n\N{EN DASH}\N{MIDDLE DOT}\N{HORIZONTAL ELLIPSIS}]", reply.html
    )
    assert strange == [], page.name
    if expected.is_file and reply.status == 200:
        # No browser reads it: it is kept.
        assert reply.headers["Content-Disposition"].startswith("attachment; "), page.name
        return
    if expected.status == 303:
        # It only leads on.
        return
    scripts = reply.attributes("script")
    sources = [each["src"].partition("?")[0] for each in scripts]
    assert sources == ["/ui/static/console.js"], page.name
    if page.scope in (None, Scope.PARTNER_READ) and expected.status == 200:
        assert reply.status == 200, page.name
    for _, attributes in reply.parsed.tags:
        assert not [name for name in attributes if name.startswith("on")], page.name


async def test_a_filter_that_a_page_does_not_have_is_refused(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.ADMIN])
    for page in SHOWN:
        path = EXPECTATIONS[page.name].path(page.path)
        reply = await browser.get(f"{path}{'&' if '?' in path else '?'}nonsense=1")
        assert reply.status == 422, page.name
        assert "nonsense" in reply.text, page.name


async def test_a_part_that_is_kept_current_is_not_sent_again_while_only_time_goes_by(
    world: PagesWorld,
) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.ADMIN])
    kept = 0
    for page in SHOWN:
        shown = await asked(browser, page)
        for section in [each for each in shown.attributes("section") if "data-live" in each]:
            kept += 1
            first = await browser.get(section["data-live"])
            assert first.status == 200, page.name
            assert "<html" not in first.html, page.name
            world.api.tables.now += 1_000
            again = await browser.get(section["data-live"], if_none_match=first.headers["ETag"])
            assert (again.status, again.html) == (304, ""), page.name
            assert {name: again.headers[name] for name in POLICY} == POLICY, page.name
    assert kept > 0
