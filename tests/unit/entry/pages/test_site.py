"""The site around its pages: logging in and out, what is said once, problems, files, and what is the API's."""

import re

import pytest
from tests.doubles.api_records import subscription
from tests.doubles.pages import A_FORM, HERE, Browser, PagesWorld, logged_in

from hookstream.core.access.scopes import Scope
from hookstream.entry.pages.page import ConsolePage, Moved, PageCall, Shown
from hookstream.entry.pages.site import PageTable


async def test_whoever_comes_for_a_page_logs_in_and_gets_that_page(world: PagesWorld) -> None:
    browser = Browser(world)
    login = await browser.follow(await browser.get("/ui/subscriptions?partner=acme"))
    done = await browser.submit(login.form("/ui/login"), token=world.api.tokens[Scope.ADMIN])
    shown = await browser.follow(done)
    assert (shown.status, "crm" in shown.text, "theirs" in shown.text) == (200, True, False)


@pytest.mark.parametrize("scope", Scope)
async def test_a_token_of_any_scope_logs_in_by_the_form(world: PagesWorld, scope: Scope) -> None:
    browser = Browser(world)
    shown = await browser.log_in(world.api.tokens[scope], A_FORM)
    assert (shown.status, "Log out" in shown.text) == (200, True)
    assert [*browser.cookies] == ["__Host-hookstream"]


async def test_the_cookie_of_a_session_is_for_this_host_alone_and_no_script_reads_it(
    world: PagesWorld,
) -> None:
    browser = Browser(world)
    login = await browser.get("/ui/login")
    done = await browser.submit(login.form("/ui/login"), token=world.api.tokens[Scope.ADMIN])
    session = next(each for each in done.cookies if each.startswith("__Host-hookstream="))
    assert session.split("; ")[1:] == [
        "Path=/",
        "Max-Age=43200",
        "HttpOnly",
        "SameSite=Lax",
        "Secure",
    ]
    assert world.api.tokens[Scope.ADMIN] not in session


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "/ui/../../x y",
        "javascript:1",
    ],
)
async def test_a_login_leads_to_no_other_site(world: PagesWorld, to: str) -> None:
    browser = Browser(world)
    login = await browser.get("/ui/login")
    done = await browser.submit(
        login.form("/ui/login"), token=world.api.tokens[Scope.ADMIN], to=to
    )
    assert (done.status, done.headers["Location"]) == (303, "/ui/overview")


@pytest.mark.parametrize("token", ["", "nonsense", "hs_adm_" + "A" * 43, "x" * 10_000])
async def test_a_token_that_is_not_good_begins_no_session(world: PagesWorld, token: str) -> None:
    browser = Browser(world)
    login = await browser.get("/ui/login")
    refused = await browser.submit(login.form("/ui/login"), token=token)
    assert (refused.status, "__Host-hookstream" in browser.cookies) == (401, False)
    if token:
        assert token not in refused.html
    again = await browser.submit(refused.form("/ui/login"), token=world.api.tokens[Scope.ADMIN])
    assert again.status == 303


async def test_after_logging_out_the_browser_has_no_session(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.ADMIN])
    shown = await browser.get("/ui/overview")
    login = await browser.follow(await browser.submit(shown.form("/ui/logout")))
    assert "__Host-hookstream" not in browser.cookies
    assert (login.status, "Log out" in login.text) == (200, False)


async def test_a_session_lasts_twelve_hours_at_most(world: PagesWorld) -> None:
    token = world.api.token(Scope.ADMIN, expires=world.api.tables.now + 30 * 86_400_000)
    browser = await logged_in(world, token)
    world.api.tables.now += 12 * 3_600_000 - 1
    assert (await browser.get("/ui/overview")).status == 200
    world.api.tables.now += 1
    assert (await browser.get("/ui/overview")).status == 303


async def test_a_partner_is_led_to_its_own_pages_only(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_READ])
    shown = await browser.get("/ui/subscriptions")
    assert "partner acme partner:read" in shown.text
    assert "Partner" not in [each for each in shown.text.split() if each == "Partner"]


async def test_what_was_done_is_said_once_after_it_and_in_that_session_only(
    world: PagesWorld,
) -> None:
    async def act(call: PageCall) -> Moved:
        return Moved("/ui/overview", f"Paused {call.form['name']}.")

    pages = world.site._table.pages  # noqa: SLF001
    world.site._table = PageTable((*pages, ConsolePage("POST", "/ui/act", act)))  # noqa: SLF001
    browser = await logged_in(world, world.api.tokens[Scope.ADMIN])
    other = await logged_in(world, world.api.tokens[Scope.ADMIN])
    shown = await browser.get("/ui/overview")
    hidden = shown.form("/ui/logout").fields
    name = "<b>\u202e" + "x" * 900
    done = await browser.send("POST", "/ui/act", {**hidden, "name": name}, headers=HERE)
    other.cookies["__Host-hookstream_said"] = browser.cookies["__Host-hookstream_said"]
    said = await browser.follow(done)
    assert r"Paused <b>\u202exxx" in said.text
    assert "Paused" not in (await browser.get("/ui/overview")).text
    assert "Paused" not in (await other.get("/ui/overview")).text


