"""A pause, a disabling and a start in the past lose nothing: the gap is replayed exactly.

The commands, the worker, the broker and the endpoints are real.
"""

import asyncio
import contextlib
import json
import signal
from collections import Counter
from typing import Any

import pytest
from tests.e2e.past.test_replays import Past, jobs_listed, the_job, until_settled
from tests.e2e.world import EVENT_TYPE, World, until, until_accepted, until_status

from hookstream.core.delivery.identity import DeliveryIds
from hookstream.producer import Published

pytestmark = pytest.mark.timeout(400)


def triggers(world: World, name: str) -> dict[str, list[str]]:
    """Return the triggers with which a partner received each event, in the order of time."""
    found: dict[str, list[str]] = {}
    for entry in world.partners[name].receiver.book.entries:
        found.setdefault(entry.event_id, []).append(entry.trigger)
    return found


def ids(sent: list[Published]) -> set[str]:
    return {each.event_id for each in sent}


async def gaps(world: World, name: str) -> list[Any]:
    """Return the gaps in a subscription's row."""
    shown: list[Any] = (await world.ask("subscriptions", "show", name))["gaps"]
    return shown


async def test_a_pause_loses_nothing_though_the_command_that_ends_it_is_killed(
    world: World,
) -> None:
    world.stage.environ["HOOKSTREAM_JOBS__LEASE"] = "5s"
    world.stage.environ["HOOKSTREAM_JOBS__LISTEN"] = "127.0.0.1:0"
    crm = await world.subscribe("crm")
    await world.stage.start_worker()
    before = await world.publish(3)
    await until_accepted(crm, before, 60)
    await world.stage.hookstream("subscriptions", "pause", "crm")
    paused = await world.publish(40)
    # The command dies in the middle of the replay, and a process for jobs goes on.
    dying = await world.stage.launch("subscriptions", "resume", "crm", "--rate", "4")
    job = await the_job(world, lambda job: job["done"] >= 3)
    dying.send_signal(signal.SIGKILL)
    await dying.communicate()
    after = await world.publish(3)
    executor = await world.stage.launch("jobs", "run")
    try:
        await the_job(world, lambda each: each["state"] == "done")
        await until_accepted(crm, [*before, *paused, *after], 60)
        await until_settled(world)
    finally:
        with contextlib.suppress(ProcessLookupError):
            executor.send_signal(signal.SIGTERM)
        said = b"".join(await executor.communicate()).decode()
    assert executor.returncode == 0, said
    found = triggers(world, "crm")
    assert {each: found[each] for each in ids(paused)} == {
        each: ["replay"] for each in ids(paused)
    }
    assert {each: found[each] for each in ids([*before, *after])} == {
        each: ["initial"] for each in ids([*before, *after])
    }
    assert job["done"] < len(paused)
    assert [each["filled_by"] for each in await gaps(world, "crm")] == [job["id"]]


async def test_what_a_disabled_endpoint_missed_is_replayed_and_redriven_when_it_is_enabled(
    world: World,
) -> None:
    crm = await world.subscribe("crm")
    await world.stage.start_worker()

    async def gone(_: object, __: int) -> int:
        return 410

    crm.answer(gone)
    [refused] = await world.publish(1)
    await until_status(crm, 410, 60)
    missed = await world.publish(5)
    await until_settled(world)
    crm.answer(None)
    done = await world.ask("subscriptions", "enable", "crm", "--redrive")
    assert (done["changed"], done["redrive"]["state"]) == (True, "done")
    assert [job["state"] for job in done["replays"]] == ["done"]
    await until_accepted(crm, [refused, *missed], 60)
    await until_settled(world)
    counted = Counter(trigger for each in ids(missed) for trigger in triggers(world, "crm")[each])
    assert counted == {"replay": len(missed)}
    # It begins a minute before the disabling, so what was given up comes twice, under one id.
    assert triggers(world, "crm")[refused.event_id][0] == "initial"
    assert set(triggers(world, "crm")[refused.event_id][1:]) == {"redrive", "replay"}
    again = await world.ask("subscriptions", "enable", "crm", "--yes")
    assert (again["changed"], again["replays"], again["redrive"]) == (False, [], None)


