"""Shows a subscription's lane as workers report it: in sum and by worker, with absolute times."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hookstream.adapters.telemetry.asked_workers import WorkerLane, asked_workers
from hookstream.core.lanes.lane_status import BreakerState, LaneStatus
from hookstream.core.model.instant import SECOND, Millis, to_rfc3339
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.subscription import Subscription
from hookstream.errors import InputRefused
from hookstream.settings import Settings

PARTLY_OPEN = "partly_open"
"""The breakers of some lanes are not closed."""
_DIGITS = 3


@dataclass(slots=True, frozen=True)
class LaneNow:
    """The lane of one worker; `LaneOfWorker` of the API says what each field is."""

    in_flight: int
    limit: int
    max_in_flight: int
    ramping: bool
    overdue: bool
    queued: int
    rate: float | None
    throttled: bool
    breaker: str
    probe_at: Millis | None
    rests_until: Millis | None
    answers_in_ms: int

    def as_json(self) -> JsonObject:
        """Return it as plain JSON, with the fields that the API has."""
        return {
            "in_flight": self.in_flight,
            "limit": self.limit,
            "max_in_flight": self.max_in_flight,
            "ramping": self.ramping,
            "overdue": self.overdue,
            "queued": self.queued,
            "rate": self.rate,
            "throttled": self.throttled,
            "breaker": self.breaker,
            "probe_at": _time(self.probe_at),
            "rests_until": _time(self.rests_until),
            "answers_in_ms": self.answers_in_ms,
        }


@dataclass(slots=True, frozen=True)
class WorkersWord:
    """The report of one worker."""

    address: str
    worker: str
    """Its name; empty: it did not answer."""
    lane: LaneNow | None
    """None: it has none, or it did not answer."""
    problem: str
    """Why it did not answer; empty: it did."""


@dataclass(slots=True, frozen=True)
class SubscriptionLane:
    """The sum of the workers' lanes of a subscription; `LaneShown` of the API documents each field."""

    subscription_id: str
    max_in_flight: int
    known: bool
    whole: bool
    idle: bool
    in_flight: int
    limit: int
    ramping: bool
    queued: int
    rate: float | None
    throttled: bool
    breaker: str
    probe_at: Millis | None
    rests_until: Millis | None
    answers_in_ms: int | None
    workers: Sequence[WorkersWord]
    """Empty: none was asked, or its reader may not know them."""

    def as_json(self) -> JsonObject:
        """Return it as plain JSON, with the fields that the API has."""
        workers: list[Json] = [
            {
                "address": each.address,
                "worker": each.worker or None,
                "lane": None if each.lane is None else each.lane.as_json(),
                "problem": each.problem or None,
            }
            for each in self.workers
        ]
        return {
            "subscription": self.subscription_id,
            "max_in_flight": self.max_in_flight,
            "known": self.known,
            "whole": self.whole,
            "idle": self.idle,
            "in_flight": self.in_flight,
            "limit": self.limit,
            "ramping": self.ramping,
            "queued": self.queued,
            "rate": self.rate,
            "throttled": self.throttled,
            "breaker": self.breaker,
            "probe_at": _time(self.probe_at),
            "rests_until": _time(self.rests_until),
            "answers_in_ms": self.answers_in_ms,
            "workers": workers,
        }


