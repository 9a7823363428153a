"""One delivery: where it stands, a test of its subscription, and sending it again."""

import asyncio
import json
from typing import Any

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from tests.e2e.past.test_replays import Past
from tests.e2e.world import Partner, World, until, until_accepted

pytestmark = pytest.mark.timeout(400)


async def test_a_delivery_is_listed_shown_and_sent_again(world: World) -> None:
    """What is pending comes from the tiers, what ended from the attempts, and a resend is a run of its own."""
    live = await world.subscribe("live", schedule="[1s]")
    failing = await world.subscribe("failing", schedule="[1h]")
    failing.answer(_down)
    await world.stage.start_worker()
    [sent] = await world.publish(1)
    await until_accepted(live, [sent], 60)
    await until(lambda: len(failing.statuses) == 1, 60, lambda: failing.statuses)
    await world.until_read("retry.5s")

    found = sorted(await until_listed(world, 2), key=lambda each: str(each["subscription_id"]))
    assert [
        (each["subscription_id"], each["state"], each["reason"], each["attempt"]) for each in found
    ] == [("failing", "pending", "retry", 1), ("live", "completed", None, 1)]
    waiting, completed = (each["delivery_id"] for each in found)
    await _waits(world, waiting, sent.event_id)
    await _sent_again(world, live, completed)
    await _asks_before_a_second_run(world, waiting)
    assert failing.statuses == [500]
    await world.stage.kill_worker()
    spare = await Past(world).spare(1)
    [original] = await asyncio.to_thread(world.log.read, world.topic)
    await _make_again(world)
    await world.publish(30)
    refused = await said(world, "deliveries", "resend", completed)
    assert (refused[0], "the topic was made again" in refused[1]) == (2, True), refused
    # Mirrored by its producers' times, it has another event at the same place and of the same time.
    await _make_again(world, "CreateTime")
    await _produce_of(world, spare[0], original.timestamp)
    refused = await said(world, "deliveries", "resend", completed)
    assert (refused[0], "has another event now: pricing.completed" in refused[1]) == (2, True)
    await _not_sent_again(world, waiting, completed)


async def _waits(world: World, delivery_id: str, event_id: str) -> None:
    """A delivery is listed and shown with the place, the time and the reason of its wait."""
    only = await world.ask("deliveries", "list", "--state", "pending", "--reason", "retry")
    [waiting] = only["deliveries"]
    assert (waiting["event_id"], waiting["last"]) == (event_id, "failed 500")
    assert waiting["place"].startswith(f"{world.prefix}.retry.")
    assert (only["ended_since"], only["not_read"]["tiers"]) == (None, 0)
    shown = await world.ask("deliveries", "show", delivery_id)
    [where] = shown["pending"]
    assert (where["next_attempt"], where["trigger"], where["reason"]) == (2, "retry", "retry")
    assert f"{where['topic']}-{where['partition']}@{where['offset']}".startswith(world.prefix)
    assert shown["subscription"]["state"] == "active"
    text = await world.stage.hookstream("deliveries", "show", delivery_id)
    assert "attempt 2, retry" in text
    assert f"hookstream deliveries resend {delivery_id}" in text


async def _sent_again(world: World, live: Partner, delivery_id: str) -> None:
    """A completed delivery is sent again under the same id, from its origin."""
    again = await world.ask("deliveries", "resend", delivery_id)
    assert again["found"] == f"its origin {again['origin']}"
    await until(lambda: len(live.statuses) == 2, 60, lambda: live.statuses)
    first, second = live.receiver.book.entries
    assert (second.webhook_id, second.event_id) == (first.webhook_id, first.event_id)
    assert (second.trigger, second.attempt, second.status) == ("replay", 1, 204)
    job = await world.ask("jobs", "show", again["job_id"])
    assert (job["kind"], job["state"], job["asked"]["delivery"]) == ("resend", "done", delivery_id)
    runs = {
        (each["job_id"], each["state"])
        for each in await until_listed(world, 3)
        if each["delivery_id"] == delivery_id
    }
    assert runs == {(None, "completed"), (again["job_id"], "completed")}


