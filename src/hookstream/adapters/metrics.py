"""Metrics count what happens in a process, for Prometheus, at about a microsecond a count.

Children of labelled metrics are looked up once and kept: `labels()` costs twice what counting does.
Every label has few values: event types, outcomes, dispositions, triggers, reasons and topics.
"""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.instant import Millis

DURATION_BUCKETS = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0,
)  # fmt: skip
LATENCY_BUCKETS = (
    0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0, 86400.0,
)  # fmt: skip

GAUGES: Mapping[str, str] = {
    "hookstream_lag_seconds": "Age of the oldest event record that is not settled.",
    "hookstream_tier_overdue_seconds": "How late the most overdue record of a tier is.",
    "hookstream_tier_waiting_records": "Tier records that wait in memory until they are due.",
    "hookstream_oldest_unsettled_seconds": "Age of the oldest record of any kind not settled.",
    "hookstream_table_age_seconds": "How long ago the tables were last known to be complete.",
    "hookstream_in_flight": "Attempts that are not answered yet.",
}
"""Every gauge, with what it says. They are asked for when somebody scrapes."""

Gauges = Callable[[], Mapping[str, float]]


class PrometheusMetrics:
    """Fits `Metrics`, in a registry of its own."""

    def __init__(self) -> None:
        """Count from zero."""
        self.registry = CollectorRegistry()
        make = self._counter
        self._records = make("records", "Records taken from a topic.", "topic")
        self._attempts = make(
            "attempts", "Attempts, by what they came to.", "event_type", "outcome", "trigger"
        )
        self._dispositions = make(
            "dispositions", "What followed.", "event_type", "disposition", "reason"
        )
        self._deferrals = make("deferrals", "Deliveries put back without an attempt.", "reason")
        self._undecodable = make("undecodable", "Records that never became events.", "reason")
        self._gaps = make("gaps", "Records gone from the log before they were read.", "topic")
        self._duration = Histogram(
            "hookstream_attempt_duration_seconds",
            "From the request to the status line.",
            ["outcome"],
            buckets=DURATION_BUCKETS,
            registry=self.registry,
        )
        self._latency = Histogram(
            "hookstream_delivery_latency_seconds",
            "From a record's append to its first 2xx.",
            ["event_type"],
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self._children: dict[tuple[object, ...], Counter] = {}
        self._histograms: dict[tuple[object, str], Histogram] = {}

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"hookstream_{name}", about, labels, registry=self.registry)

    def _count(self, counter: Counter, *labels: str) -> Counter:
        key = (id(counter), *labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = counter.labels(*labels)
        return child

    def _observed(self, histogram: Histogram, label: str) -> Histogram:
        key = (id(histogram), label)
        child = self._histograms.get(key)
        if child is None:
            child = self._histograms[key] = histogram.labels(label)
        return child

    def observe_gauges(self, gauges: Gauges) -> None:
        """Ask `gauges` for the present values at every scrape."""
        self.registry.register(_GaugeCollector(gauges))

    def exposition(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def records(self, topic: str, count: int) -> None:
        """Records were taken from a topic."""
        self._count(self._records, topic).inc(count)

    def undecodable(self, reason: str) -> None:
        """A record went to the undecodable topic."""
        self._count(self._undecodable, reason).inc()

    def attempt(self, record: AttemptRecord) -> None:
        """An attempt was made, or a delivery ended without one."""
        event_type = record.delivery.event_type
        if record.outcome is not None:
            outcome = record.outcome.name
            self._count(self._attempts, event_type, outcome, record.delivery.trigger).inc()
            self._observed(self._duration, outcome).observe(record.duration_us / 1_000_000)
        disposition = record.disposition
        reason = str(getattr(disposition, "reason", ""))
        self._count(self._dispositions, event_type, disposition.name, reason).inc()

    def delivered(self, event_type: str, latency: Millis) -> None:
        """A first attempt arrived."""
        self._observed(self._latency, event_type).observe(max(latency, 0) / 1000)

    def deferral(self, reason: str) -> None:
        """A delivery was put back without an attempt."""
        self._count(self._deferrals, reason).inc()

    def gap(self, topic: str, records: int) -> None:
        """Records were gone from the log before they were read."""
        self._count(self._gaps, topic).inc(records)


class _GaugeCollector(Collector):
    """Asks for the gauges' values when somebody scrapes."""

    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, value in self._gauges().items():
            yield GaugeMetricFamily(name, GAUGES[name], value=value)

    def describe(self) -> Iterator[GaugeMetricFamily]:
        for name, about in GAUGES.items():
            yield GaugeMetricFamily(name, about)
