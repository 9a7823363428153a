"""Sessions of pages on real Kafka: a link opens one, whichever console is asked, and what ends one holds in all."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Any

import pytest
import pytest_asyncio
from tests.conftest import Broker
from tests.e2e.consoles import ANYWHERE, Answered, Console, admin
from tests.e2e.page_client import PageClient
from tests.e2e.platform import Platform, a_platform, wait_for
from tests.e2e.world import a_world

pytestmark = [pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="module")]

LINKS = "/v1/partners/acme/portal-links"
PAGE = "/ui/subscriptions"
REFUSED_AFTER = 2.0
"""Seconds after which no console believes a session that was ended."""
KILLS = (0.0, 0.02, 0.05, 0.1, 0.3)
"""Seconds after which a console is killed that was asked to use a link."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform(
    broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Platform]:
    """Two consoles and a partner; nothing is delivered."""
    folder = tmp_path_factory.mktemp("sessions")
    async with a_world(folder, broker.bootstrap_servers, f"t{token_hex(5)}") as world:
        made = a_platform(world, folder)
        world.stage.environ |= ANYWHERE
        try:
            made.token = await admin(world)
            await made.up("first", "second")
            grant = {"event_types": ["*"], "environments": ["*"]}
            await made.made("/v1/partners", {"id": "acme", "name": "Acme", "grant": grant})
            yield made
        finally:
            await made.end()


async def new_link(platform: Platform) -> tuple[str, str]:
    """Return text and id of a new link, once both consoles know it."""
    made = await platform.made(LINKS, {})
    link_id = made["link"]["id"]
    for name in ("first", "second"):
        await platform.consoles[name].until(
            f"{LINKS}/{link_id}", platform.token, lambda shown: shown["state"] == "open"
        )
    return made["url"].rpartition("/")[2], link_id


async def sessions(platform: Platform) -> list[dict[str, Any]]:
    return await platform.console.every("/v1/sessions?partner=acme", platform.token)


async def test_of_two_consoles_whose_buttons_are_pressed_at_once_one_opens_the_pages(
    platform: Platform,
) -> None:
    first, second = platform.consoles["first"], platform.consoles["second"]
    text, link_id = await new_link(platform)
    path = f"/ui/portal/{text}"
    browsers = [PageClient(each) for each in (first, second, first, second)]
    shown = [await each.get(path) for each in browsers]
    assert [each.status for each in shown] == [200] * 4
    async with asyncio.TaskGroup() as pressing:
        tasks = [
            pressing.create_task(each.press(path, page))
            for each, page in zip(browsers, shown, strict=True)
        ]
    assert sorted(task.result().status for task in tasks) == [303, 410, 410, 410]
    [having] = [each for each in browsers if each.session]
    link = (await first.done("GET", f"{LINKS}/{link_id}", platform.token)).json
    of_link = [each["id"] for each in await sessions(platform) if each["link"] == link_id]
    assert of_link == [link["session"]]
    # At once, and in both: a browser behind a proxy may come to any of them.
    for console in (second, first):
        assert (await having.get(PAGE, console)).status == 200


@pytest.mark.parametrize("way", ["log out", "session", "link", "partner", "command", "frozen"])
async def test_no_console_believes_a_session_two_seconds_after_it_was_ended(
    platform: Platform, way: str
) -> None:
    """Whatever ends it, in whichever console, and also if the other one was frozen meanwhile."""
    first, second = platform.consoles["first"], platform.consoles["second"]
    text, link_id = await new_link(platform)
    browser = PageClient(first)
    await browser.open_link(text)
    copy = PageClient(second)
    copy.cookies = {**browser.cookies}
    link = (await first.done("GET", f"{LINKS}/{link_id}", platform.token)).json
    async with asking(copy, first, second) as asked:
        if way == "frozen":
            signal_to(second, signal.SIGSTOP)
        try:
            await end(platform, way, browser, link)
            too_late = time.monotonic() + REFUSED_AFTER
            if way == "frozen":
                await wait_for(lambda: time.monotonic() > too_late, lambda: None)
        finally:
            signal_to(second, signal.SIGCONT)
        for console in (first, second):
            await wait_for(
                lambda c=console: any(  # type: ignore[misc]
                    each.status == 303 and each.began > too_late for each in asked[c.name]
                ),
                lambda: asked,
            )
    for answers in asked.values():
        assert 200 in {each.status for each in answers}
        late = [each for each in answers if each.began > too_late]
        assert {each.status for each in late} <= {303, 503}


