"""Consoles on real Kafka are equal: none holds what its death could lose, and all answer alike.

The tests share one platform, which is made once: a worker, up to three consoles, and partners with
deliveries of every kind.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Any

import pytest
import pytest_asyncio
from tests.conftest import Broker
from tests.e2e.consoles import DEADLINE, Answered, Console
from tests.e2e.page_client import PageClient
from tests.e2e.platform import EVENTS, Platform, a_platform, document, has_ended, wait_for
from tests.e2e.read_routes import READS, alternating, compared, first_page, is_list, paths
from tests.e2e.row_writers import MARK, ROW, Writer, figures, rotate
from tests.e2e.secret_search import found_in, without_shown_once
from tests.e2e.secret_uses import secret_uses
from tests.e2e.world import EVENT_TYPE, a_world

pytestmark = [pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="module")]

WRITES = int(os.environ.get("HOOKSTREAM_TEST_EQUAL_WRITES", "60"))
"""In all; 1,000 of them is what docs/benchmarks.md states."""
OF_COMMANDS = max(3, WRITES // 50)
ANSWER_TO = "the answer to"
REFUSED_AFTER = 2.0
"""Seconds after which no console takes a revoked token."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform(
    broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Platform]:
    folder = tmp_path_factory.mktemp("consoles")
    async with a_world(folder, broker.bootstrap_servers, f"t{token_hex(5)}") as world:
        made = a_platform(world, folder)
        try:
            await made.set_up()
            yield made
        finally:
            await made.end()


async def test_jobs_of_a_killed_console_are_finished_by_another_and_each_delivery_is_written_once(
    platform: Platform,
) -> None:
    """A replay and a redrive, which were both begun by the console that is killed.

    A second redrive of the same dead letters was asked for right after: it waits, also while nobody lives
    who works on the first, and finds nothing left when its turn comes.
    """
    first, second = platform.consoles["first"], platform.consoles["second"]
    await second.kill()
    await platform.up("first")
    platform.endpoint.statuses["/refused"] = 204
    redrive = {"selector": {"subscriptions": ["refused"]}, "rate": 2}
    asked: dict[str, tuple[str, dict[str, Any]]] = {
        "replay": (
            "/v1/subscriptions/healthy/replays",
            {"since": "2020-01-01T00:00:00Z", "rate": 2},
        ),
        "redrive": ("/v1/redrives", redrive),
        "next": ("/v1/redrives", redrive),
    }
    jobs = {}
    for name, (path, body) in asked.items():
        job = await platform.made(path, body, Idempotency_Key=f"of-{name}")
        jobs[name] = job["id"]
    for name in ("replay", "redrive"):
        await first.until(f"/v1/jobs/{jobs[name]}", platform.token, is_half_done)
    await first.kill(index=True)

    await second.start()
    for name, (path, body) in asked.items():
        again = await platform.made(path, body, Idempotency_Key=f"of-{name}")
        assert again["id"] == jobs[name]
    for name, job_id in jobs.items():
        done = await second.until(f"/v1/jobs/{job_id}", platform.token, has_ended)
        assert (done["state"], done["done"]) == ("done", 0 if name == "next" else EVENTS), done
    entries = await platform.world.read("retry.0s")
    for trigger, path in (("replay", "/healthy"), ("redrive", "/refused")):
        written = Counter(
            each.headers["hs-delivery-id"]
            for each in entries
            if each.headers.get("hs-trigger") == trigger and "hs-delivery-id" in each.headers
        )
        assert len(written) == EVENTS
        assert set(written.values()) == {1}, (trigger, written)
        await wait_for(
            lambda p=path, t=trigger: len(platform.endpoint.of(p, t)) >= EVENTS,  # type: ignore[misc]
            lambda p=path: [each.headers for each in platform.endpoint.of(p)],  # type: ignore[misc]
        )
        sent = Counter(each.headers["webhook-id"] for each in platform.endpoint.of(path, trigger))
        assert sent == written


