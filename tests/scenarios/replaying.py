"""Runs that jobs begin, and what the audit log says of them, for scenarios."""

import json
from typing import Any

from tests.doubles.codec import json_value
from tests.scenarios.world import EVENT_TYPE, EVENTS, World

from hookstream.core.delivery.identity import delivery_id
from hookstream.core.model.event import Event, Identified
from hookstream.core.model.record import OutgoingRecord, Record
from hookstream.core.model.subscription import Grant, HeldGrant, Partner
from hookstream.core.redrive.revive import Revival
from hookstream.core.redrive.runs import TEST_ENVIRONMENT, Run

JOB = "replay-1"


def a_run(world: World, job: str = JOB, *, as_granted_today: bool = False) -> Run:
    """Return the runs of a job, as it writes them into `retry.0s`."""
    return Run(world.topics.tier(0), job, as_granted_today)


def grant_ever(world: World) -> None:
    """Grant everything to `acme`, as since before any event."""
    grant = Grant(("*",), ("*",))
    partner = Partner("acme", "Acme", grant, history=(HeldGrant(grant, 0),))
    world.directory.put_partner(partner)


def replay(
    world: World,
    name: str,
    *event_ids: str,
    job: str = JOB,
    as_granted_today: bool = False,
    filter_asked: bool = True,
) -> None:
    """Do what a replay job does with events of the log, whenever they were written; of all, if none is named."""
    run = a_run(world, job, as_granted_today=as_granted_today)
    subscription = world.directory.subscriptions[name]
    for event in events(world):
        if event_ids and event.event_id not in event_ids:
            continue
        written = run.replayed(
            event,
            delivery_id(event.event_type, event.event_id, name),
            subscription,
            now=world.clock.now(),
            filter_asked=filter_asked,
        )
        write(world, written)


def events(world: World) -> list[Event]:
    """Return the events of the log."""
    found: list[Event] = []
    for record in world.broker.records(EVENTS):
        identified = world.codec.identify(record)
        assert isinstance(identified, Identified)
        event = world.codec.decode(identified, record, record.origin)
        assert isinstance(event, Event)
        found.append(event)
    return found


def send_test(
    world: World,
    name: str,
    event_id: str = "test-1",
    *,
    job: str = "test-1",
    event_type: str = EVENT_TYPE,
    environment: str = TEST_ENVIRONMENT,
) -> None:
    """Do what the command does that sends a test."""
    write(
        world,
        a_run(world, job).tested(
            json_value(event_type, event_id, environment=environment),
            (),
            event_type,
            event_id,
            delivery_id(event_type, event_id, name),
            world.directory.subscriptions[name],
            now=world.clock.now(),
        ),
    )


def redrive(world: World) -> None:
    """Produce the dead letters into `retry.0s`, as a redrive does."""
    revival = Revival(world.topics.tier(0), lambda _: None, world.clock.now)
    for dead in world.broker.records(world.topics.dead_letters):
        back = revival.delivery(dead)
        assert isinstance(back, OutgoingRecord)
        write(world, back)


def write(world: World, record: OutgoingRecord) -> Record:
    """Append a record."""
    return world.broker.append(record.topic, record.value, key=record.key, headers=record.headers)


def audited(world: World, name: str) -> list[dict[str, Any]]:
    """Return a subscription's audit records."""
    records = world.broker.records(world.topics.attempts)
    found = [json.loads(each.value or b"{}") for each in records]
    return [each for each in found if each["subscription_id"] == name]


def lives(world: World, name: str) -> list[tuple[str | None, str, int, str]]:
    """Return job, trigger, number and disposition of a subscription's audit records."""
    return [
        (each["job_id"], each["trigger"], each["attempt"], each["disposition"])
        for each in audited(world, name)
    ]


def sent(world: World, name: str) -> list[tuple[str | None, str | None]]:
    """Return `hookstream-trigger` and `hookstream-replay` of each request to a subscription."""
    return [
        (each.header("hookstream-trigger"), each.header("hookstream-replay"))
        for each in world.endpoints.to(name)
    ]
