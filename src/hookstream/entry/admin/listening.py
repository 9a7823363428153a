"""Forwards the events of one subscription to a server on a developer's machine, as they come.

It reads the pull door, directly or through an API, and writes nothing: no delivery, no audit record.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from hookstream.adapters.http.forwarding import ApiLater, Forwarded, api_pages, forwarder
from hookstream.adapters.system import SystemClock, random_bytes
from hookstream.core.delivery.signing import signature, write_secret
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.pull.cursor import LATEST
from hookstream.core.pull.page import (
    LONGEST_WAIT,
    Busy,
    CursorGone,
    CursorRefused,
    NoSuchSubscription,
    NotNow,
    PullPage,
)
from hookstream.entry.admin.pull import pull_door
from hookstream.errors import DependencyUnavailable, InputRefused
from hookstream.pipeline.pull.service import PullService
from hookstream.settings import Settings

__all__ = [
    "Forwarded",
    "Listener",
    "PageOf",
    "SessionKey",
    "direct_pages",
    "http_pages",
    "listen",
    "new_session_key",
]

_LIMIT: Final = 100
_KEY_BYTES: Final = 32
_SIGNED: Final = ("webhook-id", "content-type")
_OF_THE_DOOR: Final = (*_SIGNED, "webhook-timestamp", "webhook-signature")
_AGAIN: Final = 2.0
"""Seconds after which an API that is away is asked again."""

PageOf: TypeAlias = Callable[[str, int, float], Awaitable[JsonObject | ApiLater]]
"""Returns the page behind a cursor, with a limit and a wait."""


class Listener(Protocol):
    """What is shown while events are forwarded."""

    def forwarded(self, at: Millis, webhook_id: str, done: Forwarded) -> None:
        """An event was posted."""

    def missed(self, entry: JsonObject) -> None:
        """The page reports that something is missing, or was skipped."""

    def waits(self, seconds: float, why: str) -> None:
        """The door asks to retry later."""


@dataclass(slots=True, frozen=True)
class SessionKey:
    """Signs events for one session of `listen`."""

    key: bytes

    @property
    def text(self) -> str:
        """The secret, to be shown at the start."""
        return write_secret(self.key)

    def __repr__(self) -> str:
        """Return nothing of the key."""
        return "SessionKey()"


def new_session_key() -> SessionKey:
    """Return a secret that nothing else is signed with."""
    return SessionKey(random_bytes(_KEY_BYTES))


@asynccontextmanager
async def direct_pages(settings: Settings, subscription_id: str) -> AsyncIterator[PageOf]:
    """Yield the pages of a subscription, read from the cluster itself.

    Raises:
        ConfigurationError: There is no key ring, or topics may not be read.
        DependencyUnavailable: The brokers cannot be reached.
    """
    async with pull_door(settings) as door:

        async def page(cursor: str, limit: int, wait: float) -> JsonObject | ApiLater:
            return await _page(door, subscription_id, cursor, limit, wait)

        yield page


async def _page(
    door: PullService, subscription_id: str, cursor: str, limit: int, wait: float
) -> JsonObject | ApiLater:
    found = await door.page(subscription_id, cursor, limit, wait)
    match found:
        case PullPage():
            return found.document()
        case Busy(detail=detail, retry_after=seconds) | NotNow(detail=detail, retry_after=seconds):
            return ApiLater(seconds, detail)
        case NoSuchSubscription(detail) | CursorRefused(detail) | CursorGone(detail):
            raise InputRefused(detail)


@asynccontextmanager
async def http_pages(api: str, token: str, subscription_id: str) -> AsyncIterator[PageOf]:
    """Yield the pages of a subscription, from an API.

    Raises:
        InputRefused: `api` is not a URL.
        ConfigurationError: There is no token.
    """
    async with api_pages(api, token, subscription_id) as pages:
        yield pages.page


async def listen(
    page_of: PageOf, url: str, session: SessionKey | None, listener: Listener
) -> None:
    """Forward what is appended from now on, until cancelled.

    Each event is posted once, whatever the answer is.

    Args:
        page_of: The pages.
        url: Where events are posted to.
        session: Signs them; None: the door's own signatures stay.
        listener: Shows what happens.

    Raises:
        InputRefused: `url` is not a URL, or the door refuses the subscription.
        DependencyUnavailable: The brokers fail.
    """
    clock, cursor, is_first = SystemClock(), LATEST, True
    async with forwarder(url) as forward:
        while True:
            try:
                page = await page_of(cursor, _LIMIT, 0 if is_first else LONGEST_WAIT)
            except DependencyUnavailable as error:
                if is_first:
                    raise
                page = ApiLater(_AGAIN, str(error))
            if isinstance(page, ApiLater):
                listener.waits(page.seconds, page.why)
                await asyncio.sleep(page.seconds)
                continue
            cursor, is_first = str(page["cursor"]), False
            for entry in _listed(page["entries"]):
                if entry.get("kind") != "event":
                    listener.missed(entry)
                    continue
                headers, body = _headers(entry), str(entry["body"]).encode()
                now = clock.now()
                if session is not None:
                    headers = _signed(headers, body, session, now)
                done = await forward.post(list(headers.items()), body)
                listener.forwarded(now, headers.get("webhook-id", ""), done)


def _listed(found: Json) -> list[JsonObject]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _headers(entry: JsonObject) -> dict[str, str]:
    found = entry.get("headers")
    if not isinstance(found, dict):
        return {}
    # The server gets only the door's headers, whatever an API may add.
    return {name: str(found[name]) for name in _OF_THE_DOOR if name in found}


def _signed(
    headers: dict[str, str], body: bytes, session: SessionKey, now: Millis
) -> dict[str, str]:
    kept = {name: text for name, text in headers.items() if name in _SIGNED}
    seconds = now // 1000
    made = signature([session.key], kept.get("webhook-id", ""), seconds, body)
    return kept | {"webhook-timestamp": str(seconds), "webhook-signature": made}