def is_half_done(job: dict[str, Any]) -> bool:
    # The whole of it: a repr that is cut hides the reason.
    assert job["state"] == "running", json.dumps(job)
    return bool(job["held"] and job["done"] > 2)


def has_items(page: dict[str, Any]) -> bool:
    return bool(page["items"])


async def test_an_index_whose_writer_is_killed_while_it_writes_has_each_record_once(
    platform: Platform,
) -> None:
    """The console and its index's process are killed together, and start again on what they left."""
    first, world = platform.consoles["first"], platform.world
    await platform.up("first")
    path, token = "/v1/attempts", platform.token
    events = len(platform.endpoint.of("/healthy", "initial"))
    for _ in range(2):
        # Right after an hour has begun its list is empty.
        newest = (await first.until(path, token, has_items))["items"][0]
        publishing = asyncio.get_running_loop().create_task(world.publish(100, every=0.03))
        await first.until(
            path,
            token,
            lambda page, seen=newest: has_items(page) and page["items"][0] != seen,  # type: ignore[misc]
        )
        await first.kill(index=True)
        events += len(await publishing)
        await first.start()
    for name in ("healthy", "refused"):
        await wait_for(
            lambda name=name: len(platform.endpoint.of(f"/{name}", "initial")) >= events,  # type: ignore[misc]
            lambda: Counter(each.path for each in platform.endpoint.received),
        )
    deadline = time.monotonic() + DEADLINE
    while True:
        # One subscription is retried all the time: its attempts go on meanwhile.
        of_topic = len(await world.read("attempts"))
        of_log = await attempts_of_log(platform)
        of_index = Counter(map(attempt_of, await first.every(f"{path}?limit=200", token)))
        if of_log == of_index and of_log.total() == of_topic:
            break
        assert time.monotonic() < deadline, (of_topic, of_log - of_index, of_index - of_log)
        await asyncio.sleep(0.2)
    assert of_topic > 2 * events
    found = await first.done("GET", "/v1/subscriptions/healthy/statistics", token)
    assert found.json["counts"]["delivered"] == events


async def attempts_of_log(platform: Platform) -> Counter[tuple[object, ...]]:
    """Return what the audit log has, as the command line reads it from Kafka."""
    asked = ("--json", "--limit", "1000000", "--since", "1h")
    lines = await platform.world.stage.hookstream("attempts", "list", *asked)
    found = [json.loads(line) for line in lines.splitlines()]
    return Counter(map(attempt_of, found))


def attempt_of(shown: dict[str, Any]) -> tuple[object, ...]:
    """Return what names an attempt, as the API and the command line show it."""
    delivery = shown.get("delivery") or shown.get("delivery_id")
    return delivery, shown["trigger"], shown["attempt"], shown["disposition"], shown["started_at"]


async def test_two_consoles_answer_every_read_alike_and_continue_each_others_lists(
    platform: Platform,
) -> None:
    """Each read of the table, with each of its parameters: a new one needs a value here."""
    first, second = platform.consoles["first"], platform.consoles["second"]
    await platform.up("first", "second")
    values = await sample_values(platform)
    asked = [
        (route, path)
        for route in READS
        for path in paths(route, values)
        # Which are first of what is pending changes by itself.
        if route.name != "list_pending" or "subscription=" in path
    ]
    assert len(asked) > 2 * len(READS)
    for route, path in asked:
        await until_equal(platform, path)
        if is_list(route) and "?" not in path:
            await until_equal_in_pages(platform, path)
    for path in ("/v1/me", "/openapi.json", "/v1/partners/acme", "/v1/subscriptions/absent"):
        # As a partner sees it.
        here, there = [await each.done("GET", path, platform.partner) for each in (first, second)]
        assert (here.status, here.body) == (there.status, there.body)


