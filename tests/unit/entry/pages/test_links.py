"""What pages lead to: every link of every page to a page that answers, and what belongs together to each other."""

from collections.abc import Iterable

import pytest
from tests.doubles.clock import NOON
from tests.doubles.pages import Browser, PageReply, PagesWorld, logged_in
from tests.unit.entry.pages.expectations import EXPECTATIONS

from hookstream.core.access.scopes import IMPLIED, Scope
from hookstream.core.redrive.summary import Group, Tally
from hookstream.entry.admin.surveys import Survey
from hookstream.entry.pages.table import PAGES

GONE = {
    "/ui/jobs/purge-1",
    "/ui/dead-letters/3%407",
    "/ui/deliveries/msg_unknown",
    "/ui/deliveries/msg_waits",
    "/ui/subscriptions/refused",
    "/ui/subscriptions/unknown",
    "/ui/subscriptions/waits",
}
"""What records of the past name, and is not there any more in this world."""


def links(reply: PageReply) -> set[str]:
    """Return the addresses that a page leads to, without places in it."""
    found = {each["href"].partition("#")[0] for each in reply.attributes("a") if "href" in each}
    return found - {""}


async def shown_to(browser: Browser, scope: Scope) -> list[tuple[str, PageReply]]:
    """Return every page that a scope has, by the good request for it."""
    found = []
    for page in PAGES.pages:
        if page.method != "GET" or page.scope not in IMPLIED[scope]:
            continue
        expected = EXPECTATIONS[page.name]
        if not expected.is_file:
            path = expected.path(page.path)
            found.append((path, await browser.get(path)))
    return found


@pytest.mark.parametrize("scope", [Scope.ADMIN, Scope.PARTNER_MANAGE])
async def test_every_link_of_every_page_leads_to_a_page_that_answers(
    world: PagesWorld, scope: Scope
) -> None:
    """Also a partner's: it is led to nothing that only operators have."""
    browser = await logged_in(world, world.api.tokens[scope])
    led: dict[str, str] = {}
    for path, reply in await shown_to(browser, scope):
        led |= dict.fromkeys(links(reply), path)
    assert len(led) > 20
    nowhere = [
        (at, to, reply.status)
        for to, at in sorted(led.items())
        for reply in [await browser.get(to)]
        if reply.status not in ((404,) if to in GONE else (200, 303))
    ]
    assert nowhere == [], "\n".join(map(str, nowhere))


def missing(reply: PageReply, wanted: Iterable[str]) -> set[str]:
    return set(wanted) - links(reply)


async def test_what_belongs_together_leads_to_each_other(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.ADMIN])
    about = {
        "/ui/deliveries?subscription=crm",
        "/ui/failures?subscription=crm",
        "/ui/dead-letters?subscription=crm",
        "/ui/audit?subscription=crm",
    }
    of_crm = {"/ui/subscriptions/crm", "/ui/partners/acme"}
    group = EXPECTATIONS["show_failure"].params["group_id"]
    for path, wanted in {
        "/ui/deliveries/msg_ours": {*about, *of_crm, "/ui/deliveries/msg_ours/dead-letters"},
        f"/ui/failures/{group}": {*about, *of_crm, "/ui/deliveries/msg_ours"},
        "/ui/dead-letters/0@7": {*about, *of_crm, "/ui/deliveries/msg_ours"},
        "/ui/dead-letters?state=all": {*of_crm, "/ui/deliveries/msg_ours", "/ui/jobs/purge-1"},
        "/ui/jobs/replay-ours": {*about, *of_crm},
        "/ui/audit": {"/ui/subscriptions/crm", "/ui/partners/acme"},
    }.items():
        assert missing(await browser.get(path), wanted) == set(), path


async def test_a_partner_is_led_to_its_own_alone(world: PagesWorld) -> None:
    browser = await logged_in(world, world.api.tokens[Scope.PARTNER_READ])
    for path in ("/ui/deliveries/msg_ours", "/ui/dead-letters?state=all", "/ui/jobs/replay-ours"):
        found = links(await browser.get(path))
        assert "/ui/subscriptions/crm" in found
        of_operators = ("/ui/audit", "/ui/partners", "/ui/undecodable", "/ui/holds")
        assert [each for each in found if each.startswith(of_operators)] == []


async def test_a_job_leads_to_what_it_takes(world: PagesWorld) -> None:
    tally = Tally()
    tally.add(Group("crm", "expired"), NOON)
    world.api.services.found = Survey({0: 9}, tally, {})
    browser = await logged_in(world, world.api.tokens[Scope.OPERATOR_WRITE])
    for query, to in (
        ("subscription=crm&status=503", "?state=all&subscription=crm&status=503"),
        ("place=0@7", "/0%407"),
    ):
        form = await browser.get(f"/ui/dead-letters/redrive?{query}")
        done = await browser.submit(form.form("/ui/dead-letters/redrive"))
        found = links(await browser.follow(done))
        assert "/ui/dead-letters" + to in found
