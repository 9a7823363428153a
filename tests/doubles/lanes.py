"""What workers say of a lane; `hush` is for operators alone."""

from collections.abc import Sequence
from dataclasses import replace

from hookstream.adapters.telemetry.asked_workers import WorkerLane
from hookstream.core.lanes.lane_status import BreakerState, LaneStatus

CALM = LaneStatus(
    in_flight=1,
    limit=4,
    most=10,
    ramping=False,
    overdue=False,
    queued=2,
    rate=5.0,
    throttled=False,
    breaker=BreakerState.CLOSED,
    probe_after=0.0,
    rests=0.0,
    answers_in=0.25,
)
BROKEN = replace(CALM, in_flight=0, queued=0, breaker=BreakerState.OPEN, probe_after=30.0)
SAID = (
    WorkerLane("hush-worker:9464", "hush-worker-1", CALM),
    WorkerLane("10.0.0.2:9464", "hush-worker-2", BROKEN),
    WorkerLane("10.0.0.3:9464", "hush-worker-3"),
    WorkerLane("hush-gone:9464", problem="it gave no answer: hush"),
)


def after(said: Sequence[WorkerLane], seconds: float) -> list[WorkerLane]:
    """Return what is said so much later, if nothing else happens."""
    return [
        replace(
            each, lane=replace(each.lane, probe_after=max(0.0, each.lane.probe_after - seconds))
        )
        if each.lane
        else each
        for each in said
    ]
