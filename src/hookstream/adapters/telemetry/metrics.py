"""Metrics for Prometheus, at a fraction of a microsecond per call.

Counters are plain numbers in dicts, changed by the event loop only; prometheus_client reads them at
a scrape (its own counters take a lock at each call, OpenTelemetry's cost ten times as much). Labels
are few and bounded: no URLs, at most `MAX_VALUES` different event types and topics, and ids only of as
many subscriptions and their partners as the settings allow; the rest are counted under `_other`.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from hookstream import __version__
from hookstream.adapters.telemetry.subscription_series import OTHER, SubscriptionSeries
from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.event import UNREADABLE_STATE, UndecodableReason
from hookstream.core.model.instant import Millis
from hookstream.core.model.outcome import (
    DeadLetter,
    DeadReason,
    DeferUntil,
    Disposition,
    Failed,
)

MAX_VALUES = 200
"""The most event types, and the most topics, with their own series."""

DURATION_BUCKETS = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    15.0,
    30.0,
    60.0,
)
LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0)

GAUGES = {
    "hookstream_lag_seconds": "Age of the oldest event record that is not settled.",
    "hookstream_tier_overdue_seconds": "How long the most overdue tier record has been due.",
    "hookstream_tier_waiting_records": "Tier records kept in memory until they are due.",
    "hookstream_oldest_unsettled_seconds": "Age of the oldest record of any kind not settled.",
    "hookstream_in_hand_seconds": "How long the oldest unfinished record has been the oldest.",
    "hookstream_open_transaction_seconds": "How long a transaction has hidden records of a topic.",
    "hookstream_table_age_seconds": "Seconds since a table was last known to be current.",
    "hookstream_egress_short_seconds": "How long attempts have waited for a local resource of the worker.",
    "hookstream_clock_skew_seconds": "By how much this machine's clock is ahead of the brokers'.",
    "hookstream_unreadable_rows": "Table rows that cannot be read: nothing is matched meanwhile.",
    "hookstream_in_flight": "Attempts under way.",
    "hookstream_queued": "Deliveries that wait in lanes for their attempt.",
    "hookstream_open_breakers": "Subscriptions that are sent nothing but probes.",
    "hookstream_paused_partitions": "Tier partitions that are not fetched, since their room is full.",
    "hookstream_stopped_partitions": "Partitions that are not read until an operator acts.",
    "hookstream_unread_partitions": "Partitions that return nothing although they have records.",
    "hookstream_holds": "Holds that operators set and that are not cleared.",
    "hookstream_connections": "Open HTTP connections, including idle ones.",
    "hookstream_jobs_running": "Jobs that have not ended.",
    "hookstream_jobs_stalled": "Jobs on which nothing has worked for a minute, or whose row cannot be read.",
    "hookstream_jobs_held": "Jobs that this executor works on.",
}
"""The gauges that `observe` may report, with their help texts."""

COUNTS = {"hookstream_spans_lost_total": "Spans of traces whose export failed."}
"""The counters that `observe` may report, with their help texts."""

Labels: TypeAlias = tuple[str, ...]


@dataclass(slots=True)
class _Counter:
    name: str
    help: str
    labels: Labels
    values: defaultdict[Labels, int] = field(default_factory=lambda: defaultdict(int))

    def begin(self, *labels: str) -> None:
        """Expose a series with the value 0.

        Prometheus sees no increase in a series that begins with its first count, so a series with
        an alert must have been 0 before.
        """
        self.values[labels] += 0

    def family(self) -> Metric:
        found = CounterMetricFamily(self.name, self.help, labels=self.labels)
        for labels, value in self.values.items():
            found.add_metric(labels, value)
        return found


class _Histogram:
    def __init__(self, name: str, text: str, label: str, buckets: Sequence[float]) -> None:
        self.name, self.help, self.label, self.buckets = name, text, label, buckets
        self.counts: dict[str, list[int]] = {}
        self.sums: defaultdict[str, float] = defaultdict(float)

    def observe(self, label: str, seconds: float) -> None:
        counts = self.counts.get(label)
        if counts is None:
            counts = self.counts[label] = [0] * (len(self.buckets) + 1)
        counts[bisect_left(self.buckets, seconds)] += 1
        self.sums[label] += seconds

    def family(self) -> Metric:
        found = HistogramMetricFamily(self.name, self.help, labels=[self.label])
        for label, counts in self.counts.items():
            edges = [*(str(edge) for edge in self.buckets), "+Inf"]
            so_far, cumulated = 0, []
            for edge, count in zip(edges, counts, strict=True):
                so_far += count
                cumulated.append((edge, so_far))
            found.add_metric([label], cumulated, self.sums[label])
        return found


class PrometheusMetrics(Collector):
    """The `Metrics` of the product, and the source of /metrics. For one event loop.

    Args:
        subscriptions: The most subscriptions with their own series; 0: no series per subscription.
        avro: The implementation that turns Avro into JSON, `native` or `python`.
    """

    def __init__(self, subscriptions: int = MAX_VALUES, avro: str = "python") -> None:
        self._info = {"version": __version__, "avro": avro}
        self._subscriptions = SubscriptionSeries(subscriptions) if subscriptions else None
        self._broken: Callable[[], Collection[str]] = tuple
        self._event_types: dict[str, str] = {}
        self._topics: dict[str, str] = {}
        self._counters: list[_Counter] = []
        self._records = self._counter(
            "hookstream_records_total", "Records taken from Kafka.", ("topic",)
        )
        self._attempts = self._counter(
            "hookstream_attempts_total",
            "HTTP attempts, by outcome.",
            ("event_type", "trigger", "outcome", "kind"),
        )
        self._dispositions = self._counter(
            "hookstream_dispositions_total",
            "Dispositions of deliveries, each time that one was decided.",
            ("event_type", "disposition", "reason"),
        )
        self._dead_letters = self._counter(
            "hookstream_dead_letters_total",
            "Deliveries that were given up, each time that it was decided.",
            ("reason",),
        )
        for dead in DeadReason:
            self._dead_letters.begin(dead.value)
        self._deferrals = self._counter(
            "hookstream_deferrals_total",
            "Deliveries that were put back without an attempt.",
            ("reason",),
        )
        self._undecodable = self._counter(
            "hookstream_undecodable_total", "Records that never became events.", ("reason",)
        )
        for word in (*(reason.value for reason in UndecodableReason), UNREADABLE_STATE):
            self._undecodable.begin(word)
        self._gaps = self._counter(
            "hookstream_gaps_total",
            "Times that records were gone before they were read.",
            ("topic",),
        )
        self._gap_records = self._counter(
            "hookstream_gap_records_total",
            "Records that were gone before they were read.",
            ("topic",),
        )
        self._unmatched = self._counter(
            "hookstream_unmatched_events_total",
            "Events that no subscription matched.",
            ("event_type",),
        )
        self._id_conflicts = self._counter(
            "hookstream_event_id_conflicts_total",
            "Events that carry the id of another event of their type.",
            ("event_type",),
        )
        self._id_duplicates = self._counter(
            "hookstream_event_id_duplicates_total",
            "Records that contain the same bytes as another record, under one event id.",
            ("event_type",),
        )
        self._copies_merged = self._counter(
            "hookstream_copies_merged_total",
            "Copies of a delivery that were merged with another copy in the waiting room.",
        )
        self._copies_merged.begin()
        self._durations = _Histogram(
            "hookstream_attempt_duration_seconds",
            "From the start of an attempt to its outcome.",
            "outcome",
            DURATION_BUCKETS,
        )
        self._latencies = _Histogram(
            "hookstream_delivery_latency_seconds",
            "From a record's append to the partner's 2xx, of first attempts that succeeded.",
            "event_type",
            LATENCY_BUCKETS,
        )
        self._observed: list[Callable[[], Mapping[str, float]]] = []
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def _counter(self, name: str, text: str, labels: Labels = ()) -> _Counter:
        made = _Counter(name, text, labels)
        self._counters.append(made)
        return made

    # Called by the pipeline.

    def records(self, topic: str, count: int) -> None:
        """Count records taken from a topic."""
        name = _bounded(self._topics, topic)
        self._records.values[(name,)] += count
        self._gaps.begin(name)
        self._gap_records.begin(name)

    def undecodable(self, reason: str) -> None:
        """Count a record that went to the undecodable topic."""
        self._undecodable.values[(reason,)] += 1

    def attempt(self, record: AttemptRecord) -> None:
        """Count an attempt, its duration and its disposition; without an outcome, only the latter."""
        event_type = _bounded(self._event_types, record.delivery.event_type)
        outcome = record.outcome
        if outcome is not None:
            name = outcome.name
            kind = outcome.kind if isinstance(outcome, Failed) else ""
            labels = (event_type, record.delivery.trigger, name, kind)
            self._attempts.values[labels] += 1
            self._durations.observe(name, record.duration_us / 1_000_000)
        disposition = record.disposition
        labels_of_end = (event_type, disposition.name, _reason(disposition))
        self._dispositions.values[labels_of_end] += 1
        if isinstance(disposition, DeadLetter):
            self._dead_letters.values[(disposition.reason.value,)] += 1
        if self._subscriptions is not None:
            self._subscriptions.attempt(record)

    def delivered(self, event_type: str, latency: Millis) -> None:
        """Observe how long a first delivery took, from the record's append to the 2xx."""
        # Clocks of two machines: a small negative number is possible and means "at once".
        seconds = max(latency, 0) / 1000
        self._latencies.observe(_bounded(self._event_types, event_type), seconds)

    def deferral(self, reason: str) -> None:
        """Count a delivery that was put back without an attempt."""
        self._deferrals.values[(reason,)] += 1

    def gap(self, topic: str, records: int) -> None:
        """Count a log gap and its records."""
        name = _bounded(self._topics, topic)
        self._gaps.values[(name,)] += 1
        self._gap_records.values[(name,)] += records

    def unmatched(self, event_type: str) -> None:
        """Count an event that no subscription matched."""
        self._unmatched.values[(_bounded(self._event_types, event_type),)] += 1

    def event_id_reused(self, event_type: str, *, conflict: bool) -> None:
        """Count a record with the event id of another record."""
        counter = self._id_conflicts if conflict else self._id_duplicates
        counter.values[(_bounded(self._event_types, event_type),)] += 1

    def copies_merged(self) -> None:
        """Count a copy of a delivery that was merged with another."""
        self._copies_merged.values[()] += 1

    # Called at a scrape.

    def observe(self, values: Callable[[], Mapping[str, float]]) -> None:
        """Call this function at every scrape for values kept elsewhere (`GAUGES`, `COUNTS`)."""
        self._observed.append(values)

    def observe_breakers(self, broken: Callable[[], Collection[str]]) -> None:
        """Call this function at every scrape for the subscriptions whose circuit breaker is not closed."""
        self._broken = broken

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that the registry does not collect values at registration."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield every metric with its current value."""
        yield InfoMetricFamily(
            "hookstream",
            "The release that runs, and the implementation that turns Avro into JSON.",
            value=self._info,
        )
        for counter in self._counters:
            yield counter.family()
        yield self._durations.family()
        yield self._latencies.family()
        if self._subscriptions is not None:
            yield from self._subscriptions.families(self._broken())
        for values in self._observed:
            for name, value in values().items():
                if name in COUNTS:
                    yield CounterMetricFamily(name, COUNTS[name], value=value)
                else:
                    yield GaugeMetricFamily(name, GAUGES.get(name, ""), value=value)


def _bounded(known: dict[str, str], value: str) -> str:
    """Return the value as a label, or `_other` after `MAX_VALUES` different ones."""
    label = known.get(value)
    if label is None:
        if len(known) >= MAX_VALUES:
            return OTHER
        label = known[value] = value
    return label


def _reason(disposition: Disposition) -> str:
    if isinstance(disposition, DeadLetter | DeferUntil):
        return disposition.reason.value
    return ""
