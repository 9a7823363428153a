"""What a worker says of a lane is read as it was said; what no worker would say is refused."""

import json
from dataclasses import asdict, replace

import pytest
from tests.doubles.lanes import BROKEN, CALM

from hookstream.adapters.telemetry.lane_reports import lane_report, read_lane_report
from hookstream.core.lanes.lane_status import LaneStatus


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
