"""The development receiver, over a real socket."""

import asyncio
import io
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest

from hookstream.adapters.dev.http_receiver import MAX_BODY_BYTES, Received, receive
from hookstream.adapters.system import SystemClock
from hookstream.core.delivery.signing import RequestHeaders, parse_secret
from hookstream.errors import ConfigurationError

pytestmark = pytest.mark.timeout(30)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@asynccontextmanager
async def a_receiver(
    answer: Callable[[Received], int], limit: int | None = None
) -> AsyncIterator[tuple[str, asyncio.Task[None]]]:
    """Run a receiver on a free port; yield its URL and its task."""
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(receive(0, answer, url.set_result, limit))
        yield await url, task
        task.cancel()


async def post(url: str, body: bytes, **headers: str) -> int:
    async with aiohttp.ClientSession() as session:
        answered = await session.post(url, data=io.BytesIO(body), headers=headers)
        return answered.status


async def test_a_request_is_handed_over_unchanged_and_answered_with_the_status() -> None:
    found: list[Received] = []

    def answer(request: Received) -> int:
        found.append(request)
        return 503

    async with a_receiver(answer) as (url, _):
        status = await post(f"{url}a%20b?c=%26", b"\xff\x00", x="y")

    [request] = found
    assert (status, request.method, request.target) == (503, "POST", "/a%20b?c=%26")
    assert (request.body, ("x", "y") in request.headers) == (b"\xff\x00", True)


async def test_a_body_above_the_bound_is_not_read_and_answered_413() -> None:
    found: list[bytes | None] = []

    def answer(request: Received) -> int:
        found.append(request.body)
        return 204

    async with a_receiver(answer) as (url, _):
        status = await post(url, b"x" * (MAX_BODY_BYTES + 1))
    assert (status, found) == (413, [None])


async def test_it_ends_after_the_requested_number_of_answers() -> None:
    async with a_receiver(lambda _: 204, limit=2) as (url, task):
        assert [await post(url, b""), await post(url, b"")] == [204, 204]
        await task


async def test_what_the_answer_raises_ends_the_receiver() -> None:
    def answer(_: Received) -> int:
        raise BrokenPipeError("nobody reads")

    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    receiving = asyncio.create_task(receive(0, answer, url.set_result))  # noqa: TID251  it must fail
    status = await post(await url, b"")
    with pytest.raises(BrokenPipeError, match="nobody reads"):
        await receiving
    assert status == 500


async def test_the_dev_receiver_refuses_a_taken_port_with_its_number() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigurationError, match=f"^port {port} cannot be listened on: Address already in use"
        ):
            await receive(port, lambda _: 204, lambda _: None)


async def test_the_command_verifies_a_request_and_ends_on_ctrl_c_with_130() -> None:
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hookstream", "dev", "receiver", "--json", "--secret-env", "S"),
        env={**os.environ, "S": SECRET},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        # A shell without job control ignores SIGINT for what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert command.stdout is not None
    assert command.stderr is not None
    try:
        first = (await command.stderr.readline()).decode()
        url = first.removeprefix("Listening on ").strip()
        headers = signed_now(b"{}")
        assert await post(url, b"{}", **headers) == 204
        line = json.loads(await command.stdout.readline())
        command.send_signal(signal.SIGINT)
        code = await command.wait()
        said = await command.stderr.read()
    finally:
        if command.returncode is None:
            command.kill()
            await command.wait()
    assert (line["verified"], line["status"], line["body"]) == (True, 204, "{}")
    assert (code, said) == (130, b"\nhookstream: interrupted\n")


def signed_now(body: bytes) -> dict[str, str]:
    """Return headers as a worker would send them at this second."""
    now = int(SystemClock().now() / 1_000)
    made = RequestHeaders([parse_secret(SECRET)])
    return dict(made.of("msg_1", now, body, attempt=1, trigger="initial"))
