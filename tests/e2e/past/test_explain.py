"""`hookstream explain` says why an event did, or did not, arrive: each reason, on the real thing."""

import asyncio
import time
from typing import Any

import pytest
from tests.e2e.world import EVENT_TYPE, World, until, until_accepted

from hookstream.producer import Published

pytestmark = pytest.mark.timeout(400)


async def said(world: World, *arguments: str) -> tuple[int, str]:
    """Run `explain`, and return its exit code and what it printed."""
    command = await world.stage.launch("explain", *arguments)
    out, err = await command.communicate()
    return command.returncode or 0, (out + err).decode()


async def regrant(world: World, name: str, types: str) -> None:
    """Change what a partner is granted, and return when it holds."""
    folder = world.stage.folder / "definitions"
    file = folder / "partners" / f"{name}.yaml"
    grant = f'grant:\n  event_types: {types}\n  environments: ["*"]\n'
    file.write_text(file.read_text().partition("grant:")[0] + grant)
    lead = "tables.activation_lead=1s"
    await world.stage.hookstream("--set", lead, "apply", str(folder), "--yes")


async def failing(_: object, __: int) -> int:
    return 500


def conditions(document: dict[str, Any]) -> dict[str, tuple[str, list[str]]]:
    """Return of each subscription its state, and the conditions that the event does not meet."""
    [event] = document["events"]
    return {
        each["subscription"]: (each["state"], [unmet["condition"] for unmet in each["unmet"]])
        for each in event["subscriptions"]
    }


async def staged(world: World) -> Published:
    """Publish an event that each of seven subscriptions treats in its own way."""
    crm = await world.subscribe("crm")
    await world.subscribe("elsewhere", more="environments: [staging]\n")
    choosy = "pattern:\n  data:\n    currency: [EUR]\n    customer_id: [nobody]\n"
    await world.subscribe("choosy", more=choosy)
    await world.subscribe("resting")
    await world.subscribe("newly", types=f"[order.generated, {EVENT_TYPE}]")
    down = await world.subscribe("down", schedule="[1s]")
    waiting = await world.subscribe("waiting", schedule="[24h]")
    for partner in (down, waiting):
        partner.answer(failing)
    await world.stage.start_worker()
    await regrant(world, "newly", "[order.generated]")
    await world.stage.hookstream("subscriptions", "pause", "resting")
    [sent] = await world.publish(1)
    await until_accepted(crm, [sent], 60)
    await until(lambda: len(down.statuses) == 2, 60, lambda: down.statuses)
    await until(lambda: len(waiting.statuses) == 1, 60, lambda: waiting.statuses)
    await regrant(world, "newly", f"[order.generated, {EVENT_TYPE}]")
    await world.stage.hookstream("subscriptions", "pause", "crm")
    return sent


async def set_aside(world: World) -> str:
    """Publish something that is no event, and return its place once it is set aside."""
    await world.publish_bytes(b"no event")
    deadline = time.monotonic() + 60
    while not (found := await world.read("undecodable")):
        assert time.monotonic() < deadline
    headers = found[0].headers
    return f"{world.topic}/{headers['hs-origin-partition']}@{headers['hs-origin-offset']}"


async def test_each_reason_why_an_event_did_not_arrive_is_named(world: World) -> None:
    sent = await staged(world)

    answer = await world.ask("explain", sent.event_id)
    assert conditions(answer) == {
        "choosy": ("not matched", ["filter"]),
        "crm": ("completed", []),
        "down": ("dead-lettered", []),
        "elsewhere": ("not matched", ["environment"]),
        "newly": ("not matched", ["grant"]),
        "resting": ("not matched", ["active"]),
        "waiting": ("pending", []),
    }
    [event] = answer["events"]
    by_name = {each["subscription"]: each for each in event["subscriptions"]}
    assert [each["change"] for each in by_name["crm"]["changes"]] == ["paused"]
    assert by_name["waiting"]["waits"]["place"].startswith(f"{world.prefix}.retry.")

    # As people read it: by its id, and by its place for one subscription.
    code, text = await said(world, sent.event_id)
    assert code == 0
    for line in (
        f"{EVENT_TYPE} v1 {sent.event_id}, environment production",
        f"record {event['place']} of ",
        "workers have settled its record",
        f"the grant at the record's time does not cover {EVENT_TYPE} (it has order.generated);",
        "active: it is paused since ",
        "environment: the event's is production; it asks for staging",
        "not searched: event topics before ",
    ):
        assert line in text
    code, text = await said(world, event["place"], "choosy")
    assert code == 0
    assert 'the pattern asks for "nobody"' in text
    assert "crm" not in text

    # What is no event, and what is nowhere.
    place = await set_aside(world)
    code, text = await said(world, place)
    assert (code, "it is not an event: not_framed" in text) == (0, True)
    assert f"undecodable in {world.prefix}.undecodable/" in text
    for sought, expected, reason in (
        (["nowhere"], 1, f"searched: {world.topic} since "),
        ([sent.event_id, "crmm"], 2, "did you mean"),
        ([f"{world.topic}/0@999999"], 2, "has no record at 999999"),
        ([f"{world.topic}/x@1"], 2, "its partition is not a number from 0 on"),
        ([f"{world.topic}/x@1", "--id", "--since", "1m"], 1, "not found in what was searched"),
    ):
        code, text = await said(world, *sought)
        assert (code, reason in text) == (expected, True), text


async def test_what_no_worker_has_read_yet_is_said_to_be_unsettled(world: World) -> None:
    """It is neither lost nor refused: nobody reads the partition."""
    await world.subscribe("crm")
    [sent] = await world.publish(1)
    await world.publish_bytes(b"\xc3\x01" + bytes(8) + b"written with a schema of tomorrow")

    [event] = (await world.ask("explain", sent.event_id))["events"]
    [crm] = event["subscriptions"]
    unsettled = "its record is not settled, and no worker is assigned its partition"
    assert (crm["state"], crm["matches"], event["settled"]) == ("unknown", True, unsettled)
    assert crm["note"] == f"neither the audit log nor a tier nor a dead letter has it; {unsettled}"

    scanned = await asyncio.to_thread(world.log.read, world.topic)
    [unknown] = [entry for entry in scanned if b"tomorrow" in (entry.value or b"")]
    code, text = await said(world, f"{unknown.topic}/{unknown.partition}@{unknown.offset}")
    assert (code, "it is not an event: unknown_schema: schema " in text) == (0, True)
    assert "is not published: run hookstream schemas apply" in text
