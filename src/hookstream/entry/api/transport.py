"""Serves the API over HTTP/1.1 with aiohttp, which only moves bytes: the dispatcher decides everything."""

import asyncio
import ipaddress
from collections.abc import Sequence

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from hookstream.entry.api.dispatch import Dispatcher
from hookstream.entry.api.problems import ProblemKind, RequestRefused
from hookstream.entry.api.requests import ApiRequest, ApiResponse, BodyReader, CutOff
from hookstream.errors import InvariantBroken

BODY_SECONDS = 20.0
"""How long a client may take to send a body."""
PIECE_SECONDS = 30.0
"""How long a client may take for each piece of an answer."""
_LARGEST_HEADERS = 16 * 1024
_KEEP_ALIVE_SECONDS = 75.0
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

Networks = Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]


class _Connection(web.RequestHandler):
    """One connection; what is no HTTP is answered with a problem, and logged nowhere."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        detail: str | None = None,
    ) -> web.StreamResponse:
        """Return the answer to what cannot be parsed; the connection is closed."""
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
    """Makes the connections."""

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        return _Connection(self, loop=asyncio.get_running_loop(), **self._kwargs)


def api_server(dispatcher: Dispatcher, trusted_proxies: Networks) -> ApiServer:
    """Return the server.

    Args:
        dispatcher: Answers its requests.
        trusted_proxies: From these addresses, `X-Forwarded-For` says who the client is.
    """

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        response = await dispatcher.answer(
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
        return web.Response(status=response.status, headers=response.headers, body=response.body)

    return ApiServer(
        answer,
        access_log=None,
        max_line_size=_LARGEST_HEADERS,
        max_field_size=_LARGEST_HEADERS,
        keepalive_timeout=_KEEP_ALIVE_SECONDS,
    )


async def _sent_in_pieces(request: web.BaseRequest, response: ApiResponse) -> web.StreamResponse:
    """Send an answer piece by piece; the connection of one that is cut off ends without its end."""
    pieces = response.pieces
    if pieces is None:
        raise InvariantBroken("an answer without pieces is sent in pieces")
    answer = web.StreamResponse(status=response.status, headers=response.headers)
    try:
        # A piece that nobody takes would keep its reader of the log open.
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
    """Return the client's address: the nearest one in the chain that is no trusted proxy.

    Args:
        peer: The address that the connection comes from.
        forwarded: The header `X-Forwarded-For`; only what trusted proxies added is believed.
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
