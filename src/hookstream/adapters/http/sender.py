"""Sends one delivery attempt over HTTP and returns its answer; it never raises for a failed one.

docs/benchmarks.md compares it with aiohttp's `ClientSession` on the same connections. It leaves out
what a webhook must not do anyway: redirects, cookies, proxies from the environment, decompression.
"""

import asyncio
import contextlib
import errno
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from http import HTTPStatus
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver
from yarl import URL

from hookstream.adapters.http.connection import Connection
from hookstream.adapters.http.connector import (
    SHORTAGES,
    AddressCheck,
    Connector,
    Fetched,
    Shortage,
)
from hookstream.adapters.http.idle_pool import HttpOrigin, IdlePool
from hookstream.adapters.http.tls_contexts import IdentityRefused, TlsContexts
from hookstream.adapters.http.tokens import Tokens
from hookstream.core.delivery.quoted_secrets import SecretForms, secret_forms, without_quoted
from hookstream.core.delivery.tokens import client_authorization, form_of
from hookstream.core.model.endpoint_identity import TlsIdentity, TokenRequest
from hookstream.core.model.outcome import (
    AddressBlocked,
    Answer,
    FailureKind,
    Response,
    TransportFailure,
    Withheld,
)
from hookstream.pipeline.ports import Answered, Continuation, Permitted, Post, always_permitted

_REPORT_AGAIN_SECONDS = 60.0
_SHORT_SECONDS = 0.25
"""The pause after a shortage, at the end of the call that met it: the next call may succeed."""
_STILL_SHORT_SECONDS = 2.0
"""From the last shortage until it counts as over."""
TOKEN_SECONDS = 10.0
"""Timeout of one request to a token server."""
_MAX_TARGETS = 16_384
"""The most URLs whose parsed form is cached, at about 1 KB each. The cache is cleared when there are more, so
an event for more subscriptions finds none of its URLs cached."""


class _Target:
    """A parsed URL."""

    __slots__ = ("head", "origin", "url")

    def __init__(self, text: str) -> None:
        try:
            self.url = URL(text)
            host, port = self.url.raw_host, self.url.port
        except ValueError:
            # Its message would quote the URL, which may contain a secret.
            raise ValueError("the URL cannot be read") from None
        if self.url.scheme not in {"http", "https"} or not host or port is None:
            raise ValueError("the URL is not http or https, or has no host")
        self.origin = HttpOrigin(self.url.scheme, host, port)
        self.head = (
            f"POST {_request_target(text, self.url)} HTTP/1.1\r\n"
            f"host: {self.url.host_port_subcomponent}\r\n"
            # Without an encoding the response is readable as it is, and cannot be a
            # decompression bomb.
            "accept: */*\r\naccept-encoding: identity\r\n"
        )

    def identified(self, identity: TlsIdentity) -> HttpOrigin:
        """Return the origin of connections with a TLS identity; plain HTTP has none."""
        if self.origin.scheme != "https":
            return self.origin
        return self.origin._replace(identity=identity.digest)

    def request(self, post: Post) -> bytes:
        """Return the bytes of a request.

        Raises:
            ValueError: A header contains a line break: it would add headers or a second request.
        """
        lines = [*map(": ".join, post.headers), f"content-length: {len(post.body)}", "", ""]
        head = "\r\n".join(lines)
        breaks = len(lines) - 1
        if head.count("\n") != breaks or head.count("\r") != breaks or "\0" in head:
            raise ValueError("a request header contains a control character")
        return f"{self.head}{head}".encode() + post.body


@dataclass(slots=True)
class _Request:
    """One request in progress. Treated as immutable; one is made for each attempt."""

    text: bytes
    target: _Target
    origin: HttpOrigin
    identity: TlsIdentity | None
    tls: ssl.SSLContext
    deadline: float
    """Loop time."""
    permitted: Permitted


def _nobody(_: str, __: str) -> None:
    """Ignore the shortage."""


