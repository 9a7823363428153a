"""The metrics of the API and the pages: requests by route and status, and how long they took."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

_BOUNDS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)
API_METRICS = {
    "hookstream_api_requests_total": "Requests to the API and for pages.",
    "hookstream_api_request_seconds": "How long requests to the API and for pages took.",
}


class ApiMetrics(Collector):
    """Counts requests. Routes are a closed set, so the number of series is bounded."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, str, str], int] = {}
        self._buckets: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request.

        Args:
            method: Its HTTP method, if the route takes it.
            route: The template of its path; empty: there is no such route.
            status: The status of the answer.
            seconds: How long it took.
        """
        route = route or "none"
        labels = (method if route != "none" else "any", route, str(status))
        self._requests[labels] = self._requests.get(labels, 0) + 1
        counts = self._buckets.setdefault(route, [0] * (len(_BOUNDS) + 1))
        counts[next((i for i, most in enumerate(_BOUNDS) if seconds <= most), len(_BOUNDS))] += 1
        self._sums[route] = self._sums.get(route, 0.0) + seconds

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that the registry does not collect values at registration."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield every metric with its current value."""
        name = "hookstream_api_requests"
        counter = CounterMetricFamily(
            name, API_METRICS[f"{name}_total"], labels=("method", "route", "status")
        )
        for labels, value in list(self._requests.items()):
            counter.add_metric(labels, value)
        yield counter
        name = "hookstream_api_request_seconds"
        histogram = HistogramMetricFamily(name, API_METRICS[name], labels=("route",))
        for route, counts in list(self._buckets.items()):
            total, buckets = 0, []
            for bound, count in zip((*map(str, _BOUNDS), "+Inf"), counts, strict=True):
                total += count
                buckets.append((bound, float(total)))
            histogram.add_metric((route,), buckets, self._sums[route])
        yield histogram