async def test_a_change_that_is_sent_to_two_consoles_with_one_key_is_made_once(
    platform: Platform,
) -> None:
    """Both are sent at the same time; whichever makes it, the other answers the same."""
    first, second = platform.consoles["first"], platform.consoles["second"]
    await platform.up("first", "second")
    await platform.subscribe("twice")
    path, token = "/v1/subscriptions/twice", platform.token
    replay = {"since": "2020-01-01T00:00:00Z", "rate": 1}
    made = {}
    for act, body in (("test", {"wait": 0}), ("replays", replay), ("pause", None)):
        headers = {"Idempotency_Key": f"{act}-once", "If_Match": "*"}
        deadline = time.monotonic() + DEADLINE
        while True:
            async with asyncio.TaskGroup() as tasks:
                sent = [
                    tasks.create_task(each.done("POST", f"{path}/{act}", token, body, **headers))
                    for each in (first, second)
                ]
            here, there = [each.result() for each in sent]
            if 409 not in (here.status, there.status):
                break
            # One is still making it.
            assert time.monotonic() < deadline, (here, there)
        assert here.status in {200, 202}, here
        assert (here.status, here.json) == (there.status, there.json)
        made[act] = here.json
    cancel = f"/v1/jobs/{made['replays']['id']}/cancel"
    cancelled = [
        await each.done("POST", cancel, token, Idempotency_Key="cancel-once")
        for each in (first, second)
    ]
    assert [(each.status, each.json["state"]) for each in cancelled] == [(200, "cancelled")] * 2
    assert cancelled[0].json == cancelled[1].json
    listed = await second.done("GET", "/v1/jobs?kind=replay&limit=200", token)
    of_twice = [
        each for each in listed.json["items"] if each["asked"].get("subscription") == "twice"
    ]
    assert [each["id"] for each in of_twice] == [made["replays"]["id"]]
    assert (
        len({each.headers["webhook-id"] for each in platform.endpoint.of("/twice", "test")}) <= 1
    )


async def test_what_fails_is_one_group_and_each_of_its_changes_one_event_whichever_console_looks(
    platform: Platform,
) -> None:
    first, second = platform.consoles["first"], platform.consoles["second"]
    await platform.up("first", "second")
    path = "/v1/failure-groups?subscription=waiting&partner=acme"
    listed = await second.until(path, platform.token, has_items)
    [group] = [each for each in listed["items"] if each["status"] == 503]
    # Its breaker opened after some of them; each of those failed once.
    assert group["state"] == "open"
    assert 0 < group["deliveries"] == group["count"]
    where = f"/v1/failure-groups/{group['id']}"
    acknowledged = await first.done(
        "POST", f"{where}/acknowledge", platform.partner, {"note": "our proxy"}, If_Match="*"
    )
    assert acknowledged.status == 200, acknowledged
    stale = await second.done(
        "POST", f"{where}/resolve", platform.token, {}, If_Match=f'"{group["revision"]}"'
    )
    assert stale.status == 409, stale
    resolved = await second.done("POST", f"{where}/resolve", platform.token, {}, If_Match="*")
    assert resolved.status == 200, resolved
    # It fails again, whatever console notices.
    await platform.publish(1)
    await first.until(where, platform.partner, lambda found: found["group"]["state"] == "reopened")
    events = await first.until(
        "/v1/operations?type=subscription.failures_changed&subscription=waiting",
        platform.token,
        lambda found: any(each["data"]["change"] == "reopened" for each in found["items"]),
    )
    changes = [
        (each["data"]["change"], each["data"]["actor"])
        for each in events["items"]
        if each["data"]["group_id"] == group["id"]
    ]
    assert changes[::-1] == [
        ("opened", "itself"),
        ("acknowledged", "partner"),
        ("resolved", "operator"),
        ("reopened", "itself"),
    ]


