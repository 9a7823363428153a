"""What a worker says of a lane is read as it was said; what no worker would say is refused."""

import json
from dataclasses import asdict, replace

import pytest
from tests.doubles.lanes import BROKEN, CALM

from hookstream.adapters.telemetry.lane_reports import (
    LARGEST_OF_ALL,
    MOST_NAMED,
    lane_report,
    lanes_report,
    read_lane_report,
    read_lanes_report,
)
from hookstream.core.lanes.lane_status import FullLane, LanesStatus, LaneStatus


@pytest.mark.parametrize("status", [CALM, BROKEN, replace(CALM, rate=None, rests=3.5), None])
def test_a_report_is_read_as_it_was_said(status: LaneStatus | None) -> None:
    assert read_lane_report(lane_report("worker-1", status)) == ("worker-1", status)


def test_fields_of_a_newer_release_are_left_out() -> None:
    said = {"worker": "w", "lane": {**asdict(CALM), "mood": "fine"}, "weather": 1}
    assert read_lane_report(json.dumps(said).encode()) == ("w", CALM)


@pytest.mark.parametrize(
    "wrong",
    [
        {"in_flight": -1},
        {"queued": 10**12},
        {"probe_after": 1e300},
        {"rate": "NaN"},
        {"breaker": "<b>open"},
        {"overdue": None},
    ],
    ids=str,
)
def test_a_value_out_of_every_bound_is_refused(wrong: dict[str, object]) -> None:
    said = {"worker": "w", "lane": {**asdict(CALM), **wrong}}
    with pytest.raises(ValueError, match=next(iter(wrong))):
        read_lane_report(json.dumps(said).encode())


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"# HELP", b'{"worker":"w"}', b'{"lane":' * 100_000, b"\xff", b'{"worker":NaN}'],
    ids=lambda each: repr(each[:12]),
)
def test_what_is_no_report_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_lane_report(content)


ALL = LanesStatus((("crm", "acme"), ("erp", "")), 2, (FullLane("shop", "rival", CALM),), 7)


def test_a_report_of_all_lanes_is_read_as_it_was_said() -> None:
    assert read_lanes_report(lanes_report(ALL)) == ALL
    nothing = LanesStatus((), 0, (), 0)
    assert read_lanes_report(lanes_report(nothing)) == nothing


def test_the_largest_report_of_all_lanes_is_within_its_bound() -> None:
    name = "\U0001f4a3" * 200
    most = LanesStatus(
        ((name, name),) * MOST_NAMED, 10**9, (FullLane(name, name, CALM),) * MOST_NAMED, 10**9
    )
    report = lanes_report(most)
    assert len(report) <= LARGEST_OF_ALL
    assert read_lanes_report(report) == most


@pytest.mark.parametrize(
    "wrong",
    [
        {"open_breakers": [{"subscription": "a", "partner": "b"}] * (MOST_NAMED + 1)},
        {"open_count": -1},
        {"full": [{"subscription": "a", "partner": "b"}]},
        {"full_count": "many"},
        {"open_breakers": [{"subscription": 501 * "a", "partner": "b"}]},
    ],
    ids=str,
)
def test_a_report_of_all_lanes_that_no_worker_would_give_is_refused(
    wrong: dict[str, object],
) -> None:
    said = {**json.loads(lanes_report(ALL)), **wrong}
    with pytest.raises(ValueError, match=next(iter(wrong))):
        read_lanes_report(json.dumps(said).encode())


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"in_flight": 4}, "4 of 4 in flight"),
        ({"rate": 0.25}, "0.25/s at most"),
        ({"rate": 2.0, "throttled": True}, "2/s, as its endpoint answers"),
        ({"overdue": True, "in_flight": 4}, "an attempt is overdue"),
        ({"rests": 9.0, "overdue": True}, "rests, as its endpoint asked"),
        ({"rate": None}, "it may begin none now"),
    ],
)
def test_a_lane_at_its_limit_says_what_holds_it_up(changed: dict[str, object], why: str) -> None:
    status = replace(CALM, **changed)  # type: ignore[arg-type]
    assert FullLane("shop", "rival", status).why == why
