"""A worker that was frozen applies the changes made meanwhile, not what it had in memory."""

import asyncio
import os
import signal
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from tests.doubles.certificates import certificate
from tests.e2e.unseen import GOING_ON, STOPPED, stop_three, subscribed
from tests.e2e.world import World, until

pytestmark = pytest.mark.timeout(300)

WITHIN_ONE_CALL = 2
"""Requests that may have been between the check and the socket when the process was frozen."""


async def test_what_was_held_while_a_worker_was_frozen_is_not_sent(world: World) -> None:
    """A deletion, a hold and a narrower grant, with a queue in each lane; the fourth continues."""
    slow = await subscribed(world)
    await world.stage.start_worker()
    await world.publish(60)
    await until(
        lambda: all(len(each.came) >= 4 for each in slow.values()),
        60,
        lambda: {name: len(each.came) for name, each in slow.items()},
    )
    assert world.stage.worker is not None
    pid = world.stage.worker.pid

    os.kill(pid, signal.SIGSTOP)
    try:
        await stop_three(world)
        await asyncio.sleep(3)
    finally:
        thawed = time.monotonic()
        os.kill(pid, signal.SIGCONT)

    await until(
        lambda: len(set(world.partners[GOING_ON].accepted)) == 60, 60, lambda: "not all arrived"
    )
    await asyncio.sleep(2)
    after = {name: sum(at > thawed for at in slow[name].came) for name in STOPPED}
    assert all(count <= WITHIN_ONE_CALL for count in after.values()), after


class HeldHandshakes:
    """An https endpoint that takes connections at once, and shakes hands only when it may."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.begun = 0
        self.requests = 0
        self.may = asyncio.Event()
        self._context = context

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Serve, and give the URL."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)  # noqa: FBT003
            async with asyncio.TaskGroup() as tasks:
                serving = tasks.create_task(self._serve(listener, tasks))
                yield f"https://127.0.0.1:{listener.getsockname()[1]}/hook"
                serving.cancel()

    async def _serve(self, listener: socket.socket, tasks: asyncio.TaskGroup) -> None:
        while True:
            connection, _ = await asyncio.get_running_loop().sock_accept(listener)
            self.begun += 1
            tasks.create_task(self._answer(connection))

    async def _answer(self, connection: socket.socket) -> None:
        await self.may.wait()
        loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, connection, ssl=self._context
            )
        except OSError:
            # The worker closed the connection.
            return
        try:
            if await reader.read(1):
                self.requests += 1
                transport.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        finally:
            transport.close()


async def test_a_freeze_within_the_handshake_sends_nothing_that_was_held_meanwhile(
    world: World, tmp_path: Path
) -> None:
    """Eligibility is checked after the handshake: an earlier check does not count."""
    context, pem = certificate(tmp_path, "127.0.0.1", days=36_500)
    world.stage.environ["SSL_CERT_FILE"] = str(pem)
    world.stage.environ["HOOKSTREAM_EGRESS__CONNECT_TIMEOUT"] = "60s"
    await subscribed(world)
    endpoints = {name: HeldHandshakes(context) for name in (*STOPPED, GOING_ON)}
    async with AsyncExitStack() as stack:
        for name, endpoint in endpoints.items():
            file = world.stage.folder / "definitions" / "subscriptions" / f"{name}.yaml"
            url = await stack.enter_async_context(endpoint.running())
            text = file.read_text().replace("timeout: 5s", "timeout: 60s")
            file.write_text(text.replace(world.partners[name].receiver.url, url))
        await world.stage.hookstream("apply", str(world.stage.folder / "definitions"), "--yes")
        await world.stage.start_worker()
        await world.publish(1)
        await until(
            lambda: all(each.begun for each in endpoints.values()),
            60,
            lambda: {name: each.begun for name, each in endpoints.items()},
        )
        assert world.stage.worker is not None
        pid = world.stage.worker.pid

        os.kill(pid, signal.SIGSTOP)
        try:
            await stop_three(world)
            await asyncio.sleep(2)
            for endpoint in endpoints.values():
                endpoint.may.set()
        finally:
            os.kill(pid, signal.SIGCONT)

        await until(lambda: endpoints[GOING_ON].requests == 1, 60, lambda: "it did not arrive")
        await asyncio.sleep(2)
        assert {name: endpoints[name].requests for name in STOPPED} == dict.fromkeys(STOPPED, 0)
        await world.stage.stop_worker()
