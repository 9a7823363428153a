"""A portal link opens its partner's pages once: looking at it changes nothing, pressing its button uses it up."""

from dataclasses import replace
from typing import Any

import pytest
from tests.doubles.access_rows import LINK_TEXTS
from tests.doubles.api import MemoryServices
from tests.doubles.api_tables import InlineThreads
from tests.doubles.pages import HERE, Browser, Form, PageReply, PagesWorld, logged_in

from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.access.sessions import SessionRefusal, cookie_text
from hookstream.core.model.instant import HOUR
from hookstream.entry.console.sessions import ConsoleSessions
from hookstream.entry.pages.sessions import LateSessions
from hookstream.errors import DependencyUnavailable

TEXT = LINK_TEXTS["lnk-ours"]
PATH = f"/ui/portal/{TEXT}"
SESSION = "__Host-hookstream"


def button(shown: PageReply) -> Form:
    """Return the form of a link's page, which goes to the page's own address."""
    [form] = shown.parsed.forms
    assert (form.method, form.action) == ("post", "")
    return replace(form, action=PATH)


async def opened(world: PagesWorld) -> Browser:
    """Return the browser of whoever used the link of partner acme."""
    browser = Browser(world)
    shown = await browser.get(PATH)
    assert (await browser.follow(await browser.submit(button(shown)))).status == 200
    return browser


async def test_looking_at_a_link_changes_nothing_however_often(world: PagesWorld) -> None:
    """Scanners of mail follow links; some send HEAD."""
    before = world.api.tables.offset
    for method in ("GET", "HEAD", "GET"):
        reply = await Browser(world).send(method, PATH)
        assert (reply.status, reply.cookies[0].partition("=")[0]) == (
            200,
            "__Host-hookstream_login",
        )
    assert world.api.tables.offset == before
    assert world.api.services.uses == []


async def test_the_button_opens_the_partners_pages_and_the_link_is_used(world: PagesWorld) -> None:
    browser = Browser(world)
    shown = await browser.get(PATH)
    assert TEXT not in shown.html
    assert "opens the pages of partner acme in this browser for twelve hours, to read" in (
        shown.text
    )
    done = await browser.submit(button(shown))
    overview = await browser.follow(done)
    assert (overview.status, "partner acme partner:read" in overview.text) == (200, True)
    assert next(each for each in done.cookies if each.startswith(SESSION)).split("; ")[1:] == [
        "Path=/",
        "Max-Age=43200",
        "HttpOnly",
        "SameSite=Lax",
        "Secure",
    ]
    account = await browser.get("/ui/account")
    assert "Sessionses-" in account.text
    assert not any("/ui/tokens/" in each.get("href", "") for each in account.attributes("a"))
    # Also for whoever had its page open already, and for the same browser.
    for again in (await browser.submit(button(shown)), await browser.get(PATH)):
        assert again.status in (403, 410)
    other = Browser(world)
    used = await other.get(PATH)
    assert (used.status, "was already used" in used.text) == (410, True)
    assert used.parsed.forms == []


async def test_of_two_browsers_that_look_at_a_link_the_first_to_press_has_it(
    world: PagesWorld,
) -> None:
    first, second = Browser(world), Browser(world)
    pages = [await each.get(PATH) for each in (first, second)]
    assert (await first.submit(button(pages[0]))).status == 303
    refused = await second.submit(button(pages[1]))
    assert (refused.status, SESSION in second.cookies) == (410, False)
    assert "was already used" in refused.text


async def test_a_button_that_another_site_presses_uses_nothing(world: PagesWorld) -> None:
    browser = Browser(world)
    shown = await browser.get(PATH)
    for headers in ({"sec-fetch-site": "cross-site"}, {}):
        refused = await browser.submit(button(shown), headers)
        assert (refused.status, SESSION in browser.cookies) == (403, False)
    other = Browser(world)
    stolen = await other.send("POST", PATH, button(shown).fields, headers=HERE)
    assert stolen.status == 403
    assert (await browser.submit(button(shown))).status == 303


@pytest.mark.parametrize("text", ["hs_lnk_" + "A" * 43, "x", "%3Cscript%3E", "..", "a b"])
async def test_what_is_no_link_opens_nothing(world: PagesWorld, text: str) -> None:
    reply = await Browser(world).get(f"/ui/portal/{text}")
    assert (reply.status, reply.parsed.forms) == (404, [])
    assert "<script>" not in reply.html.replace('<script src="/ui/static/', "")


async def test_an_expired_link_and_a_revoked_one_say_so(world: PagesWorld) -> None:
    path = "/v1/partners/rival/portal-links/lnk-theirs/revoke"
    assert (await world.api.send("POST", path)).status == 200
    revoked = await Browser(world).get(f"/ui/portal/{LINK_TEXTS['lnk-theirs']}")
    assert (revoked.status, "was revoked" in revoked.text) == (410, True)
    world.api.tables.now += HOUR
    expired = await Browser(world).get(PATH)
    assert (expired.status, "has expired" in expired.text) == (410, True)


