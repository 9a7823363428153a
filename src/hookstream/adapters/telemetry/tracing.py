"""Creates OpenTelemetry spans for sampled traces, at almost no cost for all others.

Sampling is parent-based: a record with a context follows it, any other starts a trace with the
ratio's probability. The decision is made before the SDK is called, which costs 6 µs even for a span
that it discards. Names and attributes follow the semantic conventions 1.44 for messaging
(Kafka) and HTTP clients.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import SpanKind, Status, StatusCode, get_current_span
from opentelemetry.trace import Tracer as OtelTracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from hookstream import __version__
from hookstream.adapters.telemetry.no_tracer import SHUTDOWN_SECONDS
from hookstream.adapters.telemetry.span_file import SpanFile
from hookstream.adapters.telemetry.span_names import (
    Attributes,
    of_decision,
    of_delivery,
    of_event,
    of_state,
)
from hookstream.core.delivery.address import host_of, scrub
from hookstream.core.model import header_names
from hookstream.core.model.delivery import Delivery, UnmatchedEvent
from hookstream.core.model.outcome import Disposition
from hookstream.core.model.record import Record
from hookstream.errors import ConfigurationError
from hookstream.pipeline.ports import Chance, Span

_FILE_DELAY_MILLIS = 200
_MAX_KEY = 256
_TRACEPARENT_LENGTH = 55
_MAX_TRACEPARENT = 512
"""The most characters of a `traceparent` that are parsed: the SDK logs a warning for a longer one."""
_W3C = TraceContextTextMapPropagator()


class TracingOptions(Protocol):
    """The settings that tracing needs."""

    @property
    def exporter(self) -> str:
        """`none`, `otlp` or `file`."""

    @property
    def ratio(self) -> float:
        """Sampling ratio, 0 to 1, of the traces that start here."""

    @property
    def file(self) -> Path | None:
        """The file of the exporter `file`."""

    @property
    def endpoint(self) -> str | None:
        """The collector of the exporter `otlp`."""


class SampledSpan:
    """A `Span`."""

    __slots__ = ("_span", "span_id", "trace_id", "traceparent")

    def __init__(self, span: OtelSpan) -> None:
        """Wrap a recording span."""
        self._span = span
        context = span.get_span_context()
        self.trace_id = f"{context.trace_id:032x}"
        """32 hex digits."""
        self.span_id = f"{context.span_id:016x}"
        """16 hex digits."""
        self.traceparent = f"00-{self.trace_id}-{self.span_id}-01"
        """The W3C `traceparent` of this span."""

    def decoded(self, event_type: str, event_id: str) -> None:
        """Add the record's event type and event id."""
        self._span.set_attributes(of_event(event_type, event_id))

    def decided(self, disposition: Disposition) -> None:
        """Add the disposition of the delivery."""
        self._span.set_attributes(of_decision(disposition))

    def end(self, *, error: str | None = None, **attributes: str | int) -> None:
        """End the span, as failed if `error` is given."""
        for name, value in attributes.items():
            self._span.set_attribute(name, value)
        if error is not None:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


class CountingExporter(SpanExporter):
    """Wraps an exporter and counts the spans whose export failed. Runs on the SDK's thread."""

    def __init__(self, inner: SpanExporter) -> None:
        """Wrap `inner`."""
        self._inner = inner
        self.lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export spans."""
        try:
            result = self._inner.export(spans)
        except Exception:
            self.lost += len(spans)
            raise
        if result is not SpanExportResult.SUCCESS:
            self.lost += len(spans)
        return result

    def shutdown(self) -> None:
        """Close the exporter."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export the remaining spans."""
        return self._inner.force_flush(timeout_millis)


