"""How the HTTP sender makes, keeps and refuses connections, over real sockets."""

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from tests.doubles.certificates import certificate
from tests.doubles.collector import left_to_the_collector
from tests.doubles.raw_server import (
    Conversation,
    Play,
    RawServer,
    close,
    response,
    say,
    server,
)
from tests.integration.http.sending import anywhere, post

from hookstream.adapters.http.connection import Connection
from hookstream.adapters.http.sender import HttpSender
from hookstream.core.model.outcome import (
    AddressBlocked,
    Answer,
    FailureKind,
    Response,
    TransportFailure,
    Withheld,
)
from hookstream.pipeline.ports import always_permitted

# Connections.


async def test_a_connection_is_used_again(sender: HttpSender) -> None:
    async with server(response(200, body=b"ok")) as running:
        for _ in range(3):
            assert await sender.send(post(running.url)) == Response(200, excerpt="ok")
    assert [seen.connection for seen in running.seen] == [1, 1, 1]


async def test_an_exchange_over_a_kept_connection_leaves_nothing_to_the_garbage_collector(
    sender: HttpSender,
) -> None:
    async with server(response(204)) as running:
        await sender.send(post(running.url))
        with left_to_the_collector() as left:
            for _ in range(5):
                answer = asyncio.get_running_loop().create_future()
                begun = sender.begin(post(running.url), always_permitted, answer.set_result)
                assert isinstance(begun, Connection)
                assert await answer == Response(204)
    assert left == {}


async def test_a_chunked_response_keeps_the_connection(sender: HttpSender) -> None:
    play = say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    async with server(play) as running:
        for _ in range(2):
            assert await sender.send(post(running.url)) == Response(200, excerpt="ok")
    assert [seen.connection for seen in running.seen] == [1, 1]


NOT_LASTING = {
    "connection: close": response(204, "Connection: close"),
    "HTTP/1.0": say(b"HTTP/1.0 204 No Content\r\n\r\n"),
    "surplus bytes": say(b"HTTP/1.1 204 No Content\r\n\r\nsurplus"),
    "a second to live": response(204, "Keep-Alive: timeout=1"),
}


@pytest.mark.parametrize("play", NOT_LASTING.values(), ids=NOT_LASTING.keys())
async def test_a_connection_that_will_not_last_is_not_kept(sender: HttpSender, play: Play) -> None:
    async with server(play) as running:
        for _ in range(2):
            assert await sender.send(post(running.url)) == Response(204)
    assert [seen.connection for seen in running.seen] == [1, 2]


async def test_bytes_on_an_idle_connection_are_no_answer_to_the_next_request(
    sender: HttpSender,
) -> None:
    """Otherwise one endpoint's late answer would complete a delivery that it never saw."""

    async def answer_twice(conversation: Conversation) -> None:
        await conversation.say(b"HTTP/1.1 204 No Content\r\n\r\n")
        await asyncio.sleep(0.05)
        await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with server(answer_twice, response(500)) as running:
        assert await sender.send(post(running.url)) == Response(204)
        await running.wait_until(lambda each: each.ended == 1)
        assert await sender.send(post(running.url)) == Response(500)


