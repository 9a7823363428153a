"""Connects to endpoints (DNS, TCP, TLS), but never to an address that the address check refuses.

aiohttp's connector does the work (asynchronous DNS with a cache, happy eyeballs, TLS with host name
verification); the connected transport is then passed to a `Connection`. The connector requests a
socket for every address that it connects to, literals and DNS results alike. The address is checked
there, at the moment of use, so a name that resolves differently a second later (DNS rebinding) gains
nothing.
"""

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeAlias

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from hookstream.adapters.http.connection import Connection
from hookstream.adapters.http.deadlines import Deadlines
from hookstream.adapters.http.tls_words import CLOSED_IN_HANDSHAKE, certificate_words, words_of
from hookstream.core.delivery.signing import USER_AGENT
from hookstream.core.model.outcome import AddressBlocked, FailureKind, TransportFailure

AddressCheck: TypeAlias = Callable[[str], str | None]
"""Returns why an address (as text) may not be connected to, or None if it may."""

_AddressInfo: TypeAlias = tuple[
    int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[str | int | bytes, ...]
]

DNS_SECONDS = 2.0
"""Timeout of one query to one name server; two are made before a name counts as unresolvable."""
DNS_TRIES = 2
DNS_CACHE_SECONDS = 10
DNS_CACHE_NAMES = 1000


SHORTAGES = {
    errno.EMFILE: "raise the limit on open files (ulimit -n, LimitNOFILE)",
    errno.ENFILE: "raise the machine's limit on open files (fs.file-max)",
    errno.ENOMEM: "give the machine more memory",
    errno.ENOBUFS: "give the machine's network more memory",
    errno.EADDRNOTAVAIL: "widen net.ipv4.ip_local_port_range: no local port is free",
}
"""Local resources that can run out when a connection is made, with the remedy; not the endpoint's fault."""


_NO_RESOLVER = "Could not contact DNS servers"
"""c-ares's message if every name server refuses. An unknown name or a timeout may be caused by the
name's own servers, and is a failure of the endpoint."""


@dataclass(slots=True, frozen=True)
class Shortage:
    """No connection could be made for lack of a local resource: nothing was sent, no endpoint failed."""

    what: str
    remedy: str
    used_by_idle: bool = True
    """Whether closing idle connections frees some of it."""


@dataclass(slots=True, frozen=True)
class Fetched:
    """The whole answer to a request."""

    status: int
    body: bytes = field(repr=False)


@dataclass(slots=True)
class _ConnectAttempt:
    """The addresses of one connection attempt."""

    tried: int = 0
    refused: list[str] = field(default_factory=list)
    permitted: list[tuple[int, tuple[str | int | bytes, ...]]] = field(default_factory=list)
    """Family and address of each permitted one."""


# The connector calls the socket factory in its own tasks; they inherit the context of the call.
_ATTEMPT: ContextVar[_ConnectAttempt] = ContextVar("_ATTEMPT")


