"""Every screen and every act of the table of pages, on a real console over real Kafka, as operator and as partner."""

import asyncio
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Locator
from tests.browsers import a_look
from tests.e2e.pages.people import Person, a_person, another_window
from tests.e2e.pages.screens import SCREENS
from tests.e2e.platform import Platform, document, has, wait_for
from tests.e2e.world import EVENT_TYPE, take_again, take_nothing

from hookstream.core.access.scopes import IMPLIED, Scope
from hookstream.core.model.instant import from_rfc3339
from hookstream.entry.pages.page import ConsolePage
from hookstream.entry.pages.table import PAGES

pytestmark = [pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="package")]

WALKED = "/walked"
"""The path of the endpoint of the walk's own subscription."""
SHOWN = [page for page in PAGES.pages if page.method == "GET"]
ABSENT = 404
NARROW = 390
"""Pixels: a telephone's."""
_REPLAYED_A_SECOND = "0.5"
"""So slow that it lasts longer than the walk."""


@dataclass
class Walk:
    """Two people before one platform, and what they made."""

    platform: Platform
    operator: Person
    partner: Person
    own: str = ""
    """The subscription that the partner makes."""
    found: dict[str, str] = field(default_factory=dict)
    """What pages name, by the parameters of their paths."""

    @property
    def page(self) -> str:
        """That of the subscription."""
        return f"/ui/subscriptions/{self.own}"

    async def asked(self, path: str, holds: Callable[[Any], bool] = bool) -> Any:  # noqa: ANN401  JSON
        """Ask the API as an operator until its answer is as it is wanted."""
        return await self.platform.console.until(path, self.platform.token, holds)

    async def of_own(self, holds: Callable[[Any], bool] = bool) -> Any:  # noqa: ANN401  JSON
        return await self.asked(f"/v1/subscriptions/{self.own}", holds)

    async def row(self, table: str, key: str) -> dict[str, Any]:
        """Return a row of a table as a plain client reads its topic; empty: it is gone, or never was."""
        found = [
            each for each in await self.platform.world.read(table) if each.key == key.encode()
        ]
        return document(found[-1].value) if found else {}

    def received(self, trigger: str) -> int:
        return len(self.platform.endpoint.of(WALKED, trigger))

    async def until_received(self, trigger: str, count: int) -> None:
        await wait_for(
            lambda: self.received(trigger) >= count,
            lambda: [
                each.headers["hookstream-trigger"] for each in self.platform.endpoint.of(WALKED)
            ],
        )

    def answers(self, status: int) -> None:
        """Have the subscription's endpoint answer so from now on."""
        self.platform.endpoint.statuses[WALKED] = status


def named(person: Person, action: str, name: str) -> Locator:
    """Return the form of an act on what has a name, where a page has several of them."""
    return person.form(action).filter(
        has=person.look.page.locator(f'[name="name"][value="{name}"]')
    )


async def test_every_screen_and_every_act_of_the_table_works_on_real_kafka(
    platform: Platform, chromium: Browser
) -> None:
    """The acts are pressed without scripts; the screens are looked at with them, on a narrow screen."""
    url = platform.console.url
    async with (
        a_person(chromium, url, platform.token, scripts=False) as operator,
        a_person(chromium, url, platform.partner, scripts=False) as partner,
    ):
        walk = Walk(platform, operator, partner)
        try:
            await a_subscription_is_made_and_changed(walk)
            await it_is_paused_and_its_gap_is_filled(walk)
            await its_endpoint_fails(walk)
            await what_it_refused_is_redriven_purged_and_sent_again(walk)
            await failures_are_looked_after(walk)
            await it_is_held_and_let_go(walk)
            await it_is_replayed_until_it_is_disabled(walk)
            await a_partner_is_looked_after(walk, chromium)
            await what_is_no_event_is_redriven_and_purged(walk)
            await a_partition_stops(walk)
            await every_screen_shows_what_there_is(walk, chromium)
            await what_stops_it_is_skipped(walk)
            await all_of_it_ends(walk)
        finally:
            platform.endpoint.statuses.pop(WALKED, None)
            await asyncio.to_thread(take_again, *dead_letters(platform))
    assert operator.look.complaints == partner.look.complaints == []
    assert operator.pressed | partner.pressed == {
        page.name for page in PAGES.pages if page.method == "POST"
    }


