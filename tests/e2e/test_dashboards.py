"""A real Prometheus that scrapes a real worker and console answers every query of the dashboards and alerts."""

import asyncio
import json
import math
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import pytest
import yaml
from examples.demo.free_ports import free_port
from tests.conftest import ROOT
from tests.e2e.consoles import Console
from tests.e2e.world import World, until_accepted

pytestmark = pytest.mark.timeout(400)

DEPLOYED = ROOT / "deploy"
RULES = DEPLOYED / "prometheus" / "hookstream.rules.yml"
PATIENCE = 150.0
_PAUSE = 0.5


def installed(name: str) -> str:
    """Return the path of a program of Debian's package prometheus."""
    found = shutil.which(name)
    assert found is not None, f"{name} is missing: run `make prometheus`"
    return found


def configured(folder: Path, targets: Sequence[str]) -> Path:
    """Write settings for Prometheus: each second it asks its targets, and evaluates the alerts."""
    folder.mkdir()
    config = folder / "prometheus.yml"
    config.write_text(
        yaml.safe_dump(
            {
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": [str(RULES)],
                "scrape_configs": [
                    {
                        "job_name": "hookstream",
                        "static_configs": [{"targets": [*targets]}],
                    }
                ],
            }
        )
    )
    return config


@asynccontextmanager
async def prometheus(folder: Path, *targets: str) -> AsyncIterator[str]:
    """Run Prometheus on the metrics of processes; yield its address."""
    config, port = configured(folder, targets), free_port()
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            installed("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            stdout=log,
            stderr=log,
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def a_console(world: World) -> AsyncIterator[str]:
    """Run a console; yield the address of its metrics."""
    console = Console(world, "console")
    try:
        await console.start()
        yield urlsplit(console.health).netloc
        assert await console.stop() == 0
    finally:
        await console.kill()


async def ask(session: aiohttp.ClientSession, address: str, path: str) -> Any:  # noqa: ANN401
    """Return what Prometheus answers; None: it does not answer yet."""
    try:
        async with session.get(address + path) as response:
            document = await response.json()
    except (aiohttp.ClientError, TimeoutError):
        return None
    assert document["status"] == "success", document
    return document["data"]


async def numbers(session: aiohttp.ClientSession, address: str, query: str) -> list[float]:
    """Return the numbers that a query has now."""
    data = await ask(session, address, f"/api/v1/query?query={quote(query, safe='')}")
    values = [float(each["value"][1]) for each in data["result"]] if data else []
    return [value for value in values if not math.isnan(value)]


def queries() -> dict[tuple[str, str], str]:
    """Return the query of each panel's line."""
    return {
        (f"{board['title']}/{panel['title']}", target["refId"]): target["expr"].replace(
            "$subscription", "mis"
        )
        for file in sorted((DEPLOYED / "grafana").glob("*.json"))
        for board in [json.loads(file.read_text("utf-8"))]
        for panel in board["panels"]
        for target in panel["targets"]
    }


async def until_each_has_data(world: World, session: aiohttp.ClientSession, address: str) -> None:
    """Publish an event now and then, until each query of the dashboards has a number."""
    wanted = queries()
    assert len(wanted) > 30
    try:
        async with asyncio.timeout(PATIENCE):
            while wanted:
                for at, query in list(wanted.items()):
                    if await numbers(session, address, query):
                        del wanted[at]
                # Few: a world has a bounded number of events.
                await world.publish(1)
                await asyncio.sleep(1)
    except TimeoutError:
        pytest.fail(f"no data after {PATIENCE:.0f} s: {sorted(wanted)}")


async def test_every_panel_of_the_dashboards_returns_data(world: World, tmp_path: Path) -> None:
    crm = await world.subscribe("crm", schedule="[1s, 1s, 1s, 1s, 1s]")
    mis = await world.subscribe("mis", schedule="[]")
    shop = await world.subscribe("shop", schedule="[1s, 1s, 1s, 1s, 1s]")
    answers = iter(range(1_000_000))

    async def now_and_then(_: object, __: int) -> int:
        # Some arrive, and some are dead-lettered.
        return 500 if next(answers) % 3 == 0 else 204

    async def never(_: object, __: int) -> int:
        # Its circuit breaker opens, and what follows is deferred.
        return 500

    mis.answer(now_and_then)
    shop.answer(never)
    await world.stage.start_worker()
    worker = f"127.0.0.1:{world.stage.port}"
    async with (
        a_console(world) as console,
        prometheus(tmp_path / "prometheus", worker, console) as address,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
    ):
        async with asyncio.timeout(PATIENCE):
            while True:
                if await numbers(session, address, "hookstream_info"):
                    break
                await asyncio.sleep(_PAUSE)
        # What is counted after the first scrape increases.
        await until_accepted(crm, await world.publish(20), PATIENCE)
        await until_each_has_data(world, session, address)
        groups = (await ask(session, address, "/api/v1/rules"))["groups"]

    health = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
    assert len(health) == len(yaml.safe_load(RULES.read_text("utf-8"))["groups"][0]["rules"])
    assert set(health.values()) <= {"ok", "unknown"}


def promtool(folder: Path, *command: str) -> None:
    """Run Debian's promtool in a folder; it must find nothing wrong."""
    done = subprocess.run(  # noqa: S603  Debian's promtool
        [installed("promtool"), *command],
        cwd=folder,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


def test_the_alerts_fire_as_their_own_tests_say() -> None:
    tests = RULES.with_suffix(".test.yml")
    promtool(tests.parent, "test", "rules", tests.name)


def test_prometheus_reads_the_settings_that_it_has_in_containers(tmp_path: Path) -> None:
    # The container has both in one folder: tests/architecture/test_compose.py.
    for file in (DEPLOYED / "compose" / "prometheus.yml", RULES):
        shutil.copy(file, tmp_path)
    promtool(tmp_path, "check", "config", "prometheus.yml")