class Connector:
    """Makes connections to permitted addresses only.

    Args:
        check_address: Checks every address.
        connect_timeout: Seconds for DNS, TCP and TLS together.
        max_response_bytes: For the connections (see `Connection`).
        resolver: Resolves names; None for aiodns with the machine's name servers.
    """

    def __init__(
        self,
        check_address: AddressCheck,
        *,
        connect_timeout: float,
        max_response_bytes: int,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._check_address = check_address
        self._connect_timeout = connect_timeout
        self._max_response_bytes = max_response_bytes
        self._resolver = resolver or aiohttp.AsyncResolver(timeout=DNS_SECONDS, tries=DNS_TRIES)
        self._connector = aiohttp.TCPConnector(
            resolver=self._resolver,
            ttl_dns_cache=DNS_CACHE_SECONDS,
            dns_cache_max_size=DNS_CACHE_NAMES,
            socket_factory=self._socket,
            # Lanes bound the attempts in flight; a limit here would only make endpoints wait for
            # each other.
            limit=0,
        )
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            connector_owner=False,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._open: set[Connection] = set()
        self._deadlines = Deadlines(self._loop)

    def __len__(self) -> int:
        """Return the number of open connections."""
        return len(self._open)

    async def connect(
        self, url: URL, tls: ssl.SSLContext, within: float
    ) -> Connection | TransportFailure | AddressBlocked | Shortage:
        """Return a new connection to the URL's host, or why there is none.

        Args:
            url: Its path and query are ignored.
            tls: Verifies the endpoint, and has our client certificate if there is one.
            within: Timeout in seconds; the connect timeout applies if it is shorter.
        """
        seconds = min(within, self._connect_timeout)
        attempt = _ConnectAttempt()
        token = _ATTEMPT.set(attempt)
        try:
            return await self._open_connection(url, tls, seconds)
        except TimeoutError:
            return _too_slow(attempt, seconds)
        except MemoryError:
            return Shortage("memory", SHORTAGES[errno.ENOMEM])
        except (aiohttp.ClientError, OSError, RuntimeError, ValueError) as error:
            # RuntimeError: uvloop raises it for sockets that it cannot connect.
            return _shortage(attempt, error) or _failure(attempt, error)
        finally:
            _ATTEMPT.reset(token)

    async def fetch(
        self, url: URL, form: str, authorization: str | None, tls: ssl.SSLContext, within: float
    ) -> Fetched | TransportFailure | AddressBlocked | Shortage:
        """Post a form, without redirects, cookies and decompression, and return the whole answer.

        The addresses pass the same check as those of endpoints.

        Args:
            url: Where to.
            form: The body, URL-encoded.
            authorization: The header of that name; None: without it.
            tls: Verifies the server.
            within: Timeout in seconds for everything.
        """
        attempt = _ConnectAttempt()
        token = _ATTEMPT.set(attempt)
        try:
            return await self._fetch(url, form, authorization, tls, within)
        except TimeoutError:
            return TransportFailure(FailureKind.TIMEOUT, f"no answer within {within:g} s")
        except MemoryError:
            return Shortage("memory", SHORTAGES[errno.ENOMEM])
        except (aiohttp.ClientError, OSError, RuntimeError, ValueError) as error:
            return _shortage(attempt, error) or _failure(attempt, error)
        finally:
            _ATTEMPT.reset(token)

    async def _fetch(
        self, url: URL, form: str, authorization: str | None, tls: ssl.SSLContext, within: float
    ) -> Fetched | TransportFailure:
        headers = {
            **({} if authorization is None else {"authorization": authorization}),
            "accept": "application/json",
            "accept-encoding": "identity",
            "content-type": "application/x-www-form-urlencoded",
            "user-agent": USER_AGENT,
        }
        async with self._session.post(
            url,
            data=form,
            headers=headers,
            ssl=tls,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=within),
        ) as response:
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > self._max_response_bytes:
                    detail = f"the answer has more than {self._max_response_bytes} bytes"
                    return TransportFailure(FailureKind.PROTOCOL, detail)
            return Fetched(response.status, bytes(body))

    async def close(self) -> None:
        """Close every connection, and the resolver."""
        for connection in list(self._open):
            connection.abort()
        await self._session.close()
        await self._connector.close()
        self._deadlines.close()
        await self._resolver.close()

    async def _open_connection(
        self, url: URL, tls: ssl.SSLContext, seconds: float
    ) -> Connection | TransportFailure:
        request = aiohttp.ClientRequest("POST", url, loop=self._loop, ssl=tls)
        # Above the threshold aiohttp would round the timeout up to a whole second.
        timeout = aiohttp.ClientTimeout(connect=seconds, ceil_threshold=seconds + 1)
        made = await self._connector.connect(request, [], timeout)
        handler, transport = made.protocol, made.transport
        if handler is None or transport is None:
            made.close()
            return TransportFailure(FailureKind.DISCONNECTED, "connection closed at once")
        connection = Connection(self._loop, self._deadlines, self._max_response_bytes)
        connection.take_over(transport)
        self._open.add(connection)

        def ended(lost: asyncio.Future[Exception | None]) -> None:
            self._open.discard(connection)
            # aiohttp's own protocol must see the end too, or its connector would wait for it.
            handler.connection_lost(lost.result())
            made.close()

        connection.lost.add_done_callback(ended)
        return connection

    def _socket(self, info: _AddressInfo) -> socket.socket:
        """Return a socket for a permitted address.

        Raises:
            PermissionError: It is not permitted; the connector tries the next address.
        """
        family, kind, protocol, _, address = info
        attempt = _ATTEMPT.get()
        attempt.tried += 1
        problem = self._check_address(str(address[0]))
        if problem is not None:
            attempt.refused.append(problem)
            raise PermissionError(errno.EACCES, problem)
        attempt.permitted.append((family, address))
        return socket.socket(family, kind, protocol)


