"""A worker whose machine's clock is wrong sends nothing and expires nothing, and logs the remedy."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ROOT
from tests.e2e.world import World, until, until_accepted, until_status

pytestmark = pytest.mark.timeout(300)

DAY = 86_400
PENDING = 20


async def refuse(body: dict[str, Any], before: int) -> int:
    """Accept nothing."""
    del body, before
    return 503


def said(log: Path) -> bytes:
    """What a worker has logged so far."""
    return log.read_bytes() if log.exists() else b""


@pytest.mark.parametrize("ahead", [40 * DAY, -40 * DAY])
async def test_a_worker_40_days_off_leaves_what_is_pending_to_one_whose_clock_is_right(
    world: World, ahead: int
) -> None:
    partner = await world.subscribe("crm", schedule="[1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s]")
    partner.answer(refuse)
    await world.stage.start_worker()
    sent = await world.publish(PENDING)
    await until_status(partner, 503, 30)
    await world.stage.stop_worker()
    partner.answer(None)
    before = len(partner.statuses)

    wrong = world.another_worker()
    wrong.environ |= {
        "MACHINE_CLOCK_AHEAD": str(ahead),
        "PYTHONPATH": str(ROOT / "tests" / "e2e" / "machine"),
    }
    async with asyncio.TaskGroup() as tasks:
        starting = tasks.create_task(wrong.start_worker())
        try:
            await until(
                lambda: b'"clock.wrong"' in said(wrong.log), 60, lambda: said(wrong.log)[-2000:]
            )
            await asyncio.sleep(4)
            ready = await wrong.ask_worker("/readyz")
        finally:
            starting.cancel()
            await wrong.kill_worker()

    assert " 503 " in ready.split("\r\n", 1)[0]
    [line, *_] = [
        json.loads(line) for line in said(wrong.log).splitlines() if b'"clock.wrong"' in line
    ]
    assert ("ahead" if ahead > 0 else "behind") in line["detail"]
    assert "set this machine's clock" in line["remedy"]
    assert len(partner.statuses) == before
    assert await world.read("dead-letters") == []
    await world.stage.start_worker()
    await until_accepted(partner, sent, 60)
    assert await world.read("dead-letters") == []
