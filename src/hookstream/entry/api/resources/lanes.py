"""Route of a subscription's lane: what workers say that it does now; each worker's own words are for operators."""

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
    idle: bool
    """Whether none of those that answered had work for it lately: `limit` and `rate` are then what the subscription
    allows, `limit` for each worker."""
    in_flight: int
    """Requests that are not answered."""
    limit: int
    """How many may be in flight now: it adapts to the endpoint."""
    max_in_flight: int
    """How many the subscription allows in each worker."""
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
        "Show what is in flight to its endpoint, of which limit, at which rate, and whether its breaker is open.",
        get_lane,
        LaneShown,
        tag="subscriptions",
    ),
)
