"""A real Chromium that looks at pages: what it was sent, what it refused, and what stands in the way of people.

`make chromium` gets it, and the rules of accessibility that `Look.barriers` checks (axe-core).
"""

import asyncio
import json
import math
import os
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from playwright.async_api import (
    Browser,
    FloatRect,
    Locator,
    Page,
    Request,
    Response,
    async_playwright,
)
from tests.conftest import ROOT

BROWSERS = ("chromium-headless-shell", "chromium")
"""The first of these that there is. They show the same; what a browser has around its pages costs the second more."""
PATIENCE = 150_000.0
"""Milliseconds that a browser waits for anything, on a shared machine."""
AXE = ".cache/axe-core/*/axe.min.js"
PICTURES = ROOT / ".cache" / "pictures"
DOCS_PICTURES = ROOT / "docs" / "pictures"
FOR_DOCS = os.environ.get("HOOKSTREAM_TEST_PICTURES") == "1"
"""Whether the pictures that docs show are taken again (`make pictures`)."""
_MARGIN = 20.0
"""Pixels below the content of a picture."""
NOT_CURRENT = 503
_PAUSE = 0.5
_AGAIN = 1.0
"""Seconds between two looks at a page that is to change: each costs a tenth of a second of CPU, and the console's."""
_ASKS = "document.querySelector('section[data-live]') !== null"
"""Whether the script of a page goes on asking for parts of it."""
SERIOUS = ("serious", "critical")
LIGHT = ("minor", "moderate")
"""The other impacts that axe-core's rules have."""
_ALONE = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # A window has one process for its pages and no spare one; what draws has none of its own.
    "--disable-site-isolation-trials",
    "--renderer-process-limit=1",
    "--in-process-gpu",
    "--disable-software-rasterizer",
    # A page takes the frame of the one before it: a frame of its own costs a tenth of what showing it does.
    "--disable-features=RenderDocument",
    # What loads pages has no process of its own either.
    "--enable-features=NetworkServiceInProcess2",
    # Scripts run once in each page, axe-core too: they end before code that was optimized for them pays.
    "--js-flags=--no-maglev,--no-turbofan",
)
_DROPPED = ("--enable-unsafe-swiftshader",)
"""Of the arguments that Playwright gives: a second way to draw, which nothing here needs."""
_WITHOUT_LIGHT_ONES = """
async light => {
  // A rule's impact is that of whatever violates it.
  const others = axe._audit.rules.filter(rule => light.includes(rule.impact));
  const found = await axe.run(document, {
    resultTypes: ["violations"],
    rules: Object.fromEntries(others.map(rule => [rule.id, {enabled: false}])),
  });
  return found.violations.map(each => [each.impact, each.id, each.nodes.map(node => node.target)]);
}
"""
Scheme: TypeAlias = Literal["dark", "light"]


_IDLE: WeakKeyDictionary[Browser, dict[bool, list["Look"]]] = WeakKeyDictionary()
"""The windows of browsers through which nobody looks, by whether they run scripts."""


