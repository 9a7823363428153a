"""Series of single subscriptions, for a bounded number of them.

The first subscriptions that a process attempts have their own series until it ends: a series that
comes and goes would have gaps in every rate. All others share one, `_other`.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.delivery import Trigger
from hookstream.core.model.outcome import DeadLetter, Delivered

_TEST, _DELIVERED = Trigger.TEST, Delivered.name
OTHER = "_other"
"""The label of everything beyond a bound."""

_WHOSE = ("subscription", "partner")
SUBSCRIPTION_METRICS: Mapping[str, tuple[str, Sequence[str]]] = {
    "hookstream_subscription_attempts_total": (
        "HTTP attempts for a subscription, by outcome.",
        (*_WHOSE, "outcome"),
    ),
    "hookstream_subscription_delivered_total": (
        "Deliveries of a subscription that arrived.",
        _WHOSE,
    ),
    "hookstream_subscription_dead_letters_total": (
        "Deliveries of a subscription that were given up.",
        (*_WHOSE, "reason"),
    ),
    "hookstream_subscription_last_success_timestamp_seconds": (
        "When an attempt for a subscription last succeeded.",
        _WHOSE,
    ),
    "hookstream_subscription_breaker_open": (
        "Whether a subscription is sent nothing but probes.",
        _WHOSE,
    ),
}
"""The metrics of single subscriptions, with their help texts and labels."""


class _Series:
    """The numbers of one subscription, or of all that share `_other`."""

    __slots__ = ("dead_letters", "labels", "last_success", "outcomes")

    def __init__(self, subscription_id: str, partner_id: str) -> None:
        self.labels = (subscription_id, partner_id)
        self.outcomes: Counter[str] = Counter()
        self.dead_letters: Counter[str] = Counter()
        self.last_success: AttemptRecord | None = None


class SubscriptionSeries:
    """Counts attempts by subscription. Tests are left out, since they are not traffic.

    Args:
        most: The most subscriptions with their own series, at least 1.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[str, _Series] = {}
        self._other: _Series | None = None

    def attempt(self, record: AttemptRecord) -> None:
        """Count an attempt, or the end of a delivery without one."""
        delivery = record.delivery
        if delivery.trigger is _TEST:
            return
        series = self._known.get(delivery.subscription_id)
        if series is None:
            series = self._begun(delivery.subscription_id, delivery.partner_id)
        outcome = record.outcome
        if outcome is not None:
            name = outcome.name
            series.outcomes[name] += 1
            if name == _DELIVERED:
                # Its time is computed at a scrape.
                series.last_success = record
                return
        disposition = record.disposition
        if isinstance(disposition, DeadLetter):
            series.dead_letters[disposition.reason.value] += 1

    def _begun(self, subscription_id: str, partner_id: str) -> _Series:
        """Return the series for a subscription that has none yet."""
        if len(self._known) < self._most:
            series = self._known[subscription_id] = _Series(subscription_id, partner_id)
            return series
        if self._other is None:
            self._other = _Series(OTHER, OTHER)
        return self._other

    def families(self, broken: Collection[str]) -> Iterable[Metric]:
        """Return every metric.

        Args:
            broken: The subscriptions whose circuit breaker is open or half open.
        """
        attempts, delivered, dead_letters, last_success, breaker = families = [
            (GaugeMetricFamily if "_total" not in name else CounterMetricFamily)(
                name, text, labels=labels
            )
            for name, (text, labels) in SUBSCRIPTION_METRICS.items()
        ]
        all_series = list(self._known.values())
        if self._other is not None:
            all_series.append(self._other)
        for series in all_series:
            labels = series.labels
            for outcome, count in list(series.outcomes.items()):
                attempts.add_metric([*labels, outcome], count)
            delivered.add_metric(labels, series.outcomes[_DELIVERED])
            for reason, count in list(series.dead_letters.items()):
                dead_letters.add_metric([*labels, reason], count)
            success = series.last_success
            if success is not None:
                ended = success.started_at / 1000 + success.duration_us / 1_000_000
                last_success.add_metric(labels, ended)
            if series is self._other:
                open_ones = sum(name not in self._known for name in broken)
            else:
                open_ones = int(labels[0] in broken)
            breaker.add_metric(labels, open_ones)
        return families
