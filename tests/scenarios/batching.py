"""Subscriptions with batches, and what their endpoints and the audit log saw, for scenarios."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tests.doubles.batch_bodies import event_ids
from tests.scenarios.world import EVENT_TYPE, World

from hookstream.core.model.instant import MINUTE, SECOND, Millis
from hookstream.core.model.outcome import Response
from hookstream.core.model.subscription import (
    Batch,
    BodyFormat,
    Content,
    RetryPolicy,
    Subscription,
)

OTHER_TYPE = "pricing.started"
"""A second event type, on the first one's topic."""


def batching(
    world: World,
    name: str,
    max_events: int = 100,
    max_wait: Millis = 200,
    *,
    body_format: BodyFormat = BodyFormat.STANDARD,
    content: Content = Content.FULL,
    schedule: tuple[Millis, ...] = (5 * SECOND, 5 * MINUTE, 30 * MINUTE),
    final_statuses: Sequence[int] = (),
    max_in_flight: int = 8,
    rate_limit: float | None = None,
    timeout: Millis = 15 * SECOND,
) -> Subscription:
    """Put a subscription of `acme` that gets batches into the table."""
    subscription = replace(
        world.subscribe(
            name,
            max_in_flight=max_in_flight,
            rate_limit=rate_limit,
            timeout=timeout,
            event_types=(EVENT_TYPE, OTHER_TYPE),
        ),
        batch=Batch(max_events, max_wait),
        format=body_format,
        content=content,
        retry=RetryPolicy(schedule=schedule, final_statuses=frozenset(final_statuses)),
    )
    world.directory.put_subscription(subscription)
    return subscription


def sent(world: World, name: str) -> list[list[str]]:
    """Return the events of every request to a subscription."""
    return [event_ids(each.post) for each in world.endpoints.to(name)]


def starts(world: World, name: str) -> list[float]:
    """Return when each request to a subscription began."""
    return [each.at for each in world.endpoints.to(name)]


def audit(world: World, name: str) -> list[dict[str, Any]]:
    """Return a subscription's audit records."""
    records = world.broker.records(world.topics.attempts)
    entries = [json.loads(each.value or b"{}") for each in records]
    return [each for each in entries if each["subscription_id"] == name]


def attempts(world: World, name: str) -> dict[str, list[tuple[int, str, str]]]:
    """Return number, outcome and disposition of the attempts of each event, by event id."""
    found: dict[str, list[tuple[int, str, str]]] = {}
    for each in audit(world, name):
        if each["outcome"] is not None:
            entry = (each["attempt"], each["outcome"], each["disposition"])
            found.setdefault(each["event_id"], []).append(entry)
    return found


def named(count: int, prefix: str = "e") -> list[str]:
    """Return so many event ids."""
    return [f"{prefix}{number}" for number in range(count)]


def longest_search(members: int) -> int:
    """Return how many requests a search in a batch may take."""
    return math.ceil(math.log2(members)) + 2


def alone(world: World, name: str, code: int) -> set[str]:
    """Return the events that were refused with a status in a request without any other."""
    return {
        event_ids(each.post)[0]
        for each in world.endpoints.to(name)
        if isinstance(each.answer, Response)
        and each.answer.status == code
        and len(event_ids(each.post)) == 1
    }