@pytest.mark.case("late-body")
async def test_a_body_that_comes_late_behind_a_204_costs_no_request(sender: HttpSender) -> None:
    async def say_204_and_a_body_later(conversation: Conversation) -> None:
        await conversation.say(b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n")
        await asyncio.sleep(0.003)
        await conversation.say(b"OK")

    async with server(say_204_and_a_body_later) as running:
        for _ in range(60):
            assert await sender.send(post(running.url)) == Response(204)
    assert len(running.seen) == 60


LEFT_BEHIND = {
    "a body that nobody announced": b"OK",
    "half a line": b"HT",
    "an answer that nobody asked for": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("surplus", LEFT_BEHIND.values(), ids=LEFT_BEHIND.keys())
@pytest.mark.parametrize("later", [0.0, 0.002, 0.02])
async def test_what_follows_an_answer_is_not_the_next_answer(
    sender: HttpSender, surplus: bytes, later: float
) -> None:
    """Whether it is there before the next request is written or arrives while that is in flight."""

    async def answer_and_go_on(conversation: Conversation) -> None:
        await conversation.say(b"HTTP/1.1 204 No Content\r\n\r\n")
        await asyncio.sleep(later)
        await conversation.say(surplus)

    async with server(answer_and_go_on, response(500)) as running:
        assert await sender.send(post(running.url)) == Response(204)
        answer = await sender.send(post(running.url))
        if surplus.startswith(b"HTTP/") and later:
            return  # it came after the request's first byte: it looks like an answer
        assert answer == Response(500)
    assert len(running.seen) <= 3


async def test_an_answer_with_a_malformed_start_on_a_new_connection_is_a_failure(
    sender: HttpSender,
) -> None:
    async with server(say(b"OK\r\n\r\n")) as running:
        answer = await sender.send(post(running.url))
    assert isinstance(answer, TransportFailure)
    assert (answer.kind, len(running.seen)) == (FailureKind.PROTOCOL, 1)


@pytest.mark.parametrize("name", [b"RTSP/1.0", b"ICE/1.0", b"\r\nRTSP/1.0"])
async def test_an_answer_of_another_protocol_delivers_nothing(
    sender: HttpSender, name: bytes
) -> None:
    other = say(name + b" 200 OK\r\nContent-Length: 0\r\n\r\n")
    async with server(other, response(204), other, response(500)) as running:
        answer = await sender.send(post(running.url))
        assert isinstance(answer, TransportFailure)
        assert answer.kind is FailureKind.PROTOCOL
        assert await sender.send(post(running.url)) == Response(204)
        assert await sender.send(post(running.url)) == Response(500)


@pytest.mark.parametrize("version", [b"0.9", b"2.0", b"3.0"])
async def test_an_answer_of_a_version_without_status_lines_delivers_nothing(
    sender: HttpSender, version: bytes
) -> None:
    other = say(b"HTTP/" + version + b" 200 OK\r\nContent-Length: 0\r\n\r\n")
    async with server(other, response(204)) as running:
        answer = await sender.send(post(running.url))
        assert isinstance(answer, TransportFailure)
        assert answer.kind is FailureKind.PROTOCOL
        assert await sender.send(post(running.url)) == Response(204)


async def test_an_idle_connection_that_the_server_closed_is_replaced(sender: HttpSender) -> None:
    async def answer_and_close(conversation: Conversation) -> None:
        await conversation.say(b"HTTP/1.1 204 No Content\r\n\r\n")
        conversation.close()

    async with server(answer_and_close, response(200)) as running:
        assert await sender.send(post(running.url)) == Response(204)
        await running.wait_until(lambda each: each.ended == 1)
        assert await sender.send(post(running.url)) == Response(200)


async def test_a_request_that_meets_the_servers_close_is_sent_once_more(
    sender: HttpSender,
) -> None:
    """Servers close idle connections at any moment; such a close must not cost a retry."""
    async with server(response(204), close, response(200)) as running:
        assert await sender.send(post(running.url)) == Response(204)
        assert await sender.send(post(running.url)) == Response(200)
    assert [seen.connection for seen in running.seen] == [1, 1, 2]


async def test_it_is_sent_once_more_and_not_twice(sender: HttpSender) -> None:
    async with server(response(204), close) as running:
        await sender.send(post(running.url))
        answer = await sender.send(post(running.url))
    assert isinstance(answer, TransportFailure)
    assert [seen.connection for seen in running.seen] == [1, 1, 2]


async def test_it_is_not_sent_again_once_a_byte_of_an_answer_came(sender: HttpSender) -> None:
    """The endpoint was processing it: that is a failed attempt, and the schedule decides."""
    async with server(response(204), say(b"HTTP/1.1 5", close=True)) as running:
        await sender.send(post(running.url))
        answer = await sender.send(post(running.url))
    assert isinstance(answer, TransportFailure)
    assert len(running.seen) == 2


async def test_no_more_idle_connections_are_kept_than_allowed() -> None:
    async with HttpSender(anywhere, max_idle=3) as sender, server(response(after=0.05)) as running:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(10):
                tasks.create_task(sender.send(post(running.url)))
        await running.wait_until(lambda each: each.ended == 7)
        assert sender.connections == 3


# Names and addresses.


class Names(AbstractResolver):
    """A resolver that a test fills; aiohttp's own interface."""

    def __init__(self, **addresses: list[str]) -> None:
        self.addresses = addresses
        self.slow = 0.0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del family
        await asyncio.sleep(self.slow)
        label = host.partition(".")[0]
        if label not in self.addresses:
            raise OSError(None, "Domain name not found")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self.addresses[label]
        ]

    async def close(self) -> None:
        pass


def only_loopback_one(address: str) -> str | None:
    return None if address == "127.0.0.1" else f"{address} is private"


async def test_a_host_name_is_allowed_if_any_of_its_addresses_is() -> None:
    """DNS rebinding: what counts is the address that is connected to, at that moment."""
    names = Names(good=["127.0.0.1"], bad=["10.0.0.1", "fd00::1"], mixed=["10.0.0.1", "127.0.0.1"])
    async with (
        HttpSender(only_loopback_one, resolver=names) as sender,
        server(response(204)) as running,
    ):
        at = f".example:{running.port}/hook"
        assert await sender.send(post("http://good" + at)) == Response(204)
        assert await sender.send(post("http://mixed" + at)) == Response(204)
        assert await sender.send(post("http://bad" + at)) == AddressBlocked("10.0.0.1 is private")
    assert len(running.seen) == 2


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.2",
        "[::1]",
        "[::ffff:127.0.0.2]",
        "2130706434",
        "0x7f000002",
        "0177.0.0.2",
        "127.2",
    ],
)
async def test_no_spelling_of_an_address_gets_past(host: str) -> None:
    async with HttpSender(only_loopback_one) as sender:
        answer = await sender.send(post(f"http://{host}:1/hook", timeout=2_000))
    assert isinstance(answer, AddressBlocked | TransportFailure)
    assert "refused" not in answer.detail


