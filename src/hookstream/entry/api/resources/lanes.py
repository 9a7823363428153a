"""Route of a subscription's lane, as the workers report it now; only operators see each worker's report."""

from typing import Annotated, Any

from hookstream.core.access.scopes import Scope
from hookstream.entry.admin.lanes import LaneNow, SubscriptionLane, lane_in_sum
from hookstream.entry.api.caller import subscription_of
from hookstream.entry.api.fields import OPERATORS_SEE, ApiOutput
from hookstream.entry.api.filters import time_text
from hookstream.entry.api.routes import ApiAnswer, Call, Route


class LaneOfWorker(ApiOutput, frozen=True):
    """The lane that one worker has of the subscription."""

    in_flight: int
    """Attempts without an answer so far."""
    limit: int
    """The current limit of attempts in flight, which adapts to the endpoint."""
    max_in_flight: int
    """The limit that the subscription sets."""
    ramping: bool
    """Whether the limit still doubles with each round of answers."""
    overdue: bool
    """Whether an attempt has been outstanding for so long that no other one starts."""
    queued: int
    """Deliveries that wait in the lane, without those in tiers."""
    rate: float | None
    """The most attempts per second now; null: only the limit bounds them."""
    throttled: bool
    """Whether the endpoint's answers determine that rate, and not the subscription's own limit."""
    breaker: str
    """`closed`, `open`, or `half_open`: the next attempt is a probe."""
    probe_at: str | None
    """When its next probe may be made; null: none is needed."""
    rests_until: str | None
    """Until when it starts no attempt, as its endpoint asked; null: it does not rest."""
    answers_in_ms: int
    """The endpoint's average response time; an estimate, if it never answered."""


class WorkerLaneShown(ApiOutput, frozen=True):
    """The report of one worker."""

    address: str
    """The address that was asked."""
    worker: str | None
    """Its name, as attempts have it."""
    lane: LaneOfWorker | None
    """Null: the worker had no recent work for the subscription, or it did not answer."""
    problem: str | None
    """Why it did not answer; null: it did."""


class LaneShown(ApiOutput, frozen=True):
    """The workers' lanes of a subscription now, summed up."""

    subscription: str
    known: bool
    """Whether any worker answered; false: the other fields say nothing."""
    whole: bool
    """Whether all of them did."""
    idle: bool
    """Whether none of those that answered had recent work for it: `limit` and `rate` are then what the subscription
    allows, `limit` for each worker."""
    in_flight: int
    """Requests without an answer so far."""
    limit: int
    """The current limit of attempts in flight, which adapts to the endpoint."""
    max_in_flight: int
    """The limit that the subscription sets for each worker."""
    ramping: bool
    """Whether the limit still doubles with each round of answers."""
    queued: int
    """Deliveries that are next, without those that wait for a later time."""
    rate: float | None
    """The most requests per second now; null: only the limit bounds them."""
    throttled: bool
    """Whether the endpoint's answers determine that rate, and not the subscription's own limit."""
    breaker: str
    """`closed`; `open`: the endpoint fails, and single requests probe it; `half_open`: the next one is a probe;
    `partly_open`: it is open in some workers."""
    probe_at: str | None
    """When the next probe may be made; null: none is needed."""
    rests_until: str | None
    """Until when nothing is sent, as the endpoint asked; null: it did not."""
    answers_in_ms: int | None
    """The endpoint's average response time; null: nothing was sent to it recently."""
    workers: Annotated[tuple[WorkerLaneShown, ...], OPERATORS_SEE]
    """Empty: `console.workers` names none."""


def get_lane(call: Call[Any, None]) -> ApiAnswer:
    """Return the state of the workers' lanes of a subscription."""
    found = subscription_of(call)
    said = call.services.lanes(found.id)
    return ApiAnswer(_shown(lane_in_sum(found, said, call.services.now())))


def _shown(lane: SubscriptionLane) -> LaneShown:
    return LaneShown(
        subscription=lane.subscription_id,
        known=lane.known,
        whole=lane.whole,
        idle=lane.idle,
        in_flight=lane.in_flight,
        limit=lane.limit,
        max_in_flight=lane.max_in_flight,
        ramping=lane.ramping,
        queued=lane.queued,
        rate=lane.rate,
        throttled=lane.throttled,
        breaker=lane.breaker,
        probe_at=time_text(lane.probe_at),
        rests_until=time_text(lane.rests_until),
        answers_in_ms=lane.answers_in_ms,
        workers=tuple(
            WorkerLaneShown(
                address=each.address,
                worker=each.worker or None,
                lane=None if each.lane is None else _of_worker(each.lane),
                problem=each.problem or None,
            )
            for each in lane.workers
        ),
    )


def _of_worker(lane: LaneNow) -> LaneOfWorker:
    return LaneOfWorker(
        in_flight=lane.in_flight,
        limit=lane.limit,
        max_in_flight=lane.max_in_flight,
        ramping=lane.ramping,
        overdue=lane.overdue,
        queued=lane.queued,
        rate=lane.rate,
        throttled=lane.throttled,
        breaker=lane.breaker,
        probe_at=time_text(lane.probe_at),
        rests_until=time_text(lane.rests_until),
        answers_in_ms=lane.answers_in_ms,
    )


ROUTES = (
    Route(
        "GET",
        "/v1/subscriptions/{subscription_id}/lane",
        Scope.PARTNER_READ,
        "Show the lane of its endpoint: requests in flight, limit, rate and circuit breaker.",
        get_lane,
        LaneShown,
        tag="subscriptions",
    ),
)
