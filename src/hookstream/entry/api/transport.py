"""Serves the API and the pages over HTTP/1.1 with aiohttp; the dispatcher and the site answer the requests."""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from hookstream.adapters.open_connections import OpenConnections
from hookstream.entry.api.problems import ProblemKind, RequestRefused
from hookstream.entry.api.requests import ApiRequest, ApiResponse, BodyReader, CutOff
from hookstream.errors import InvariantBroken

BODY_SECONDS = 20.0
"""How long a client may take to send a body."""
PIECE_SECONDS = 30.0
"""How long a client may take for each piece of an answer."""
_LARGEST_HEADERS = 16 * 1024
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Answering(Protocol):
    """Answers requests: the dispatcher, or the site in front of it."""

    async def answer(self, request: ApiRequest) -> ApiResponse:
        """Return the answer. Never raises, unless it is cancelled."""


Networks = Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]


@dataclass(slots=True, frozen=True)
class ConnectionBounds:
    """The bounds on the number of connections, and on the time that one may be idle."""

    most: int = 800
    """At once; a new one takes the place of the oldest that is idle."""
    most_of_address: int = 200
    """Of one address, unless that is a trusted proxy."""
    header_seconds: float = 10.0
    """How long a request's headers may take to arrive, from the first byte on or from the connection on."""
    idle_seconds: float = 75.0
    """How long a connection may wait for the next request, and how long a client may take for an answer."""


DEFAULT_BOUNDS = ConnectionBounds()


class _Connection(web.RequestHandler):
    """One connection; input that is not HTTP is answered with a problem, and not logged."""

    __slots__ = ("_bounds", "_connections", "_in_header", "_requests", "_timer")

    def __init__(
        self, server: "ApiServer", connections: OpenConnections, bounds: ConnectionBounds
    ) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **server.options)
        self._connections = connections
        self._bounds = bounds
        self._requests = 0
        """Requests that are being answered."""
        self._in_header = True
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no request of it is being answered."""
        return not self._requests

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the connection, if there is room for it."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if isinstance(peer, tuple) and peer else ""
        if self._connections.add(self, address):
            self._end_in(self._bounds.header_seconds)
        else:
            self.end()

    def data_received(self, data: bytes) -> None:
        """Take received data; the rest of the request's headers must arrive in time."""
        if self.is_idle and not self._in_header:
            self._in_header = True
            self._end_in(self._bounds.header_seconds)
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self._forget()
        super().connection_lost(exc)

    def request_began(self) -> None:
        """Note that the headers of a request have arrived, and it is being answered."""
        self._requests += 1
        self._in_header = False
        self._end_in(None)

    def request_ended(self) -> None:
        """Note that an answer is complete, and is to be sent."""
        self._requests -= 1
        if self.is_idle:
            self._end_in(self._bounds.idle_seconds)

    def end(self) -> None:
        """Close at once and discard unwritten data."""
        self._forget()
        if self.transport is not None:
            self.transport.abort()

    def _end_in(self, seconds: float | None) -> None:
        """End after so many seconds, which replaces an earlier time; None: not by time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None and self.transport is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self.end)

    def _forget(self) -> None:
        self._connections.remove(self)
        self._end_in(None)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        detail: str | None = None,
    ) -> web.StreamResponse:
        """Return the answer to a request that cannot be parsed; the connection is closed."""
        del request, status, detail
        too_long = isinstance(exc, LineTooLong)
        kind = ProblemKind.URI_TOO_LONG if too_long else ProblemKind.MALFORMED
        said = "its first line or a header is too long" if too_long else ""
        document = RequestRefused(kind, said).document()
        answer = web.Response(
            status=kind.status,
            body=msgspec.json.encode(document),
            content_type="application/problem+json",
        )
        answer.force_close()
        return answer


class ApiServer(web.Server):
    """Creates the connections.

    Args:
        handler: Answers requests.
        connections: The open connections.
        bounds: The bounds on connections.
        options: The options of aiohttp's connections.
    """

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        connections: OpenConnections,
        bounds: ConnectionBounds,
        **options: Any,  # noqa: ANN401  As aiohttp takes them
    ) -> None:
        super().__init__(handler, **options)
        self.options = options
        self.open_connections = connections
        self._bounds = bounds

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        return _Connection(self, self.open_connections, self._bounds)


def api_server(
    answering: Answering, trusted_proxies: Networks, bounds: ConnectionBounds = DEFAULT_BOUNDS
) -> ApiServer:
    """Return the server.

    Args:
        answering: Answers its requests.
        trusted_proxies: Networks whose `X-Forwarded-For` names the client; they may have any number of
            connections.
        bounds: The bounds on connections.
    """

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        if not isinstance(connection, _Connection):
            raise InvariantBroken("a connection that this server did not make")
        connection.request_began()
        try:
            return await answered(request)
        finally:
            connection.request_ended()

    async def answered(request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        response = await answering.answer(
            ApiRequest(
                method=request.method,
                path=request.rel_url.raw_path,
                query=request.rel_url.raw_query_string,
                headers=headers,
                read=_reader(request),
                address=client_address(
                    request.remote or "", headers.get("x-forwarded-for", ""), trusted_proxies
                ),
            )
        )
        if response.pieces is not None:
            return await _sent_in_pieces(request, response)
        answer = web.Response(status=response.status, headers=response.headers, body=response.body)
        for cookie in response.cookies:
            answer.headers.add("Set-Cookie", cookie)
        return answer

    return ApiServer(
        answer,
        OpenConnections(
            bounds.most,
            bounds.most_of_address,
            lambda address: _trusted(address, trusted_proxies),
        ),
        bounds,
        access_log=None,
        # The rest of a refused body is read and dropped: inflating it would delay all other requests.
        auto_decompress=False,
        max_line_size=_LARGEST_HEADERS,
        max_field_size=_LARGEST_HEADERS,
        keepalive_timeout=bounds.idle_seconds,
    )


def _text(value: str) -> str:
    """Return a header's value with invalid UTF-8 replaced, which aiohttp decodes to lone surrogates."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


