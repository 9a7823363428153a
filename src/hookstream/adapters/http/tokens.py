"""Caches OAuth2 tokens for endpoints, with one fetch for all waiters and a renewal before they expire."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeAlias

import orjson

from hookstream.adapters.http.connector import Fetched, Shortage
from hookstream.core.delivery.tokens import FETCH_SECONDS, Token, granted, refusal
from hookstream.core.model.endpoint_identity import TokenRequest
from hookstream.core.model.outcome import (
    NOT_PERMITTED,
    AddressBlocked,
    FailureKind,
    TransportFailure,
    Withheld,
)
from hookstream.pipeline.ports import Permitted

MAX_REQUESTS = 4_096
"""The most requests whose tokens are cached; the least recently used one is dropped first."""
_SUCCESS = 200

Fetch: TypeAlias = Callable[
    [TokenRequest], Awaitable[Fetched | TransportFailure | AddressBlocked | Shortage]
]
NoToken: TypeAlias = TransportFailure | AddressBlocked | Shortage | Withheld


class _CachedToken:
    """The token for equal requests, and the fetch in progress."""

    __slots__ = ("began_at", "defect", "fetching", "problem", "token")

    def __init__(self) -> None:
        self.token: Token | None = None
        self.began_at = float("-inf")
        """When the last fetch began."""
        self.problem: NoToken | None = None
        """Why the last fetch returned no token."""
        self.defect: Exception | None = None
        """The unexpected exception of the last fetch, for those who wait for it."""
        self.fetching: asyncio.Task[None] | None = None


class Tokens:
    """The tokens by request, for the running event loop. Use it as an async context manager.

    Args:
        fetch: Makes one request to a token server.
        fraction: Draws a number from 0 to 1.
    """

    def __init__(self, fetch: Fetch, fraction: Callable[[], float]) -> None:
        self._fetch = fetch
        self._fraction = fraction
        self._entries: OrderedDict[TokenRequest, _CachedToken] = OrderedDict()
        self._tasks = asyncio.TaskGroup()
        self._fetches: set[asyncio.Task[None]] = set()
        """Those in progress, also of entries that were dropped meanwhile."""
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> Self:
        """Begin to fetch tokens on request."""
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the fetches in progress."""
        for fetching in self._fetches:
            fetching.cancel()
        # The group would wrap an exception of the block, which must leave as it is.
        await self._tasks.__aexit__(None, None, None)

    async def get(
        self, request: TokenRequest, deadline: float, permitted: Permitted
    ) -> str | NoToken:
        """Return a token, or why there is none.

        A token past its drawn renewal time is returned while another one is fetched in the background. One
        fetch serves all waiters for equal requests. It ends by its own timeout, even if waiters leave.

        Args:
            request: The request to the token server.
            deadline: Loop time until which the caller waits.
            permitted: Called directly before a fetch begins.
        """
        entry, now = self._entry(request), self._loop.time()
        token = entry.token
        if token is not None and token.is_live(now):
            if now >= token.renew_at and self._may_fetch(entry, now) and permitted():
                self._begin(request, entry, now)
            return token.value
        if entry.fetching is None:
            if not self._may_fetch(entry, now):
                return entry.problem or _failure("it is fetched at most once in 30 s")
            if not permitted():
                return NOT_PERMITTED
            self._begin(request, entry, now)
        return await self._awaited(entry, deadline)

    def replace(self, request: TokenRequest, refused: str) -> bool:
        """Return whether `get` returns another token than one that an endpoint refused with 401.

        A token that is younger than 30 s is not replaced: the refusal has another reason.
        """
        entry, now = self._entry(request), self._loop.time()
        token = entry.token
        if token is None or token.value != refused:
            return True
        if entry.fetching is None and not self._may_fetch(entry, now):
            return False
        entry.token = None
        return True

    def _entry(self, request: TokenRequest) -> _CachedToken:
        entry = self._entries.get(request)
        if entry is None:
            entry = self._entries[request] = _CachedToken()
            if len(self._entries) > MAX_REQUESTS:
                self._entries.popitem(last=False)
        else:
            self._entries.move_to_end(request)
        return entry

    def _may_fetch(self, entry: _CachedToken, now: float) -> bool:
        return entry.fetching is None and now - entry.began_at >= FETCH_SECONDS

    def _begin(self, request: TokenRequest, entry: _CachedToken, now: float) -> None:
        entry.began_at = now
        fetching = self._tasks.create_task(self._fetched(request, entry, now))
        self._fetches.add(fetching)
        fetching.add_done_callback(self._fetches.discard)
        entry.fetching = fetching

    async def _fetched(self, request: TokenRequest, entry: _CachedToken, now: float) -> None:
        """Fetch a token into an entry. An unexpected exception is raised by those who wait."""
        entry.defect = None
        try:
            answer = await self._fetch(request)
            found = self._read(answer, now)
            if isinstance(found, Token):
                entry.token, entry.problem = found, None
            else:
                entry.problem = found
            if isinstance(found, Shortage):
                # No request left this machine.
                entry.began_at = float("-inf")
        except Exception as error:  # noqa: BLE001  raised again in `_awaited`
            entry.defect = error
        finally:
            entry.fetching = None

    def _read(
        self, answer: Fetched | TransportFailure | AddressBlocked | Shortage, now: float
    ) -> Token | NoToken:
        match answer:
            case AddressBlocked(detail):
                return AddressBlocked(f"token: {detail}")
            case TransportFailure(detail=detail):
                return _failure(detail)
            case Shortage():
                return answer
            case Fetched(status, body):
                document = _json(body)
                if status != _SUCCESS:
                    return _failure(refusal(status, document))
                found = granted(document, now, self._fraction())
                return _failure(found) if isinstance(found, str) else found

    async def _awaited(self, entry: _CachedToken, deadline: float) -> str | NoToken:
        fetching = entry.fetching
        if fetching is not None:
            await asyncio.wait({fetching}, timeout=max(0.0, deadline - self._loop.time()))
            if not fetching.done():
                return _failure("no answer in time")
        if entry.defect is not None:
            raise entry.defect
        if entry.token is not None:
            return entry.token.value
        return entry.problem or _failure("the fetch was cancelled")


def _failure(why: str) -> TransportFailure:
    return TransportFailure(FailureKind.TOKEN, f"token: {why}")


def _json(body: bytes) -> object:
    try:
        document: object = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return document
