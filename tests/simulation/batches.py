"""What a batch must be, whatever happens, and how many requests the search in a refused one may take."""

import math
from collections import defaultdict
from dataclasses import dataclass, field

from tests.doubles.batch_bodies import batch_id, delivery_ids, is_batch, members_of
from tests.simulation.expectation import Pair, of_run
from tests.simulation.story import Wish

from hookstream.core.model.outcome import Answer, Response
from hookstream.core.redrive.runs import TEST_EVENT_ID
from hookstream.pipeline.ports import Post

REFUSES_BODY = frozenset({400, 413, 422})
"""Statuses for which a batch is halved."""
OF_ONE_DELIVERY = ("hookstream-attempt", "hookstream-trigger")


@dataclass(slots=True)
class Bounds:
    """How large requests may be."""

    events: defaultdict[str, int] = field(default_factory=lambda: defaultdict(lambda: 1))
    """By subscription: the most deliveries that a request ever might have."""
    body: int = 1 << 20
    """The largest body, in bytes."""


@dataclass(slots=True)
class Alone:
    """The statuses that deliveries got in requests without any other."""

    since_redrive: defaultdict[Pair, set[int]] = field(default_factory=lambda: defaultdict(set))
    ever: defaultdict[Pair, set[int]] = field(default_factory=lambda: defaultdict(set))

    def got(self, pair: Pair, status: int) -> None:
        self.since_redrive[pair].add(status)
        self.ever[pair].add(status)


def pairs_of(post: Post) -> list[Pair]:
    """Return the deliveries of a request, in order."""
    job = dict(post.headers).get("hookstream-replay")
    names = [each["data"]["name"] for each in members_of(post)]
    # A request says of a test that it is one, and not its job, which has the name of its event.
    return [
        of_run(name, post.subscription_id, name if name.startswith(TEST_EVENT_ID) else job)
        for name in names
    ]


def batch_of(post: Post) -> str | None:
    """Return the id of a request's batch; None: it is none."""
    return dict(post.headers)["webhook-id"] if is_batch(post) else None


def wrong_with(post: Post, wish: Wish, *, most: int, most_bytes: int) -> str | None:
    """Return what is wrong with the body and the headers of a request.

    Args:
        post: The request.
        wish: Its subscription, which may have batches.
        most: The most deliveries that it may have.
        most_bytes: The largest body.
    """
    members, headers = members_of(post), dict(post.headers)
    ids = delivery_ids(post)
    if len(post.body) > most_bytes:
        return f"a body has {len(post.body)} bytes, and may have {most_bytes}"
    if wish.cloudevents is not ("specversion" in members[0]):
        return f"a body for {wish.id} has the wrong format"
    if not is_batch(post):
        right = ids[0] == headers["webhook-id"]
        return None if right else f"{headers['webhook-id']} is not {ids[0]}"
    if len(members) > most:
        return f"a batch for {wish.id} has {len(members)} deliveries, and may have {most}"
    if len(set(ids)) < len(ids):
        return f"a batch for {wish.id} has a delivery twice: {', '.join(ids)}"
    if headers["webhook-id"] != batch_id(ids):
        return f"a batch of {', '.join(ids)} is {headers['webhook-id']}"
    if any(name in headers for name in OF_ONE_DELIVERY):
        return f"a batch for {wish.id} has the headers of one delivery"
    return None


def refuses_body(answer: Answer) -> bool:
    """Return whether an answer may be about what is in the request."""
    return isinstance(answer, Response) and answer.status in REFUSES_BODY


def longest_search(most: int) -> int:
    """Return the most requests that one delivery has from the first refusal of its batch on.

    Those of the search, and one in which it is sent alone at the end of its schedule.
    """
    return math.ceil(math.log2(max(most, 2))) + 3
