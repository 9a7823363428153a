"""Writes and reads a worker's report of its lanes as JSON; the console that reads it may be of another release."""

from dataclasses import asdict
from typing import Annotated

import msgspec
from msgspec import Meta

from hookstream.core.lanes.lane_status import BreakerState, FullLane, LanesStatus, LaneStatus

LARGEST_REPORT = 64 << 10
"""Bytes: a report of one lane has some hundred."""
MOST_NAMED = 50
"""The most lanes with an open breaker, and at their limit, that a report of all lanes names."""
LARGEST_OF_ALL = 256 << 10
"""Bytes of a report of all lanes: the ids have 200 characters at most."""

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


_Name = Annotated[str, Meta(max_length=500)]


class _Open(msgspec.Struct, frozen=True, kw_only=True):
    subscription: _Name
    partner: _Name


class _Full(msgspec.Struct, frozen=True, kw_only=True):
    subscription: _Name
    partner: _Name
    lane: _Lane


class _All(msgspec.Struct, frozen=True, kw_only=True):
    open_breakers: Annotated[tuple[_Open, ...], Meta(max_length=MOST_NAMED)]
    open_count: _Count
    full: Annotated[tuple[_Full, ...], Meta(max_length=MOST_NAMED)]
    full_count: _Count


def lane_report(worker: str, status: LaneStatus | None) -> bytes:
    """Return the report of a worker of this name about a lane; None: it has none."""
    return msgspec.json.encode({"worker": worker, "lane": status and asdict(status)})


def read_lane_report(content: bytes) -> tuple[str, LaneStatus | None]:
    """Return the worker's name and its lane, as `lane_report` took them.

    Raises:
        ValueError: It is not a report, for example not of a worker, or it is out of bounds.
    """
    try:
        found = msgspec.json.decode(content, type=_Report)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return found.worker, None if found.lane is None else _status(found.lane)


def lanes_report(status: LanesStatus) -> bytes:
    """Return the report about all lanes of a worker; it names at most `MOST_NAMED` of each kind."""
    return msgspec.json.encode(
        {
            "open_breakers": [
                {"subscription": name, "partner": partner}
                for name, partner in status.open_breakers
            ],
            "open_count": status.open_count,
            "full": [
                {
                    "subscription": each.subscription_id,
                    "partner": each.partner_id,
                    "lane": asdict(each.status),
                }
                for each in status.full
            ],
            "full_count": status.full_count,
        }
    )


def read_lanes_report(content: bytes) -> LanesStatus:
    """Return the status that `lanes_report` took.

    Raises:
        ValueError: It is not such a report, or it is out of bounds.
    """
    try:
        found = msgspec.json.decode(content, type=_All)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return LanesStatus(
        tuple((each.subscription, each.partner) for each in found.open_breakers),
        found.open_count,
        tuple(
            FullLane(each.subscription, each.partner, _status(each.lane)) for each in found.full
        ),
        found.full_count,
    )


def _status(lane: _Lane) -> LaneStatus:
    return LaneStatus(**msgspec.structs.asdict(lane))
