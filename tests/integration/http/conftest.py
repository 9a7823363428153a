"""The HTTP sender's tests run on both loops: they differ in how they report resets and TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop
from tests.integration.http.sending import anywhere

from hookstream.adapters.http.sender import HttpSender
from hookstream.adapters.http.tls_contexts import machine_context


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Name the loops: the standard library's, and the one that the worker runs on."""
    return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="package")
def machines_authorities() -> ssl.SSLContext:
    """The context that senders make themselves: each takes 24 ms of CPU. No test adds an authority to this one."""
    return machine_context()


@pytest.fixture
async def sender(machines_authorities: ssl.SSLContext) -> AsyncIterator[HttpSender]:
    async with HttpSender(anywhere, tls=machines_authorities, connect_timeout=30) as open_sender:
        yield open_sender
    assert open_sender.connections == 0