@asynccontextmanager
async def a_chromium() -> AsyncIterator[Browser]:
    """Run a browser as long as the block runs."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert found is not None, "there is no chromium: make chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=found, args=_ALONE, ignore_default_args=_DROPPED, timeout=PATIENCE
        )
        try:
            yield browser
        finally:
            await browser.close()


@cache
def axe() -> str:
    """Return the script of axe-core."""
    found: list[Path] = sorted(ROOT.glob(AXE))
    assert found, "there is no axe-core: make chromium"
    return found[-1].read_text(encoding="utf-8")


@dataclass(eq=False)
class Look:
    """One person who looks at one site, in a browser that knows nobody else."""

    page: Page
    url: str
    scripts: bool = True
    """Whether its pages run any."""
    scheme: Scheme = "light"
    """The colours that its person prefers."""
    complaints: list[str] = field(default_factory=list)
    """What the browser refused or failed at: policies, scripts, requests to elsewhere."""

    async def open(self, path: str) -> int:
        """Go to a page, and return its status; a console that is not current is asked again, as people do."""
        async with asyncio.timeout(PATIENCE / 1_000):
            while True:
                answer = await self.page.goto(self.url + path)
                assert answer is not None
                if answer.status != NOT_CURRENT:
                    return answer.status
                await self._wait_until_current()

    async def log_in(self, token: str) -> None:
        """Log in as a person does, from whatever page asks for it."""
        async with asyncio.timeout(PATIENCE / 1_000):
            while True:
                await self.open("/ui/login")
                await self.page.fill("#token", token)
                async with self.page.expect_navigation():
                    await self.page.get_by_role("button", name="Log in").click()
                if self.path.startswith("/ui/overview"):
                    return
                # While its tables are not current, a console believes no token.
                assert f"({NOT_CURRENT})" in await self.page.inner_text("main"), self.path
                await self._wait_until_current()

    async def take(self, cookies: Mapping[str, str]) -> None:
        """Have the cookies of a session of the site that was begun outside of the browser, by their names."""
        # A secure cookie is set for HTTPS alone; a browser sends it over HTTP, too, to its own machine.
        url = self.url.replace("http:", "https:")
        await self.page.context.add_cookies(
            [
                {"name": name, "value": value, "url": url, "secure": True}
                for name, value in cookies.items()
            ]
        )

    async def open_again(self, path: str) -> int:
        """Load a page again for whoever waits for what it is to show, a while after the last time."""
        await asyncio.sleep(_AGAIN)
        return await self.open(path)

    async def press(self, button: Locator) -> Response:
        """Press, and return what comes; a console that is not current is asked the same again, as people do."""
        async with asyncio.timeout(PATIENCE / 1_000):
            async with self.page.expect_navigation() as coming:
                await button.click()
            answer: Response | None = await coming.value
            while answer is None or answer.status == NOT_CURRENT:
                await self._wait_until_current()
                # What was sent is sent again: a form's key makes that one act.
                answer = await self.page.reload()
            return answer

    async def _wait_until_current(self) -> None:
        """Wait before the console is asked again; what the browser said of its answer is no complaint then."""
        await asyncio.sleep(_PAUSE)
        answered = f"status of {NOT_CURRENT}"
        self.complaints[:] = [each for each in self.complaints if answered not in each]

    async def still(self) -> None:
        """Have no script of the page ask the site any more."""
        if self.scripts and await self.page.evaluate(_ASKS):
            # A picture of the same site has no script, and is shown by the process that shows the pages; `about:blank`
            # would have one started, and the next page another.
            await self.open("/ui/static/icon.svg")

    async def end(self) -> None:
        """Leave nothing of this person in the window: it is as a new one, but for its colours and width."""
        await self.still()
        await self.page.unroute_all()
        await self.page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
        await self.page.context.clear_cookies()
        self.complaints.clear()

    @property
    def path(self) -> str:
        found = urlsplit(self.page.url)
        return found.path + (f"?{found.query}" if found.query else "")

    async def says(self, of: str = "main") -> str:
        """Return the text that people see in the one element that a selector finds in the page, which is loaded.

        The page itself is asked: for the first locator in a page Playwright has 340 kB of its own run there, for half
        of the CPU that the page took.
        """
        [said] = await self.page.evaluate(
            "of => Array.from(document.querySelectorAll(of), each => each.innerText)", of
        )
        return str(said)

    def figures(self, label: str) -> Locator:
        """Return the value of the figure with a label."""
        term = self.page.locator("dt", has_text=re.compile(f"^{re.escape(label)}$"))
        return self.page.locator(".figure", has=term).locator(".value")

    async def figure(self, label: str) -> str:
        return (await self.figures(label).inner_text()).replace(",", "")

    async def picture(
        self, name: str, *, for_docs: bool = False, height: float = math.inf
    ) -> None:
        """Take a picture of the page, for people: `.cache/pictures/NAME.png`.

        Args:
            name: Of the file.
            for_docs: Whether docs show it; it replaces theirs when `FOR_DOCS`.
            height: The most that it has, in pixels; less where the window or its content ends before.
        """
        folder = DOCS_PICTURES if for_docs and FOR_DOCS else PICTURES
        folder.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(
            path=folder / f"{name}.png", animations="disabled", clip=await self._filled(height)
        )

    async def _filled(self, most: float) -> FloatRect:
        """Return what of the window has content."""
        bottom = await self.page.evaluate(
            "Math.max(...[...document.querySelectorAll('main > *, nav.pages > *')]"
            ".map(each => each.getBoundingClientRect().bottom))"
        )
        size = self.page.viewport_size
        assert size is not None
        height = min(most, float(size["height"]), bottom + _MARGIN)
        return {"x": 0.0, "y": 0.0, "width": float(size["width"]), "height": height}

    async def see(self, scheme: Scheme, width: int) -> None:
        """Have other colours preferred and another width from now on, as when a person changes them before a page."""
        size = self.page.viewport_size
        assert size is not None
        if scheme != self.scheme:
            await self.page.emulate_media(color_scheme=scheme)
            self.scheme = scheme
        if width != size["width"]:
            await self.page.set_viewport_size({"width": width, "height": size["height"]})

    async def barriers(self) -> list[str]:
        """Return what is seriously in the way of people who cannot see, point or tell colours apart."""
        # The policy of pages lets no script in: axe comes by the debugger, which no policy concerns; once for a page.
        if not await self.page.evaluate("'axe' in window"):
            # Given like this, and not to `evaluate`, it is compiled once for all pages of a window.
            debugger = await self.page.context.new_cdp_session(self.page)
            await debugger.send("Runtime.evaluate", {"expression": axe()})
            await debugger.detach()
        found: list[list[Any]] = await self.page.evaluate(_WITHOUT_LIGHT_ONES, list(LIGHT))
        return [
            f"{impact}: {rule}: {json.dumps(nodes)}"
            for impact, rule, nodes in found
            if impact in SERIOUS
        ]


async def _a_window(
    browser: Browser, url: str, *, scripts: bool, scheme: Scheme, width: int, height: int = 900
) -> Look:
    """Open a window, which its caller closes."""
    context = await browser.new_context(
        java_script_enabled=scripts,
        color_scheme=scheme,
        viewport={"width": width, "height": height},
        locale="en-GB",
        timezone_id="UTC",
    )
    context.set_default_timeout(PATIENCE)
    look = Look(await context.new_page(), url, scripts, scheme)

    def came(request: Request) -> None:
        if not request.url.startswith((f"{look.url}/", "data:", "blob:")):
            look.complaints.append(f"asked {request.url}")

    look.page.on("request", came)
    look.page.on("pageerror", lambda error: look.complaints.append(str(error)))
    look.page.on(
        "console",
        lambda said: look.complaints.append(said.text) if said.type == "error" else None,
    )
    return look


@asynccontextmanager
async def a_look(
    browser: Browser,
    url: str,
    *,
    scripts: bool = True,
    scheme: Scheme = "light",
    width: int = 1280,
    height: int = 900,
) -> AsyncIterator[Look]:
    """Open a browser's window on a site, as long as the block runs.

    Args:
        browser: The browser.
        url: The site's address.
        scripts: Whether it runs any.
        scheme: Which colours its person prefers.
        width: Of the window, in pixels.
        height: The same.
    """
    look = await _a_window(
        browser, url, scripts=scripts, scheme=scheme, width=width, height=height
    )
    try:
        yield look
    finally:
        await look.page.context.close()


@asynccontextmanager
async def a_kept_look(
    browser: Browser,
    url: str,
    *,
    scripts: bool = True,
    scheme: Scheme = "light",
    width: int = 1280,
) -> AsyncIterator[Look]:
    """Look through a window that others had before and get afterwards: a new one costs as much as three pages.

    Nobody finds cookies, storage, routes, colours or a width of somebody else. Whoever adds to the window what it
    would not forget, as a listener or a clock, opens one of its own by `a_look`. A failing test leaves none behind.
    """
    idle = _IDLE.setdefault(browser, {}).setdefault(scripts, [])
    look = (
        idle.pop()
        if idle
        else await _a_window(browser, url, scripts=scripts, scheme=scheme, width=width)
    )
    try:
        look.url = url
        await look.see(scheme, width)
        yield look
        await look.end()
        idle.append(look)
    finally:
        if look not in idle:
            await look.page.context.close()
