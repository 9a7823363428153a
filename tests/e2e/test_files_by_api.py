"""Files go through a console's API as they go to Kafka: definitions, schemas, and lines of events."""

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from examples.demo.stage import ROOT, CommandFailed
from tests.doubles.schemas import event_schema, field
from tests.e2e.consoles import ANYWHERE, DEADLINE, Console, Endpoint, admin
from tests.e2e.test_commands_by_api import Faces
from tests.e2e.world import EVENT_TYPE, World

pytestmark = pytest.mark.timeout(600)

PARTNER = """\
id: acme
name: Acme
grant: {event_types: ["*"], environments: ["*"]}
"""
SUBSCRIPTION = """\
id: orders
partner: acme
endpoint:
  url: URL
  signing_secrets: [env: ORDERS_SECRET]
  headers: {x-key: {file: key.txt}}
event_types: [EVENT_TYPE]
"""
EVENTS = 7


async def test_files_say_and_do_the_same_through_the_api_as_on_kafka(world: World) -> None:
    """Definitions are applied, schemas and events published, and each face finds what the other wrote."""
    console, endpoint = Console(world, "console"), Endpoint()
    await endpoint.start()
    world.stage.environ |= ANYWHERE
    world.stage.environ["ORDERS_SECRET"] = (
        "whsec_" + b64encode(b"orders-secret-of-24-byte").decode()
    )
    try:
        token = await admin(world)
        await asyncio.gather(console.start(), world.stage.start_worker())  # noqa: TID251
        faces = Faces(world, console, token)
        await applied(faces, written(world, endpoint))
        await published(faces, world.stage.folder / "more")
        await sent(world, faces, endpoint)
        await own_event_tested(world, faces, endpoint)
        assert await console.stop() == 0
    finally:
        await console.kill()
        await endpoint.stop()


def written(world: World, endpoint: Endpoint) -> Path:
    """Write the folder of definitions."""
    folder = world.stage.folder / "core"
    for kind in ("partners", "subscriptions"):
        (folder / kind).mkdir(parents=True)
    (folder / "hookstream.yaml").write_text("name: core\n")
    (folder / "partners" / "acme.yaml").write_text(PARTNER)
    text = SUBSCRIPTION.replace("URL", endpoint.url).replace("EVENT_TYPE", EVENT_TYPE)
    (folder / "subscriptions" / "orders.yaml").write_text(text)
    (folder / "subscriptions" / "key.txt").write_text("a-key\n")
    return folder


async def applied(faces: Faces, folder: Path) -> None:
    """Apply by the API; then both find nothing to change, the secrets neither. Change it by either."""
    with pytest.raises(CommandFailed, match="2 to create"):
        await faces.by_api("plan", str(folder))
    first = json.loads(await faces.by_api("apply", str(folder), "--yes", "--json"))
    assert [each["action"] for each in first["changes"]] == ["create", "create"]
    assert "Nothing to change." in await faces.alike("plan", str(folder))
    file = folder / "subscriptions" / "orders.yaml"
    for say, text in (
        (faces.by_api, "limits: {weight: 2}"),
        (faces.on_kafka, "limits: {weight: 3}"),
    ):
        file.write_text(file.read_text().partition("limits:")[0] + text + "\n")
        assert "1 to update" in await say("apply", str(folder), "--yes")
        assert "Nothing to change." in await faces.alike("plan", str(folder))
    await faces.alike("subscriptions", "show", "orders", "--json")
    with pytest.raises(CommandFailed, match="the folder core declares it"):
        await faces.by_api("subscriptions", "delete", "orders", "--yes")


async def published(faces: Faces, folder: Path) -> None:
    """Publish a schema by the API, and list, show and document it by both."""
    tree = event_schema(field("a", "long"))
    (folder / "thing.done").mkdir(parents=True)
    (folder / "thing.done" / "v1.avsc").write_text(json.dumps(tree))
    assert "1 to publish" in await faces.by_api("schemas", "apply", str(folder), "--yes")
    assert "Nothing to publish." in await faces.alike("schemas", "apply", str(folder), "--yes")
    for line in (
        ("list",),
        ("list", "--json"),
        ("show", "thing.done"),
        ("show", EVENT_TYPE, "--version", "1"),
        ("types",),
        ("types", "--json"),
        ("jsonschema", EVENT_TYPE, "--batch"),
        ("sample", EVENT_TYPE, "--format", "input"),
        ("check", str(ROOT / "schemas"), "--against", "topic"),
    ):
        await faces.alike("schemas", *line)


async def sent(world: World, faces: Faces, endpoint: Endpoint) -> None:
    """Publish lines by the API while a tail follows; they are delivered, and both read the same."""
    sample = json.loads(await faces.by_api("schemas", "sample", EVENT_TYPE, "--format", "input"))
    file = world.stage.folder / "events.jsonl"
    ids = [f"7d5f6d9e-6f2e-4b8e-9d53-6d7f2f1a{number:04}" for number in range(EVENTS)]
    lines = [json.dumps({**sample, "id": each, "entity_id": f"job-{each}"}) for each in ids]
    file.write_text("\n".join(lines) + "\n")
    url = faces.console.url
    tail = ("events", "tail", "--from-beginning", "-n", str(EVENTS), "--topic", world.topic)
    following = await world.stage.launch("--api", url, *tail)
    prefix = world.topic.removesuffix(EVENT_TYPE)
    await faces.by_api("events", "send", str(file), "--topic-prefix", prefix)
    async with asyncio.timeout(DEADLINE):
        out, err = await following.communicate()
    assert following.returncode == 0, err
    assert {json.loads(line)["id"] for line in out.splitlines()} == {*ids}
    await until(lambda: ids_at(endpoint) >= {*ids})
    for more in ((), ("--where",), ("--type", EVENT_TYPE)):
        read = ("events", "tail", "--from-beginning", "--no-follow", *more)
        # Of several partitions, any may come first.
        by_api = sorted((await faces.by_api(*read)).splitlines())
        assert by_api == sorted((await faces.on_kafka(*read)).splitlines())
        assert len(by_api) == EVENTS
    with pytest.raises(CommandFailed, match="is not an event topic"):
        await faces.by_api("events", "send", str(file), "--topic-prefix", "elsewhere.")


def ids_at(endpoint: Endpoint) -> set[str]:
    return {str(json.loads(each.body)["id"]) for each in endpoint.received}


async def own_event_tested(world: World, faces: Faces, endpoint: Endpoint) -> None:
    """Test the subscription with an event of one's own."""
    sample = await faces.by_api("schemas", "sample", EVENT_TYPE, "--format", "input")
    file = world.stage.folder / "own.json"
    file.write_text(sample.replace('"entity_id":"', '"entity_id":"own-'))
    previewed = json.loads(
        await faces.by_api(
            "subscriptions", "test", "orders", "--event", str(file), "--dry-run", "--json"
        )
    )
    assert (previewed["filter"]["matches"], previewed["job_id"]) == (True, None)
    made = await faces.json(
        "subscriptions", "test", "orders", "--event", str(file), "--wait", "120"
    )
    assert made["delivered"] is True
    bodies = [json.loads(each.body) for each in endpoint.received]
    assert any(str(each["entity_id"]).startswith("own-") for each in bodies)


async def until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not met():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)