async def test_a_subscription_starts_in_the_past_and_goes_on_without_a_seam(world: World) -> None:
    crm = await world.subscribe("crm")
    await world.stage.start_worker()
    past = await world.publish(6)
    await until_accepted(crm, past, 60)
    definitions = world.stage.folder / "definitions" / "subscriptions"
    text = (definitions / "crm.yaml").read_text().replace("id: crm\n", "id: crm-late\n", 1)
    (definitions / "late.yaml").write_text(text + "start_from: earliest\n")
    applying = await world.stage.launch("apply", str(definitions.parent), "--yes", "--json")
    during = await world.publish(20, every=0.2)
    out, _ = await applying.communicate()
    assert applying.returncode == 0
    [job_id] = json.loads(out)["replays"]
    after = await world.publish(3)
    sent = [*past, *during, *after]
    entries = crm.receiver.book.entries
    await until(lambda: len(entries) >= 2 * len(sent), 60, lambda: len(entries))
    await until_settled(world)
    late = {DeliveryIds(EVENT_TYPE, each.event_id).of("crm-late") for each in sent}
    found = Counter(entry.webhook_id for entry in entries if entry.webhook_id in late)
    assert found == dict.fromkeys(late, 1)
    replayed = {entry.event_id for entry in entries if entry.trigger == "replay"}
    assert ids(past) <= replayed
    assert not replayed & ids(after)
    assert [(each["reason"], each["filled_by"]) for each in await gaps(world, "crm-late")] == [
        ("started", job_id)
    ]
    # The file stays as it is, and says nothing any more.
    text = text.replace("id: crm-late", "id: crm-late\nlimits: {max_in_flight: 3}", 1)
    (definitions / "late.yaml").write_text(text + "start_from: earliest\n")
    changed = await world.ask("apply", str(definitions.parent), "--yes")
    assert changed["replays"] == []
    assert any("start_from is read when a subscription is created" in n for n in changed["notes"])
    assert len(await gaps(world, "crm-late")) == 1


async def test_a_large_gap_is_not_replayed_unasked_and_two_commands_make_one_replay(
    world: World,
) -> None:
    past = Past(world)
    await world.subscribe("crm")
    [spare] = await past.spare(1)
    await world.stage.hookstream("subscriptions", "pause", "crm")
    await asyncio.to_thread(past.produce, [spare] * 1_001)
    # Nobody answers, so nothing is changed.
    asked = await world.stage.launch("subscriptions", "resume", "crm")
    _, err = await asked.communicate()
    assert asked.returncode == 1
    assert "Replay 1,001 events (--no-replay leaves them out)?" in err.decode()
    [paused] = await world.ask("subscriptions", "list")
    assert paused["state"] == "paused"
    both = [
        await world.stage.launch("subscriptions", "resume", "crm", "--yes", "--no-wait")
        for _ in range(2)
    ]
    said = [await each.communicate() for each in both]
    # One may be overtaken by the other.
    assert 0 in [each.returncode for each in both], said
    [gap] = await gaps(world, "crm")
    jobs = await jobs_listed(world)
    assert [job["id"] for job in jobs] == [gap["filled_by"]]
    await world.stage.hookstream("jobs", "cancel", gap["filled_by"])
    shown = await world.stage.hookstream("subscriptions", "show", "crm")
    assert f"{gap['filled_by']} was cancelled" in shown
    # What is left out on purpose is not claimed to be filled.
    await world.stage.hookstream("subscriptions", "pause", "crm")
    left = await world.ask("subscriptions", "resume", "crm", "--no-replay")
    assert (left["changed"], left["replays"]) == (True, [])
    assert [each["filled_by"] for each in await gaps(world, "crm")] == [gap["filled_by"], None]


async def test_a_replay_that_a_disabling_cut_off_goes_on_when_the_endpoint_is_enabled(
    world: World,
) -> None:
    crm = await world.subscribe("crm")
    await world.stage.start_worker()
    await world.stage.hookstream("subscriptions", "pause", "crm")
    paused = await world.publish(12)

    async def gone(_: object, before: int) -> int:
        return 204 if before < 2 else 410

    crm.answer(gone)
    resuming = await world.stage.launch("subscriptions", "resume", "crm", "--rate", "2")
    _, err = await resuming.communicate()
    assert (resuming.returncode, "is disabled" in err.decode()) == (1, True), err.decode()
    crm.answer(None)
    done = await world.ask("subscriptions", "enable", "crm", "--yes")
    # The one that was cut off, and those of the parts of the newer gap around it.
    assert {job["state"] for job in done["replays"]} == {"done"}
    [cut_off] = [job for job in done["replays"] if job["id"].encode() in err]
    assert len(done["replays"]) > 1
    assert cut_off["done"] == len(paused)
    await until_accepted(crm, paused, 60)
    await until_settled(world)
    # What was given up is redriven; what the replay had not written yet was replayed once.
    assert {tuple({*each}) for each in triggers(world, "crm").values()} <= {
        ("replay",),
        ("redrive",),
        ("replay", "redrive"),
        ("redrive", "replay"),
    }