def _too_slow(attempt: _ConnectAttempt, seconds: float) -> TransportFailure:
    if attempt.tried == 0:
        return TransportFailure(FailureKind.DNS, f"name not resolved within {seconds:g} s")
    return TransportFailure(FailureKind.TIMEOUT, f"not connected within {seconds:g} s")


def _shortage(attempt: _ConnectAttempt, error: Exception) -> Shortage | None:
    """Return which local resource was short, or None if that was not the cause."""
    if isinstance(error, aiohttp.ClientConnectorDNSError) and _NO_RESOLVER in str(error.os_error):
        remedy = "check that those of /etc/resolv.conf answer this machine"
        return Shortage("name servers", remedy, used_by_idle=False)
    number = getattr(getattr(error, "os_error", error), "errno", None)
    if number == errno.EADDRNOTAVAIL and not any(_has_source(*each) for each in attempt.permitted):
        return None
    if number in SHORTAGES and not isinstance(error, aiohttp.ClientSSLError):
        return Shortage(os.strerror(number).lower(), SHORTAGES[number])
    return None


def _has_source(family: int, address: tuple[str | int | bytes, ...]) -> bool:
    """Return whether this machine has an address from which it could reach that one.

    The system returns EADDRNOTAVAIL if every local port is taken, and also if the machine has no
    address of the family (IPv6 is off). The second does not pass: an endpoint with an IPv6 address
    only is unreachable. A UDP socket distinguishes the two; it sends nothing.
    """
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
    except OSError as error:
        return error.errno != errno.EADDRNOTAVAIL
    return True


def _failure(attempt: _ConnectAttempt, error: Exception) -> TransportFailure | AddressBlocked:
    """Return why connecting failed, without the URL, which may contain a secret."""
    # If one of several addresses is permitted but does not answer, a later attempt may succeed.
    if attempt.refused and len(attempt.refused) == attempt.tried:
        return AddressBlocked(attempt.refused[0])
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return TransportFailure(FailureKind.TLS, certificate_words(error.certificate_error))
        case aiohttp.ClientSSLError() | ssl.SSLError():
            reason = getattr(getattr(error, "os_error", error), "reason", None)
            return TransportFailure(FailureKind.TLS, f"TLS handshake failed: {words_of(reason)}")
        case aiohttp.ClientConnectorError(os_error=ConnectionResetError(errno=None)):
            # TCP was connected: an error of the system would have a number.
            return TransportFailure(
                FailureKind.TLS, f"TLS handshake failed: {CLOSED_IN_HANDSHAKE}"
            )
        case aiohttp.ClientConnectorDNSError():
            why = error.os_error.strerror or "name not resolved"
            return TransportFailure(FailureKind.DNS, why)
        case aiohttp.InvalidURL():
            return TransportFailure(FailureKind.DNS, "the host is neither a name nor an address")
        case OSError() if error.errno:
            return TransportFailure(FailureKind.CONNECT, os.strerror(error.errno).lower())
        case _:
            return TransportFailure(FailureKind.CONNECT, f"no connection ({type(error).__name__})")