async def a_subscription_is_made_and_changed(walk: Walk) -> None:
    """Its row in Kafka's table follows each act of its partner."""
    partner, endpoint = walk.partner, walk.platform.endpoint
    await partner.open("/ui/new-subscription")
    said = await partner.press(
        "/ui/new-subscription",
        url=endpoint.url + WALKED,
        event_types=EVENT_TYPE,
        schedule="1h",
        final_statuses="400 422",
    )
    assert "It is shown only once" in said
    await partner.follow(partner.look.page.get_by_role("link", name="To the subscription"))
    walk.own = walk.found["subscription_id"] = partner.look.path.rpartition("/")[2]
    made = (await walk.row("subscriptions", walk.own))["body"]
    assert made["retry"]["final_statuses"] == [400, 422]
    shown = await walk.of_own()
    active = from_rfc3339(shown["active_from"])
    await wait_for(lambda: time.time() * 1_000 > active, lambda: shown)

    await partner.open(walk.page)
    assert "Test of" in await partner.press(f"{walk.page}/test")
    await walk.until_received("test", 1)
    await partner.open(f"{walk.page}/try")
    assert "It would get this" in await partner.press(f"{walk.page}/try")
    await partner.open(f"{walk.page}/edit")
    said = await partner.press(f"{walk.page}/edit", timeout="9s", headers="x-walk: 7")
    assert "It was changed" in said
    assert "x-walk" in said
    await partner.open(walk.page)
    said = await partner.press(f"{walk.page}/rotate-secret", overlap="1h")
    assert "This is the signing secret" in said
    changed = (await walk.row("subscriptions", walk.own))["body"]["endpoint"]
    assert (changed["timeout"], changed["headers"]) == ("9s", [["x-walk", "7"]])
    assert ["expires_at" in each for each in changed["signing_secrets"]] == [False, True]


async def it_is_paused_and_its_gap_is_filled(walk: Walk) -> None:
    """What is published while it is paused waits for its partner, who then gets it by a replay."""
    partner = walk.partner
    await partner.open(walk.page)
    assert "It is paused" in await partner.press(f"{walk.page}/pause")
    paused = await walk.of_own(lambda found: found["state"] == "paused")
    begins = from_rfc3339(paused["gaps"][0]["start"])
    await wait_for(lambda: time.time() * 1_000 > begins, lambda: paused)
    await walk.platform.publish(2)
    await partner.until(f"{walk.page}/gap", "Its gap has 2 events")
    said = await partner.press(f"{walk.page}/gap", fill="1")
    assert "It is active again" in said
    assert partner.look.path.startswith("/ui/jobs/replay-")
    await partner.until(partner.look.path, re.compile(r"State\s+done\s+Done\s+2\b"))
    await walk.until_received("replay", 2)
    assert (await walk.of_own())["state"] == "active"


async def its_endpoint_fails(walk: Walk) -> None:
    """Its dead letters are of two groups, by their last status."""
    begins = from_rfc3339((await walk.of_own())["gaps"][-1]["end"])
    await wait_for(lambda: time.time() * 1_000 > begins, lambda: begins)
    for status, count in ((400, 2), (422, 1)):
        walk.answers(status)
        events = await walk.platform.publish(count)
        path = f"/v1/dead-letters?subscription={walk.own}&status={status}"
        await walk.asked(path, has(count))
        walk.found["event"] = min(events)


async def what_it_refused_is_redriven_purged_and_sent_again(walk: Walk) -> None:
    """Each group by an act of its own, whose job ends; the letters say what became of them."""
    walk.answers(204)
    before = walk.received("redrive"), walk.received("replay")
    await a_group_is_acted_on(walk, walk.partner, "redrive", "400", "2 dead letters")
    await a_group_is_acted_on(
        walk, walk.operator, "purge", "422", "1 dead letter", reason="mailed"
    )
    await walk.until_received("redrive", before[0] + 2)
    partner, listed = walk.partner, f"/v1/dead-letters?subscription={walk.own}"
    await partner.until(f"/ui/dead-letters?state=resolved&subscription={walk.own}", "purged")
    found = await walk.asked(
        listed, lambda found: all(each["resolved"] for each in found["items"])
    )
    became = {each["delivery"]: each["resolved"] for each in found["items"]}
    assert sorted(became.values()) == ["purged", "redriven", "redriven"]
    delivery = next(each for each in became if became[each] == "purged")
    walk.found["delivery_id"] = delivery
    where = f"/ui/deliveries/{delivery}"
    assert "Dead-lettered" in await partner.open(where)
    assert "It is sent again" in await partner.press(f"{where}/resend", reason="a last trial")
    await walk.until_received("replay", before[1] + 1)
    await partner.until(where, "Resend began", "Completed")