async def sample_values(platform: Platform) -> dict[str, str]:
    """Return a value for each part of a path and each parameter; what they name exists."""
    first, token = platform.console, platform.token

    async def one(path: str) -> dict[str, Any]:
        found: dict[str, Any] = (await first.until(path, token, has_items))["items"][0]
        return found

    delivery = await one("/v1/deliveries?subscription=healthy&limit=1")
    letter = await one("/v1/dead-letters?limit=1")
    await platform.made("/v1/partners/acme/portal-links", {})
    await PageClient(first).log_in(platform.partner)
    undecodable = await one("/v1/undecodable?limit=1")
    # Consoles look for failures every half a minute.
    path = "/v1/failure-groups?limit=1"
    await first.until(path, token, has_items)
    return {
        "partner_id": "acme",
        "subscription_id": "healthy",
        "token_id": (await one("/v1/tokens?limit=1"))["id"],
        "link_id": (await one("/v1/partners/acme/portal-links?limit=1"))["id"],
        "session_id": (await one("/v1/sessions?limit=1"))["id"],
        "version": "1",
        "partition": "0",
        "resolved": "true",
        "delivery_id": delivery["delivery"],
        "group_id": (await one(path))["id"],
        "list_failure_groups.state": "open",
        "sum_failure_groups.state": "open",
        "job_id": (await one("/v1/jobs?limit=1"))["id"],
        "limit": "7",
        "subscription": "healthy",
        "partner": "acme",
        "since": "2026-01-01T00:00:00Z",
        "until": "2100-01-01T00:00:00Z",
        "get_subscription_statistics.since": since(1800),
        "get_partner_statistics.since": since(1800),
        "get_statistics.since": since(1800),
        "get_subscription_statistics.until": since(0),
        "get_partner_statistics.until": since(0),
        "get_statistics.until": since(0),
        "step": "1m",
        "event": delivery["event"],
        "entity": delivery["entity"],
        "event_type": EVENT_TYPE,
        "state": "completed",
        "list_jobs.state": "done",
        "list_subscriptions.state": "active",
        "failing": "false",
        "kind": "redrive",
        "delivery": delivery["delivery"],
        "list_dead_letters.delivery": letter["delivery"],
        "outcome": "failed",
        "disposition": "complete",
        "failed": "true",
        "open": "false",
        "reason": letter["reason"],
        "topic": undecodable["origin"].rpartition("-")[0],
        "list_undecodable.reason": undecodable["reason"],
        "origin": delivery["origin"],
        "format": "cloudevents",
        "content": "thin",
        "batch": "true",
        "type": "subscription.changed",
        "list_dead_letters_of_delivery.delivery_id": letter["delivery"],
        "get_dead_letter.place": letter["position"],
        "get_undecodable.place": undecodable["position"],
        "explain_event.place": as_place(delivery["origin"]),
        "deleted": "true",
        "scan": "1000",
        "tier": "1s",
        "due_from": since(1800),
        "due_to": since(-1800),
        "hours": "2",
        "window": "24h",
        "status": "400",
        "host": "127.0.0.1",
        "group_dead_letters.by": "host",
        "group_undecodable.by": "topic",
        "name": EVENT_TYPE,
        "wait": "0",
    }


def as_place(origin: str) -> str:
    """Return the place of an event as `explain` takes it."""
    topic, _, at = origin.rpartition("-")
    return f"{topic}/{at}"


def since(seconds: int) -> str:
    """Return the instant so many seconds ago as RFC 3339."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds))


async def until_equal(platform: Platform, path: str) -> None:
    """Ask both consoles the same until they say the same: the younger one's index may still be read."""
    deadline = time.monotonic() + DEADLINE
    while True:
        here, there = [
            await platform.consoles[name].done("GET", path, platform.token)
            for name in ("first", "second")
        ]
        assert here.status == 200, (path, here.body)
        tags = here.headers.get("etag"), there.headers.get("etag")
        if (there.status, tags[0]) == (200, tags[1]) and (
            compared(path, here.json) == compared(path, there.json)
        ):
            return
        assert time.monotonic() < deadline, (path, here.json, there.json)
        await asyncio.sleep(0.2)


