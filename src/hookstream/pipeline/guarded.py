"""What is only seen never changes what happens: a logger, metrics or tracer that raises is logged once.

The pipeline counts, logs and traces in the middle of what must be done as a whole. So nothing of it may
raise there; what passes the fence (`fence.ENDS`) still does.
"""

from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Record
from hookstream.pipeline.defects import Step, Unexpected
from hookstream.pipeline.ports import Logger, Metrics, Span, Tracer


class GuardedLogger:
    """A Logger that never raises."""

    def __init__(self, logger: Logger, unexpected: Unexpected) -> None:
        """Write to `logger`."""
        self._logger = logger
        self._unexpected = unexpected

    def attempt(self, record: AttemptRecord) -> None:
        """As Logger says."""
        try:
            self._logger.attempt(record)
        except Exception as error:  # noqa: BLE001
            self._unexpected.note(error, Step.NOTIFY)

    def info(self, event: str, **fields: str | float | None) -> None:
        """As Logger says."""
        try:
            self._logger.info(event, **fields)
        except Exception as error:  # noqa: BLE001
            self._unexpected.note(error, Step.NOTIFY)

    def warning(self, event: str, **fields: str | float | None) -> None:
        """As Logger says."""
        try:
            self._logger.warning(event, **fields)
        except Exception as error:  # noqa: BLE001
            self._unexpected.note(error, Step.NOTIFY)

    def error(self, event: str, **fields: str | float | None) -> None:
        """As Logger says."""
        try:
            self._logger.error(event, **fields)
        except Exception as error:  # noqa: BLE001
            self._unexpected.note(error, Step.NOTIFY)


class GuardedMetrics:
    """Metrics that never raise."""

    def __init__(self, metrics: Metrics, unexpected: Unexpected) -> None:
        """Count in `metrics`."""
        self._metrics = metrics
        self._unexpected = unexpected

    def records(self, topic: str, count: int) -> None:
        """As Metrics says."""
        try:
            self._metrics.records(topic, count)
        except Exception as error:  # noqa: BLE001
            self._unexpected.note(error, Step.NOTIFY)

    def undecodable(self, reason: str) -> None:
        """As Metrics says."""
        try:
            self._metrics.undecodable(reason)
        except Exception as error:  # noqa: BLE001
            self._unexpected.note(error, Step.NOTIFY)

    def attempt(self, record: AttemptRecord) -> None:
        """As Metrics says."""
        try:
            self._metrics.attempt(record)
        except Exception as error:  # noqa: BLE001
            self._unexpected.note(error, Step.NOTIFY)

    def delivered(self, event_type: str, latency: Millis) -> None:
        """As Metrics says."""
        try:
            self._metrics.delivered(event_type, latency)
        except Exception as error:  # noqa: BLE001
            self._unexpected.note(error, Step.NOTIFY)

    def deferral(self, reason: str) -> None:
        """As Metrics says."""
        try:
            self._metrics.deferral(reason)
        except Exception as error:  # noqa: BLE001
            self._unexpected.note(error, Step.NOTIFY)

    def gap(self, topic: str, records: int) -> None:
        """As Metrics says."""
        try:
            self._metrics.gap(topic, records)
        except Exception as error:  # noqa: BLE001
            self._unexpected.note(error, Step.NOTIFY)

    def event_id_reused(self, event_type: str, *, conflict: bool) -> None:
        """As Metrics says."""
        try:
            self._metrics.event_id_reused(event_type, conflict=conflict)
        except Exception as error:  # noqa: BLE001
            self._unexpected.note(error, Step.NOTIFY)

    def copies_merged(self) -> None:
        """As Metrics says."""
        try:
            self._metrics.copies_merged()
        except Exception as error:  # noqa: BLE001
            self._unexpected.note(error, Step.NOTIFY)


class GuardedSpan:
    """A Span whose end never raises."""

    __slots__ = ("_span", "_unexpected", "trace_id", "traceparent")

    def __init__(self, span: Span, unexpected: Unexpected) -> None:
        """Take the span's names over at once: they do not change."""
        self._span = span
        self._unexpected = unexpected
        self.trace_id = span.trace_id
        self.traceparent = span.traceparent

    def end(self, *, error: str | None = None, **attributes: str | int) -> None:
        """As Span says."""
        try:
            self._span.end(error=error, **attributes)
        except Exception as raised:  # noqa: BLE001
            self._unexpected.note(raised, Step.NOTIFY)


class GuardedTracer:
    """A Tracer that never raises; a span that could not be started is an unsampled one."""

    def __init__(self, tracer: Tracer, unexpected: Unexpected) -> None:
        """Make the spans of `tracer`."""
        self._tracer = tracer
        self._unexpected = unexpected

    def process(self, record: Record, traceparent: str | None, group: str) -> Span | None:
        """As Tracer says."""
        try:
            return self._guarded(self._tracer.process(record, traceparent, group))
        except Exception as error:  # noqa: BLE001
            self._unexpected.note(error, Step.NOTIFY)
            return None

    def post(self, parent: Span, url: str, resend: int) -> Span | None:
        """As Tracer says."""
        try:
            return self._guarded(self._tracer.post(parent, url, resend))
        except Exception as error:  # noqa: BLE001
            self._unexpected.note(error, Step.NOTIFY)
            return None

    def send(self, parent: Span, topic: str) -> Span | None:
        """As Tracer says."""
        try:
            return self._guarded(self._tracer.send(parent, topic))
        except Exception as error:  # noqa: BLE001
            self._unexpected.note(error, Step.NOTIFY)
            return None

    def _guarded(self, span: Span | None) -> Span | None:
        return None if span is None else GuardedSpan(span, self._unexpected)
