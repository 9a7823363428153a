"""Commands say the same through a console's API as on Kafka itself, and do the same."""

import asyncio
import json
import signal
import time
from typing import IO, Any

import pytest
from examples.demo.stage import CommandFailed, Running
from tests.e2e.consoles import ANYWHERE, DEADLINE, Console, Endpoint, admin
from tests.e2e.page_client import PageClient
from tests.e2e.world import EVENT_TYPE, World

from hookstream.adapters.system import SystemClock
from hookstream.core.model.instant import to_rfc3339

pytestmark = pytest.mark.timeout(600)

PARTNER = {"id": "acme", "name": "Acme", "grant": {"event_types": ["*"], "environments": ["*"]}}
OTHER = {
    "id": "other",
    "name": "Other",
    "grant": {"event_types": ["order.generated"], "environments": ["*"]},
}
"""Who is not granted what is published."""
EVENTS = 12
SINCE = "2026-01-01T00:00:00Z"


class Faces:
    """Runs commands through a console's API, and on Kafka."""

    def __init__(self, world: World, console: Console, token: str) -> None:
        self._world = world
        self.console, self.token = console, token
        self._url = console.url
        world.stage.environ["HOOKSTREAM_TOKEN"] = token

    async def by_api(self, *arguments: str) -> str:
        return await self._world.stage.hookstream("--api", self._url, *arguments)

    async def launch(self, token: str, *arguments: str, log: IO[bytes] | None = None) -> Running:
        """Start a command through the API with a token."""
        environ, self._world.stage.environ["HOOKSTREAM_TOKEN"] = self.token, token
        try:
            return await self._world.stage.launch("--api", self._url, *arguments, log=log)
        finally:
            self._world.stage.environ["HOOKSTREAM_TOKEN"] = environ

    async def json(self, *arguments: str) -> Any:  # noqa: ANN401  # JSON
        return json.loads(await self.by_api(*arguments, "--json"))

    async def alike(self, *arguments: str) -> str:
        """Return what a command prints by both."""
        by_api, on_kafka = await self.by_both(*arguments)
        assert by_api == on_kafka, arguments
        return on_kafka

    async def by_both(self, *arguments: str) -> tuple[str, str]:
        """Return what a command prints through the API, and what it does on Kafka."""
        on_kafka = await self.on_kafka(*arguments)
        return await self.by_api(*arguments), on_kafka

    async def on_kafka(self, *arguments: str) -> str:
        """Return what a command prints on Kafka, once the brokers answer it: the machine may be busy."""
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                return await self._world.stage.hookstream(*arguments)
            except CommandFailed as failed:
                if "cannot be reached" not in str(failed) or time.monotonic() > deadline:
                    raise


async def test_attempts_are_followed_through_the_api(world: World) -> None:
    """Each is printed once, the one that is made while the command runs as well."""
    console, endpoint = Console(world, "console"), Endpoint()
    await endpoint.start()
    world.stage.environ |= ANYWHERE
    try:
        token = await admin(world)
        await asyncio.gather(console.start(), world.stage.start_worker())  # noqa: TID251
        faces = Faces(world, console, token)
        name = await created(world, faces, endpoint)
        log = world.stage.folder / "followed.jsonl"
        follow = ("attempts", "list", "--follow", "--since", "1h", "--json")
        with log.open("wb") as out:
            command = await faces.launch(token, *follow, log=out)
        sent = await world.publish(3)
        deadline = time.monotonic() + DEADLINE
        while True:
            lines = log.read_bytes().splitlines(keepends=True)
            found = [json.loads(line) for line in lines if line.endswith(b"}\n")]
            if len(found) == len(sent) + 1:
                break
            assert time.monotonic() < deadline, lines
            await asyncio.sleep(0.3)
        # Twice as long as it takes to look again: nothing comes twice.
        await asyncio.sleep(2.5)
        assert log.read_bytes().splitlines(keepends=True) == lines
        command.send_signal(signal.SIGKILL)
        await command.wait()
        first, *others = found
        assert first["trigger"] == "test"
        assert {each["event_id"] for each in others} == {each.event_id for each in sent}
        assert {each["subscription_id"] for each in found} == {name}
    finally:
        await console.kill()
        await endpoint.stop()


async def test_commands_say_and_do_the_same_through_the_api_as_on_kafka(world: World) -> None:
    """Created, tested, delivered, paused, resumed, rotated, sent again: all by commands through the API."""
    console, endpoint = Console(world, "console"), Endpoint()
    await endpoint.start()
    world.stage.environ |= ANYWHERE
    try:
        token = await admin(world)
        await asyncio.gather(console.start(), world.stage.start_worker())  # noqa: TID251
        faces = Faces(world, console, token)
        name = await created(world, faces, endpoint)
        await world.publish(EVENTS)
        await delivered(faces, name, EVENTS)
        await same(faces, name)
        await set_aside(world, faces)
        await partitions(world, faces)
        await links(faces)
        await paused_and_resumed(world, faces, endpoint, name)
        rotated = await faces.json("subscriptions", "rotate-secret", name, "--no-wait")
        assert rotated["secret"].startswith("whsec_")
        assert await console.stop() == 0
    finally:
        await console.kill()
        await endpoint.stop()