class SdkTracer:
    """The `Tracer` on the OpenTelemetry SDK."""

    def __init__(
        self,
        provider: TracerProvider,
        ratio: float,
        chance: Chance,
        exporter: CountingExporter | None = None,
    ) -> None:
        """Start traces for `ratio` of the records without a context."""
        self._exporter = exporter
        self._provider = provider
        self._tracer: OtelTracer = provider.get_tracer("hookstream")
        self._ratio = ratio
        self._chance = chance

    @property
    def lost(self) -> int:
        """The number of spans in failed exports; spans dropped by a full queue are only logged."""
        return 0 if self._exporter is None else self._exporter.lost

    def process(
        self,
        record: Record,
        traceparent: str | None,
        group: str,
        state: Delivery | UnmatchedEvent | None = None,
    ) -> Span | None:
        """Start `process <topic>`, a child of the record's context or a root.

        A malformed context counts as none, as W3C Trace Context requires. A tier record without a
        context was not sampled when its trace started, and is not sampled later: half a trace
        misleads.
        """
        context = self._sampled(traceparent)
        if context is None or (not context and _is_ours(record)):
            return None
        attributes = _messaging("process", record.topic)
        attributes["messaging.consumer.group.name"] = group
        attributes["messaging.destination.partition.id"] = str(record.partition)
        attributes["messaging.kafka.offset"] = record.offset
        key = _key_text(record.key)
        if key is not None:
            attributes["messaging.kafka.message.key"] = key
        if record.value is None:
            attributes["messaging.kafka.message.tombstone"] = True
        if state is not None:
            attributes |= of_state(state)
        return self._start(f"process {record.topic}", SpanKind.CONSUMER, context, attributes)

    def post(self, parent: Span, url: str, delivery: Delivery, attempt: int) -> Span | None:
        """Start `POST`, the attempt of this number."""
        attributes: Attributes = {
            "http.request.method": "POST",
            # Path and query of a partner's URL may be a secret: only the host is recorded.
            "url.full": scrub(url),
            "server.address": host_of(url),
            "server.port": _port(url),
            **of_delivery(delivery, attempt),
        }
        if attempt > 1:
            attributes["http.request.resend_count"] = attempt - 1
        return self._start("POST", SpanKind.CLIENT, _context(parent.traceparent), attributes)

    def send(
        self, parent: Span, topic: str, delivery: Delivery, disposition: Disposition
    ) -> Span | None:
        """Start `send <topic>`; the record carries its context."""
        return self._start(
            f"send {topic}",
            SpanKind.PRODUCER,
            _context(parent.traceparent),
            _messaging("send", topic)
            | of_delivery(delivery, delivery.attempt)
            | of_decision(disposition),
        )

    def cancel(self, parent: Span, delivery: Delivery, disposition: Disposition) -> Span | None:
        """Start `cancel`, for a delivery that ends without a record."""
        return self._start(
            "cancel",
            SpanKind.INTERNAL,
            _context(parent.traceparent),
            of_delivery(delivery, delivery.attempt) | of_decision(disposition),
        )

    def produce(self, topic: str, traceparent: str | None = None) -> Span | None:
        """Start `send <topic>` for the producer kit: a root, or a child of the caller's span.

        Sampled like `process`: by its parent, else by the ratio.
        """
        context = self._sampled(traceparent)
        if context is None:
            return None
        return self._start(f"send {topic}", SpanKind.PRODUCER, context, _messaging("send", topic))

    def request(
        self, method: str, route: str, traceparent: str | None, request_id: str
    ) -> Span | None:
        """Start `<method> <route>`, one request to the API: a child of the client's span, or a root.

        Sampled like `process`. The path is not recorded, since it contains partners' ids.
        """
        context = self._sampled(traceparent)
        if context is None:
            return None
        attributes: Attributes = {
            "http.request.method": method,
            "http.route": route,
            "hookstream.request_id": request_id,
        }
        return self._start(f"{method} {route}", SpanKind.SERVER, context, attributes)

    def shutdown(self, deadline: float = SHUTDOWN_SECONDS) -> None:
        """Export the remaining spans and close; spans not exported by the deadline are lost.

        Args:
            deadline: Seconds. A collector that is down must not delay a worker's exit.
        """
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(deadline)

    def _sampled(self, traceparent: str | None) -> Context | None:
        """Return the parent of a sampled span, empty for a root; None if it is not sampled."""
        if traceparent is not None:
            if _says_unsampled(traceparent):
                return None
            context = _context(traceparent)
            parent = get_current_span(context).get_span_context()
            if parent.is_valid:
                return context if parent.trace_flags.sampled else None
        # An empty context, not the current one: nothing else in this process is the parent.
        return Context() if self._chance.fraction() < self._ratio else None

    def _start(
        self, name: str, kind: SpanKind, context: Context, attributes: Attributes
    ) -> SampledSpan:
        return SampledSpan(
            self._tracer.start_span(name, context=context, kind=kind, attributes=attributes)
        )


def exporting_tracer(settings: TracingOptions, chance: Chance) -> SdkTracer:
    """Return the tracer with the exporter that the settings select, which is not `none`.

    Raises:
        ConfigurationError: The exporter `file` has no file, or one that cannot be written.
    """
    # The sampling decision is ours, so the SDK records every span that we start.
    provider = TracerProvider(sampler=ALWAYS_ON, resource=_resource(), shutdown_on_exit=False)
    if settings.exporter == "file":
        if settings.file is None:
            raise ConfigurationError("tracing.exporter is 'file': set tracing.file")
        # Written on a thread, since a disk may stall; soon, since a worker may be killed.
        exporter, delay = CountingExporter(SpanFile(settings.file)), _FILE_DELAY_MILLIS
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )

        # Imported only here: requests and protobuf cost 20 MB, which other workers save.
        otlp = OTLPSpanExporter(endpoint=_traces_url(settings.endpoint))
        exporter, delay = CountingExporter(otlp), None
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=delay))
    return SdkTracer(provider, settings.ratio, chance, exporter)


def _resource() -> Resource:
    """Name the service as the environment does (OTEL_SERVICE_NAME), else `hookstream`."""
    ours = Resource({"service.name": "hookstream", "service.version": __version__})
    environment = OTELResourceDetector().detect()
    return Resource.create().merge(ours).merge(environment)


def _traces_url(endpoint: str | None) -> str | None:
    """Return the URL for spans: OTLP's path is appended to a collector's bare address."""
    if endpoint is None:
        return None
    bare = not urlsplit(endpoint).path.strip("/")
    return endpoint.rstrip("/") + "/v1/traces" if bare else endpoint


def _messaging(operation: str, topic: str) -> Attributes:
    return {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": topic,
    }


def _is_ours(record: Record) -> bool:
    return any(name == header_names.ORIGIN_TOPIC for name, _ in record.headers)


def _key_text(key: bytes | None) -> str | None:
    """Return a record's key if it is text of a bounded size, else None."""
    if key is None or len(key) > _MAX_KEY:
        return None
    try:
        return key.decode()
    except UnicodeDecodeError:
        return None


def _port(url: str) -> int:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return 0
    return port or (443 if parts.scheme == "https" else 80)


def _says_unsampled(traceparent: str) -> bool:
    """Return whether the last digit says unsampled: nearly all traces cost no more than this check."""
    return len(traceparent) == _TRACEPARENT_LENGTH and traceparent[-1] in "02468aceACE"


def _context(traceparent: str) -> Context:
    """Return the context of a W3C traceparent; an empty one if it is malformed."""
    return _W3C.extract({"traceparent": traceparent[:_MAX_TRACEPARENT]}, Context())
