"""Sends requests to an API of hookstream, one at a time. Blocks.

Redirects are not followed, and proxies of the environment are not used: a token goes to the address that
was named, and nowhere else.
"""

import http.client
import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from hookstream.adapters.http.api_access import require_token, require_web
from hookstream.errors import DependencyUnavailable

_SECONDS: Final = 60.0
"""How long an answer may take: a change waits for the brokers, a test for its result."""
_MOST_ANSWER: Final = 64 << 20
"""Bytes of an answer at most."""


@dataclass(slots=True, frozen=True)
class ApiReply:
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes


class ApiConnection:
    """The way to an API; each request has a connection of its own.

    Args:
        url: The API's address, with the path that is in front of `/v1` if there is one.
        token: What identifies the caller.

    Raises:
        InputRefused: `url` is no URL of a web server.
        ConfigurationError: The token cannot be sent.
    """

    def __init__(self, url: str, token: str) -> None:
        require_web(url, "--api")
        require_token(token)
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._path = parts.path.rstrip("/")
        self._token = token

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> ApiReply:
        """Send a request, and return its answer.

        Args:
            method: The method.
            target: The path from `/v1` on, and the query.
            headers: Its headers, beside the token's.
            body: Its body; None: it has none.

        Raises:
            DependencyUnavailable: There is no answer, or it is too large.
        """
        sent = {**headers, "Authorization": f"Bearer {self._token}", "Connection": "close"}
        try:
            with closing(self._opened()) as connection:
                connection.request(method, self._path + target, body, sent)
                answer = connection.getresponse()
                content = answer.read(_MOST_ANSWER + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            why = str(error) or type(error).__name__
            raise DependencyUnavailable(f"the API does not answer: {why}") from None
        if len(content) > _MOST_ANSWER:
            raise DependencyUnavailable(f"the API answered more than {_MOST_ANSWER:,} bytes")
        found = {name.lower(): value for name, value in answer.getheaders()}
        return ApiReply(answer.status, found, content)

    def _opened(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=_SECONDS)
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=_SECONDS, context=self._tls
        )
