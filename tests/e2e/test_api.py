"""The API on real Kafka: a partner is onboarded by the script of docs/api.md."""

import asyncio
import os
import re
import sys
import time
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from tests.conftest import ROOT
from tests.e2e.consoles import ANYWHERE, DEADLINE, Console, Endpoint, Received, admin
from tests.e2e.world import World

from hookstream.receiver import verify

pytestmark = pytest.mark.timeout(900)

_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]{20,}")


def script() -> str:
    """Return the script of docs/api.md, all of its blocks together."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    return "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))


async def test_a_partner_is_onboarded_by_the_api_alone(world: World) -> None:
    """With the script of docs/api.md; and no secret of the run is in a log, a topic or a later answer."""
    console, endpoint = Console(world, "console"), Endpoint()
    await endpoint.start()
    world.stage.environ |= ANYWHERE
    try:
        token = await admin(world)
        await asyncio.gather(console.start(), world.stage.start_worker())  # noqa: TID251
        said = await onboarded(world, console, endpoint, token)
        secrets = {*_SECRET.findall(said), token}
        assert len(secrets) >= 2
        [secret] = {*_SECRET.findall(said)}
        sent = next(each for each in endpoint.received if is_resend(each))
        verify(sent.headers, sent.body, [secret], time.time())
        await stopped_under_a_reader(console, token)
        await nowhere(world, console, secrets)
    finally:
        await console.kill()
        await endpoint.stop()


async def onboarded(world: World, console: Console, endpoint: Endpoint, token: str) -> str:
    """Run the script beside a platform that publishes events; return what it printed."""
    environ = {
        **os.environ,
        "API": console.url,
        "TOKEN": token,
        "ENDPOINT": f"{endpoint.url}/hooks",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script(),
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )

    async def publish() -> None:
        while True:
            await world.publish(1)
            await asyncio.sleep(0.5)

    publishing = asyncio.get_running_loop().create_task(publish())
    try:
        async with asyncio.timeout(2 * DEADLINE):
            said, _ = await process.communicate()
    finally:
        publishing.cancel()
        with suppress(asyncio.CancelledError):
            await publishing
        if process.returncode is None:
            process.kill()
    text = said.decode()
    assert process.returncode == 0, (text, console.log.read_text()[-4000:])
    for line in (
        "the test was delivered: True",
        "read: msg_",
        "success rate: 1.0",
        "sent again as",
    ):
        assert line in text, text
    deadline = time.monotonic() + DEADLINE
    while not any(map(is_resend, endpoint.received)):
        assert time.monotonic() < deadline, endpoint.received
        await asyncio.sleep(0.2)
    return text


async def stopped_under_a_reader(console: Console, token: str) -> None:
    """Stop a console from which somebody has just begun to wait for events: it answers, and ends well."""
    listed = await console.done("GET", "/v1/subscriptions", token)
    events = f"/v1/subscriptions/{listed.json['items'][0]['id']}/events?cursor="
    first = await console.done("GET", f"{events}latest", token)
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(console.url).port)
    try:
        asked = f"GET {events}{first.json['cursor']}&wait=30 HTTP/1.1\r\nhost: x\r\n"
        writer.write(f"{asked}authorization: Bearer {token}\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        # It came later, over another connection: so the console has the first one when it answers this.
        await console.done("GET", "/v1/me", token)
        assert await console.stop() == 0
        answer = await reader.read()
    finally:
        writer.close()
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert b'"entries":[]' in answer


def is_resend(received: Received) -> bool:
    return received.headers.get("hookstream-replay", "").startswith("resend-")


async def nowhere(world: World, console: Console, secrets: set[str]) -> None:
    """Look for secrets in the console's and the worker's logs and in every topic of ours."""
    texts = [console.log.read_text(), world.stage.log.read_text()]
    assert "api.request" in texts[0]
    names = ("console", "subscriptions", "partners", "jobs", "operations", "attempts", "health")
    texts += [
        (entry.key + (entry.value or b"")).decode(errors="replace")
        for entry in await world.read(*names)
    ]
    for secret in secrets:
        assert not [text for text in texts if secret in text]
