"""Makes authenticated requests to any replica of a registry, bounded in time and size.

This is a client of our own, not `confluent_kafka.schema_registry`. Measured with 2.16.1, importing
that adds 409 modules, 140 ms and 22 MB to every worker, and nine distributions to the lock (httpx2,
authlib and theirs), while aiohttp is there already. It also repeats failed requests itself, so that
the registry's answer is lost, reads answers of any size, and takes a proxy from the environment.
"""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp
import orjson

from hookstream.adapters.certificate_checks import checking_alike
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import Json
from hookstream.core.model.registered import Unreachable
from hookstream.errors import ConfigurationError, InvariantBroken

MAX_ANSWER: Final = 2 << 20
"""The most bytes of an answer: more than the largest schema, written as JSON text."""
_LONGEST_SECRET = 65_536
_CONNECTIONS = 8
_SHOWN = 200
_REFUSED = (401, 403)
_SERVER_ERROR = 500

_ACCEPT = "application/vnd.schemaregistry.v1+json, application/json;q=0.5"
_CONTENT = "application/vnd.schemaregistry.v1+json"


@dataclass(slots=True, frozen=True)
class RegistrySecret:
    """A password or token: a value, or the file with it."""

    value: str | None = field(default=None, repr=False)
    file: Path | None = None


@dataclass(slots=True, frozen=True)
class Access:
    """The addresses and credentials of a registry."""

    urls: Sequence[str]
    """The URLs of its replicas."""
    timeout: Millis
    """The time limit of a request to one of them."""
    ca: Path | None = None
    username: str | None = None
    secret: RegistrySecret | None = None
    """The user's password; without a user, a bearer token."""


@dataclass(slots=True, frozen=True)
class Reply:
    """An answer, whatever its status."""

    status: int
    body: Json
    """The body as JSON; None if it is not JSON."""


class Replicas:
    """The replicas of one registry, within `async with`."""

    def __init__(self, name: str, access: Access) -> None:
        self._name = name
        self._access = access
        self._first = 0
        """The replica that answered last."""
        self._secret: str | None = None
        self._opened: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Read the configured files; connect to nothing yet.

        Raises:
            ConfigurationError: The file of authorities, or of the secret, cannot be read.
        """
        self._secret = await asyncio.to_thread(_read, self._name, self._access.secret)
        tls = await asyncio.to_thread(trusted, self._name, self._access)
        self._opened = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=tls),
            trust_env=False,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._access.timeout / 1000),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        if self._opened is not None:
            await self._opened.close()

    async def get(self, path: str) -> Reply | Unreachable:
        """Make a GET request of an encoded path."""
        return await self.request("GET", path)

    async def request(self, method: str, path: str, body: Json = None) -> Reply | Unreachable:
        """Make a request to one replica after the other until one answers without a server error.

        A secret that is refused is read from its file again, and used if it has changed.
        """
        reply = await self._any(method, path, body)
        if isinstance(reply, Reply) and reply.status in _REFUSED and await self._renewed():
            reply = await self._any(method, path, body)
        return reply

    async def _any(self, method: str, path: str, body: Json) -> Reply | Unreachable:
        count = len(self._access.urls)
        reply: Reply | Unreachable = Unreachable("it has no address")
        for number in range(count):
            at = (self._first + number) % count
            reply = await self._one(self._access.urls[at], method, path, body)
            if isinstance(reply, Reply) and reply.status < _SERVER_ERROR:
                self._first = at
                break
        return reply

    async def _one(self, url: str, method: str, path: str, body: Json) -> Reply | Unreachable:
        if self._opened is None:
            raise InvariantBroken("a registry is used within async with")
        headers = {"Accept": _ACCEPT, "Accept-Encoding": "identity", **self._authorization()}
        data = None
        if body is not None:
            data = orjson.dumps(body)
            headers["Content-Type"] = _CONTENT
        try:
            async with self._opened.request(
                method, url + path, headers=headers, data=data, allow_redirects=False
            ) as response:
                raw = await _at_most(response.content, MAX_ANSWER)
                status = response.status
        except TimeoutError:
            seconds = self._access.timeout / 1000
            return Unreachable(f"{_shown(url)} did not answer within {seconds:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            why = self._scrubbed(str(error) or type(error).__name__)
            return Unreachable(f"{_shown(url)}: {why}")
        if raw is None:
            return Unreachable(f"{_shown(url)} answered with more than {MAX_ANSWER} bytes")
        return Reply(status, self._json(raw))

    def _json(self, raw: bytes) -> Json:
        found: Json = None
        with contextlib.suppress(ValueError):
            found = orjson.loads(raw)
        if isinstance(found, dict) and isinstance(words := found.get("message"), str):
            # Some servers repeat the request.
            found["message"] = self._scrubbed(words)
        return found

    def _scrubbed(self, text: str) -> str:
        if self._secret:
            text = text.replace(self._secret, "***").replace(self._basic(), "***")
        return text[: 2 * _SHOWN]

    def _authorization(self) -> dict[str, str]:
        if self._secret is None:
            return {}
        if self._access.username is None:
            return {"Authorization": f"Bearer {self._secret}"}
        return {"Authorization": f"Basic {self._basic()}"}

    def _basic(self) -> str:
        return base64.b64encode(f"{self._access.username}:{self._secret}".encode()).decode()

    async def _renewed(self) -> bool:
        """Read the secret's file again; return whether it has another secret."""
        before, secret = self._secret, self._access.secret
        with contextlib.suppress(ConfigurationError):
            self._secret = await asyncio.to_thread(_read, self._name, secret)
        return self._secret != before


async def _at_most(content: aiohttp.StreamReader, most: int) -> bytes | None:
    """Read a whole body; None: it has more bytes."""
    parts: list[bytes] = []
    size = 0
    async for part in content.iter_any():
        size += len(part)
        if size > most:
            return None
        parts.append(part)
    return b"".join(parts)


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _read(name: str, secret: RegistrySecret | None) -> str | None:
    """Return the secret's text.

    Raises:
        ConfigurationError: Its file cannot be read, or does not have one line of text.
    """
    if secret is None or secret.value is not None or secret.file is None:
        return None if secret is None else secret.value
    try:
        with secret.file.open("rb") as stream:
            found = stream.read(_LONGEST_SECRET + 1).decode().strip("\r\n")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise ConfigurationError(f"registry.{name}: {secret.file}: {why}") from None
    if not found or len(found) > _LONGEST_SECRET or not found.isprintable():
        raise ConfigurationError(
            f"registry.{name}: {secret.file} does not have one line of printable text"
        )
    return found


def trusted(name: str, access: Access) -> ssl.SSLContext | bool:
    """Return the TLS context; True, aiohttp's default, if no replica uses HTTPS, since a context takes 24 ms."""
    if access.ca is None and not any(url.lower().startswith("https:") for url in access.urls):
        return True
    try:
        return checking_alike(ssl.create_default_context(cafile=access.ca))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"registry.{name}.ca: {access.ca}: {error}") from None
