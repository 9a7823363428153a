"""Lists the lanes that operators should look at: those whose breaker is not closed or that are at their limit."""

from collections.abc import Callable, Collection, Iterable

from hookstream.core.lanes.lane_status import FullLane, LanesStatus
from hookstream.pipeline.lane_queue import LaneQueue


def lane_overview(
    active: Iterable[LaneQueue],
    broken: Collection[str],
    now: float,
    most: int,
    partner_of: Callable[[str], str],
) -> LanesStatus:
    """Return the lanes that operators should look at. It changes nothing.

    Args:
        active: The lanes that have work.
        broken: The subscriptions whose breaker is not closed.
        now: Monotonic seconds.
        most: The most lanes of each kind to name.
        partner_of: Returns the partner of a subscription; empty: it is not known.
    """
    full = [
        queue
        for queue in active
        if queue.queued and not queue.lane.broken and not queue.lane.may_start(now)
    ]
    full.sort(key=lambda queue: (-queue.queued, queue.subscription_id))
    return LanesStatus(
        tuple((name, partner_of(name)) for name in sorted(broken)[:most]),
        len(broken),
        tuple(
            FullLane(
                queue.subscription_id,
                partner_of(queue.subscription_id),
                queue.lane.status(queue.queued, now),
            )
            for queue in full[:most]
        ),
        len(full),
    )
