"""The metrics endpoint of executors and consoles, which have few metrics other than gauges."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from hookstream import __version__
from hookstream.adapters.telemetry.metrics import GAUGES


class GaugeMetrics(Collector):
    """Gauges in Prometheus's text format.

    It has no `hookstream_info`: an alert uses that series to see that a worker answers.

    Args:
        values: Returns the values by name, at every scrape; the names are those of `GAUGES`.
        more: Further collectors.
        avro: The implementation that turns Avro into JSON, `native` or `python`.
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
            "The release that runs, and the implementation that turns Avro into JSON.",
            value=self._info,
        )
        for name, value in self._values().items():
            yield GaugeMetricFamily(name, GAUGES[name], value=value)