async def _sent_in_pieces(request: web.BaseRequest, response: ApiResponse) -> web.StreamResponse:
    """Send an answer piece by piece; if it is cut off, the connection closes before the answer's end."""
    pieces = response.pieces
    if pieces is None:
        raise InvariantBroken("an answer without pieces is sent in pieces")
    answer = web.StreamResponse(status=response.status, headers=response.headers)
    try:
        # A piece that the client does not take would keep its reader of the log open.
        async with asyncio.timeout(PIECE_SECONDS) as deadline:
            await answer.prepare(request)
            async for piece in pieces:
                deadline.reschedule(_in_seconds(PIECE_SECONDS))
                await answer.write(piece)
                deadline.reschedule(None)
            deadline.reschedule(_in_seconds(PIECE_SECONDS))
            await answer.write_eof()
    except (CutOff, TimeoutError, OSError):
        if request.transport is not None:
            request.transport.abort()
    finally:
        await pieces.aclose()
    return answer


def _in_seconds(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def client_address(peer: str, forwarded: str, trusted_proxies: Networks) -> str:
    """Return the client's address: the nearest one in the chain that is not a trusted proxy.

    Args:
        peer: The address that the connection comes from.
        forwarded: The header `X-Forwarded-For`; only the parts that trusted proxies added are used.
        trusted_proxies: Their networks.
    """
    address = peer
    for each in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
        if not _trusted(address, trusted_proxies):
            break
        try:
            address = str(ipaddress.ip_address(each))
        except ValueError:
            break
    return address


def _trusted(address: str, networks: Networks) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in networks)


def _reader(request: web.BaseRequest) -> BodyReader:
    async def read(most: int) -> bytes:
        content = bytearray()
        expects = request.headers.get("Expect", "").lower() == "100-continue"
        if expects and request.transport is not None:
            request.transport.write(_CONTINUE)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while len(content) <= most:
                    chunk = await request.content.read(64 * 1024)
                    if not chunk:
                        break
                    content += chunk
        except TimeoutError:
            raise RequestRefused(
                ProblemKind.TIMEOUT, f"the body did not arrive within {BODY_SECONDS:g} s"
            ) from None
        except (web.RequestPayloadError, OSError):
            raise RequestRefused(ProblemKind.MALFORMED, "the body cannot be read") from None
        return bytes(content[: most + 1])

    return read
