"""Serves /metrics, /healthz and /readyz to whoever runs the worker: Prometheus and Kubernetes."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, Self, TypeAlias

import orjson
from aiohttp import web

from hookstream.errors import ConfigurationError

Check: TypeAlias = Callable[[], tuple[bool, Mapping[str, object]]]
"""Answers whether all is well, with the facts that say so."""

_EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_HIGHEST_PORT = 65_535
_CLOSING_SECONDS = 1.0


class Exposition(Protocol):
    """What /metrics shows."""

    def exposition(self) -> bytes:
        """Return Prometheus's text format."""


class HealthServer:
    """The server. Use it as an async context manager.

    Args:
        listen: `host:port` (`[::1]:9464` for IPv6); port 0 takes a free one.
        metrics: What /metrics shows.
        live: Whether the process turns; False tells Kubernetes to end it. Never asks the broker.
        ready: Whether it does its work; False tells a rollout to wait.

    Raises:
        ConfigurationError: `listen` is no address, or (on entering) cannot be listened on.
    """

    def __init__(self, listen: str, metrics: Exposition, live: Check, ready: Check) -> None:
        self._listen = listen
        self._host, self._port = _host_and_port(listen)
        self._metrics = metrics
        app = web.Application(client_max_size=1024)
        app.router.add_get("/metrics", self._show_metrics)
        app.router.add_get("/healthz", _answering(live))
        app.router.add_get("/readyz", _answering(ready))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CLOSING_SECONDS)

    @property
    def address(self) -> str:
        """`host:port` as it is, once it listens."""
        host, port, *_ = self._runner.addresses[0]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def __aenter__(self) -> Self:
        """Listen."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise ConfigurationError(
                f"worker.listen {self._listen!r} cannot be listened on: {error.strerror}"
            ) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _show_metrics(self, _: web.Request) -> web.Response:
        body = self._metrics.exposition()
        return web.Response(body=body, headers={"Content-Type": _EXPOSITION_TYPE})


def _answering(check: Check) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_: web.Request) -> web.StreamResponse:
        well, facts = check()
        body = orjson.dumps({"status": "ok" if well else "failing", **facts}, default=str)
        return web.Response(
            body=body, status=200 if well else 503, content_type="application/json"
        )

    return answer


def _host_and_port(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit():
        raise ConfigurationError(f"worker.listen {listen!r} is not host:port")
    if int(port) > _HIGHEST_PORT:
        raise ConfigurationError(f"worker.listen {listen!r} names no port up to {_HIGHEST_PORT}")
    return host.removeprefix("[").removesuffix("]"), int(port)
