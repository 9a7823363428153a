"""CPU per request of the HTTP sender beside aiohttp's `ClientSession`: same sink, same bytes.

    python benchmarks/sender.py http://127.0.0.1:18099/hook [requests] [in flight]

The sink is any server that answers 204; both are measured in one run, alternately, on uvloop.
"""

import asyncio
import resource
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp
import uvloop

from hookstream.adapters.http.sender import HttpSender
from hookstream.core.model.outcome import Response
from hookstream.pipeline.ports import Post

BODY = b'{"x":"' + b"y" * 1016 + b'"}'
HEADERS = [
    ("webhook-id", "msg_p5jxn8aqm9lwm0d4lokwxjekab"),
    ("webhook-timestamp", "1614265330"),
    ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ("content-type", "application/json"),
    ("user-agent", "hookstream/0.1.0"),
    ("hookstream-attempt", "1"),
    ("hookstream-trigger", "initial"),
]


def cpu_seconds() -> float:
    """Return this process's CPU time so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def measure(
    name: str, requests: int, at_once: int, one: Callable[[], Awaitable[None]]
) -> None:
    """Make requests, `at_once` in flight, and print what they cost."""
    rest = iter(range(requests))

    async def worker() -> None:
        for _ in rest:
            await one()

    cpu, wall = cpu_seconds(), time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(at_once):
            tasks.create_task(worker())
    cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
    print(f"{name:14} {requests / wall:8.0f}/s  {cpu / requests * 1e6:6.1f} us CPU a request")


async def compare(url: str, requests: int, at_once: int) -> None:
    """Measure both, three times."""
    post = Post("sub-1", url, HEADERS, BODY, 15_000)
    session = aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=15),
        auto_decompress=False,
    )

    async with session, HttpSender(lambda _: None) as sender:

        async def lean() -> None:
            answer = await sender.send(post)
            if not isinstance(answer, Response):
                raise SystemExit(f"the sink did not answer: {answer}")

        async def plain() -> None:
            async with session.post(
                url, data=BODY, headers=HEADERS, allow_redirects=False
            ) as response:
                await response.read()

        for _ in range(3):
            await measure("ClientSession", requests, at_once, plain)
            await measure("HttpSender", requests, at_once, lean)


if __name__ == "__main__":
    url, requests, at_once = [*sys.argv[1:], *["", "20000", "64"][len(sys.argv) - 1 :]]
    uvloop.run(compare(url, int(requests), int(at_once)))
