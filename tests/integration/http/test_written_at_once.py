"""A request is at the socket when the call that checked its permission returns."""

import asyncio
import socket
from typing import Any

import pytest
import uvloop

from hookstream.adapters.http.connection import Connection
from hookstream.adapters.http.deadlines import Deadlines

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.mark.parametrize("name", LOOPS)
def test_a_request_does_not_wait_in_the_process_for_the_end_of_the_turn(name: str) -> None:
    """A worker that is frozen at this instant must not send more when it continues."""

    async def seen_at_once() -> bytes:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            transport, _ = await loop.create_connection(asyncio.Protocol, *listener.getsockname())
            partner, _ = listener.accept()
            deadlines = Deadlines(loop)
            wire = Connection(loop, deadlines, 1_000)
            wire.take_over(transport)
            exchange: Any = wire.exchange(b"POST / HTTP/1.1\r\n\r\n", loop.time() + 5)
            exchange.send(None)  # up to its first wait, and not a turn of the loop further
            partner.settimeout(1)
            try:
                return partner.recv(100)
            except TimeoutError:
                return b""
            finally:
                exchange.close()
                partner.close()
                wire.abort()
                deadlines.close()

    loop = LOOPS[name]()
    try:
        assert loop.run_until_complete(seen_at_once()).startswith(b"POST")
    finally:
        loop.close()
