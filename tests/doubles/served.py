"""Whatever answers requests, on a real socket, on a thread of its own."""

import asyncio
import threading

from aiohttp import web

from hookstream.entry.api.transport import Answering, api_server


class Served:
    """A server on loopback.

    Args:
        answering: Answers its requests.
    """

    def __init__(self, answering: Answering) -> None:
        self.url = ""
        self._answering = answering
        self._loop = asyncio.SelectorEventLoop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(30)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        runner = self._loop.run_until_complete(self._serve())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _serve(self) -> web.ServerRunner:
        runner = web.ServerRunner(api_server(self._answering, ()))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return runner