async def until_equal_in_pages(platform: Platform, path: str) -> None:
    """Read a list in short pages, each from the other console, until that is the list as one reads it."""
    deadline = time.monotonic() + DEADLINE
    while True:
        whole = await platform.consoles["first"].every(f"{path}?limit=200", platform.token)
        found: list[Any] = []
        following: str | None = first_page(path)
        for console in alternating(platform.consoles["first"], platform.consoles["second"]):
            answered = await console.done("GET", following, platform.token)
            assert answered.status == 200, (path, answered.body)
            found += answered.json["items"]
            if answered.json["next"] is None:
                break
            following = f"{first_page(path)}&cursor={answered.json['next']}"
        if compared(path, found) == compared(path, whole):
            return
        assert time.monotonic() < deadline, (path, len(found), len(whole))
        await asyncio.sleep(0.2)


@pytest.mark.parametrize("where", ["first", "second", "command", "frozen"])
async def test_no_console_takes_a_token_two_seconds_after_it_was_revoked(
    platform: Platform, where: str
) -> None:
    """Wherever it is revoked, and also if the other console was frozen meanwhile."""
    first, second = platform.consoles["first"], platform.consoles["second"]
    await platform.up("first", "second")
    made = await platform.made("/v1/tokens", {"scope": "partner:read", "partner": "acme"})
    token, token_id = made["text"], made["token"]["id"]
    for console in (first, second):
        # In the console that did not make it, it is good within a moment.
        await console.until("/v1/me", token, lambda _: True)
    by = second if where == "second" else first
    async with asking([first, second], token) as asked:
        if where == "frozen":
            signal_to(second, signal.SIGSTOP)
        try:
            if where == "command":
                await platform.world.stage.hookstream("tokens", "revoke", token_id)
            else:
                revoked = await by.done("POST", f"/v1/tokens/{token_id}/revoke", platform.token)
                assert revoked.status == 200, revoked
            too_late = time.monotonic() + REFUSED_AFTER
            if where == "frozen":
                await wait_for(lambda: time.monotonic() > too_late, lambda: None)
        finally:
            signal_to(second, signal.SIGCONT)
        for console in (first, second):
            await wait_for(
                lambda c=console: any(  # type: ignore[misc]
                    each.status == 401 and each.began > too_late for each in asked[c.name]
                ),
                lambda: asked,
            )
    for answers in asked.values():
        late = [each for each in answers if each.began > too_late]
        assert {each.status for each in late} <= {401, 503}


def signal_to(console: Console, number: int) -> None:
    assert console.process is not None
    console.process.send_signal(number)


@asynccontextmanager
async def asking(consoles: list[Console], token: str) -> AsyncIterator[dict[str, list[Answered]]]:
    """Ask each console again and again who a token is of, while the block runs; yields the answers."""
    answers: dict[str, list[Answered]] = {each.name: [] for each in consoles}
    over = asyncio.Event()

    async def ask(console: Console) -> None:
        while not over.is_set():
            answers[console.name].append(await console.ask("GET", "/v1/me", token))
            await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as asking_all:
        for each in consoles:
            asking_all.create_task(ask(each))
        try:
            yield answers
        finally:
            over.set()