def lane_in_sum(
    subscription: Subscription, said: Sequence[WorkerLane], now: Millis
) -> SubscriptionLane:
    """Return the sum of the workers' reports on a subscription's lane.

    If no worker that answered has one, the sum has the limits of the subscription's row.
    """
    lanes = [each.lane for each in said if each.lane is not None]
    answered = [each for each in said if not each.problem]
    paced = [each.rate for each in lanes if each.rate is not None]
    idle = bool(answered) and not lanes
    found = SubscriptionLane(
        subscription_id=subscription.id,
        max_in_flight=subscription.limits.max_in_flight,
        known=bool(answered),
        whole=bool(answered) and len(answered) == len(said),
        idle=idle,
        in_flight=sum(each.in_flight for each in lanes),
        limit=sum(each.limit for each in lanes),
        ramping=any(each.ramping for each in lanes),
        queued=sum(each.queued for each in lanes),
        rate=_rate(sum(paced)) if lanes and len(paced) == len(lanes) else None,
        throttled=any(each.throttled for each in lanes),
        breaker=_breaker([each.breaker for each in lanes]),
        probe_at=_first(now, [_probe(each) for each in lanes]),
        # What one lane still sends is sent.
        rests_until=_first(now, [each.rests or None for each in lanes], needs_all=True),
        answers_in_ms=max((_ms(each.answers_in) for each in lanes), default=None),
        workers=[
            WorkersWord(each.address, each.worker, _now(each.lane, now), each.problem)
            for each in said
        ],
    )
    if not idle:
        return found
    limits = subscription.limits
    return replace(found, limit=limits.max_in_flight, rate=limits.rate_limit)


def refuse_without_lane(subscription: Subscription) -> None:
    """Refuse to look for the lane of a subscription to which nothing is sent.

    Raises:
        InputRefused: Its endpoint is `pull`.
    """
    if subscription.endpoint.is_pull:
        raise InputRefused(
            f"subscription {subscription.id!r} has the endpoint `pull`: its partner reads events, nothing is sent,"
            " so it has no lane"
        )


def ask_lanes(workers: Sequence[str], subscription_id: str) -> Sequence[WorkerLane]:
    """Return what workers, each `host:port`, say of their lanes of a subscription, within about a second."""
    return asyncio.run(_asked(workers, subscription_id))


def ask_named_lanes(
    settings: Settings, workers: Sequence[str], subscription_id: str
) -> Sequence[WorkerLane]:
    """Return what workers say of their lanes of a subscription, within about a second.

    Args:
        settings: Name workers (`console.workers`), or the address at which one of these settings listens.
        workers: `host:port` of those to ask; none: those of the settings, or the one that listens, if it answers.
        subscription_id: Whose lane.
    """
    named = tuple(workers) or settings.console.workers
    said = ask_lanes(named or (settings.worker.listen,), subscription_id)
    return said if named or not all(each.problem for each in said) else ()


async def _asked(workers: Sequence[str], subscription_id: str) -> Sequence[WorkerLane]:
    async with asked_workers(workers) as asked:
        return await asked.lanes(subscription_id)


def _breaker(states: Sequence[BreakerState]) -> str:
    if BreakerState.CLOSED in states:
        return PARTLY_OPEN if len(set(states)) > 1 else BreakerState.CLOSED.value
    if BreakerState.HALF_OPEN in states:
        return BreakerState.HALF_OPEN.value
    return BreakerState.OPEN.value if states else BreakerState.CLOSED.value


def _now(lane: LaneStatus | None, now: Millis) -> LaneNow | None:
    if lane is None:
        return None
    return LaneNow(
        in_flight=lane.in_flight,
        limit=lane.limit,
        max_in_flight=lane.most,
        ramping=lane.ramping,
        overdue=lane.overdue,
        queued=lane.queued,
        rate=None if lane.rate is None else _rate(lane.rate),
        throttled=lane.throttled,
        breaker=lane.breaker.value,
        probe_at=_first(now, [_probe(lane)]),
        rests_until=_first(now, [lane.rests or None]),
        answers_in_ms=_ms(lane.answers_in),
    )


def _probe(lane: LaneStatus) -> float | None:
    return None if lane.breaker is BreakerState.CLOSED else lane.probe_after


def _first(
    now: Millis, after: Sequence[float | None], *, needs_all: bool = False
) -> Millis | None:
    """Return the first of some times, given in seconds from now, to the second; None: there is none."""
    known = [each for each in after if each is not None]
    if not known or (needs_all and len(known) < len(after)):
        return None
    at = now + _ms(min(known))
    return at - at % SECOND


def _ms(seconds: float) -> int:
    return round(seconds * SECOND)


def _rate(a_second: float) -> float:
    return round(a_second, _DIGITS)


def _time(instant: Millis | None) -> str | None:
    return None if instant is None else to_rfc3339(instant)
