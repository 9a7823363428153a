"""The metric of failure groups: how many are in each state."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

FAILURE_METRICS = {
    "hookstream_failure_groups": "Failure groups by state.",
}


class FailureMetrics(Collector):
    """Counts failure groups at every scrape. States are a closed set.

    Args:
        counts: Returns how many groups are in each state.
    """

    def __init__(self, counts: Callable[[], Mapping[str, int]]) -> None:
        self._counts = counts

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that the registry does not collect values at registration."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield the metric with its current values."""
        name = "hookstream_failure_groups"
        gauge = GaugeMetricFamily(name, FAILURE_METRICS[name], labels=("state",))
        for state, count in self._counts().items():
            gauge.add_metric((state,), count)
        yield gauge
