"""A worker that has too few file descriptors charges no endpoint for it, and answers its probes."""

import asyncio
import resource
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ROOT
from tests.e2e.world import Partner, World, until, until_accepted

pytestmark = pytest.mark.timeout(300)

DESCRIPTORS = 256
HALF_SENT = 300
EVENTS = 100
MANY = "limits:\n  max_in_flight: 200\n"


async def slowly(body: dict[str, Any], before: int) -> int:
    """Answer after a while, so that connections stay open."""
    del body, before
    await asyncio.sleep(0.3)
    return 204


async def healthy(world: World) -> bool:
    """Probe as a supervisor does, which ends a worker that does not answer within seconds."""
    async with asyncio.timeout(3):
        return " 200 " in (await world.stage.ask_worker("/healthz")).split("\r\n", 1)[0]


def nothing_was_charged(world: World, partners: list[Partner]) -> None:
    """Each delivery arrived once, with the first attempt, and the worker logged no failed one."""
    for partner in partners:
        assert Counter(partner.statuses) == {204: EVENTS}
        assert set(partner.accepted.values()) == {1}
    log = world.stage.log.read_bytes()
    assert b'"event":"attempt"' not in log
    assert b'"breaker.opened"' not in log


async def subscribed(world: World) -> list[Partner]:
    """Give four partners endpoints that keep many connections open."""
    partners = [await world.subscribe(f"crm-{number}", more=MANY) for number in range(4)]
    for partner in partners:
        partner.answer(slowly)
    return partners


async def test_half_sent_requests_to_the_health_port_cost_no_delivery_and_no_probe(
    world: World,
) -> None:
    partners = await subscribed(world)
    world.stage.environ |= {
        "MACHINE_DESCRIPTORS": str(DESCRIPTORS),
        "PYTHONPATH": str(ROOT / "tests" / "e2e" / "machine"),
    }
    await world.stage.start_worker()
    half: list[asyncio.StreamWriter] = []
    try:
        for _ in range(HALF_SENT):
            _, writer = await asyncio.open_connection("127.0.0.1", world.stage.port)
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: worker\r\n")
            half.append(writer)
        sent = await world.publish(EVENTS)
        probes = [await healthy(world) for _ in range(10)]
        for partner in partners:
            await until_accepted(partner, sent, 60)
    finally:
        for writer in half:
            writer.close()

    assert probes == [True] * 10
    nothing_was_charged(world, partners)


async def test_what_comes_while_no_descriptor_is_left_waits_and_is_sent_once(
    world: World,
) -> None:
    """The limit is lowered under a running worker to what it has open: no connection can be made."""
    partners = await subscribed(world)
    await world.stage.start_worker()
    assert world.stage.worker is not None
    pid = world.stage.worker.pid
    _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest(pid) + 1, most))
    sent = await world.publish(EVENTS)
    await until(
        lambda: b'"egress.short"' in world.stage.log.read_bytes(),
        60,
        lambda: world.stage.log.read_text()[-2000:],
    )
    await asyncio.sleep(3)
    came = [len(partner.statuses) for partner in partners]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, most))
    for partner in partners:
        await until_accepted(partner, sent, 60)

    assert max(came) < EVENTS
    nothing_was_charged(world, partners)
    assert await world.read("dead-letters") == []
    deferred = await world.read("retry.0s", "retry.1s", "retry.2s", "retry.5s")
    # On a busy machine a lane gets full meanwhile and defers, which costs no attempt.
    assert {each.headers["hs-attempt"] for each in deferred} <= {"0"}


def highest(pid: int) -> int:
    """Return the number of the highest descriptor that a process has open."""
    return max(int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir())
