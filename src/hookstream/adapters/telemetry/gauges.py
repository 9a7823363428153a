"""The metrics of a process that has hardly more than gauges: an executor of jobs, a console."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from hookstream import __version__
from hookstream.adapters.telemetry.metrics import GAUGES


class GaugeMetrics(Collector):
    """Gauges in Prometheus's text format.

    It has no `hookstream_info`: by that series, an alert knows that a worker answers.

    Args:
        values: Returns the values by name, at every scrape; the names are those of `GAUGES`.
        more: What else is collected.
        avro: What turns Avro into JSON, `native` or `python`.
    """

    def __init__(
        self,
        values: Callable[[], Mapping[str, float]],
        more: Sequence[Collector] = (),
        avro: str = "python",
    ) -> None:
        self._values = values
        self._info = {"version": __version__, "avro": avro}
        self._registry = CollectorRegistry()
        self._registry.register(self)
        for each in more:
            self._registry.register(each)
        ProcessCollector(registry=self._registry)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that the registry does not collect values at registration."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield every gauge with its current value."""
        yield InfoMetricFamily(
            "hookstream_executor",
            "The release that runs, and what turns Avro into JSON.",
            value=self._info,
        )
        for name, value in self._values().items():
            yield GaugeMetricFamily(name, GAUGES[name], value=value)
