"""A shortage in the worker is no answer of an endpoint: the attempt is withheld until it is over."""

import asyncio
import os
import resource
import socket
import sys

from aiohttp.abc import AbstractResolver, ResolveResult
from tests.conftest import ROOT
from tests.doubles.raw_server import response, server
from tests.integration.http.sending import anywhere, post

from hookstream.adapters.http.sender import HttpSender
from hookstream.core.model.outcome import Answer, FailureKind, Response, TransportFailure, Withheld
from hookstream.pipeline.ports import Post


async def answered(sender: HttpSender, what: Post) -> Answer:
    """Send until it is no longer withheld, as a lane does."""
    while True:
        answer = await sender.send(what)
        if not isinstance(answer, Withheld):
            return answer


async def is_over(sender: HttpSender) -> None:
    """Read the gauge until it is zero, as Prometheus does."""
    async with asyncio.timeout(5):
        while sender.short_seconds:  # noqa: ASYNC110  a gauge does not notify
            await asyncio.sleep(0.05)


async def test_no_more_connections_are_open_than_there_are_descriptors_for() -> None:
    said: list[str] = []
    async with (
        HttpSender(
            anywhere, max_connections=2, on_shortage=lambda what, _: said.append(what)
        ) as sender,
        server(response(204, "Connection: close", after=0.1)) as running,
        asyncio.TaskGroup() as tasks,
    ):
        sending = [tasks.create_task(answered(sender, post(running.url))) for _ in range(6)]
        async with asyncio.timeout(60):
            answers = [await each for each in sending]
        assert answers == [Response(204)] * 6
        assert said == ["too many open files"]
        assert sender.short_seconds > 0.0
        await is_over(sender)


async def test_a_shortage_that_ends_in_a_refused_connection_is_over() -> None:
    async with HttpSender(anywhere, resolver=Deaf()) as sender, asyncio.timeout(60):
        answer = await answered(sender, post("http://down.example:9/"))
        assert isinstance(answer, TransportFailure)
        assert answer.kind is FailureKind.CONNECT
        await is_over(sender)


async def test_an_attempt_without_descriptors_is_given_back_before_its_timeout() -> None:
    """So that it is signed again, and its wait does not count as the endpoint's latency."""
    async with HttpSender(anywhere, max_connections=0) as sender, asyncio.timeout(2):
        answer = await sender.send(post("http://127.0.0.1:9/", timeout=60_000))
    assert answer == Withheld("no connection can be made: too many open files")


async def test_a_shortage_of_name_servers_closes_no_idle_connection() -> None:
    async with (
        HttpSender(anywhere, resolver=Deaf()) as sender,
        server(response(204)) as running,
        asyncio.timeout(60),
    ):
        assert await sender.send(post(running.url)) == Response(204)
        assert isinstance(await sender.send(post("http://shop.example:9/")), Withheld)
        assert await sender.send(post(running.url)) == Response(204)
        assert running.connections == 1


async def test_an_address_of_a_family_that_the_machine_lacks_is_a_failure() -> None:
    """As with IPv6 off: the system reports the same error as without a free local port."""
    code = (
        "import asyncio; from tests.integration.http.test_shortage import call_an_ipv6_address;"
        " asyncio.run(call_an_ipv6_address())"
    )
    # A network namespace in which IPv6 is off; any user may create one.
    off = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--map-root-user", "--net", "sh", "-c", f'{off} && exec "$@"'),
        *("sh", sys.executable, "-c", code),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()[-2000:]


async def call_an_ipv6_address() -> None:
    """Send where this machine has no address to send from."""
    async with HttpSender(anywhere) as sender, asyncio.timeout(60):
        answer = await sender.send(post("http://[2001:db8::1]/", timeout=1_000))
    assert answer == TransportFailure(FailureKind.CONNECT, "cannot assign requested address"), (
        answer
    )


class Deaf(AbstractResolver):
    """Name servers that refuse twice, and then know every name."""

    def __init__(self) -> None:
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        if self.asked <= 2:
            raise OSError(None, "Could not contact DNS servers")
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=port, family=family, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        """Nothing."""


async def test_an_attempt_waits_while_no_name_server_answers_this_machine() -> None:
    said: list[str] = []
    resolver = Deaf()
    async with (
        HttpSender(
            anywhere, resolver=resolver, on_shortage=lambda what, _: said.append(what)
        ) as sender,
        server(response(204)) as running,
    ):
        url = running.url.replace("127.0.0.1", "shop.example")
        assert await answered(sender, post(url)) == Response(204)
    assert (said, resolver.asked) == (["name servers"], 3)


async def test_a_process_without_descriptors_waits_for_them_and_charges_no_endpoint() -> None:
    """In its own process, whose limit on open files is a few above what it has."""
    # With uvloop a child inherits descriptors of Kafka clients of other tests: they would count.
    code = (
        "import asyncio, os, sys; os.closerange(3, 4096);"
        " from tests.integration.http.test_shortage import starve;"
        " asyncio.run(starve(sys.argv[1]))"
    )
    async with server(response(204, "Connection: close", after=0.5)) as running:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code, running.url),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
    assert process.returncode == 0, said.decode()[-2000:]
    assert len(running.seen) == 13


async def starve(url: str) -> None:
    """Send more at once than there are descriptors for."""
    said: list[tuple[str, str]] = []
    async with HttpSender(anywhere, on_shortage=lambda *both: said.append(both)) as sender:
        await sender.send(post(url))
        opened = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        resource.setrlimit(resource.RLIMIT_NOFILE, (opened + 4, opened + 4))
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            sending = [tasks.create_task(answered(sender, post(url))) for _ in range(12)]
    answers = [each.result() for each in sending]
    assert answers == [Response(204)] * 12, answers
    assert said[0][0] == "too many open files", said
    assert "ulimit" in said[0][1]