async def end(platform: Platform, way: str, browser: PageClient, link: dict[str, Any]) -> None:
    """End the session that a link began."""
    first, token = platform.consoles["first"], platform.token
    paths = {
        "session": f"/v1/sessions/{link['session']}/revoke",
        "frozen": f"/v1/sessions/{link['session']}/revoke",
        "link": f"{LINKS}/{link['id']}/revoke",
        "partner": "/v1/partners/acme/sessions/revoke",
    }
    if way == "command":
        await platform.world.stage.hookstream("sessions", "revoke", link["session"])
    elif way == "log out":
        await browser.log_out()
    else:
        ended = await first.done("POST", paths[way], token)
        assert ended.status == 200, ended


def signal_to(console: Console, number: int) -> None:
    assert console.process is not None
    console.process.send_signal(number)


@asynccontextmanager
async def asking(
    browser: PageClient, *consoles: Console
) -> AsyncIterator[dict[str, list[Answered]]]:
    """Ask each console again and again for a page, with the same cookies, while the block runs."""
    answers: dict[str, list[Answered]] = {each.name: [] for each in consoles}
    over, cookies = asyncio.Event(), {**browser.cookies}

    async def ask(console: Console) -> None:
        while not over.is_set():
            each = PageClient(console)
            each.cookies = {**cookies}
            answers[console.name].append(await each.get(PAGE))
            await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as asking_all:
        for each in consoles:
            asking_all.create_task(ask(each))
        try:
            await wait_for(lambda: all(answers.values()), lambda: answers)
            yield answers
        finally:
            over.set()


async def test_a_session_ends_with_the_token_that_began_it(platform: Platform) -> None:
    first, second = platform.consoles["first"], platform.consoles["second"]
    made = await platform.made("/v1/tokens", {"scope": "partner:read", "partner": "acme"})
    browser = PageClient(first)
    await browser.log_in(made["text"])
    for console in (second, first):
        assert (await browser.get(PAGE, console)).status == 200
    path = f"/v1/tokens/{made['token']['id']}/revoke"
    assert (await second.done("POST", path, platform.token)).status == 200
    over = time.monotonic() + REFUSED_AFTER
    await wait_for(lambda: time.monotonic() > over, lambda: None)
    copy = PageClient(first)
    copy.cookies = {**browser.cookies}
    assert {(await each.get(PAGE)).status for each in (browser, copy)} == {303}


async def test_a_link_is_used_and_its_session_there_or_neither_wherever_a_console_dies(
    platform: Platform,
) -> None:
    first, second = platform.consoles["first"], platform.consoles["second"]
    for pause in KILLS:
        await platform.up("first", "second")
        text, link_id = await new_link(platform)
        path = f"/ui/portal/{text}"
        browser = PageClient(first)
        shown = await browser.get(path)
        async with asyncio.TaskGroup() as pressing:
            pressed = pressing.create_task(browser.press(path, shown))
            await asyncio.sleep(pause)
            await first.kill()
        # Another write: afterwards nothing of the killed one can be committed any more.
        assert (await second.done("POST", LINKS, platform.token, {})).status == 201
        link = (await second.done("GET", f"{LINKS}/{link_id}", platform.token)).json
        of_link = [each["id"] for each in await sessions(platform) if each["link"] == link_id]
        assert of_link == [each for each in (link["session"],) if each]
        if pressed.result().status == 303:
            assert (await browser.get(PAGE, second)).status == 200
        if link["state"] == "open":
            # Nothing was written: the other one opens the pages.
            assert await PageClient(second).open_link(text)
