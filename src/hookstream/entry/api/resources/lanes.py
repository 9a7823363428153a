"""Route of a subscription's lane: what workers say that it does now; each worker's own words are for operators."""

from collections.abc import Sequence
from typing import Annotated, Any

from hookstream.adapters.telemetry.asked_workers import WorkerLane
from hookstream.core.access.scopes import Scope
from hookstream.core.lanes.lane_status import BreakerState, LaneStatus
from hookstream.core.model.instant import SECOND, Millis, to_rfc3339
from hookstream.entry.api.caller import subscription_of
from hookstream.entry.api.fields import OPERATORS_SEE, ApiOutput
from hookstream.entry.api.routes import ApiAnswer, Call, Route

PARTLY_OPEN = "partly_open"
"""The breakers of some lanes are not closed."""
_DIGITS = 3


class LaneOfWorker(ApiOutput, frozen=True):
    """The lane that one worker has of the subscription."""

    in_flight: int
    """Attempts that are not answered."""
    limit: int
    """How many may be in flight now: it adapts to the endpoint."""
    max_in_flight: int
    """How many the subscription allows."""
    ramping: bool
    """Whether the limit still doubles with each round of answers."""
    overdue: bool
    """Whether an attempt is unanswered for so long that no other begins."""
    queued: int
    """Deliveries that wait in the lane; those in tiers are not among them."""
    rate: float | None
    """Attempts a second at most now; null: only the limit bounds them."""
    throttled: bool
    """Whether the endpoint's answers determine that rate, and not the subscription's own limit."""
    breaker: str
    """`closed`, `open`, or `half_open`: the next attempt is a probe."""
    probe_at: str | None
    """When its next probe may be made; null: none is needed."""
    rests_until: str | None
    """Until when it begins no attempt, as its endpoint asked; null: it does not rest."""
    answers_in_ms: int
    """In which time the endpoint answers, on average; of one that never answered, a guess."""


class WorkerLaneShown(ApiOutput, frozen=True):
    """What one worker said."""

    address: str
    """Where it was asked."""
    worker: str | None
    """Its name, as attempts have it."""
    lane: LaneOfWorker | None
    """Null: it has none, as it had no work for it lately, or it did not answer."""
    problem: str | None
    """Why it did not answer; null: it did."""


class LaneShown(ApiOutput, frozen=True):
    """What the workers' lanes of a subscription do now, in sum."""

    subscription: str
    known: bool
    """Whether any worker answered; false: the rest says nothing."""
    whole: bool
    """Whether all of them did."""
    in_flight: int
    """Requests that are not answered."""
    limit: int
    """How many may be in flight now: it adapts to the endpoint."""
    ramping: bool
    """Whether that still doubles with each round of answers."""
    queued: int
    """Deliveries that are next; those that wait for a later time are not among them."""
    rate: float | None
    """Requests a second at most now; null: only the limit bounds them."""
    throttled: bool
    """Whether the endpoint's answers determine that rate, and not the subscription's own limit."""
    breaker: str
    """`closed`; `open`: the endpoint fails, and single requests probe it; `half_open`: the next one is a probe;
    `partly_open`: some of what sends to it sees it fail."""
    probe_at: str | None
    """When the next probe may be made; null: none is needed."""
    rests_until: str | None
    """Until when nothing is sent, as the endpoint asked; null: it did not."""
    answers_in_ms: int | None
    """In which time the endpoint answers, on average; null: nothing was sent to it lately."""
    workers: Annotated[tuple[WorkerLaneShown, ...], OPERATORS_SEE]
    """Empty: `console.workers` names none."""


def get_lane(call: Call[Any, None]) -> ApiAnswer:
    """Return what the workers' lanes of a subscription do now."""
    found = subscription_of(call)
    said = call.services.lanes(found.id)
    return ApiAnswer(_shown(found.id, said, call.services.now()))


def _shown(subscription_id: str, said: Sequence[WorkerLane], now: Millis) -> LaneShown:
    lanes = [each.lane for each in said if each.lane is not None]
    answered = [each for each in said if not each.problem]
    paced = [each.rate for each in lanes if each.rate is not None]
    return LaneShown(
        subscription=subscription_id,
        known=bool(answered),
        whole=bool(answered) and len(answered) == len(said),
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
        workers=tuple(_of_worker(each, now) for each in said),
    )


def _breaker(states: Sequence[BreakerState]) -> str:
    if BreakerState.CLOSED in states:
        return PARTLY_OPEN if len(set(states)) > 1 else BreakerState.CLOSED.value
    if BreakerState.HALF_OPEN in states:
        return BreakerState.HALF_OPEN.value
    return BreakerState.OPEN.value if states else BreakerState.CLOSED.value


def _of_worker(said: WorkerLane, now: Millis) -> WorkerLaneShown:
    lane = said.lane
    return WorkerLaneShown(
        address=said.address,
        worker=said.worker or None,
        lane=None
        if lane is None
        else LaneOfWorker(
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
        ),
        problem=said.problem or None,
    )


def _probe(lane: LaneStatus) -> float | None:
    return None if lane.breaker is BreakerState.CLOSED else lane.probe_after


def _first(now: Millis, after: Sequence[float | None], *, needs_all: bool = False) -> str | None:
    """Return the first of some times, given in seconds from now, to the second; None: there is none."""
    known = [each for each in after if each is not None]
    if not known or (needs_all and len(known) < len(after)):
        return None
    at = now + _ms(min(known))
    return to_rfc3339(at - at % SECOND)


def _ms(seconds: float) -> int:
    return round(seconds * SECOND)


def _rate(a_second: float) -> float:
    return round(a_second, _DIGITS)


ROUTES = (
    Route(
        "GET",
        "/v1/subscriptions/{subscription_id}/lane",
        Scope.PARTNER_READ,
        "Show what is in flight to its endpoint, of which limit, at which rate, and whether its breaker is open.",
        get_lane,
        LaneShown,
        tag="subscriptions",
    ),
)