async def a_group_is_acted_on(
    walk: Walk, person: Person, act: str, status: str, counted: str, **filled: str
) -> None:
    """From the groups to the act, whose job is done in Kafka's table once its page says so."""
    page = person.look.page
    await person.open(f"/ui/dead-letters?group=status&subscription={walk.own}")
    groups = page.get_by_role("region", name="Open dead letters by last status")
    await person.follow(groups.get_by_role("link", name=status))
    link = page.get_by_role("link", name=f"{act.capitalize()} the filtered")
    assert counted in await person.follow(link)
    await person.press(f"/ui/dead-letters/{act}", **filled)
    where, _, job = person.look.path.rpartition("/")
    assert (where, job.partition("-")[0]) == ("/ui/jobs", act)
    await person.until(person.look.path, re.compile(r"State\s+done"))
    assert (await walk.row("jobs", job))["state"] == "done"


async def failures_are_looked_after(walk: Walk) -> None:
    """One group goes through all its states, in the console's table and on its page."""
    partner, operator = walk.partner, walk.operator
    path = "/v1/failure-groups?subscription=refused&partner=acme"
    group = (await walk.asked(path, lambda found: bool(found["items"])))["items"][0]["id"]
    walk.found["group_id"] = group
    where = f"/ui/failures/{group}"
    for person, act, state in (
        (partner, "acknowledge", "acknowledged"),
        (partner, "resolve", "resolved"),
        (operator, "reopen", "reopened"),
    ):
        await person.open(where)
        said = await person.press(f"{where}/{act}", note=f"they said {act}")
        assert f"they said {act}" in said
        row = await walk.row("console", f"failure-group/{group}")
        assert row["state"] == state, row


async def it_is_held_and_let_go(walk: Walk) -> None:
    """The hold is in Kafka's table as long as it is on the page, and nothing is sent meanwhile."""
    operator, hold, clear = walk.operator, f"hold/endpoint/{walk.own}", "/ui/holds/clear"
    await operator.open(f"/ui/holds/new?kind=endpoint&name={walk.own}")
    said = await operator.press("/ui/holds", reason="their release")
    assert "workers stop within two seconds" in said
    assert "their release" in said
    assert (await walk.row("subscriptions", hold))["reason"] == "their release"
    await walk.of_own(lambda found: found["state"] == "held")
    await operator.open("/ui/holds")
    said = await operator.press_form(named(operator, clear, walk.own), clear, reason="it is over")
    assert "deliveries resume within five minutes" in said
    assert "their release" not in said
    assert await walk.row("subscriptions", hold) == {}


async def it_is_replayed_until_it_is_disabled(walk: Walk) -> None:
    """A replay that fails with its subscription goes on once that is enabled, until somebody cancels it."""
    operator, page = walk.operator, walk.operator.look.page
    await operator.open(f"/ui/replays/new?subscription={walk.own}&since=2h")
    said = await operator.press("/ui/replays", rate=_REPLAYED_A_SECOND)
    assert "live deliveries go first" in said
    where = operator.look.path
    job = walk.found["job_id"] = where.rpartition("/")[2]
    await operator.until(where, re.compile(r"Done\s+[1-9]\d* of \d+"))
    assert await page.locator("progress").count() == 1
    walk.answers(410)
    await walk.platform.publish(1)
    await operator.until(where, re.compile(r"State\s+failed"), "is disabled")
    walk.answers(204)
    await operator.open(f"{walk.page}/gap")
    assert "It is active again" in await operator.press(f"{walk.page}/gap", fill="")
    before = (await walk.row("jobs", job))["done"]
    await operator.open(where)
    assert "can be continued by any executor" in await operator.press(f"{where}/resume")
    await walk.asked(f"/v1/jobs/{job}", lambda found: found["done"] > before)
    await operator.open(where)
    said = await operator.press(f"{where}/cancel")
    assert "is cancelled: its finished steps are kept" in said
    row = await walk.row("jobs", job)
    assert (row["state"], before < row["done"] < row["total"]) == ("cancelled", True), row


