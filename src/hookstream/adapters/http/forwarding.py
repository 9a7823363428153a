"""Reads pages of events from an API of hookstream, and posts the events to a developer's own server.

For development: the person who starts it chooses the address, so none is refused. Redirects are not
followed, and proxies of the environment are not used.
"""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import aiohttp
import orjson

from hookstream.adapters.http.api_access import require_token, require_web
from hookstream.core.model.json import JsonObject
from hookstream.errors import DependencyUnavailable, InputRefused

_SECONDS: Final = 15.0
_API_SECONDS: Final = 60.0
"""The longest wait for an answer of an API, which itself waits for events for half a minute."""
_MOST_ANSWER: Final = 64 * 1024 * 1024
"""The most bytes of one page: its bodies may have 8 MiB, and JSON escapes a byte by at most six."""
_MOST_IGNORED: Final = 1024 * 1024
"""Bytes of the answer to an event that are read, so that its connection can be reused."""
_LONGEST_LATER: Final = 300.0
"""The most seconds to wait before a request is repeated, whatever the API requests."""
_LATER_IF_UNSAID: Final = 5.0
_OK: Final = 200
_LATER: Final = (429, 503)


@dataclass(slots=True, frozen=True)
class Forwarded:
    """The answer to one event."""

    status: int | None
    """None: there was no answer."""
    error: str
    seconds: float


@dataclass(slots=True, frozen=True)
class ApiLater:
    """The API requests a retry after some time."""

    seconds: float
    why: str


class Forwarder:
    """Posts to one URL."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        """Post to `url` by `session`."""
        self._session = session
        self._url = url

    async def post(self, headers: Sequence[tuple[str, str]], body: bytes) -> Forwarded:
        """Post one event; a failure is an answer too."""
        began = time.monotonic()
        try:
            async with self._session.post(
                self._url, data=body, headers=dict(headers), allow_redirects=False
            ) as answer:
                await _all_of(answer, _MOST_IGNORED)
                return Forwarded(answer.status, "", time.monotonic() - began)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            why = str(error) or type(error).__name__
            return Forwarded(None, why[:200], time.monotonic() - began)


@asynccontextmanager
async def forwarder(url: str) -> AsyncIterator[Forwarder]:
    """Lend a forwarder to a URL.

    Raises:
        InputRefused: It is not a URL of a web server.
    """
    require_web(url, "--forward")
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:
        yield Forwarder(session, url)


class ApiPages:
    """Reads the pages of one subscription from an API."""

    def __init__(self, session: aiohttp.ClientSession, api: str, subscription_id: str) -> None:
        """Read from the API at a URL by `session`, which has the token."""
        self._session = session
        self._url = f"{api.rstrip('/')}/v1/subscriptions/{quote(subscription_id, safe='')}/events"

    async def page(self, cursor: str, limit: int, wait: float) -> JsonObject | ApiLater:
        """Return the next page.

        Raises:
            InputRefused: The API refuses the token, the subscription or the cursor.
            DependencyUnavailable: The API cannot be reached, or its answer is not a page.
        """
        asked = {"cursor": cursor, "limit": str(limit), "wait": f"{wait:g}"}
        try:
            async with self._session.get(self._url, params=asked, allow_redirects=False) as answer:
                body = await _all_of(answer, _MOST_ANSWER)
                return _read(answer.status, answer.headers, body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = str(error) or type(error).__name__
            raise DependencyUnavailable(f"the API does not answer: {why}") from None


@asynccontextmanager
async def api_pages(api: str, token: str, subscription_id: str) -> AsyncIterator[ApiPages]:
    """Lend the pages of a subscription, from an API.

    Raises:
        InputRefused: It is not a URL of a web server.
        ConfigurationError: The token cannot be sent.
    """
    require_web(api, "--api")
    require_token(token)
    timeout = aiohttp.ClientTimeout(total=_API_SECONDS)
    headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        yield ApiPages(session, api, subscription_id)


async def _all_of(answer: aiohttp.ClientResponse, most: int) -> bytes:
    """Return the body of an answer, truncated if it is longer than `most` bytes."""
    body = bytearray()
    async for part in answer.content.iter_any():
        body += part
        if len(body) > most:
            answer.close()
            break
    return bytes(body[:most])


def _read(status: int, headers: Mapping[str, str], body: bytes) -> JsonObject | ApiLater:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    document: JsonObject = found if isinstance(found, dict) else {}
    detail = str(document.get("detail") or document.get("title") or "")[:500]
    if status in _LATER:
        after = headers.get("retry-after", "")
        seconds = float(after) if after.isascii() and after.isdigit() else _LATER_IF_UNSAID
        return ApiLater(min(seconds, _LONGEST_LATER), detail or f"answered {status}")
    if (
        status == _OK
        and isinstance(document.get("cursor"), str)
        and isinstance(document.get("entries"), list)
    ):
        return document
    if 400 <= status < 500:  # noqa: PLR2004  refusals of HTTP
        raise InputRefused(f"the API answered {status}: {detail or 'no reason'}")
    raise DependencyUnavailable(f"the API answered {status}, and no page: {detail or 'no reason'}")
