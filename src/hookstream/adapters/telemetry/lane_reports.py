"""What a worker says of one lane, as JSON: written by the worker, and read by consoles, maybe of another release."""

from dataclasses import asdict
from typing import Annotated

import msgspec
from msgspec import Meta

from hookstream.core.lanes.lane_status import BreakerState, LaneStatus

LARGEST_REPORT = 64 << 10
"""Bytes: a report has some hundred."""

_Count = Annotated[int, Meta(ge=0, le=10**9)]
_Seconds = Annotated[float, Meta(ge=0, le=1e9)]


class _Lane(msgspec.Struct, frozen=True, kw_only=True):
    """As LaneStatus. Fields that it does not know are a newer release's, and left out."""

    in_flight: _Count
    limit: _Count
    most: _Count
    ramping: bool
    overdue: bool
    queued: _Count
    rate: _Seconds | None
    throttled: bool
    breaker: BreakerState
    probe_after: _Seconds
    rests: _Seconds
    answers_in: _Seconds


class _Report(msgspec.Struct, frozen=True, kw_only=True):
    worker: Annotated[str, Meta(max_length=500)]
    lane: _Lane | None


def lane_report(worker: str, status: LaneStatus | None) -> bytes:
    """Return what a worker of this name answers of a lane; None: it has none."""
    return msgspec.json.encode({"worker": worker, "lane": status and asdict(status)})


def read_lane_report(content: bytes) -> tuple[str, LaneStatus | None]:
    """Return the worker's name and its lane, as `lane_report` took them.

    Raises:
        ValueError: It is no report: whoever answered is no worker, or it is out of every bound.
    """
    try:
        found = msgspec.json.decode(content, type=_Report)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    lane = found.lane
    return found.worker, None if lane is None else LaneStatus(**msgspec.structs.asdict(lane))
