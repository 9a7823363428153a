"""Serves /metrics, /healthz and /readyz for Prometheus and Kubernetes, and a worker's /lanes for consoles."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, Self, TypeAlias

import orjson
from aiohttp import web

from hookstream.adapters.open_connections import OpenConnections
from hookstream.core.model.listen_address import host_and_port
from hookstream.errors import ConfigurationError

Check: TypeAlias = Callable[[], tuple[bool, Mapping[str, object]]]
"""Returns whether the check passes, with the facts that it is based on."""

Lanes: TypeAlias = Callable[[str | None], bytes]
"""Returns as JSON a worker's report of its lane of a subscription; for None, of the lanes that need attention."""

_EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LONGEST_ID = 200
"""Characters of a subscription's id."""
_CLOSING_SECONDS = 1.0
_BACKLOG = 128
_MAX_CONNECTIONS = 64
"""Beyond this number the oldest connection is closed: a new probe matters more."""
_LIFE_SECONDS = 5.0
"""A connection's lifetime: requests and responses have a few lines."""


class Exposition(Protocol):
    """The source of /metrics."""

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus's text format."""


class HealthServer:
    """The server. Use it as an async context manager.

    Args:
        listen: `host:port` (`[::1]:9464` for IPv6); port 0 takes a free one.
        metrics: The source of /metrics.
        live: Liveness; False makes Kubernetes restart the process. Never depends on the broker.
        ready: Readiness; False makes a rollout wait.
        life: Seconds after which a connection is closed.
        setting: The name of the setting that `listen` comes from, for errors.
        lanes: The source of `/lanes` and `/lanes?subscription=ID`, called for each request; None: there is none.

    Raises:
        ConfigurationError: `listen` is not an address, or (on entering) cannot be listened on.
    """

    def __init__(
        self,
        listen: str,
        metrics: Exposition,
        live: Check,
        ready: Check,
        *,
        life: float = _LIFE_SECONDS,
        setting: str = "worker.listen",
        lanes: Lanes | None = None,
    ) -> None:
        self._setting = setting
        self._life = life
        self._listen = listen
        try:
            self._host, self._port = host_and_port(listen, bare=True)
        except ValueError:
            raise ConfigurationError(f"{setting} {listen!r} is not host:port") from None
        self._metrics = metrics
        app = web.Application(client_max_size=1024)
        app.router.add_get("/metrics", self._show_metrics)
        app.router.add_get("/healthz", _answering(live))
        app.router.add_get("/readyz", _answering(ready))
        if lanes is not None:
            app.router.add_get("/lanes", _showing(lanes))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CLOSING_SECONDS)
        self._server: asyncio.Server | None = None
        self.connections = OpenConnections(_MAX_CONNECTIONS)
        """The open ones."""

    @property
    def address(self) -> str:
        """The actual `host:port`, once it listens."""
        if self._server is None:
            raise ConfigurationError("the health server does not listen yet")
        host, port, *_ = self._server.sockets[0].getsockname()
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def __aenter__(self) -> Self:
        """Listen."""
        await self._runner.setup()
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._connection, self._host, self._port, reuse_address=True, backlog=_BACKLOG
            )
        except OSError as error:
            await self._runner.cleanup()
            raise ConfigurationError(
                f"{self._setting} {self._listen!r} cannot be listened on: {error.strerror}"
            ) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening, and close every connection."""
        if self._server is not None:
            self._server.close()
        for connection in self.connections:
            connection.end()
        await self._runner.cleanup()

    def _connection(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        serve = self._runner.server
        if serve is None:
            raise ConfigurationError("the health server is closed")
        return _Bounded(serve, self.connections, self._life)

    async def _show_metrics(self, _: web.Request) -> web.Response:
        body = self._metrics.exposition()
        return web.Response(body=body, headers={"Content-Type": _EXPOSITION_TYPE})


class _Bounded(web.RequestHandler):
    """One connection, closed a few seconds after it was made, whatever its state.

    Incomplete, endless and repeated requests thus cannot keep a descriptor for longer.
    """

    __slots__ = ("_connections", "_life", "_timer")

    is_idle = True
    """At the limit the oldest is closed, whatever its state: a new probe matters more."""

    def __init__(
        self,
        server: web.Server,
        connections: OpenConnections,
        life: float,
    ) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # no log
            # No page takes a body: inflating one that comes anyway would block the worker's loop.
            auto_decompress=False,
        )
        self._connections = connections
        self._life = life
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start, and schedule the close; at the limit the oldest connection is closed."""
        self._connections.add(self, "")
        super().connection_made(transport)
        self._timer = asyncio.get_running_loop().call_later(self._life, self.end)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self._forget()
        super().connection_lost(exc)

    def end(self) -> None:
        """Close at once and discard unwritten data."""
        self._forget()
        if self.transport is not None:
            self.transport.abort()

    def _forget(self) -> None:
        self._connections.remove(self)
        if self._timer is not None:
            self._timer.cancel()


def _answering(check: Check) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_: web.Request) -> web.StreamResponse:
        well, facts = check()
        body = orjson.dumps({"status": "ok" if well else "failing", **facts}, default=str)
        return web.Response(
            body=body, status=200 if well else 503, content_type="application/json"
        )

    return answer


def _showing(lanes: Lanes) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        asked = request.query.getall("subscription", [])
        if len(asked) > 1 or not all(0 < len(each) <= _LONGEST_ID for each in asked):
            raise web.HTTPBadRequest(
                text=f"/lanes?subscription=ID takes one id of 1 to {_LONGEST_ID} characters"
            )
        said = lanes(asked[0] if asked else None)
        return web.Response(body=said, content_type="application/json")

    return answer
