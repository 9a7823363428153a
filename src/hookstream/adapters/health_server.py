"""A worker's own small web server: /metrics, /healthz and /readyz, on a loopback port by default."""

from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Protocol, Self

from aiohttp import web

from hookstream.errors import ConfigurationError

Check = Callable[[], tuple[bool, Mapping[str, object]]]
"""Tells whether all is well, with the facts."""

_EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


class Exposed(Protocol):
    """What can be scraped."""

    def exposition(self) -> bytes:
        """Return Prometheus' text format."""


class HealthServer:
    """Serves from `async with` to its end.

    Args:
        listen: `HOST:PORT`; port 0 takes a free one, which `address` then names.
        exposed: What /metrics shows.
        live: /healthz: 200 or 503. Never about the broker or a partner.
        ready: /readyz: 200 or 503.
    """

    def __init__(self, listen: str, exposed: Exposed, live: Check, ready: Check) -> None:
        self._listen = listen
        self._exposed = exposed
        self.address = listen
        app = web.Application(client_max_size=1024)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", _answering(live))
        app.router.add_get("/readyz", _answering(ready))
        self._runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self) -> Self:
        """Begin to listen.

        Raises:
            ConfigurationError: The address is none, or taken.
        """
        host, _, port = self._listen.rpartition(":")
        if not host or not port.isdecimal():
            raise ConfigurationError(f"worker.listen is {self._listen!r}: write HOST:PORT")
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host.strip("[]"), int(port)).start()
        except OSError as error:
            await self._runner.cleanup()
            raise ConfigurationError(
                f"cannot listen on {self._listen} (worker.listen): {error.strerror or error}"
            ) from error
        bound = self._runner.addresses[0]
        self.address = f"{host}:{bound[1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Listen no more."""
        await self._runner.cleanup()

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._exposed.exposition(), headers={"content-type": _EXPOSITION})


def _answering(check: Check) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_: web.Request) -> web.StreamResponse:
        well, facts = check()
        body = {"status": "ok" if well else "failing", **facts}
        return web.json_response(body, status=200 if well else 503)

    return answer