async def created(world: World, faces: Faces, endpoint: Endpoint) -> str:
    """Create a partner and its subscription, and test it; return the subscription's id."""
    files: dict[str, Any] = {"partner": PARTNER}
    files["subscription"] = {
        "partner": "acme",
        "endpoint": {"url": endpoint.url},
        "event_types": [EVENT_TYPE],
    }
    for kind, definition in files.items():
        (world.stage.folder / f"{kind}.json").write_text(json.dumps(definition))
    await faces.by_api("partners", "create", str(world.stage.folder / "partner.json"))
    other = world.stage.folder / "other.json"
    other.write_text(json.dumps(OTHER))
    await faces.by_api("partners", "create", str(other))
    file = world.stage.folder / "subscription.json"
    made = await faces.json("subscriptions", "create", str(file))
    [secret] = made["signing_secrets"]
    assert secret["secret"].startswith("whsec_")
    name: str = made["subscription"]
    tested = await faces.json("subscriptions", "test", name, "--wait", "120")
    assert tested["delivered"] is True
    assert tested["attempt"]["status"] == 204
    return name


async def delivered(faces: Faces, name: str, events: int) -> None:
    """Wait until the console's index has so many deliveries."""
    deadline = time.monotonic() + DEADLINE
    while True:
        found = await faces.json("stats", name)
        if found["counts"]["delivered"] == events:
            return
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.5)


async def same(faces: Faces, name: str) -> None:
    """Compare what commands print that read the tables, and what happened."""
    for line in (
        ("subscriptions", "list"),
        ("subscriptions", "show", name),
        ("subscriptions", "show", name, "--json"),
        ("subscriptions", "jwks", name),
        ("partners", "list", "--json"),
        ("partners", "show", "acme"),
        ("hold", "list", "--json"),
        ("jobs", "list"),
    ):
        await faces.alike(*line)
    attempts = ("attempts", "list", "--subscription", name, "--json")
    # Those of one millisecond may come in any order.
    lines = sorted((await faces.by_api(*attempts)).splitlines())
    assert lines == sorted((await faces.on_kafka(*attempts)).splitlines())
    entries = [json.loads(line) for line in lines]
    assert len(entries) == EVENTS + 1
    delivery = entries[-1]["delivery_id"]
    await faces.alike("attempts", "show", delivery)
    await faces.alike("deliveries", "show", delivery)
    await faces.alike("deliveries", "show", delivery, "--json")
    # The log has no event of a test.
    live = next(each for each in entries if each["trigger"] != "test")
    await faces.alike("deliveries", "payload", live["delivery_id"])
    await faces.alike("deliveries", "payload", live["delivery_id"], "--json")
    await faces.alike("subscriptions", "list", "--all")
    await explained(faces, name, live)
    listing = ("deliveries", "list", "--subscription", name, "--json")
    by_api = json.loads(await faces.by_api(*listing))
    on_kafka = json.loads(await faces.on_kafka(*listing))
    for key in ("total", "groups", "deliveries"):
        assert by_api[key] == on_kafka[key]
    # The test is one as well.
    assert by_api["total"] == EVENTS + 1
    await counted(faces, name)


async def explained(faces: Faces, name: str, attempt: dict[str, Any]) -> None:
    """Explain an event to its sender and its receiver, and another one to whom it is not granted."""
    event = attempt["event_id"]
    text = await faces.alike("explain", event, name, "--since", SINCE)
    assert f"{name} (partner acme): completed" in text
    place = attempt["origin"]
    await faces.alike("explain", f"{place['topic']}/{place['partition']}@{place['offset']}")
    as_partner = await partner_token(faces, "acme"), await partner_token(faces, "other")
    for token, code in zip(as_partner, (0, 1), strict=True):
        command = await faces.launch(token, "explain", event, "--since", SINCE)
        out, err = await command.communicate()
        assert command.returncode == code, (out, err)
        assert place["topic"].encode() not in out
        assert (b"not found in what was searched" in out) is (code == 1)


async def partner_token(faces: Faces, partner_id: str) -> str:
    made = await faces.json("tokens", "create", "--scope", "partner:read", "--partner", partner_id)
    return str(made["token"])


