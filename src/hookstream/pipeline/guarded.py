"""Wraps the logger, metrics and tracer so that an exception in one of them never affects a delivery.

The pipeline counts, logs and traces in the middle of steps that must be done as a whole, so these calls must not
raise there; exceptions that pass the fence (`defects.ENDS`) still do. Calls for every delivery have wrappers with
explicit arguments, since a generic wrapper takes twice as long.
"""

from collections.abc import Callable
from typing import ParamSpec

from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.instant import Millis
from hookstream.pipeline.defects import Step, Unexpected
from hookstream.pipeline.ports import Logger, Metrics, Span, Tracer

P = ParamSpec("P")


def _guarded(unexpected: Unexpected, call: Callable[P, None]) -> Callable[P, None]:
    """Return a wrapper that logs the exceptions of a call."""

    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            call(*args, **kwargs)
        except Exception as error:  # noqa: BLE001
            unexpected.note(error, Step.NOTIFY)

    return guarded


def _started(unexpected: Unexpected, start: Callable[P, Span | None]) -> Callable[P, Span | None]:
    """Return a wrapper that starts a guarded span; if that fails, the trace counts as unsampled."""

    def started(*args: P.args, **kwargs: P.kwargs) -> Span | None:
        try:
            span = start(*args, **kwargs)
            return None if span is None else GuardedSpan(span, unexpected)
        except Exception as error:  # noqa: BLE001
            unexpected.note(error, Step.NOTIFY)
            return None

    return started


class GuardedLogger:
    """A Logger that never raises."""

    def __init__(self, logger: Logger, unexpected: Unexpected) -> None:
        """Write to `logger`."""
        self._logger = logger
        self._unexpected = unexpected
        self.info = _guarded(unexpected, logger.info)
        self.warning = _guarded(unexpected, logger.warning)
        self.error = _guarded(unexpected, logger.error)

    def attempt(self, record: AttemptRecord) -> None:
        """As Logger says."""
        try:
            self._logger.attempt(record)
        except Exception as error:  # noqa: BLE001
            self._unexpected.note(error, Step.NOTIFY)


class GuardedMetrics:
    """Metrics that never raise."""

    def __init__(self, metrics: Metrics, unexpected: Unexpected) -> None:
        """Count in `metrics`."""
        self._metrics = metrics
        self._unexpected = unexpected
        self.records = _guarded(unexpected, metrics.records)
        self.undecodable = _guarded(unexpected, metrics.undecodable)
        self.deferral = _guarded(unexpected, metrics.deferral)
        self.gap = _guarded(unexpected, metrics.gap)
        self.unmatched = _guarded(unexpected, metrics.unmatched)
        self.event_id_reused = _guarded(unexpected, metrics.event_id_reused)
        self.copies_merged = _guarded(unexpected, metrics.copies_merged)

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


class GuardedSpan:
    """A Span whose methods never raise."""

    __slots__ = ("decided", "decoded", "end", "span_id", "trace_id", "traceparent")

    def __init__(self, span: Span, unexpected: Unexpected) -> None:
        """Copy the span's ids, which do not change."""
        self.trace_id = span.trace_id
        self.span_id = span.span_id
        self.traceparent = span.traceparent
        self.decoded = _guarded(unexpected, span.decoded)
        self.decided = _guarded(unexpected, span.decided)
        self.end = _guarded(unexpected, span.end)


class GuardedTracer:
    """A Tracer that never raises."""

    def __init__(self, tracer: Tracer, unexpected: Unexpected) -> None:
        """Make the spans of `tracer`."""
        self.process = _started(unexpected, tracer.process)
        self.post = _started(unexpected, tracer.post)
        self.send = _started(unexpected, tracer.send)
        self.cancel = _started(unexpected, tracer.cancel)
