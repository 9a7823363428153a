"""An HTTP server on the loopback address that answers with the status that a function returns.

For development, not for load: each request is kept in memory as a whole.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from aiohttp import web

from hookstream.errors import ConfigurationError

HOST: Final = "127.0.0.1"
MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""The largest body that a worker can be set to send (`egress.max_body_bytes`)."""
_TOO_LARGE: Final = 413
_CLOSING_SECONDS: Final = 1.0


@dataclass(slots=True, frozen=True)
class Received:
    """One request as it was received."""

    method: str
    target: str
    """Path and query, as sent."""
    headers: tuple[tuple[str, str], ...]
    """In order; bytes that are not UTF-8 are surrogates."""
    body: bytes | None
    """None if it is larger than `MAX_BODY_BYTES`: it was not read, and the response is 413."""


Answer: TypeAlias = Callable[[Received], int]
"""Returns the status of the response; ignored for a body that was not read."""


async def receive(
    port: int, answer: Answer, listening: Callable[[str], None], limit: int | None = None
) -> None:
    """Answer requests on a loopback port until cancelled.

    Args:
        port: 0 takes a free one.
        answer: Called for each request. An exception ends the receiver, and is raised here.
        listening: Called with the URL as soon as requests are accepted.
        limit: Return after this number of responses.

    Raises:
        ConfigurationError: The port cannot be listened on.
    """
    receiver = _Receiver(answer, limit)
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_route("*", "/{any:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CLOSING_SECONDS)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, HOST, port, reuse_address=True).start()
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            raise ConfigurationError(
                f"port {port} cannot be listened on: {why} (0 takes a free one)"
            ) from error
        listening(f"http://{HOST}:{runner.addresses[0][1]}/")
        await receiver.ended
    finally:
        await runner.cleanup()


class _Receiver:
    """Counts responses, and ends with the last one or the first error."""

    def __init__(self, answer: Answer, limit: int | None) -> None:
        self._answer = answer
        self._left = limit
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await _read(request)
        if self._left == 0:
            # A request that came while the last response was being written.
            raise web.HTTPServiceUnavailable
        headers = tuple(request.headers.items())
        try:
            status = self._answer(Received(request.method, request.raw_path, headers, body))
        except BaseException as problem:  # noqa: BLE001  aiohttp would answer 500 and continue
            if not self.ended.done():
                self.ended.set_exception(problem)
            raise web.HTTPInternalServerError from None
        if self._left is not None:
            self._left -= 1
        response = web.Response(status=_TOO_LARGE if body is None else status)
        await response.prepare(request)
        await response.write_eof()
        if self._left == 0 and not self.ended.done():
            self.ended.set_result(None)
        return response


async def _read(request: web.Request) -> bytes | None:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        return None