async def test_a_page_asks_as_its_session_and_the_request_has_one_id(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_READ])
    world.api.logger.lines.clear()
    await browser.get("/ui/subscriptions", x_request_id="mine")
    found = [
        (event, fields["request_id"], fields["route"], fields["partner_id"])
        for _, event, fields in world.api.logger.lines
    ]
    assert found == [
        ("api.request", "mine", "/v1/subscriptions", "acme"),
        ("api.request", "mine", "/v1/statistics/by-subscription", "acme"),
        ("page.request", "mine", "/ui/subscriptions", "acme"),
    ]


async def test_a_page_counts_against_its_partners_rate(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_READ])
    world.api.per_second = 0.1
    await browser.get("/ui/subscriptions")
    refused = await browser.get("/ui/subscriptions")
    assert refused.status == 429
    assert "too_many_requests" in refused.text
    assert int(refused.headers["Retry-After"]) > 0


async def test_a_defect_of_a_page_is_logged_and_shown_as_one(world: PagesWorld) -> None:
    async def fail(call: PageCall) -> Shown:
        raise ZeroDivisionError(f"hush {call.now}")

    pages = world.site._table.pages  # noqa: SLF001
    world.site._table = PageTable((*pages, ConsolePage("GET", "/ui/fails", fail)))  # noqa: SLF001
    browser = await logged_in(world, world.api.tokens[Scope.ADMIN])
    world.api.fails_at_defects = False
    shown = await browser.get("/ui/fails")
    assert (shown.status, "hush" in shown.html) == (500, False)
    assert [event for _, event, _ in world.api.logger.lines if event.endswith("defect")] == [
        "page.defect"
    ]


async def test_a_page_that_does_not_exist_is_one_with_the_navigation(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.ADMIN])
    for path in ("/ui/nothing", "/ui", "/ui/static/nothing", "/ui/overview?live=content"):
        shown = await browser.get(path)
        assert (shown.status, "not_found" in shown.text) == (404, True), path
    for path, allowed in (("/ui/overview", "GET, HEAD"), ("/ui/login", "GET, HEAD, POST")):
        refused = await browser.send("PUT", path)
        assert (refused.status, refused.headers["Allow"]) == (405, allowed)
    assert (await browser.get("/ui/" + "x" * 3_000)).status == 414
    assert (await browser.get("/ui/overview?window=%ff")).status == 400
    assert (await browser.get("/ui/overview?window=1h&window=24h")).status == 422


async def test_the_root_leads_to_the_first_page_and_what_is_the_apis_is_handed_on(
    world: PagesWorld,
) -> None:
    browser = Browser(world)
    assert (await browser.get("/")).headers["Location"] == "/ui/overview"
    api = await browser.get("/v1/me")
    assert (api.status, api.headers["Content-Type"]) == (401, "application/problem+json")


async def test_a_session_is_no_token_of_the_api(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.ADMIN])
    assert (await browser.get("/v1/me")).status == 401


async def test_files_are_kept_for_ever_by_the_address_that_names_their_content(
    world: PagesWorld,
) -> None:
    browser = Browser(world)
    login = await browser.get("/ui/login")
    urls = re.findall(r'"(/ui/static/[^"]+)"', login.html)
    assert len(urls) == 4  # an icon, two styles and a script
    for url in urls:
        found = await browser.get(url)
        assert (found.status, found.headers["Cache-Control"]) == (
            200,
            "public, max-age=31536000, immutable",
        )
        other = await browser.get(url.partition("?")[0])
        assert other.headers["Cache-Control"] == "no-cache"
        again = await browser.get(url, if_none_match=found.headers["ETag"])
        assert (again.status, again.html) == (304, "")
        assert found.headers["Content-Security-Policy"]


async def test_a_list_goes_on_by_links_that_keep_its_filters(world: PagesWorld) -> None:
    for number in range(60):
        world.api.add(subscription(f"many-{number:02}"))
    browser = await logged_in(world, world.api.tokens[Scope.ADMIN])
    seen: list[str] = []
    path = "/ui/subscriptions?partner=acme"
    for _ in range(3):
        shown = await browser.get(path)
        seen += re.findall(r'<th scope="row"><a [^>]*><bdi class="id">([^<]*)', shown.html)
        links = [each for each in shown.attributes("a") if each.get("rel") == "next"]
        if not links:
            break
        path = links[0]["href"]
        assert "partner=acme" in path
    many = (f"many-{number:02}" for number in range(60))
    assert seen == ["crm", "filed", *many, "paused"]
    last = await browser.get(path)
    assert "/ui/subscriptions?partner=acme" in [each["href"] for each in last.attributes("a")]
    foreign = await browser.get(path.replace("partner=acme", "partner=rival"))
    assert (foreign.status, "invalid_cursor" in foreign.text) == (400, True)
