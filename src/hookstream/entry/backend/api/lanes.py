"""Converts a subscription's lane in the API's answer into hookstream's values."""

from hookstream.entry.admin.lanes import LaneNow, SubscriptionLane, WorkersWord
from hookstream.entry.api.resources.lanes import LaneOfWorker, LaneShown
from hookstream.entry.backend.api.values import instant_or_none


def lane_shown_in(shown: LaneShown) -> SubscriptionLane:
    """Return the lane in an answer."""
    return SubscriptionLane(
        subscription_id=shown.subscription,
        max_in_flight=shown.max_in_flight,
        known=shown.known,
        whole=shown.whole,
        idle=shown.idle,
        in_flight=shown.in_flight,
        limit=shown.limit,
        ramping=shown.ramping,
        queued=shown.queued,
        rate=shown.rate,
        throttled=shown.throttled,
        breaker=shown.breaker,
        probe_at=instant_or_none(shown.probe_at),
        rests_until=instant_or_none(shown.rests_until),
        answers_in_ms=shown.answers_in_ms,
        workers=[
            WorkersWord(
                each.address,
                each.worker or "",
                None if each.lane is None else _of_worker(each.lane),
                each.problem or "",
            )
            for each in shown.workers
        ],
    )


def _of_worker(lane: LaneOfWorker) -> LaneNow:
    return LaneNow(
        in_flight=lane.in_flight,
        limit=lane.limit,
        max_in_flight=lane.max_in_flight,
        ramping=lane.ramping,
        overdue=lane.overdue,
        queued=lane.queued,
        rate=lane.rate,
        throttled=lane.throttled,
        breaker=lane.breaker,
        probe_at=instant_or_none(lane.probe_at),
        rests_until=instant_or_none(lane.rests_until),
        answers_in_ms=lane.answers_in_ms,
    )
