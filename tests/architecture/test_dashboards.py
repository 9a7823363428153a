"""The dashboards ask for series that a worker or a console has, and every panel is legible by itself."""

import json
import re
from typing import Any

import pytest
from tests.conftest import ROOT

from hookstream.adapters.telemetry.failure_metrics import FAILURE_METRICS
from hookstream.adapters.telemetry.metrics import GAUGES, PrometheusMetrics

FOLDER = ROOT / "deploy" / "grafana"
SERIES = re.compile(r"hookstream_[a-z_]+")


def boards() -> list[dict[str, Any]]:
    return [json.loads(file.read_text("utf-8")) for file in sorted(FOLDER.glob("*.json"))]


def test_there_is_one_for_the_fleet_one_for_a_subscription_and_one_for_tiers() -> None:
    assert [board["uid"] for board in boards()] == [
        "hookstream-fleet",
        "hookstream-subscription",
        "hookstream-tiers",
    ]


@pytest.mark.parametrize("board", boards(), ids=lambda board: board["uid"])
def test_each_panel_has_a_title_a_place_and_queries_of_series_that_a_worker_or_a_console_has(
    board: dict[str, Any],
) -> None:
    exposed = PrometheusMetrics().exposition().decode()
    known = {*GAUGES, *FAILURE_METRICS, *re.findall(r"^# TYPE (\S+)", exposed, re.MULTILINE)}
    known |= {f"{name}_bucket" for name in known}
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels)
    for panel in panels:
        queries = [target["expr"] for target in panel["targets"]]
        assert queries, panel["title"]
        for query in queries:
            assert set(SERIES.findall(query)) <= known, query
            assert set(SERIES.findall(query)), query
