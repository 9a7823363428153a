"""What an operator on call runs first: one screen of everything, the settings, and what is wrong."""

import asyncio
import json
import signal
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)
from tests.conftest import ROOT
from tests.e2e.world import World

from hookstream import __version__
from hookstream.entry.admin.doctor import CHECKS
from hookstream.entry.cli.root import INTERRUPTED

pytestmark = pytest.mark.timeout(400)

PATIENCE = 120.0


async def broken(_: object, __: int) -> int:
    return 500


async def test_status_shows_what_waits_what_fails_and_whose_it_is(world: World) -> None:
    crm = await world.subscribe("crm", schedule="[5s, 5s, 5s, 5s, 5s, 5s, 5s, 5s, 5s]")
    mis = await world.subscribe("mis", schedule="[]")
    crm.answer(broken)
    mis.answer(broken)
    await world.stage.start_worker()
    await world.publish(30)

    def whole(status: dict[str, Any]) -> bool:
        waiting = sum(tier["waiting"] for tier in status["tiers"])
        open_ones = {(each["subscription"], each["partner"]) for each in status["open_breakers"]}
        settled_down = status["partitions"] == [] and status["dead_letters"]
        return bool(waiting and ("crm", "crm") in open_ones and settled_down)

    status: dict[str, Any] = await world.ask("status")
    async with asyncio.timeout(PATIENCE):
        while not whole(status):
            status = await world.ask("status")

    assert status["dead_letters"].keys() == {"attempts_exhausted"}
    [worker] = status["workers"]
    assert (worker["release"], worker["problem"]) == (__version__, "")

    await world.stage.hookstream("hold", "set", "partner", "mis", "--reason", "on call")
    shown = await world.stage.hookstream("status")
    assert "partner mis" in shown
    assert "on call" in shown
    assert "crm (crm)" in shown
    assert "attempts_exhausted" in shown

    log = world.stage.folder / "watched.log"
    with log.open("wb") as file:
        watching = await world.stage.launch(
            "status", "--watch", "--every", "1", "--json", log=file
        )
    async with asyncio.timeout(PATIENCE):
        while len(log.read_bytes().splitlines()) < 3:
            assert watching.returncode is None, log.read_text()
            await asyncio.sleep(0.1)
    watching.send_signal(signal.SIGINT)
    assert await watching.wait() == INTERRUPTED
    first, second, *_ = [json.loads(line) for line in log.read_text().splitlines()[:2]]
    assert first["at"] < second["at"]
    assert first["holds"] == second["holds"] != []

    metrics = await world.stage.ask_worker("/metrics")
    [given_up] = [
        line
        for line in metrics.splitlines()
        if line.startswith("hookstream_subscription_dead_letters_total{")
    ]
    for label in ('subscription="mis"', 'partner="mis"', 'reason="attempts_exhausted"'):
        assert label in given_up


async def test_the_doctor_finds_each_fault_that_was_planted(world: World) -> None:
    await world.subscribe("crm")
    await world.stage.start_worker()
    # Without a fault it ends with exit code 0: one broker without an authorizer is worth a warning.
    code, well = await examined(world)
    async with asyncio.timeout(PATIENCE):
        while code != 0:
            # The worker has not been assigned all partitions yet.
            assert {each["check"] for each in well["findings"]} <= {
                "replication",
                "access",
                "partitions",
            }
            code, well = await examined(world)
    assert {(each["check"], each["level"]) for each in well["findings"]} == {
        ("replication", "warning"),
        ("access", "warning"),
    }
    assert set(well["made"]) == set(CHECKS)
    await world.stage.stop_worker()

    await plant(world)
    at_fault = {
        **world.stage.environ,
        # The interpreter of this command has a clock that is a minute ahead.
        "PYTHONPATH": str(ROOT / "tests" / "e2e" / "machine"),
        "MACHINE_CLOCK_AHEAD": "60",
        "HOOKSTREAM_REGISTRY__MAIN__URLS": "http://127.0.0.1:1",
        "HOOKSTREAM_REGISTRY__MAIN__TOPICS": "foreign.*",
        "HOOKSTREAM_KEYS__RING": json.dumps(
            {"active": "other", "keys": {"other": "A" * 43 + "="}}
        ),
        "HOOKSTREAM_EGRESS__ALLOW": "[]",
    }
    world.stage.environ = at_fault
    code, found = await examined(world, "--worker", "127.0.0.1:1")

    assert code == 1
    problems = {
        each["check"]: each["what"] for each in found["findings"] if each["level"] == "problem"
    }
    assert problems.keys() == {
        "topics",
        "timestamps",
        "retention",
        "clock",
        "keys",
        "tables",
        "registry",
        "partitions",
        "workers",
    }
    assert f"{world.prefix}.undecodable" in problems["topics"]
    assert f"{world.topic}: message.timestamp.type is CreateTime" in problems["timestamps"]
    assert "ahead of the brokers'" in problems["clock"]
    assert "crm" in problems["keys"]
    assert "no worker" in problems["partitions"]
    assert all(each["remedy"] for each in found["findings"])

    del at_fault["HOOKSTREAM_KEYS__RING"]
    _, found = await examined(world, "--only", "endpoints")
    assert [(each["check"], each["level"]) for each in found["findings"]] == 2 * [
        ("endpoints", "problem")
    ]
    assert all("crm" in each["what"] for each in found["findings"])

    world.stage.environ = at_fault | {"HOOKSTREAM_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    code, found = await examined(world)
    assert code == 1
    assert "brokers" in [each["check"] for each in found["findings"]]
    assert "topics" not in found["made"]


async def test_the_settings_in_effect_name_their_sources(world: World) -> None:
    world.stage.environ["HOOKSTREAM_LOG__LEVEL"] = "debug"
    shown = await world.ask("--set", "worker.max_bytes=64MiB", "config", "show")
    found = {each["name"]: (each["value"], each["source"]) for each in shown}
    assert found["log.level"] == ("debug", "HOOKSTREAM_LOG__LEVEL")
    assert found["worker.max_bytes"] == ("64MiB", "on the command line")
    assert found["topics.prefix"] == (
        world.prefix,
        str(world.stage.folder / "hookstream.toml"),
    )


async def examined(world: World, *arguments: str) -> tuple[int | None, dict[str, Any]]:
    """Run the doctor, and return its exit code and what it found."""
    process = await world.stage.launch("doctor", *arguments, "--json")
    out, err = await process.communicate()
    assert out, err.decode()
    found: dict[str, Any] = json.loads(out)
    return process.returncode, found


async def plant(world: World) -> None:
    """Break what can be broken of a cluster."""
    admin = AdminClient({"bootstrap.servers": world.stage.servers, "log_level": 0})
    changes = {
        world.topic: ("message.timestamp.type", "CreateTime"),
        f"{world.prefix}.retry.5s": ("retention.ms", "3600000"),
    }
    wanted = [
        ConfigResource(
            ConfigResource.Type.TOPIC,
            topic,
            incremental_configs=[
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            ],
        )
        for topic, (name, value) in changes.items()
    ]
    for done in admin.incremental_alter_configs(wanted).values():
        await asyncio.to_thread(done.result, 30)
    [gone] = admin.delete_topics([f"{world.prefix}.undecodable"]).values()
    await asyncio.to_thread(gone.result, 30)
    producer = Producer({"bootstrap.servers": world.stage.servers, "log_level": 0})
    producer.produce(f"{world.prefix}.subscriptions", b"no row", b"broken")
    assert await asyncio.to_thread(producer.flush, 30) == 0
