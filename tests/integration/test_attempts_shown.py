"""The audit log shows what was sent, what was answered, and how a delivery ended."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import IO

import orjson
import pytest
from tests.conftest import Broker
from tests.integration.dead_letters_world import NOW, World, delivery, make_world

from hookstream.core.model.delivery import Delivery, Trigger
from hookstream.core.model.json import Json
from hookstream.core.model.outcome import (
    Complete,
    DeadLetter,
    DeadReason,
    Delivered,
    Failed,
    FailureKind,
    RetryAt,
)

FAILED = Failed(FailureKind.STATUS, "answered 503", 503)


@pytest.fixture
def world(broker: Broker, prefix: str, capsys: pytest.CaptureFixture[str]) -> World:
    return make_world(broker, prefix, capsys)


def lines(text: str) -> list[dict[str, Json]]:
    return [orjson.loads(line) for line in text.splitlines()]


def at(number: int, attempt: int, trigger: Trigger = Trigger.RETRY) -> Delivery:
    return replace(delivery(number), attempt=attempt, trigger=trigger)


def test_attempts_are_listed_by_the_given_filters(world: World) -> None:
    now = int(time.time() * 1000)
    world.attempt(at(1, 1, Trigger.INITIAL), FAILED, RetryAt(now + 5_000), now - 9)
    world.attempt(at(1, 2), Delivered(200), Complete(), now)
    world.attempt(replace(at(2, 1), subscription_id="shop"), Delivered(204), Complete(), now - 5)
    everything = world.run("attempts", "list", "--json")
    shown = [(each["delivery_id"], each["attempt"]) for each in lines(everything.out)]
    one, two = delivery(1).delivery_id, delivery(2).delivery_id
    assert shown == [(one, 1), (two, 1), (one, 2)]
    asked = (
        ("--outcome", "failed"),
        ("--subscription", "shop"),
        ("--delivery", one, "--disposition", "complete"),
        ("--event", "nobody"),
        ("--limit", "1"),
        ("--until", "1h"),
    )
    listed = [lines(world.run("attempts", "list", "--json", *each).out) for each in asked]
    assert [[(e["delivery_id"], e["attempt"]) for e in found] for found in listed] == [
        [(one, 1)],
        [(two, 1)],
        [(one, 2)],
        [],
        [(one, 2)],
        [],
    ]


@pytest.mark.parametrize(
    ("filters", "why"),
    [
        (("--outcome", "nonsense"), "--outcome 'nonsense': there is no such outcome"),
        (("--outcome", "deliverd"), "(did you mean delivered?)"),
        (("--disposition", "completed"), "there is no such disposition"),
        (("--disposition", "completed"), "(did you mean complete?)"),
        (("--partner", "nosuch"), "--partner 'nosuch': no table holds"),
        (("--partner", "acne"), "(did you mean acme?)"),
        (("--subscription", "crm-order"), "(did you mean crm-orders?)"),
        (("--event-type", "thing.don"), "(did you mean thing.done?)"),
    ],
)
def test_a_filter_by_an_unknown_field_is_refused(
    world: World, filters: tuple[str, ...], why: str
) -> None:
    """`0 of 0` would look like an answer."""
    now = int(time.time() * 1000)
    world.attempt(at(1, 1), Delivered(200), Complete(), now)
    ended = world.run("attempts", "list", *filters)
    assert (ended.code, why in ended.err, ended.out) == (2, True, "")


@pytest.mark.parametrize("command", ["list", "redrive"])
@pytest.mark.parametrize(
    ("filters", "why"),
    [
        (("--partner", "nosuch"), "--partner 'nosuch': no table holds"),
        (("--subscription", "crm-order"), "(did you mean crm-orders?)"),
        (("--event-type", "thing.don"), "(did you mean thing.done?)"),
    ],
)
def test_a_filter_of_dead_letters_by_an_unknown_value_is_refused(
    world: World, command: str, filters: tuple[str, ...], why: str
) -> None:
    world.die(at(1, 1))
    ended = world.run("dlq", command, *filters)
    assert (ended.code, why in ended.err, ended.out) == (2, True, "")


@pytest.mark.parametrize(
    "command",
    [
        ("undecodable", "list", "--topic", "nosuch"),
        ("undecodable", "redrive", "--topic", "nosuch"),
        ("events", "tail", "--no-follow", "--topic", "nosuch"),
        ("events", "tail", "--no-follow", "--type", "no.such"),
    ],
    ids=" ".join,
)
def test_unknown_topics_and_types_are_refused(world: World, command: tuple[str, ...]) -> None:
    ended = world.run(*command)
    assert (ended.code, f"{command[-2]} '{command[-1]}': no" in ended.err) == (2, True), ended.err


def test_if_the_tables_cannot_be_read_no_name_is_reported_as_unknown(
    world: World,
) -> None:
    events = f"{world.names.prefix}.ev"
    world.append(events, world.event())
    world.remove(world.names.partners)
    tail = ("events", "tail", "--topic", events, "--from-beginning", "--no-follow")

    shown = world.run(*tail, "--type", "thing.done")
    refused = world.run("attempts", "list", "--partner", "nosuch")

    assert (shown.code, shown.json["type"]) == (0, "thing.done")
    why = "--partner 'nosuch': the tables cannot be read, and nothing in the window has it"
    assert (refused.code, refused.err) == (2, f"hookstream: {why}\n")


def test_an_unreadable_record_is_reported_and_skipped(world: World) -> None:
    world.append(world.names.attempts, b"junk")
    ended = world.run("attempts", "list")
    assert "1 record could not be read; the first is" in " ".join(ended.err.split())


def test_a_delivery_is_shown_with_its_whole_history(world: World) -> None:
    """Attempts, dead letter and redrive in one order: what an SRE needs at three in the morning."""
    dead = at(1, 2)
    now = int(time.time() * 1000)
    world.attempt(at(1, 1, Trigger.INITIAL), FAILED, RetryAt(now + 5_000), now - 9_000)
    exhausted = DeadLetter(DeadReason.ATTEMPTS_EXHAUSTED, "2 attempts")
    world.attempt(dead, FAILED, exhausted, now - 4_000)
    world.die(dead, partition=1)
    world.attempt(at(2, 1), Delivered(200), Complete(), NOW)
    ended = world.run("attempts", "show", dead.delivery_id, "--json").json
    assert (ended["state"], kinds(ended)) == (
        "dead-lettered",
        ["attempt", "attempt", "dead_letter"],
    )
    world.run("dlq", "redrive", "--yes")
    redriven = world.run("attempts", "show", dead.delivery_id, "--json").json
    assert (redriven["state"], kinds(redriven)[-1]) == ("pending", "redrive")
    later = int(time.time() * 1000)
    world.attempt(at(1, 3, Trigger.REDRIVE), Delivered(200), Complete(), later)
    text = world.run("attempts", "show", dead.delivery_id).out
    shown = [
        "completed",
        "#1 initial: failed 503 in 12ms, retry at",
        "dead letter 1@0 (attempts_exhausted: attempts_exhausted!)",
        "redriven from 1@0 by redrive-",
        "#3 redrive: delivered 200 in 12ms",
    ]
    assert [each for each in shown if each not in text] == []


def kinds(document: dict[str, Json]) -> list[Json]:
    moments = document["moments"]
    assert isinstance(moments, list)
    return [moment["kind"] for moment in moments if isinstance(moment, dict)]


def test_an_unknown_delivery_is_refused(world: World) -> None:
    ended = world.run("attempts", "show", "msg_x")
    assert (ended.code, "has a record of msg_x" in ended.err) == (2, True)


def test_following_prints_attempts_as_they_are_made_and_ends_with_130(world: World) -> None:
    command = [sys.executable, "-u", "-m", "hookstream", *world.options]
    arguments = ["attempts", "list", "--follow", "--json", "--since", "1m"]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE) as process:  # noqa: S603
        try:
            printed = process.stdout
            assert printed is not None
            now = int(time.time() * 1000)
            world.attempt(at(1, 1), Delivered(200), Complete(), now)
            first = next_line(printed)
            world.attempt(at(1, 2), Delivered(200), Complete(), now)
            second = next_line(printed)
            process.send_signal(signal.SIGINT)
            code = process.wait(40)
        finally:
            process.kill()
    assert (first["attempt"], second["attempt"], code) == (1, 2, 130)


def next_line(printed: IO[bytes]) -> dict[str, Json]:
    os.set_blocking(printed.fileno(), True)
    document: dict[str, Json] = orjson.loads(printed.readline())
    return document