async def _asks_before_a_second_run(world: World, delivery_id: str) -> None:
    """While a run is pending it asks; what is held waits, and says so."""
    resend = ("deliveries", "resend", delivery_id)
    code, text = await said(world, *resend)
    assert (code, "A run of" in text, "is pending" in text) == (1, True, True)
    await world.stage.hookstream("hold", "set", "endpoint", "failing", "--reason", "INC-7")
    second = await world.ask(*resend, "--yes")
    assert (second["pending_before"], "INC-7" in second["waits"]) == (1, True)
    async with asyncio.timeout(60):
        while True:
            shown = await world.ask("deliveries", "show", delivery_id)
            if {each["reason"] for each in shown["pending"]} == {"retry", "held"}:
                break
    assert {each["job_id"] for each in shown["pending"]} == {None, second["job_id"]}


async def _not_sent_again(world: World, waiting: str, completed: str) -> None:
    """Only what still has the event counts as it; then the grant and the subscription are asked."""
    resend = ("deliveries", "resend")
    kept = await world.ask(*resend, waiting, "--yes")
    assert kept["found"].startswith("the tier record")
    refusals = [await said(world, *resend, completed), await said(world, *resend, "msg_none")]
    file = world.stage.folder / "definitions" / "partners" / "failing.yaml"
    file.write_text(file.read_text().replace('["*"]', "[staging]"))
    await world.stage.hookstream("apply", str(file.parents[1]), "--yes")
    refusals.append(await said(world, *resend, waiting, "--yes"))
    await world.stage.hookstream("subscriptions", "delete", "failing", "--yes")
    refusals.append(await said(world, *resend, waiting, "--yes"))
    assert [code for code, _ in refusals] == [2, 2, 2, 2]
    words = ("exists any more", "has a record of msg_none", "is not granted", "is deleted")
    assert [
        word for word, (_, text) in zip(words, refusals, strict=True) if word not in text
    ] == []


async def _make_again(world: World, stamped: str = "LogAppendTime") -> None:
    """Delete the event topic, and make one of that name whose records have the same offsets."""
    admin = AdminClient({"bootstrap.servers": world.stage.servers, "log_level": 0})
    await asyncio.to_thread(admin.delete_topics([world.topic])[world.topic].result, 60)
    again = NewTopic(world.topic, 3, 1, config={"message.timestamp.type": stamped})
    async with asyncio.timeout(60):
        while True:
            try:
                await asyncio.to_thread(admin.create_topics([again])[world.topic].result, 60)
            except KafkaException:
                await asyncio.sleep(0.1)
            else:
                return


async def _produce_of(world: World, value: bytes, timestamp: int) -> None:
    """Append an event to each partition, of a time that its producer says."""
    producer = Producer({"bootstrap.servers": world.stage.servers, "log_level": 0})
    for partition in range(3):
        producer.produce(world.topic, value, partition=partition, timestamp=timestamp)
    assert await asyncio.to_thread(producer.flush, 60) == 0


