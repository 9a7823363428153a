"""The storm in short: each kind of fault once under a steady load, counted at the endpoints."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from tests.conftest import ROOT
from tests.real_broker import scratch

pytestmark = pytest.mark.timeout(420)

DELIVERIES = 20_000


async def test_whatever_is_killed_nothing_is_lost_and_every_copy_is_explained(
    tmp_path: Path,
) -> None:
    """In its own process, as in `make chaos`: it ends all that it starts."""
    figures = tmp_path / "figures.json"
    folder = scratch()
    environ = dict(os.environ) if folder is None else os.environ | {"TMPDIR": str(folder)}
    storm = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chaos", "--deliveries", str(DELIVERIES), "--rate", "400"),
        *("--seconds", "150", "--json", str(figures)),
        cwd=ROOT,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await storm.communicate()
    finally:
        if storm.returncode is None:
            storm.terminate()
            await storm.wait()

    assert storm.returncode == 0, said.decode()
    counted = json.loads(figures.read_text())
    assert counted["expected"] == counted["received"] + counted["dead_expected"]
    assert {fault["kind"] for fault in counted["faults"]} == {
        "kill",
        "kill-all",
        "restart",
        "broker",
        "broker-and-worker",
    }
