"""The worker's own pages, over a real socket."""

import asyncio
import contextlib
import gzip
import json
import os
import resource
import socket
import sys
import zlib
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest
import uvloop
from tests.conftest import ROOT
from tests.doubles.lanes import CALM
from tests.doubles.raw_server import hang, response, say
from tests.doubles.raw_server import server as raw_server
from tests.integration.http.sending import anywhere, post

from hookstream.adapters.http.sender import HttpSender
from hookstream.adapters.telemetry.asked_workers import WorkerLane, asked_workers
from hookstream.adapters.telemetry.health_server import HealthServer
from hookstream.adapters.telemetry.lane_reports import lane_report, read_lane_report
from hookstream.core.model.outcome import Withheld
from hookstream.errors import ConfigurationError


class SomeMetrics:
    def exposition(self) -> bytes:
        return b"hookstream_lag_seconds 1.5\n"


def well() -> tuple[bool, Mapping[str, object]]:
    return True, {"partitions": 3}


def not_well() -> tuple[bool, Mapping[str, object]]:
    return False, {"tables_current": False}


async def get(server: HealthServer, path: str) -> tuple[int, str, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{server.address}{path}") as response,
    ):
        return response.status, response.headers["content-type"], await response.text()


async def test_metrics_come_in_prometheuss_format() -> None:
    async with HealthServer("127.0.0.1:0", SomeMetrics(), well, well) as server:
        assert await get(server, "/metrics") == (
            200,
            "text/plain; version=0.0.4; charset=utf-8",
            "hookstream_lag_seconds 1.5\n",
        )


async def test_checks_answer_by_status_with_the_facts_beside() -> None:
    async with HealthServer("127.0.0.1:0", SomeMetrics(), well, not_well) as server:
        live, ready = await get(server, "/healthz"), await get(server, "/readyz")
    assert (live[0], json.loads(live[2])) == (200, {"status": "ok", "partitions": 3})
    assert (ready[0], json.loads(ready[2])) == (
        503,
        {"status": "failing", "tables_current": False},
    )


async def test_port_zero_takes_a_free_port_and_prints_it() -> None:
    async with HealthServer("127.0.0.1:0", SomeMetrics(), well, well) as server:
        host, _, port = server.address.partition(":")
    assert host == "127.0.0.1"
    assert int(port) > 0


async def test_nothing_else_is_served() -> None:
    async with HealthServer("127.0.0.1:0", SomeMetrics(), well, well) as server:
        assert (await get(server, "/"))[0] == 404


async def test_a_port_that_is_taken_is_a_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigurationError, match=rf"worker\.listen '{listen}'"):
            async with HealthServer(listen, SomeMetrics(), well, well):
                pass


@pytest.mark.parametrize(
    "listen", ["9464", ":9464", "localhost", "localhost:x", "localhost:70000"]
)
def test_an_invalid_address_is_refused(listen: str) -> None:
    with pytest.raises(ConfigurationError, match=r"worker\.listen"):
        HealthServer(listen, SomeMetrics(), well, well)


async def test_half_sent_requests_do_not_keep_a_probe_from_its_answer() -> None:
    async with HealthServer("127.0.0.1:0", SomeMetrics(), well, well) as server:
        host, _, port = server.address.rpartition(":")
        half_sent = []
        try:
            for _ in range(300):
                connection = socket.create_connection((host, int(port)))
                connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
                half_sent.append(connection)
                await asyncio.sleep(0)
            status, _, text = await get(server, "/healthz")
            assert (status, json.loads(text)["status"]) == (200, "ok")
            assert len(server.connections) <= 64
        finally:
            for connection in half_sent:
                connection.close()


FILES = 256
"""Descriptors of the process that is attacked; a worker leaves its connections half of so few."""


async def test_a_process_of_256_descriptors_answers_a_probe_under_300_half_sent_requests() -> None:
    """While its attempts use every connection that they may have."""
    code = (
        "import sys; from tests.integration.http.test_health_server import serve_few;"
        " serve_few(sys.argv[1])"
    )
    async with raw_server(hang) as endpoint:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code, endpoint.url),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        half_sent = []
        try:
            async with asyncio.timeout(60):
                address = (await process.stdout.readline()).decode().strip()
                host, _, port = address.rpartition(":")
                for _ in range(300):
                    connection = socket.create_connection((host, int(port)), timeout=5)
                    half_sent.append(connection)
                    with contextlib.suppress(ConnectionError):
                        connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
                async with aiohttp.ClientSession() as session:
                    for _ in range(20):
                        async with session.get(f"http://{address}/healthz") as response:
                            assert response.status == 200
                process.stdin.close()
                failed = await process.stdout.read()
                assert await process.wait() == 0
            assert failed == b"0 attempts failed"
        finally:
            for connection in half_sent:
                connection.close()
            if process.returncode is None:
                process.kill()
                await process.wait()