async def counted(faces: Faces, name: str) -> None:
    """Count a replay by both, and replay through the API what was counted on Kafka."""
    dry = ("replay", "start", name, "--from", SINCE, "--dry-run", "--json")
    until = to_rfc3339(SystemClock().now())
    by_api, on_kafka = await faces.by_both(*dry, "--to", until)
    for _ in range(10):
        # A preview names the present ends: a console may write an operations event between the two.
        if by_api == on_kafka:
            break
        by_api, on_kafka = await faces.by_both(*dry, "--to", until)
    assert by_api == on_kafka
    found = json.loads(by_api)
    assert found["events"] == EVENTS
    done = await faces.json("replay", "start", name, "--preview", found["preview"], "--yes")
    assert (done["job"]["state"], done["job"]["total"]) == ("done", EVENTS)


async def set_aside(world: World, faces: Faces) -> None:
    """Export a record that is no event: the lines are the same but for the time. Show it, and purge it."""
    await world.publish_bytes(b"no event")
    export = ("undecodable", "export", "-")
    deadline = time.monotonic() + DEADLINE
    while len(lines := (await faces.by_api(*export)).splitlines()) != len(("begin", "one", "end")):
        assert time.monotonic() < deadline, lines
        await asyncio.sleep(0.5)
    assert lines[1:] == (await faces.on_kafka(*export)).splitlines()[1:]
    exported = json.loads(lines[1])
    assert exported["value_base64"] == "bm8gZXZlbnQ="
    await faces.alike("undecodable", "show", exported["place"], "--json")
    purge = ("undecodable", "purge", "--dry-run", "--json")
    found = json.loads(await faces.alike(*purge))
    assert found["letters"] == 1
    await world.publish_bytes(b"no event either")
    why = ("--because", "it is none", "--yes")
    done = await faces.json("undecodable", "purge", "--preview", found["preview"], *why)
    assert (done["job"]["state"], done["job"]["done"]) == ("done", 1)


async def partitions(world: World, faces: Faces) -> None:
    """List all, and ask to skip a record that is settled."""
    every = ("partition", "list", "--json")
    by_api = json.loads(await faces.by_api(*every))
    places = [(each["group"], each["topic"], each["partition"]) for each in by_api]
    on_kafka = json.loads(await faces.on_kafka(*every))
    assert places == [(each["group"], each["topic"], each["partition"]) for each in on_kafka]
    settled = next(
        f"{each['topic']}/{each['partition']}"
        for each in on_kafka
        if each["topic"] == world.topic and each["committed"]
    )
    for say in (faces.by_api, faces.on_kafka):
        with pytest.raises(CommandFailed, match=f"0 does not stop {settled}: it is settled"):
            await say("partition", "skip", settled, "0", "--reason", "none")


async def links(faces: Faces) -> None:
    """Make portal links by both, use one, and end what it began: by the API and on Kafka in turn."""
    make = ("partners", "portal-link", "acme", "--json")
    used, open_one = await faces.json(*make[:-1]), json.loads(await faces.on_kafka(*make))
    deadline = time.monotonic() + DEADLINE
    while open_one["id"] not in await faces.by_api("partners", "portal-links", "acme"):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    assert await PageClient(faces.console).open_link(used["url"].rpartition("/")[2])
    for line in (
        ("partners", "portal-links", "acme"),
        ("partners", "portal-links", "acme", "--json"),
        ("sessions", "list"),
        ("sessions", "list", "--partner", "acme", "--json"),
    ):
        await faces.alike(*line)
    [session] = await faces.json("sessions", "list")
    assert (session["link"], session["state"]) == (used["id"], "live")
    await faces.by_api("partners", "revoke-link", "acme", used["id"])
    await faces.on_kafka("sessions", "revoke", "--partner", "acme")
    await faces.console.until(
        f"/v1/partners/acme/portal-links/{open_one['id']}",
        faces.token,
        lambda shown: shown["state"] == "revoked",
    )
    [session] = await faces.json("sessions", "list")
    assert session["state"] == "ended"


async def paused_and_resumed(world: World, faces: Faces, endpoint: Endpoint, name: str) -> None:
    """What is published in a pause is replayed by the console, and the command stays until it is done."""
    await faces.by_api("subscriptions", "pause", name)
    before = len(endpoint.received)
    await world.publish(5)
    resumed = await faces.json("subscriptions", "resume", name, "--yes")
    [job] = resumed["replays"]
    assert (job["state"], job["done"]) == ("done", 5), job
    replayed = {
        each.headers["webhook-id"]
        for each in endpoint.received[before:]
        if each.headers.get("hookstream-trigger") == "replay"
    }
    assert len(replayed) == 5
    # The console's index has it a moment later.
    shown = f"/v1/deliveries/{min(replayed)}"
    await faces.console.until(shown, faces.token, bool)
    sent = await faces.json("deliveries", "resend", min(replayed), "--yes")
    assert sent["subscription_id"] == name
    deadline = time.monotonic() + DEADLINE
    while not any(
        sent["job_id"] == each.headers.get("hookstream-replay") for each in endpoint.received
    ):
        assert time.monotonic() < deadline, sent
        await asyncio.sleep(0.2)
