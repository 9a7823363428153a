"""The pages over the API in memory, and a browser that keeps cookies, reads forms and follows redirects."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from html.parser import HTMLParser
from itertools import count
from urllib.parse import urlencode, urljoin, urlsplit

from tests.doubles.api import ApiWorld
from tests.doubles.api_records import KEYS, subscription
from tests.doubles.api_tables import InlineThreads
from tests.doubles.clock import NOON

from hookstream.adapters.tables.subscriptions import write_subscription
from hookstream.core.model.instant import HOUR
from hookstream.core.model.subscription import Gap, SubscriptionState
from hookstream.entry.api.requests import ApiRequest
from hookstream.entry.console.sessions import ConsoleSessions
from hookstream.entry.pages.composition import pages_over
from hookstream.entry.pages.cookies import SESSION, set_cookie
from hookstream.entry.pages.site import Site

HOST = "console.example"
HERE = {"sec-fetch-site": "same-origin", "origin": "null"}
"""What a browser says of a form of this site, whose pages have `Referrer-Policy: no-referrer`."""
A_FORM = "/ui/account"
"""A page that every session may see, with a form. It is small: an overview takes 10 ms, and 17 to parse."""


@cache
def _paused() -> bytes:
    gap = Gap(NOON - HOUR, None, "paused")
    row = replace(subscription("paused"), state=SubscriptionState.PAUSED, gaps=(gap,))
    return write_subscription(row, KEYS)


class PagesWorld:
    """The site over the API's world, in which acme has a subscription besides that is paused."""

    def __init__(self) -> None:
        self.api = ApiWorld()
        self.api.tables.put(self.api.settings.topics_names.subscriptions, "paused", _paused())
        self.ids = 0
        self.sessions = ConsoleSessions(self.api.services, count(step=1.0).__next__)
        self.site: Site = pages_over(
            self.api.dispatcher,
            self.api.services,
            self.sessions,
            InlineThreads(),
            self.api.logger,
            lambda: self.api.seconds,
            self._new_id,
        )

    def _new_id(self) -> str:
        self.ids += 1
        return f"id-{self.ids}"


@dataclass
class Form:
    """A form of a page."""

    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    """By the names of its fields: an input's type, `textarea`, or `select`."""


class PageParser(HTMLParser):
    """What tests look for in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        """All text that is seen, its spaces as they are."""
        self._options: str | None = None
        self._select = ""
        self._area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append((tag, found))
        if tag == "form":
            self.forms.append(Form(found.get("method", "get"), found.get("action", "")))
        elif found.get("type") == "checkbox" and "checked" not in found:
            # As in a browser, it is not sent.
            return
        elif tag in ("input", "textarea") and self.forms and "name" in found:
            self.forms[-1].fields[found["name"]] = found.get("value", "")
            kind = found.get("type", "text") if tag == "input" else tag
            self.forms[-1].kinds[found["name"]] = kind
            self._area = found["name"] if tag == "textarea" else ""
        elif tag == "select" and self.forms:
            self._select = found.get("name", "")
            self.forms[-1].fields.setdefault(self._select, "")
            self.forms[-1].kinds[self._select] = tag
        elif tag == "option" and "selected" in found:
            self.forms[-1].fields[self._select] = found.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._area:
            # As in a browser, the first line break of an area is not its text.
            self.forms[-1].fields[self._area] += data.removeprefix("\n")


@dataclass
class PageReply:
    """An answer, as a test looks at it."""

    status: int
    headers: Mapping[str, str]
    html: str
    cookies: tuple[str, ...] = ()

    @cached_property
    def parsed(self) -> PageParser:
        parser = PageParser()
        parser.feed(self.html)
        parser.close()
        return parser

    @property
    def text(self) -> str:
        """All text that is seen, with single spaces."""
        return re.sub(r"\s+", " ", self.parsed.text).strip()

    def form(self, action: str) -> Form:
        """Return the form that is sent to a path."""
        (found,) = [each for each in self.parsed.forms if each.action == action]
        return found

    def attributes(self, tag: str) -> list[dict[str, str]]:
        return [found for name, found in self.parsed.tags if name == tag]


class Browser:
    """One browser of one person.

    Args:
        world: The site.
    """

    def __init__(self, world: PagesWorld) -> None:
        self.world = world
        self.cookies: dict[str, str] = {}

    async def get(self, path: str, **headers: str) -> PageReply:
        return await self.send("GET", path, headers={"sec-fetch-site": "none", **headers})

    async def submit(
        self, form: Form, headers: Mapping[str, str] = HERE, **fields: str
    ) -> PageReply:
        """Send a form as it is shown, with some fields filled in."""
        filled = {**form.fields, **fields}
        if form.method == "get":
            return await self.get(f"{form.action}?{urlencode(filled)}")
        return await self.send("POST", form.action, filled, headers=headers)

    async def send(
        self,
        method: str,
        path: str,
        fields: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> PageReply:
        sent = {"host": HOST}
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        content = b""
        if fields is not None:
            sent["content-type"] = "application/x-www-form-urlencoded"
            content = urlencode(fields).encode()
        sent |= {name.lower().replace("_", "-"): each for name, each in (headers or {}).items()}

        async def read(most: int) -> bytes:
            return content[: most + 1]

        target, _, query = path.partition("?")
        response = await self.world.site.answer(
            ApiRequest(method, target, query, sent, read, "192.0.2.7")
        )
        self.keep(response.cookies)
        body = response.body
        if response.pieces is not None:
            body = b"".join([piece async for piece in response.pieces])
            await response.pieces.aclose()
        for _, event, logged in self.world.api.logger.lines:
            assert not event.endswith(".defect") or not self.world.api.fails_at_defects, logged
        return PageReply(response.status, response.headers, body.decode(), response.cookies)

    def keep(self, cookies: Sequence[str]) -> None:
        """Take the headers `Set-Cookie` of an answer."""
        for cookie in cookies:
            pair, *attributes = cookie.split("; ")
            name, _, value = pair.partition("=")
            if "Max-Age=0" in attributes:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value

    async def follow(self, reply: PageReply) -> PageReply:
        """Go where an answer leads."""
        assert reply.status == 303, (reply.status, reply.html)
        target = urlsplit(urljoin(f"https://{HOST}/", reply.headers["Location"]))
        assert target.netloc == HOST
        return await self.get(target.path + (f"?{target.query}" if target.query else ""))

    async def log_in(self, token: str, to: str = "/ui/overview") -> PageReply:
        """Log in, and return the page that comes after it."""
        shown = await self.get(f"/ui/login?to={to}")
        done = await self.submit(shown.form("/ui/login"), token=token)
        return await self.follow(done)


async def logged_in(world: PagesWorld, token: str) -> Browser:
    """Return a browser with a session of a token, which is shown `A_FORM`.

    The session begins without the form of the login, which takes longer than most pages.
    """
    browser = Browser(world)
    cookie = world.sessions.begin(token)
    assert cookie is not None
    browser.keep((set_cookie(SESSION, cookie),))
    shown = await browser.get(A_FORM)
    assert shown.status == 200, shown.html
    return browser
