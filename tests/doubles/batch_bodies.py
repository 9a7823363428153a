"""Reads the deliveries of a request out of its body, of one or of a batch, and names both independently."""

import asyncio
import hashlib
from base64 import b32encode
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from typing import Any

import orjson
from tests.doubles.endpoint import QUICK_ANSWER, Behaviour

from hookstream.core.model.outcome import Answer, Response
from hookstream.pipeline.ports import Post

STANDARD, CLOUDEVENTS = "application/json", "application/cloudevents-batch+json"
"""The media types of batches."""

BATCH_TYPE = "hookstream.batch"


def members_of(post: Post) -> list[Any]:
    """Return the body of each delivery of a request, in order: one where it is no batch."""
    body = _parsed(post.body)
    if isinstance(body, list):
        return body
    if body["type"] == BATCH_TYPE:
        members: list[Any] = body["events"]
        return members
    return [body]


def is_batch(post: Post) -> bool:
    """Return whether a request has the body of a batch, also of one delivery."""
    body = _parsed(post.body)
    return isinstance(body, list) or body["type"] == BATCH_TYPE


def event_ids(post: Post) -> list[str]:
    """Return the event id of each delivery of a request, in order."""
    return [member["id"] for member in members_of(post)]


def delivery_ids(post: Post) -> list[str]:
    """Return the delivery id of each delivery of a request, in order."""
    who = post.subscription_id
    return [_of_delivery(member["type"], member["id"], who) for member in members_of(post)]


def batch_id(members: Iterable[str]) -> str:
    """Return the id of a batch of deliveries with these ids."""
    return _named("msgb_", "v1", *members)


@lru_cache(256)
def _parsed(body: bytes) -> Any:  # noqa: ANN401  # JSON
    """Return a body, which each of these functions is asked about in turn."""
    return orjson.loads(body)


@lru_cache(256)
def _of_delivery(event_type: str, event_id: str, who: str) -> str:
    return _named("msg_", "v1", event_type, event_id, who)


def _named(prefix: str, *parts: str) -> str:
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return prefix + b32encode(digest).decode().lower()[:26]


def refuse(
    code: int, refused: Callable[[str], bool] | Collection[str], *, after: float = QUICK_ANSWER
) -> Behaviour:
    """Refuse every request with one of these events in it, whatever else is in it; accept any other.

    Args:
        code: The status of a refusal.
        refused: The events, by id.
        after: The seconds that an answer takes.
    """

    async def behave(post: Post) -> Answer:
        await asyncio.sleep(after)
        found = event_ids(post)
        is_refused = refused if callable(refused) else refused.__contains__
        return Response(code if any(is_refused(each) for each in found) else 204)

    return behave