async def a_partner_is_looked_after(walk: Walk, chromium: Browser) -> None:
    """Its limits; a token, which is good until it is revoked; and a portal link, which opens its pages once."""
    operator, platform = walk.operator, walk.platform
    where = "/ui/partners/acme"
    await operator.open(where)
    said = await operator.press(f"{where}/limits", subscriptions="49", timeout="29s")
    assert "Its limits were changed" in said
    limits = (await walk.row("partners", "acme"))["limits"]
    assert (limits["subscriptions"], limits["timeout"]) == (49, "29s")

    said = await operator.press(f"{where}/tokens", scope="partner:read", label="of the walk")
    text = platform.kept("a token of the walk", re.findall(r"hs_\S+", said)[0])
    me = await platform.console.done("GET", "/v1/me", text)
    assert me.json["partner"] == "acme", me
    token = me.json["token"]
    await operator.open(f"/ui/tokens/{token}")
    assert f"{token} is revoked" in await operator.press(f"/ui/tokens/{token}/revoke")
    assert (await platform.console.done("GET", "/v1/me", text)).status == 401
    assert "revoked" in await walk.row("console", f"token/{token}")

    await operator.open(f"{where}/access")
    said = await operator.press(f"{where}/access/links", scope="partner:read")
    used = re.findall(r"/ui/portal/\S+", said)[0]
    async with a_look(chromium, operator.look.url, scripts=False) as look:
        stranger = Person(look)
        assert "opens the pages of partner acme" in await stranger.open(used)
        assert "Success rate" in await stranger.press_form(look.page.locator("main form"), used)
        assert look.path == "/ui/overview"
        assert await look.open(used) == 410
        operator.pressed |= stranger.pressed
    await operator.open(f"{where}/access")
    said = await operator.press(f"{where}/access/links", scope="partner:read")
    walk.found["link"] = re.findall(r"/ui/portal/(\S+)", said)[0]


async def what_is_no_event_is_redriven_and_purged(walk: Walk) -> None:
    """What is redriven is none again; what is purged stays on its topic, and no redrive takes it."""
    operator, still_open = walk.operator, "/v1/undecodable?open=true"
    for act, became, filled in (
        ("redrive", "redriven", {}),
        ("purge", "purged", {"reason": "a drill"}),
    ):
        found = await walk.asked(still_open, lambda found: bool(found["items"]))
        place = found["items"][0]["position"]
        await operator.open(f"/ui/undecodable/{act}?place={place}")
        await operator.press(f"/ui/undecodable/{act}", **filled)
        await operator.until(operator.look.path, re.compile(r"State\s+done"))
        said = await operator.until(f"/ui/undecodable/{place}", became)
        assert filled.get("reason", "") in said
    # For the screens.
    await walk.platform.world.publish_bytes(b"no framing either")
    found = await walk.asked(still_open, lambda found: bool(found["items"]))
    walk.found["record"] = found["items"][0]["position"]


async def a_partition_stops(walk: Walk) -> None:
    """No dead letter can be written, so nothing of its record is settled."""
    await asyncio.to_thread(take_nothing, *dead_letters(walk.platform))
    await it_stops_at_a_record(walk)


def dead_letters(platform: Platform) -> tuple[str, str]:
    """Return where the topic of dead letters is, and its name."""
    world = platform.world
    return world.stage.servers, f"{world.prefix}.dead-letters"


async def it_stops_at_a_record(walk: Walk) -> None:
    """Publish what is to be given up, and wait until the worker says which partition it stops."""
    log = walk.platform.world.stage.log
    before = len(stops(log))
    await walk.platform.publish(1)
    await wait_for(lambda: len(stops(log)) > before, log.read_text)
    found = stops(log)[-1]
    walk.found |= {"topic": found["topic"], "partition": str(found["partition"])}


