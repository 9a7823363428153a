"""A console's metrics say how many failure groups are in each state, as its tables have them at the scrape."""

from tests.doubles.api import ApiWorld
from tests.doubles.api_records import failure_group

from hookstream.adapters.telemetry.failure_metrics import FailureMetrics
from hookstream.adapters.telemetry.gauges import GaugeMetrics
from hookstream.core.failures.groups import GroupState


def exposed(metrics: GaugeMetrics) -> list[str]:
    lines = metrics.exposition().decode().splitlines()
    return [line for line in lines if line.startswith("hookstream_failure_groups{")]


def test_each_state_has_its_number_of_groups() -> None:
    world = ApiWorld()
    metrics = GaugeMetrics(dict, (FailureMetrics(world.live.failure_counts),))
    world.put_failure_group(failure_group("filed", "acme", 500, GroupState.OPEN))
    assert exposed(metrics) == [
        'hookstream_failure_groups{state="open"} 1.0',
        'hookstream_failure_groups{state="acknowledged"} 2.0',
        'hookstream_failure_groups{state="resolved"} 2.0',
        'hookstream_failure_groups{state="reopened"} 0.0',
    ]
    world.put_failure_group(failure_group("filed", "acme", 500, GroupState.REOPENED))
    assert exposed(metrics)[0] == 'hookstream_failure_groups{state="open"} 0.0'