async def test_a_session_by_a_link_sees_its_partners_things_and_is_named_as_itself(
    world: PagesWorld,
) -> None:
    browser = await opened(world)
    shown = await browser.get("/ui/subscriptions")
    assert ("crm" in shown.text, "theirs" in shown.text) == (True, False)
    [session] = [each for each in world.api.services.sessions() if each.link_id is not None]
    lines = [fields for _, event, fields in world.api.logger.lines if event == "page.request"]
    assert lines[-1]["token_id"] == session.id
    assert {each["route"] for each in lines} == {
        "/ui/portal/{link}",
        "/ui/overview",
        "/ui/subscriptions",
    }


async def test_a_link_opens_in_place_of_the_session_before(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.ADMIN])
    before = browser.cookies[SESSION]
    shown = await browser.get(PATH)
    assert "Log out" not in shown.text
    page = await browser.follow(await browser.submit(button(shown)))
    assert "partner acme partner:read" in page.text
    browser.cookies = {SESSION: before}
    assert (await browser.get("/ui/overview")).status == 303


async def test_after_logging_out_not_even_a_copy_of_the_cookie_is_good(world: PagesWorld) -> None:
    browser = await opened(world)
    cookie = browser.cookies[SESSION]
    shown = await browser.get("/ui/overview")
    await browser.submit(shown.form("/ui/logout"))
    copy = Browser(world)
    copy.cookies = {SESSION: cookie}
    assert (await copy.get("/ui/overview")).status == 303


@pytest.mark.parametrize(
    "path",
    [
        "/v1/partners/acme/sessions/revoke",
        "/v1/partners/acme/portal-links/lnk-ours/revoke",
        "session",
    ],
)
async def test_a_session_that_an_operator_ends_is_over_at_its_next_request(
    world: PagesWorld, path: str
) -> None:
    browser = await opened(world)
    [session] = [each for each in world.api.services.sessions() if each.link_id is not None]
    path = f"/v1/sessions/{session.id}/revoke" if path == "session" else path
    assert (await world.api.send("POST", path)).status == 200
    reply = await browser.get("/ui/subscriptions")
    assert (reply.status, reply.headers["Location"][:9]) == (303, "/ui/login")
    assert SESSION not in browser.cookies


async def test_neither_the_link_nor_the_cookie_is_in_a_log(world: PagesWorld) -> None:
    browser = await opened(world)
    cookie = browser.cookies[SESSION]
    said = repr(world.api.logger.lines) + repr(world.api.services.uses)
    for secret in (TEXT, cookie):
        assert secret not in said
    page = await browser.get("/ui/overview")
    assert cookie not in page.html


class LateServices(MemoryServices):
    """Another console over the same tables, that reads what the first one wrote only when it waits for that."""

    has_read = False
    waits = 0

    def session_caller(self, cookie: str) -> Caller | SessionRefusal:
        return super().session_caller(cookie) if self.has_read else SessionRefusal.UNKNOWN

    def caught_up(self) -> None:
        self.waits += 1
        self.has_read = True


async def test_another_console_knows_at_once_the_session_that_one_has_begun(
    world: PagesWorld,
) -> None:
    """The browser goes on from the login at once, and may come to any console."""
    browser = await opened(world)
    late = LateServices(world.api.settings, world.api.tables)
    sessions = ConsoleSessions(late, lambda: 0.0)
    world.site._sessions = sessions  # noqa: SLF001
    world.site._late = LateSessions(sessions, InlineThreads())  # noqa: SLF001
    shown = await browser.get("/ui/subscriptions")
    assert (shown.status, late.waits, "crm" in shown.text) == (200, 1, True)
    await browser.get("/ui/subscriptions")
    assert late.waits == 1


async def test_a_console_waits_for_no_cookie_that_is_none_or_of_a_session_that_is_over(
    world: PagesWorld,
) -> None:
    browser = await opened(world)
    cookie = browser.cookies[SESSION]
    await browser.submit((await browser.get("/ui/overview")).form("/ui/logout"))
    waits: list[int] = []
    world.api.services.caught_up = lambda: waits.append(1)  # type: ignore[method-assign]
    for given, expected in ((cookie, 0), ("nonsense", 0), (cookie_text(bytes(32)), 1)):
        copy = Browser(world)
        copy.cookies = {SESSION: given}
        assert (await copy.get("/ui/overview")).status == 303
        assert len(waits) == expected


class FailingServices(MemoryServices):
    """Cannot write once, at the write of a number."""

    fails_at = 0
    writes = 0

    def change(self, act: Any, also: Any) -> Any:  # noqa: ANN401
        self.writes += 1
        if self.writes == self.fails_at:
            raise DependencyUnavailable("the broker does not answer")
        return super().change(act, also)


@pytest.mark.parametrize("fails_at", [1, 2])
async def test_a_link_is_not_used_up_by_what_could_not_be_written(
    world: PagesWorld, fails_at: int
) -> None:
    """Whoever has another session ends that, and begins one: two writes, of which either may fail."""
    browser = await logged_in(world, world.api.tokens[Scope.ADMIN])
    services = FailingServices(world.api.settings, world.api.tables)
    world.site._sessions = ConsoleSessions(services, lambda: 0.0)  # noqa: SLF001
    services.fails_at = fails_at
    form = button(await browser.get(PATH))
    assert (await browser.submit(form)).status == 503
    overview = await browser.follow(await browser.submit(form))
    assert "partner acme" in overview.text
