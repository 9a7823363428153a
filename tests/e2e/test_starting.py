"""A worker that could never deliver anything reports that and ends, before it joins a group."""

import asyncio
import json
import signal
import socket
from pathlib import Path

import pytest
from tests.e2e.world import World, refused, until, until_accepted

pytestmark = pytest.mark.timeout(400)


async def test_a_worker_on_a_wrong_prefix_refuses_to_start(world: World) -> None:
    """Nothing would be delivered and nothing would look wrong: an empty table is an error."""
    other = f"{world.prefix}x"
    world.stage.environ["HOOKSTREAM_TOPICS__PREFIX"] = other

    without_topics = await refused(world)
    await world.stage.hookstream("topics", "apply", "--yes")
    with_empty_tables = await refused(world)

    tables = ", ".join(
        f"{other}.{table}" for table in ("schemas", "partners", "subscriptions", "health", "jobs")
    )
    assert without_topics == (
        2,
        f"topics are missing: {tables}. Create them: hookstream topics apply",
    )
    sentence = (
        f"{other}.schemas is empty, so nothing could ever be delivered: check"
        f" topics.prefix ({other!r}), or set tables.allow_empty = true if the table is meant to be empty"
    )
    assert with_empty_tables == (2, sentence)


async def test_a_worker_that_is_refused_once_its_parts_are_open_says_so_in_one_sentence(
    world: World,
) -> None:
    """The exit code is 2, as for any setting that must be changed, and no stack is shown."""
    await world.subscribe("crm")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        world.stage.environ["HOOKSTREAM_WORKER__LISTEN"] = listen
        code, said = await refused(world)
    sentence = f"worker.listen {listen!r} cannot be listened on: "
    assert (code, said.partition(sentence)[:2]) == (2, ("", sentence))


@pytest.mark.parametrize("command", ["worker", "console", "jobs run"])
async def test_a_process_that_is_stopped_while_it_starts_ends_at_once_and_well(
    world: World, tmp_path: Path, command: str
) -> None:
    """Also the first process of a container, for which no signal has a default action."""
    log = tmp_path / "starting.log"
    away = ("--bootstrap-servers", "127.0.0.1:1")
    with log.open("wb") as written:
        starting = await world.stage.launch(*away, *command.split(), log=written)
    await until(lambda: b"brokers.unreachable" in log.read_bytes(), 60, log.read_bytes)

    starting.send_signal(signal.SIGTERM)

    async with asyncio.timeout(60):
        assert await starting.wait() == 0


async def test_all_that_a_worker_writes_is_json_though_the_collector_of_traces_is_away(
    world: World,
) -> None:
    """The exporter tries for ten seconds, and complains each time."""
    world.stage.environ |= {
        "HOOKSTREAM_TRACING__EXPORTER": "otlp",
        "HOOKSTREAM_TRACING__ENDPOINT": "http://127.0.0.1:1",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "4",
    }
    crm = await world.subscribe("crm")
    await world.stage.start_worker()
    await until_accepted(crm, await world.publish(3), 60)

    none_yet = "\nhookstream_spans_lost_total 0.0\n"
    while none_yet in await world.stage.ask_worker("/metrics"):  # noqa: ASYNC110  nothing notifies
        await asyncio.sleep(0.2)
    assert await world.stage.stop_worker() == 0

    lines = [json.loads(line) for line in world.stage.log.read_text().splitlines()]
    said = [line["event"] for line in lines if line["level"] != "info"]
    assert said == ["traces.not_exported"]


async def test_a_worker_without_the_accelerator_delivers_and_says_that_python_runs(
    world: World,
) -> None:
    """Where the accelerator is built, every other worker of the tests has it."""
    world.stage.environ["HOOKSTREAM_NATIVE"] = "maybe"
    assert await refused(world) == (
        2,
        (
            "HOOKSTREAM_NATIVE is 'maybe': set it to 1 (require hookstream-native) or 0 (run without"
            " it), or unset it (run with it if it fits)"
        ),
    )
    world.stage.environ["HOOKSTREAM_NATIVE"] = "0"
    crm = await world.subscribe("crm")
    await world.stage.start_worker()
    await until_accepted(crm, await world.publish(3), 60)

    assert '\nhookstream_info{avro="python",' in await world.stage.ask_worker("/metrics")
    assert await world.stage.stop_worker() == 0
    lines = [json.loads(line) for line in world.stage.log.read_text().splitlines()]
    [started] = [line for line in lines if line["event"] == "worker.starting"]
    assert (started["avro"], started["avro_because"]) == ("python", "HOOKSTREAM_NATIVE is 0")