async def test_a_subscription_is_tested_once_and_nothing_counts_it(world: World) -> None:
    """One attempt on the whole way, whatever the filter says: no retry, no dead letter, no health."""
    live = await world.subscribe("live", schedule="[1s]")
    file = world.stage.folder / "definitions" / "partners" / "live.yaml"
    # No partner is granted the environment of a test: its grant is asked by type.
    file.write_text(file.read_text().replace('["*"]', "[production]"))
    picky = await world.subscribe(
        "picky", schedule="[1s]", more="pattern:\n  data:\n    currency: [CHF]\n"
    )
    await world.stage.start_worker()

    code, tested = await asked(world, "subscriptions", "test", "live")
    assert (code, tested["delivered"]) == (0, True)
    assert tested["filter"] == {"matches": True, "why": None, "environment": "production"}
    attempt = tested["attempt"]
    assert (attempt["status"], attempt["environment"], attempt["duration_us"] > 0) == (
        204,
        "test",
        True,
    )
    [got] = live.receiver.book.entries
    assert (got.webhook_id, got.trigger, got.attempt) == (tested["delivery_id"], "test", 1)
    body = live.bodies[tested["event_id"]]
    assert tested["event_id"].startswith("test-")
    assert (body["environment"], body["type"]) == ("test", "pricing.completed")

    code, tested = await asked(world, "subscriptions", "test", "picky", "--dry-run")
    assert (code, tested["filter"]["matches"], picky.statuses) == (1, False, [])
    assert tested["filter"]["why"] == 'data.currency is "EUR"; the pattern asks for "CHF"'
    picky.answer(_gone)
    code, tested = await asked(world, "subscriptions", "test", "picky")
    assert (code, tested["delivered"], tested["attempt"]["status"]) == (1, False, 410)
    picky.answer(_down)
    event = _event(world, {**body["data"], "currency": "CHF"})
    code, tested = await asked(world, "subscriptions", "test", "picky", "--event", event)
    assert (code, tested["filter"]["matches"], tested["attempt"]["status"]) == (1, True, 500)
    await world.until_settled(60)
    assert await world.read("dead-letters", "retry.1s") == []
    assert picky.statuses == [410, 500]
    states = {each["id"]: each["state"] for each in await world.ask("subscriptions", "list")}
    assert states == {"live": "active", "picky": "active"}

    await world.stage.hookstream("subscriptions", "pause", "live")
    assert (await asked(world, "subscriptions", "test", "live"))[0] == 0
    await _tests_are_refused(world, picky, event)
    assert (len(live.statuses), len(picky.statuses)) == (2, 3)


async def _tests_are_refused(world: World, picky: Partner, event: str) -> None:
    """Of a type that is not asked for, of nothing, of what is held, of what is disabled."""
    test = ("subscriptions", "test")
    refusals = [
        await said(world, *test, "live", "--event-type", "order.generated"),
        await said(world, *test, "none"),
    ]
    await world.stage.hookstream("hold", "set", "endpoint", "picky", "--reason", "INC-7")
    refusals.append(await said(world, *test, "picky"))
    await world.stage.hookstream("hold", "clear", "endpoint", "picky")
    picky.answer(_gone)
    prefix = f"{world.prefix}.events."
    await world.stage.hookstream("events", "send", event, "--topic-prefix", prefix)
    await until(lambda: len(picky.statuses) == 3, 60, lambda: picky.statuses)
    async with asyncio.timeout(60):
        while (await world.ask("subscriptions", "show", "picky"))["state"] != "disabled":
            pass
    refusals.append(await said(world, *test, "picky"))
    assert [code for code, _ in refusals] == [2, 2, 2, 2]
    words = ("does not ask for", "no subscription", "INC-7", "disabled")
    assert [
        word for word, (_, text) in zip(words, refusals, strict=True) if word not in text
    ] == []


def _event(world: World, data: dict[str, Any]) -> str:
    """Return the path of a file with an event that `events send` takes."""
    event = world.stage.folder / "event.json"
    own = {"type": "pricing.completed", "entity_id": "q-1", "environment": "staging"}
    event.write_text(json.dumps({**own, "data": data}) + "\n")
    return str(event)


async def said(world: World, *command: str) -> tuple[int | None, str]:
    """Run a command; return its exit code and all that it printed."""
    process = await world.stage.launch(*command)
    out, err = await process.communicate()
    return process.returncode, (out + err).decode()


async def asked(world: World, *command: str) -> tuple[int | None, Any]:
    """Run a command that prints JSON; return its exit code and what it printed."""
    process = await world.stage.launch(*command, "--json")
    out, err = await process.communicate()
    assert out, err
    return process.returncode, json.loads(out)


async def until_listed(world: World, count: int) -> list[dict[str, Any]]:
    """Return what `deliveries list` lists as soon as it is so many: audit records come a moment later."""
    async with asyncio.timeout(60):
        while True:
            found: list[dict[str, Any]] = (await world.ask("deliveries", "list"))["deliveries"]
            if len(found) >= count:
                return found


async def _down(_: object, __: int) -> int:
    return 500


async def _gone(_: object, __: int) -> int:
    return 410