async def test_a_forbidden_address_beside_one_that_is_down_is_retried() -> None:
    """Blocked means dead-lettered at once: only if no address could ever be connected to."""
    names = Names(mixed=["10.0.0.1", "127.0.0.1"])
    async with HttpSender(only_loopback_one, resolver=names) as sender:
        answer = await sender.send(post("http://mixed.example:1/hook"))
    assert isinstance(answer, TransportFailure)
    assert answer.kind is FailureKind.CONNECT


async def test_an_unknown_name_is_a_dns_failure() -> None:
    async with HttpSender(anywhere, resolver=Names()) as sender:
        answer = await sender.send(post("https://unknown.example/secret-path"))
    assert answer == TransportFailure(FailureKind.DNS, "Domain name not found")


async def test_a_resolver_that_hangs_costs_the_connect_timeout() -> None:
    names = Names(slow=["127.0.0.1"])
    names.slow = 60.0
    async with HttpSender(anywhere, resolver=names, connect_timeout=0.1) as sender:
        answer = await sender.send(post("https://slow.example/"))
    assert answer == TransportFailure(FailureKind.DNS, "name not resolved within 0.1 s")


async def test_a_host_that_does_not_answer_costs_the_connect_timeout() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        with contextlib.ExitStack() as filled:
            for _ in range(3):
                client = filled.enter_context(socket.socket())
                client.settimeout(0)
                client.connect_ex(deaf.getsockname())
            url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
            async with HttpSender(anywhere, connect_timeout=0.1) as sender:
                answer = await sender.send(post(url))
    assert answer == TransportFailure(FailureKind.TIMEOUT, "not connected within 0.1 s")


# TLS.


async def tls_answer(
    folder: Path, host: str, *, days: int = 36_500, trusted: bool = True
) -> tuple[Answer | Withheld, RawServer]:
    context, pem = certificate(folder, host, days=days)
    tls = ssl.create_default_context(cafile=str(pem)) if trusted else None
    async with (
        server(response(204), tls=context) as running,
        HttpSender(anywhere, tls=tls) as sender,
    ):
        await sender.send(post(running.url))
        return await sender.send(post(running.url)), running


async def test_tls_is_spoken_and_its_connection_used_again(tmp_path: Path) -> None:
    answer, running = await tls_answer(tmp_path, "127.0.0.1")
    assert answer == Response(204)
    assert [seen.connection for seen in running.seen] == [1, 1]


@pytest.mark.parametrize(
    ("host", "days", "trusted", "why"),
    [
        ("127.0.0.1", 36_500, False, "unknown authority (self-signed certificate)"),
        ("127.0.0.1", 1, True, "expired (certificate has expired)"),
        (
            "127.0.0.9",
            36_500,
            True,
            "wrong host (IP address mismatch, certificate is not valid for '127.0.0.1'.)",
        ),
    ],
)
async def test_an_invalid_certificate_is_a_failure_with_its_reason(
    tmp_path: Path,
    host: str,
    days: int,
    trusted: bool,  # noqa: FBT001
    why: str,
) -> None:
    answer, running = await tls_answer(tmp_path, host, days=days, trusted=trusted)
    assert answer == TransportFailure(FailureKind.TLS, f"certificate refused: {why}")
    assert running.seen == []


async def test_https_to_a_server_that_speaks_http_is_a_failure(sender: HttpSender) -> None:
    async with server(say(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as running:
        answer = await sender.send(post(running.url.replace("http:", "https:"), timeout=500))
    assert isinstance(answer, TransportFailure)
    assert answer.kind in {FailureKind.TLS, FailureKind.CONNECT, FailureKind.TIMEOUT}


def test_aiohttp_is_a_release_with_a_socket_factory() -> None:
    """The address check depends on it (`socket_factory`, 3.12); an older release must fail this test."""
    assert tuple(int(part) for part in aiohttp.__version__.split(".")[:2]) >= (3, 14)