def _middle() -> float:
    """Return the middle of the interval, without randomness."""
    return 0.5


class HttpSender:
    """The `Sender` of the product, for the running event loop. Use it as an async context manager.

    Args:
        check_address: Checks every address before it is connected to (`core.delivery.address`).
        connect_timeout: Seconds for DNS, TCP and TLS together.
        max_response_bytes: Bytes read of a response body; a longer one only closes the connection.
        max_idle: The most idle connections kept, over all endpoints.
        max_connections: The most open connections; None: as many as the process may open.
        tls: Verifies endpoints; None for the machine's trusted authorities, TLS 1.2 and later.
        resolver: Resolves names; None for aiodns with the machine's name servers.
        on_shortage: Called with what is short and the remedy when a connection cannot be made for
            lack of a local resource, at most once a minute.
        fraction: Draws a number from 0 to 1, for the renewal of tokens.
    """

    def __init__(
        self,
        check_address: AddressCheck,
        *,
        connect_timeout: float = 5.0,
        max_response_bytes: int = 65_536,
        max_idle: int = 2_000,
        max_connections: int | None = None,
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
        on_shortage: Callable[[str, str], None] = _nobody,
        fraction: Callable[[], float] = _middle,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._connector = Connector(
            check_address,
            connect_timeout=connect_timeout,
            max_response_bytes=max_response_bytes,
            resolver=resolver,
        )
        self._idle = IdlePool(self._loop, max_idle)
        self._contexts = TlsContexts(tls, self._idle.close_identity)
        self._tokens = Tokens(self._fetch_token, fraction)
        self._on_shortage = on_shortage
        self._max_connections = max_connections
        self._connecting = 0
        self._short_since = 0.0
        self._short_until = float("-inf")
        self._reported_at = float("-inf")
        self._targets: dict[str, _Target] = {}

    async def __aenter__(self) -> Self:
        """Begin to fetch tokens on request."""
        await self._tokens.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close every connection; attempts still in flight end as disconnected."""
        try:
            await self._tokens.__aexit__(kind, error, trace)
        finally:
            self._idle.close()
            await self._connector.close()

    @property
    def connections(self) -> int:
        """The number of open connections, including idle ones."""
        return len(self._connector)

    @property
    def short_seconds(self) -> float:
        """Seconds for which a local resource has been short; 0 if none was within two seconds."""
        now = self._loop.time()
        return now - self._short_since if now < self._short_until else 0.0

    async def send(self, post: Post, permitted: Permitted = always_permitted) -> Answer | Withheld:
        """Send and wait for the status line within the timeout. Cancellation closes the connection.

        1. An idle connection to the same host is used first, unless it has unread data.
        2. If the server had closed it without one byte of a response, or if the data received does
           not begin like a response (it belongs to an earlier exchange), the request is sent once
           more over a new connection, at once: servers close idle connections at any moment, and
           without this each such close would cost a retry. The server may have seen the first
           copy; the webhook-id identifies it, as in any retry.
        3. Any other result is returned unchanged: no second resend, no redirect.
        4. Each time, `permitted` is called in the call that writes the first byte.
        5. A local shortage (descriptors, memory, ports, name servers) is not the endpoint's answer:
           after a quarter of a second the attempt is withheld. The lane tries again, with a new
           signature, and checks the subscription and the expiry again; the wait does not count as
           the endpoint's response time.
        """
        deadline = self._loop.time() + post.timeout / 1000
        if post.token is None:
            return await self._sent(post, deadline, permitted)
        return await self._with_token(post, post.token, deadline, permitted)

    async def _with_token(
        self, post: Post, request: TokenRequest, deadline: float, permitted: Permitted
    ) -> Answer | Withheld:
        """Send with a token; if the endpoint refuses it with 401, once more with another one."""
        token = await self._token(request, deadline, permitted)
        if not isinstance(token, str):
            return token
        answer = await self._sent_with(token, post, deadline, permitted)
        refused = isinstance(answer, Response) and answer.status == HTTPStatus.UNAUTHORIZED
        if not refused or not self._tokens.replace(request, token):
            return answer
        token = await self._token(request, deadline, permitted)
        if not isinstance(token, str):
            return answer if isinstance(token, Withheld) else token
        second = await self._sent_with(token, post, deadline, permitted)
        if isinstance(second, Withheld):
            return answer
        if isinstance(second, Response):
            second.requests = 2
        return second

    async def _sent_with(
        self, token: str, post: Post, deadline: float, permitted: Permitted
    ) -> Answer | Withheld:
        """Send with a token. An answer that quotes it is not kept."""
        answer = await self._sent(_authorized(post, token), deadline, permitted)
        if isinstance(answer, Response) and answer.excerpt is not None:
            answer.excerpt = without_quoted(answer.excerpt, _forms_of(token))
        return answer

    async def _token(
        self, request: TokenRequest, deadline: float, permitted: Permitted
    ) -> str | TransportFailure | AddressBlocked | Withheld:
        token = await self._tokens.get(request, deadline, permitted)
        if isinstance(token, Shortage):
            await self._note(token)
            return Withheld(f"no token can be fetched: {token.what}")
        return token

    def begin(
        self, post: Post, permitted: Permitted, answered: Answered
    ) -> Connection | Withheld | Continuation[Answer | Withheld]:
        """As Sender says: over an idle connection, if no token is needed."""
        deadline = self._loop.time() + post.timeout / 1000
        request: _Request | None = None
        # `send` refuses the same post, and gives the reason.
        with contextlib.suppress(ValueError):
            if post.token is None:
                request = self._with_cached_context(post, deadline, permitted)
        connection = None if request is None else self._idle.take(request.origin)
        if request is None or connection is None:
            return Continuation(partial(self.send, post, permitted))
        done = partial(self._answered, connection, request, answered)
        refused = connection.begin(request.text, deadline, permitted, done)
        if refused is None:
            return connection
        if isinstance(refused, Withheld):
            self._keep(connection, request)
            return refused
        # It has just been closed, and nothing was written.
        return Continuation(partial(self._over_another, request))

    def _answered(
        self,
        connection: Connection,
        request: _Request,
        answered: Answered,
        answer: Answer | Exception,
    ) -> None:
        """Report the answer of an exchange that began without a coroutine."""
        result: Answer | Exception | Continuation[Answer | Withheld] = answer
        try:
            if not isinstance(answer, Exception):
                if _of_another_exchange(connection, answer):
                    result = Continuation(partial(self._over_another, request))
                else:
                    self._keep(connection, request)
        except Exception as error:  # noqa: BLE001  it is reported to the caller of `begin`
            result = error
        answered(result)

    async def _sent(self, post: Post, deadline: float, permitted: Permitted) -> Answer | Withheld:
        try:
            request = self._with_cached_context(post, deadline, permitted)
            if request is None:
                tls = await self._contexts.make(post.tls)
                request = self._request(post, tls, deadline, permitted)
        except IdentityRefused as refused:
            return TransportFailure(FailureKind.TLS, str(refused))
        except ValueError as error:
            return TransportFailure(FailureKind.PROTOCOL, str(error))
        connection = self._idle.take(request.origin)
        if connection is not None:
            answer = await connection.exchange(request.text, deadline, permitted)
            if not _of_another_exchange(connection, answer):
                self._keep(connection, request)
                return answer
        return await self._over_another(request)

    async def _over_another(self, request: _Request) -> Answer | Withheld:
        """Send a request over a new connection."""
        connection = await self._connect(
            request.target.url, request.tls, request.deadline - self._loop.time()
        )
        if isinstance(connection, Shortage):
            await self._note(connection)
            return Withheld(f"no connection can be made: {connection.what}")
        if not isinstance(connection, Connection):
            return connection
        connection.lost.add_done_callback(lambda _: self._idle.lose(connection))
        answer = await connection.exchange(request.text, request.deadline, request.permitted)
        self._keep(connection, request)
        return answer

    def _with_cached_context(
        self, post: Post, deadline: float, permitted: Permitted
    ) -> _Request | None:
        """Return a request; None if the context of its TLS identity must be made first.

        Raises:
            ValueError: URL or headers cannot be sent.
        """
        identity = post.tls
        self._contexts.used(post.subscription_id, identity)
        tls = self._contexts.cached(identity)
        return None if tls is None else self._request(post, tls, deadline, permitted)

    def _request(
        self, post: Post, tls: ssl.SSLContext, deadline: float, permitted: Permitted
    ) -> _Request:
        target = self._targets.get(post.url) or self._take_apart(post.url)
        text, identity = target.request(post), post.tls
        origin = target.origin if identity is None else target.identified(identity)
        return _Request(text, target, origin, identity, tls, deadline, permitted)

    def _keep(self, connection: Connection, request: _Request) -> None:
        """Keep a connection for the next request, unless its identity was dropped meanwhile."""
        identity = request.identity
        if identity is None or self._contexts.is_used(identity):
            self._idle.put(request.origin, connection)
        else:
            connection.abort()

    async def _connect(
        self, url: URL, tls: ssl.SSLContext, within: float
    ) -> Connection | TransportFailure | AddressBlocked | Shortage:
        """Connect, unless the limit on open connections is reached."""
        most = self._max_connections
        if most is not None and len(self._connector) + self._connecting >= most:
            return Shortage(os.strerror(errno.EMFILE).lower(), SHORTAGES[errno.EMFILE])
        self._connecting += 1
        try:
            return await self._connector.connect(url, tls, within)
        finally:
            self._connecting -= 1

    async def _fetch_token(
        self, request: TokenRequest
    ) -> Fetched | TransportFailure | AddressBlocked | Shortage:
        """Make one request to a token server: the machine's authorities, no client certificate."""
        return await self._connector.fetch(
            URL(request.url),
            form_of(request),
            client_authorization(request),
            self._contexts.machine,
            TOKEN_SECONDS,
        )

    async def _note(self, shortage: Shortage) -> None:
        """Report the shortage, wait, and close idle connections if that frees the resource."""
        now = self._loop.time()
        if now >= self._short_until:
            self._short_since = now
        self._short_until = now + _STILL_SHORT_SECONDS
        if now - self._reported_at >= _REPORT_AGAIN_SECONDS:
            self._reported_at = now
            self._on_shortage(shortage.what, shortage.remedy)
        if shortage.used_by_idle:
            self._idle.close()
        await asyncio.sleep(_SHORT_SECONDS)

    def _take_apart(self, url: str) -> _Target:
        if len(self._targets) >= _MAX_TARGETS:
            self._targets.clear()
        target = self._targets[url] = _Target(url)
        return target


def _request_target(text: str, url: URL) -> str:
    """Return path and query as they were written, if they can be sent unchanged.

    `URL` would decode some escapes: equal by the RFC, but a partner may compare bytes.
    """
    parts = urlsplit(text)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    fit = target.isascii() and target.isprintable() and " " not in target
    return target if fit else url.raw_path_qs


@lru_cache(maxsize=256)
def _forms_of(token: str) -> SecretForms:
    return secret_forms([token])


def _authorized(post: Post, token: str) -> Post:
    return replace(post, headers=[*post.headers, ("authorization", f"Bearer {token}")])


def _of_another_exchange(connection: Connection, answer: Answer | Withheld) -> bool:
    """Return whether a reused connection returned data that does not answer its last request."""
    if not isinstance(answer, TransportFailure):
        return False
    if answer.kind is FailureKind.DISCONNECTED:
        return connection.silent
    return answer.kind is FailureKind.PROTOCOL and connection.answered_strangely