def stops(log: Path) -> list[dict[str, Any]]:
    """Return what a worker said of partitions that stopped."""
    lines = log.read_text(encoding="utf-8").splitlines()
    return [json.loads(each) for each in lines if '"event":"partition.stopped"' in each]


async def what_stops_it_is_skipped(walk: Walk) -> None:
    """The worker gives up the record, and of another one whatever is not settled; the page says that all is."""
    operator, world = walk.operator, walk.platform.world
    for act, filled, says in (
        ("skip", {}, "is asked to skip"),
        ("start", {"at": "latest"}, "is asked to start at latest"),
    ):
        if act == "start":
            await it_stops_at_a_record(walk)
        where = f"/ui/partitions/{world.topic}/{walk.found['partition']}"
        await operator.open(where)
        said = await operator.press(f"{where}/{act}", reason="INC-7", **filled)
        assert says in said
        await operator.until(where, re.compile(r"Unsettled\s+0\b"))
    rows = {each.key.decode().partition("/")[0] for each in await world.read("subscriptions")}
    assert {"skip", "start"} <= rows


async def every_screen_shows_what_there_is(walk: Walk, chromium: Browser) -> None:
    """To the operator and to the partner, on a narrow screen that nothing makes wider."""
    # What is paused has a gap to be ended.
    await walk.partner.open(walk.page)
    await walk.partner.press(f"{walk.page}/pause")
    tokens = await walk.asked("/v1/tokens?partner=acme")
    letters = await walk.asked("/v1/dead-letters?subscription=refused&open=true")
    walk.found |= {
        "partner_id": "acme",
        "event_type": "order.generated",
        "token_id": next(each["id"] for each in tokens["items"] if each["state"] == "live"),
        "letter": letters["items"][0]["position"],
    }
    wrong: list[str] = []
    for person, scope in ((walk.operator, Scope.ADMIN), (walk.partner, Scope.PARTNER_MANAGE)):
        async with another_window(chromium, person, width=NARROW) as window:
            for page in SHOWN:
                found = await wrong_with(window, page, scope, walk.found)
                wrong += [f"{scope} {window.look.path} {each}" for each in found]
    assert not wrong, "\n".join(wrong)


async def wrong_with(
    person: Person, page: ConsolePage, scope: Scope, found: dict[str, str]
) -> list[str]:
    """Return what is wrong with a screen as a person sees it."""
    look, screen = person.look, SCREENS[page.name]
    path = screen.path(page, found)
    look.complaints.clear()
    if page.scope is not None and page.scope not in IMPLIED[scope]:
        status = await look.open(path)
        return [] if status == ABSENT else [f"is {status}"]
    if screen.is_file:
        said = await kept(person, path)
    else:
        said = await person.open(path)
    wrong = [f"does not say {each}: {said}" for each in screen.says if not re.search(each, said)]
    wrong += [
        f"says {each}, or not: {said}"
        for each in screen.operators
        if (re.search(each, said) is None) is (scope is Scope.ADMIN)
    ]
    wide = await look.page.evaluate("document.documentElement.scrollWidth")
    return wrong + look.complaints + ([f"is {wide} wide"] if wide > NARROW else [])


async def kept(person: Person, path: str) -> str:
    """Return what a browser keeps of a file."""
    page = person.look.page
    async with page.expect_download() as coming:
        # A browser stays where it is.
        await page.evaluate("path => { location.href = path; }", path)
    file = await (await coming.value).path()
    return await asyncio.to_thread(Path(file).read_text, encoding="utf-8")


async def all_of_it_ends(walk: Walk) -> None:
    """The subscription, and with all access of the partner the session that ended it; the operator logs out."""
    partner, operator = walk.partner, walk.operator
    await partner.open(walk.page)
    assert f"{walk.own} is deleted" in await partner.press(f"{walk.page}/delete")
    assert (await walk.row("subscriptions", walk.own))["state"] == "deleted"
    await partner.open("/ui/partners/acme/access")
    await partner.press("/ui/partners/acme/access/end")
    assert partner.look.path.startswith("/ui/login")
    await operator.press("/ui/logout")
    assert operator.look.path == "/ui/login"
    assert await operator.look.open("/ui/overview") == 200
    assert operator.look.path.startswith("/ui/login")
