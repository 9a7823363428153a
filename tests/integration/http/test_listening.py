"""`hookstream listen`: what a server on a laptop is given, directly or by an API."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from hookstream.adapters.dev.http_receiver import Received, receive
from hookstream.adapters.http.forwarding import ApiLater, Forwarded
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject
from hookstream.entry.admin.listening import (
    PageOf,
    SessionKey,
    http_pages,
    listen,
    new_session_key,
)
from hookstream.errors import ConfigurationError, DependencyUnavailable, InputRefused
from hookstream.receiver import verify

BODY = '{"id":"é1","type":"a.b"}'
LIVE = [
    ("webhook-id", "msg_a"),
    ("webhook-timestamp", "1764072000"),
    ("webhook-signature", "v1,bGl2ZQ=="),
    ("content-type", "application/json"),
]
EVENT: JsonObject = {"kind": "event", "headers": dict(LIVE), "body": BODY}
GAP: JsonObject = {"kind": "gap", "reason": "retention"}


@dataclass
class Lines:
    """Keeps what would be shown; ends the listening after so many."""

    most: int
    done: asyncio.Event = field(default_factory=asyncio.Event)
    events: list[tuple[str, Forwarded]] = field(default_factory=list)
    missing: list[JsonObject] = field(default_factory=list)
    waited: list[str] = field(default_factory=list)

    def forwarded(self, at: Millis, webhook_id: str, done: Forwarded) -> None:
        assert at > 0
        self.events.append((webhook_id, done))
        if len(self.events) == self.most:
            self.done.set()

    def missed(self, entry: JsonObject) -> None:
        self.missing.append(entry)

    def waits(self, seconds: float, why: str) -> None:
        assert seconds > 0
        self.waited.append(why)


def pages(*drawn: JsonObject | ApiLater) -> PageOf:
    """Return the pages one after another, then empty ones."""
    left = list(drawn)

    async def page(cursor: str, limit: int, wait: float) -> JsonObject | ApiLater:
        assert limit > 0
        if left:
            return left.pop(0)
        await asyncio.sleep(min(wait, 0.05))
        return {"entries": [], "cursor": cursor}

    return page


async def listened(page_of: PageOf, url: str, session: SessionKey | None, lines: Lines) -> None:
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        listening = group.create_task(listen(page_of, url, session, lines))
        await lines.done.wait()
        listening.cancel()


@asynccontextmanager
async def server(status: int) -> AsyncIterator[tuple[str, list[Received]]]:
    taken: list[Received] = []
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def answer(received: Received) -> int:
        taken.append(received)
        return status

    async with asyncio.TaskGroup() as group:
        running = group.create_task(receive(0, answer, url.set_result))
        yield await url, taken
        running.cancel()


async def test_events_are_signed_for_the_session_and_each_is_posted_once() -> None:
    session = new_session_key()
    lines = Lines(2)
    async with server(500) as (url, taken):
        page: JsonObject = {"entries": [GAP, EVENT, EVENT], "cursor": "c1"}
        await listened(pages(ApiLater(0.01, "busy"), page), url, session, lines)
    assert [(name, done.status) for name, done in lines.events] == [("msg_a", 500)] * 2
    assert (lines.missing, lines.waited) == ([GAP], ["busy"])
    assert len(taken) == 2
    headers = dict(taken[0].headers)
    now = float(headers["webhook-timestamp"])
    assert verify(headers, taken[0].body or b"", [session.text], now).id == "msg_a"
    assert (taken[0].body or b"").decode() == BODY
    assert session.text not in repr(session)


async def test_live_signatures_are_passed_on_as_they_are() -> None:
    lines = Lines(1)
    async with server(204) as (url, taken):
        await listened(pages({"entries": [EVENT], "cursor": "c"}), url, None, lines)
    found = {name.lower(): value for name, value in taken[0].headers}
    assert {name: found[name] for name, _ in LIVE} == dict(LIVE)


async def test_a_server_that_does_not_answer_is_a_line_and_no_end() -> None:
    lines = Lines(1)
    await listened(
        pages({"entries": [EVENT], "cursor": "c"}), "http://127.0.0.1:9/", new_session_key(), lines
    )
    [(_, done)] = lines.events
    assert (done.status, bool(done.error)) == (None, True)


@pytest.mark.parametrize("url", ["localhost:3000", "ftp://a/", "http://", "http://a:x/", ""])
async def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(InputRefused, match="--forward"):
        await listen(pages(), url, None, Lines(1))
    with pytest.raises(InputRefused, match="--api"):
        async with http_pages(url, "t", "orders"):
            pass


@asynccontextmanager
async def api(status: int, document: JsonObject | str, **headers: str) -> AsyncIterator[str]:
    asked: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request)
        assert request.headers["authorization"] == "Bearer hs_prd_x"
        assert request.path == "/v1/subscriptions/a/b/events"
        assert dict(request.query) == {"cursor": "latest", "limit": "7", "wait": "1.5"}
        text = document if isinstance(document, str) else json.dumps(document)
        return web.Response(status=status, text=text, headers=headers)

    app = web.Application()
    app.router.add_get("/{any:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()
    assert asked


async def asked(status: int, document: JsonObject | str, **headers: str) -> object:
    async with (
        api(status, document, **headers) as url,
        http_pages(url, "hs_prd_x", "a/b") as page,
    ):
        return await page("latest", 7, 1.5)


async def test_pages_come_by_an_api_with_a_token() -> None:
    page: JsonObject = {"entries": [EVENT], "cursor": "c", "has_more": False}
    assert await asked(200, page) == page
    later = await asked(503, {"title": "busy"}, **{"retry-after": "3"})
    assert later == ApiLater(3.0, "busy")
    with pytest.raises(InputRefused, match="404: no such thing"):
        await asked(404, {"detail": "no such thing"})
    for status, text in ((200, "{}"), (200, "no json"), (500, "{}"), (302, "")):
        with pytest.raises(DependencyUnavailable, match=f"{status}"):
            await asked(status, text)
    for token in ("", " x", "ü", "a\nb"):
        with pytest.raises(ConfigurationError, match="HOOKSTREAM_TOKEN"):
            async with http_pages("http://127.0.0.1:9", token, "a"):
                pass


async def test_a_page_of_many_megabytes_comes_whole_and_a_slow_one_too() -> None:
    body = "x" * 1_000_000
    large: JsonObject = {"entries": [EVENT | {"body": body}] * 8, "cursor": "c"}
    assert await asked(200, large) == large


@pytest.mark.parametrize(
    ("after", "seconds"), [("3", 3.0), ("", 5.0), ("²", 5.0), ("-1", 5.0), ("9" * 400, 300.0)]
)
async def test_an_api_is_waited_for_as_long_as_it_says_within_a_bound(
    after: str, seconds: float
) -> None:
    assert await asked(429, {}, **{"retry-after": after}) == ApiLater(seconds, "answered 429")


@pytest.mark.parametrize(
    "document", [{"cursor": "c"}, {"cursor": "c", "entries": {}}, {"cursor": 1, "entries": []}]
)
async def test_what_is_no_page_is_refused_with_its_status(document: JsonObject) -> None:
    with pytest.raises(DependencyUnavailable, match="200, and no page"):
        await asked(200, document)


async def test_an_api_cannot_add_headers_to_what_a_server_is_given() -> None:
    lines = Lines(1)
    more: JsonObject = {**dict(LIVE), "authorization": "Bearer hush", "host": "elsewhere"}
    event: JsonObject = {"kind": "event", "headers": more, "body": BODY}
    async with server(204) as (url, taken):
        await listened(pages({"entries": [event], "cursor": "c"}), url, None, lines)
    names = {name.lower(): value for name, value in taken[0].headers}
    assert "authorization" not in names
    assert names["host"] in url


async def test_a_server_that_never_ends_its_answer_is_a_line() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(status=200)
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await answer.write(b"x" * 65_536)
        return answer

    app = web.Application()
    app.router.add_post("/{any:.*}", endless)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    lines = Lines(2)
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        page: JsonObject = {"entries": [EVENT, EVENT], "cursor": "c"}
        await listened(pages(page), url, new_session_key(), lines)
    finally:
        await runner.cleanup()
    assert [done.status for _, done in lines.events] == [200, 200]
