"""Sends requests to an API of hookstream, one at a time. Blocks.

Redirects are not followed, and proxies of the environment are not used: a token is sent only to the
address that was given.
"""

import http.client
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from hookstream.adapters.certificate_checks import checking_alike
from hookstream.adapters.http.api_access import require_token, require_web
from hookstream.errors import DependencyUnavailable

_SECONDS: Final = 60.0
"""The longest wait for an answer: a change waits for the brokers, a test for its result."""
_MOST_ANSWER: Final = 64 << 20
"""The most bytes of an answer, or of one line of it."""
_CHUNK: Final = 1 << 16
_OK: Final = range(200, 300)
_BROKEN: Final = (OSError, http.client.HTTPException, ValueError)
"""The exceptions of reading and writing a connection."""
_LONGEST_SILENCE: Final = 420.0
"""The most seconds between two lines: a console may read for five minutes and pause for one without finding a line."""


@dataclass(slots=True, frozen=True)
class ApiReply:
    """An answer as it was received."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes


@dataclass(slots=True, frozen=True)
class ApiLines:
    """An answer in lines that is still being read."""

    reply: ApiReply
    """Its body is empty if the request succeeded; otherwise it is complete."""
    lines: Iterator[bytes]
    """Each with its line feed. Raises DependencyUnavailable if the answer is cut off."""


class ApiConnection:
    """Access to an API; each request has its own connection.

    Args:
        url: The API's address, with the path before `/v1` if there is one.
        token: The token of the caller.

    Raises:
        InputRefused: `url` is not a URL of a web server.
        ConfigurationError: The token cannot be sent.
    """

    def __init__(self, url: str, token: str) -> None:
        require_web(url, "--api")
        require_token(token)
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._tls = (
            checking_alike(ssl.create_default_context()) if parts.scheme == "https" else None
        )
        self._path = parts.path.rstrip("/")
        self._where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._token = token

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> ApiReply:
        """Send a request, and return its answer.

        Args:
            method: The method.
            target: The path from `/v1` on, and the query.
            headers: Its headers, in addition to the token's.
            body: Its body; None: it has none.

        Raises:
            DependencyUnavailable: There is no answer, or it is too large.
        """
        with closing(self._opened(_SECONDS)) as connection:
            return _whole(self._asked(connection, method, target, headers, body))

    @contextmanager
    def in_lines(self, target: str) -> Iterator[ApiLines]:
        """Send a GET, and yield its answer while it is read.

        Args:
            target: As for `send`.

        Raises:
            DependencyUnavailable: There is no answer.
        """
        with closing(self._opened(_LONGEST_SILENCE)) as connection:
            answer = self._asked(connection, "GET", target, {}, None)
            if answer.status in _OK:
                yield ApiLines(ApiReply(answer.status, _headers(answer), b""), _lines(answer))
            else:
                yield ApiLines(_whole(answer), iter(()))

    def _asked(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> http.client.HTTPResponse:
        sent = {**headers, "Authorization": f"Bearer {self._token}", "Connection": "close"}
        try:
            connection.request(method, self._path + target, body, sent)
            return connection.getresponse()
        except _BROKEN as error:
            raise DependencyUnavailable(
                f"the API does not answer: {self._where}: {_why(error)}. Check the URL (--api or api.url), and that"
                " a console is listening there"
            ) from None

    def _opened(self, seconds: float) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=seconds)
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=seconds, context=self._tls
        )


def _whole(answer: http.client.HTTPResponse) -> ApiReply:
    try:
        content = answer.read(_MOST_ANSWER + 1)
    except _BROKEN as error:
        raise _no_answer(error) from None
    if len(content) > _MOST_ANSWER:
        raise DependencyUnavailable(f"the API answered more than {_MOST_ANSWER:,} bytes")
    return ApiReply(answer.status, _headers(answer), content)


def _lines(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    begun: list[bytes] = []
    size = 0
    while chunk := _chunk(answer):
        *ends, rest = chunk.split(b"\n")
        for each in ends:
            _require_bounded(size + len(each) + 1)
            yield b"".join((*begun, each, b"\n"))
            begun, size = [], 0
        if rest:
            begun.append(rest)
            size += len(rest)
            _require_bounded(size)
    if begun:
        raise DependencyUnavailable("the API's answer is cut off in a line")


def _chunk(answer: http.client.HTTPResponse) -> bytes:
    try:
        # `readline` would treat an answer that ends between two chunks as complete.
        return answer.read1(_CHUNK)
    except _BROKEN as error:
        raise DependencyUnavailable(f"the API's answer is cut off: {_why(error)}") from None


def _require_bounded(size: int) -> None:
    if size > _MOST_ANSWER:
        raise DependencyUnavailable(f"the API answered a line of more than {_MOST_ANSWER:,} bytes")


def _headers(answer: http.client.HTTPResponse) -> Mapping[str, str]:
    return {name.lower(): value for name, value in answer.getheaders()}


def _no_answer(error: Exception) -> DependencyUnavailable:
    return DependencyUnavailable(f"the API does not answer: {_why(error)}")


def _why(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) else None
    return said or str(error) or type(error).__name__