@pytest.mark.timeout(900 + 3 * WRITES)
async def test_three_consoles_and_commands_lose_and_double_no_write_to_one_row(
    platform: Platform,
) -> None:
    """Meanwhile a worker delivers by the row as it has it, and at last by the newest."""
    world = platform.world
    await platform.up(*platform.consoles)
    await platform.subscribe(ROW)
    each = (WRITES - OF_COMMANDS) // len(platform.consoles)
    writers = [Writer(console, platform.token) for console in platform.consoles.values()]
    over = asyncio.Event()

    async with asyncio.TaskGroup() as beside:
        beside.create_task(platform.publish_until(over))
        async with asyncio.TaskGroup() as writing:
            for writer in writers:
                writing.create_task(writer.write(each))
            rotating = writing.create_task(rotate(platform, OF_COMMANDS))
        made = {at: mark for writer in writers for at, mark in writer.made.items()}
        received = platform.endpoint.received
        await wait_for(
            lambda: any(sent.headers.get(MARK) == made[max(made)] for sent in received),
            lambda: [sent.headers.get(MARK) for sent in received],
        )
        over.set()
    sys.stdout.write(figures(writers, received))

    assert len(made) == len(writers) * each
    written = [
        document(entry.value)
        for entry in await world.read("subscriptions")
        if entry.key == ROW.encode()
    ]
    # No revision is missing, and none was written by two.
    assert [row["revision"] for row in written] == list(range(1, len(written) + 1))
    rows = {row["revision"]: mark_of(row) for row in written}
    assert {at: rows[at] for at in made} == made
    # A command changes no header. What else there is was written by a request whose answer did not say so.
    others = [at for at in rows if at not in made and at > 1]
    by_commands = [at for at in others if rows[at] == rows[at - 1]]
    assert 0 <= len(by_commands) - OF_COMMANDS <= rotating.result()
    unsaid = {mark for writer in writers for mark in writer.unsaid}
    assert {rows[at] for at in others if at not in by_commands} <= unsaid


def mark_of(row: dict[str, Any]) -> str:
    """Return what the last write of a console left in a row."""
    return str(dict(row["body"]["endpoint"]["headers"]).get(MARK, ""))


async def test_no_secret_of_all_that_were_used_is_in_anything_that_was_written_or_answered(
    platform: Platform,
) -> None:
    """Logs, spans, metrics, topics, indexes and other files, what commands print, and every answer of the API.

    Only the answer that makes a secret shows it. The endpoints quote the requests that they refuse.
    """
    await platform.up("first", "second")
    async with secret_uses(platform) as uses:
        await uses.subscribe()
        await uses.refused()
        await uses.filed()
        await uses.used()
    received = [
        (each.path, repr((each.path, each.headers, each.body)).encode())
        for each in platform.endpoint.received
    ] + [("token server", repr(uses.login.forms).encode())]
    sent = {name: platform.secrets[name] for name in uses.sent}
    # They were used, and the search finds what there is.
    assert {name for name, _ in found_in(sent, received)} == sent.keys()
    everything = [*uses.said, *await written_and_answered(platform)]
    found = {
        (name, where)
        for name, where in found_in(platform.secrets, everything)
        if name not in uses.quoted or not where.startswith(ANSWER_TO)
    }
    assert not found, sorted(found)


async def written_and_answered(platform: Platform) -> list[tuple[str, bytes]]:
    """Return everything that the run left, each with its name."""
    world = platform.world
    found = [("metrics of the worker", (await world.stage.ask_worker("/metrics")).encode())]
    for console in platform.consoles.values():
        if console.process is not None and console.process.returncode is None:
            found.append((f"metrics of {console.name}", await console.metrics()))
        found += [
            (f"{ANSWER_TO} {each.method} {each.path}", without_shown_once(each))
            for each in console.answers
        ]
    own = [name for name in await asyncio.to_thread(world.log.names) if world.prefix in name]
    found += [
        (entry.topic, b"\n".join([entry.key, entry.value or b"", repr(entry.headers).encode()]))
        for entry in await asyncio.to_thread(world.log.read, *own)
    ]
    ring = world.stage.folder / "keys.json"
    files = [each for each in world.stage.folder.rglob("*") if each.is_file() and each != ring]
    assert {each.suffix for each in files} >= {".log", ".jsonl", ".db"}, files
    return found + [(str(each), each.read_bytes()) for each in files]