def serve_few(url: str) -> None:
    """Be the process that is attacked, on the loop that workers run on."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve_few(url))


async def _serve_few(url: str) -> None:
    """Serve while more attempts are in flight than fit, until standard input ends."""
    async with (
        HealthServer("127.0.0.1:0", SomeMetrics(), well, well) as health,
        HttpSender(anywhere, max_connections=FILES // 2) as sender,
        asyncio.TaskGroup() as tasks,
    ):
        # An attempt that is withheld ends here; a lane would start it again.
        attempts = [tasks.create_task(sender.send(post(url, timeout=60_000))) for _ in range(300)]
        while sender.connections < FILES // 2:  # noqa: ASYNC110  a count does not notify
            await asyncio.sleep(0.01)
        sys.stdout.write(f"{health.address}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
        ended = [each.result() for each in attempts if each.done()]
        failed = [each for each in ended if not isinstance(each, Withheld)]
        sys.stdout.write(f"{len(failed)} attempts failed")
        sys.stdout.flush()
        for each in attempts:
            each.cancel()


async def test_what_a_request_has_compressed_is_dropped_and_never_inflated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """400 KB become 400 MB: meanwhile the worker's loop would attempt nothing."""
    inflated: list[object] = []
    inflate = zlib.decompressobj

    def counted(*given: Any, **named: Any) -> Any:  # noqa: ANN401  as zlib takes and gives them
        inflated.append(given)
        return inflate(*given, **named)

    monkeypatch.setattr(zlib, "decompressobj", counted)
    body = gzip.compress(bytes(8 << 20))
    head = (
        "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Encoding: gzip\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    async with (
        HealthServer("127.0.0.1:0", SomeMetrics(), well, well) as server,
        asyncio.timeout(60),
    ):
        host, _, port = server.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(head.encode() + body)
        assert (await reader.readline()).split()[1] == b"200"
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
    assert inflated == []


async def test_a_connection_is_closed_a_few_seconds_after_it_was_opened() -> None:
    async with HealthServer("127.0.0.1:0", SomeMetrics(), well, well, life=0.2) as server:
        host, _, port = server.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /healthz HTTP/1.1\r\n")
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        assert len(server.connections) == 0
        writer.close()


async def test_a_worker_is_asked_for_one_lane_and_says_nothing_where_nobody_does() -> None:
    asked: list[str | None] = []

    def lanes(subscription_id: str | None) -> bytes:
        asked.append(subscription_id)
        return lane_report("worker-1", CALM)

    async with (
        HealthServer("127.0.0.1:0", SomeMetrics(), well, well, lanes=lanes) as worker,
        HealthServer("127.0.0.1:0", SomeMetrics(), well, well) as console,
    ):
        assert (await get(worker, "/metrics"))[0] == 200
        assert asked == []
        refused = [
            (await get(worker, path))[0]
            for path in (
                "/lanes?subscription=",
                "/lanes?subscription=a&subscription=b",
                "/lanes?subscription=" + 201 * "a",
            )
        ]
        assert (refused, asked) == ([400] * 3, [])
        status, kind, text = await get(worker, "/lanes?subscription=a%26b%0a")
        assert (status, kind, asked) == (200, "application/json", ["a&b\n"])
        assert read_lane_report(text.encode()) == ("worker-1", CALM)
        # Without an id it is asked for those that need a look.
        assert (await get(worker, "/lanes"))[0] == 200
        assert asked == ["a&b\n", None]
        assert (await get(console, "/lanes?subscription=a"))[0] == 404


async def test_a_console_takes_the_lanes_of_workers_and_names_whoever_is_none() -> None:
    def lanes(subscription_id: str | None) -> bytes:
        return lane_report(f"of {subscription_id}", CALM)

    endless = say(b"HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n", b"x" * 200_000)
    packed = response(200, "Content-Encoding: gzip", body=gzip.compress(b" " * 1_000_000))
    async with (
        HealthServer("127.0.0.1:0", SomeMetrics(), well, well, lanes=lanes) as worker,
        HealthServer("127.0.0.1:0", SomeMetrics(), well, well) as older,
        raw_server(endless) as large,
        raw_server(packed) as compressed,
        raw_server(response(302, f"Location: http://{worker.address}/lanes")) as elsewhere,
    ):
        named = [worker.address, older.address]
        named += [f"127.0.0.1:{each.port}" for each in (large, compressed, elsewhere)]
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            named.append(f"127.0.0.1:{nobody.getsockname()[1]}")
            async with asked_workers(named, seconds=50.0) as asked:
                found = await asked.lanes("c&rm")
    assert found[0] == WorkerLane(named[0], "of c&rm", CALM)
    assert [each.address for each in found] == named
    expected = ["404", "more than 65536 bytes", "gave no answer", "answered 302", "gave no answer"]
    for words, each in zip(expected, found[1:], strict=True):
        assert words in each.problem
