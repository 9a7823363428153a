"""How endpoints behave: well, or in one of the ways in which partners' endpoints really fail."""

import asyncio
import datetime as dt
import random
from collections.abc import Callable
from email.utils import format_datetime
from typing import TypeAlias

from tests.doubles.batch_bodies import members_of
from tests.doubles.endpoint import QUICK_ANSWER as QUICK
from tests.doubles.endpoint import Behaviour, fail, hang, refuse_connections, status
from tests.simulation.story import Mood, Wish

from hookstream.core.model.instant import Millis
from hookstream.core.model.outcome import Answer, FailureKind, Response, Words
from hookstream.pipeline.ports import Post

Manner: TypeAlias = Callable[[float, Callable[[], Millis]], Behaviour]
"""Makes a behaviour from a mood's amount and the time of day."""

GONE = 410.0

ACCEPTED = range(200, 300)
FAILURES = (400, 413, 422, 500, 503)
"""Statuses of an endpoint that fails at random."""


def fine(_: float, __: Callable[[], Millis]) -> Behaviour:
    return status(204, after=QUICK)


def slow(amount: float, _: Callable[[], Millis]) -> Behaviour:
    return status(200, after=amount)


def down(_: float, __: Callable[[], Millis]) -> Behaviour:
    return refuse_connections()


def hanging(_: float, __: Callable[[], Millis]) -> Behaviour:
    return hang()


def failing(amount: float, _: Callable[[], Millis]) -> Behaviour:
    return status(int(amount) or 500, after=QUICK)


def leaving(amount: float, _: Callable[[], Millis]) -> Behaviour:
    """Say after so many seconds that the endpoint is gone."""
    return status(int(GONE), after=amount)


def throttling(amount: float, _: Callable[[], Millis]) -> Behaviour:
    return status(429, after=QUICK, retry_after=f"{amount:g}")


def throttling_by_date(amount: float, now: Callable[[], Millis]) -> Behaviour:
    async def behave(_: Post) -> Answer:
        await asyncio.sleep(QUICK)
        until = dt.datetime.fromtimestamp(now() / 1000 + amount, dt.UTC)
        return Response(503, retry_after=format_datetime(until, usegmt=True))

    return behave


def confused(_: float, __: Callable[[], Millis]) -> Behaviour:
    """Throttle with an invalid Retry-After."""
    return status(429, after=QUICK, retry_after="soon, we hope")


def broken(_: float, __: Callable[[], Millis]) -> Behaviour:
    return fail(FailureKind.PROTOCOL, "no status line", after=QUICK)


def cutting(amount: float, _: Callable[[], Millis]) -> Behaviour:
    """Close the connection after having taken the request."""
    return fail(FailureKind.DISCONNECTED, "closed", after=amount)


def flapping(amount: float, _: Callable[[], Millis]) -> Behaviour:
    """Succeed and fail in turns of so many seconds."""

    async def behave(_: Post) -> Answer:
        well = int(asyncio.get_running_loop().time() / amount) % 2 == 0
        await asyncio.sleep(QUICK)
        return Response(204 if well else 502)

    return behave


def disabling(amount: float, _: Callable[[], Millis]) -> Behaviour:
    """Ask to be disabled."""
    return status(int(amount), after=QUICK, words=Words("disable"))


def aborting(amount: float, _: Callable[[], Millis]) -> Behaviour:
    """Ask for no other attempt of this delivery."""
    return status(int(amount), after=QUICK, words=Words("abort-message"))


def exhausted(amount: float, _: Callable[[], Millis]) -> Behaviour:
    """Accept, and have nothing left of a rate limit."""
    return status(204, after=QUICK, words=_nothing_left(amount))


def exhausted_and_failing(amount: float, _: Callable[[], Millis]) -> Behaviour:
    """Fail, and have nothing left of a rate limit."""
    return status(500, after=QUICK, words=_nothing_left(amount))


def moody(amount: float, _: Callable[[], Millis]) -> Behaviour:
    """Fail a share of all requests, at random, in one of several ways."""

    async def behave(post: Post) -> Answer:
        at = asyncio.get_running_loop().time()
        chance = random.Random(f"{post.subscription_id} {at:.6f}")
        await asyncio.sleep(QUICK)
        return Response(chance.choice(FAILURES) if chance.random() < amount else 204)

    return behave


def _nothing_left(seconds: float) -> Words:
    return Words(ratelimit=f'"a minute";r=3;t=60, "default";r=0;t={seconds:g}')


MANNERS: dict[str, Manner] = {
    "fine": fine,
    "slow": slow,
    "down": down,
    "hanging": hanging,
    "failing": failing,
    "leaving": leaving,
    "throttling": throttling,
    "throttling_by_date": throttling_by_date,
    "confused": confused,
    "broken": broken,
    "cutting": cutting,
    "flapping": flapping,
    "disabling": disabling,
    "aborting": aborting,
    "exhausted": exhausted,
    "exhausted_and_failing": exhausted_and_failing,
    "moody": moody,
}


def may_be_gone(wish: Wish) -> bool:
    """Return whether an endpoint ever answers that it is gone."""
    leaves = any(mood.manner == "leaving" for mood in wish.moods)
    return leaves or (wish.for_ever is not None and wish.for_ever.amount == GONE)


def behaviour(wish: Wish, at: float, now: Callable[[], Millis], *, calm: bool) -> Behaviour:
    """Return how an endpoint behaves at an instant of the story."""
    mood = wish.for_ever or Mood(0.0, "fine")
    if not calm:
        mood = next((found for found in wish.moods if at < found.until), mood)
    elif mood.amount != GONE:
        # A breaker probes a dead endpoint so rarely that its last delivery would take hours to end.
        mood = Mood(0.0, "fine")
    usual = MANNERS[mood.manner](mood.amount, now)
    return choosy(usual, wish) if wish.refuses and at < wish.refuses_until else usual


def choosy(usual: Behaviour, wish: Wish) -> Behaviour:
    """Refuse what would be accepted if certain events are in it."""

    async def behave(post: Post) -> Answer:
        answer = await usual(post)
        if not isinstance(answer, Response) or answer.status not in ACCEPTED:
            return answer
        named = {member["data"]["name"] for member in members_of(post)}
        return answer if named.isdisjoint(wish.refuses) else Response(wish.refuses_with)

    return behave
