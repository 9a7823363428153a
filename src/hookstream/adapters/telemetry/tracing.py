"""Tracing makes OpenTelemetry spans for sampled traces, and touches nothing for all others.

Sampling is parent-based: a record that carries a context follows it, another begins a trace with the
ratio's probability. The decision is made before the SDK is called, which costs 6 µs even for a span
that it then throws away. Names and attributes follow the semantic conventions 1.44 for messaging
(Kafka) and HTTP clients.
"""

import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeAlias
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import Tracer as OtelTracer

from hookstream import __version__
from hookstream.adapters.telemetry.span_file import SpanFile
from hookstream.core.delivery.address import host_of, scrub
from hookstream.core.model import header_names
from hookstream.core.model.record import Record
from hookstream.errors import ConfigurationError
from hookstream.pipeline.ports import Chance, Span

SHUTDOWN_SECONDS = 5.0
_FILE_DELAY_MILLIS = 200
_MAX_KEY = 256
_TRACEPARENT_LENGTH = 55
# A version after 00 may add fields behind the flags.
_TRACEPARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
    r"(?:\Z|-)"
)

Attributes: TypeAlias = dict[str, str | int | bool]


class TracingOptions(Protocol):
    """What tracing asks of the settings."""

    @property
    def exporter(self) -> str:
        """`none`, `otlp` or `file`."""

    @property
    def ratio(self) -> float:
        """Of the traces that begin here."""

    @property
    def file(self) -> Path | None:
        """For the exporter `file`."""

    @property
    def endpoint(self) -> str | None:
        """For the exporter `otlp`."""


class SampledSpan:
    """Fits `Span`."""

    __slots__ = ("_span", "_trace_id", "_traceparent")

    def __init__(self, span: OtelSpan) -> None:
        """Wrap a recording span."""
        self._span = span
        context = span.get_span_context()
        self._trace_id = f"{context.trace_id:032x}"
        self._traceparent = f"00-{self._trace_id}-{context.span_id:016x}-01"

    @property
    def trace_id(self) -> str:
        """32 hex digits."""
        return self._trace_id

    @property
    def traceparent(self) -> str:
        """The W3C text that makes this span a parent."""
        return self._traceparent

    def end(self, *, error: str | None = None, **attributes: str | int) -> None:
        """End the span, failed where `error` names why."""
        for name, value in attributes.items():
            self._span.set_attribute(name, value)
        if error is not None:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


class NoTracer:
    """Fits `Tracer` where nothing is exported: every answer is None."""

    lost = 0
    """No span is lost where there is none."""

    def process(
        self,
        record: Record,  # noqa: ARG002  the port's names
        traceparent: str | None,  # noqa: ARG002
        group: str,  # noqa: ARG002
    ) -> Span | None:
        """Start nothing."""
        return None

    def post(self, parent: Span, url: str, resend: int) -> Span | None:  # noqa: ARG002
        """Start nothing."""
        return None

    def send(self, parent: Span, topic: str) -> Span | None:  # noqa: ARG002
        """Start nothing."""
        return None

    def produce(self, topic: str, traceparent: str | None = None) -> Span | None:  # noqa: ARG002
        """Start nothing."""
        return None

    def shutdown(self, deadline: float = SHUTDOWN_SECONDS) -> None:
        """Close nothing."""


class CountingExporter(SpanExporter):
    """Exports by another, and counts the spans that it could not hand over. On the SDK's thread."""

    def __init__(self, inner: SpanExporter) -> None:
        """Export by `inner`."""
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
        """Close it."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export what is left."""
        return self._inner.force_flush(timeout_millis)


class SdkTracer:
    """Fits `Tracer`, on the OpenTelemetry SDK."""

    def __init__(
        self,
        provider: TracerProvider,
        ratio: float,
        chance: Chance,
        exporter: CountingExporter | None = None,
    ) -> None:
        """Begin traces for `ratio` of the records that carry no context."""
        self._exporter = exporter
        self._provider = provider
        self._tracer: OtelTracer = provider.get_tracer("hookstream")
        self._ratio = ratio
        self._chance = chance

    @property
    def lost(self) -> int:
        """How many spans were in exports that failed; what a full queue drops is only logged."""
        return 0 if self._exporter is None else self._exporter.lost

    def process(self, record: Record, traceparent: str | None, group: str) -> Span | None:
        """Start `process <topic>`, a child of the record's context or a root.

        A malformed context counts as none, as W3C Trace Context asks. A record that hookstream
        itself put into a tier without a context was not sampled when its trace began, and is not
        drawn again: half a trace misleads.
        """
        parent = None
        if traceparent is not None:
            if _says_unsampled(traceparent):
                return None
            parent = _context(traceparent)
            if parent is not None and not parent.trace_flags.sampled:
                return None
        if parent is None and (self._chance.fraction() >= self._ratio or _is_ours(record)):
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
        return self._start(f"process {record.topic}", SpanKind.CONSUMER, parent, attributes)

    def post(self, parent: Span, url: str, resend: int) -> Span | None:
        """Start `POST`, one attempt; `resend` counts the attempts before it."""
        attributes: Attributes = {
            "http.request.method": "POST",
            # Path and query of a partner's URL may be a secret: only where it leads is told.
            "url.full": scrub(url),
            "server.address": host_of(url),
            "server.port": _port(url),
        }
        if resend:
            attributes["http.request.resend_count"] = resend
        return self._start("POST", SpanKind.CLIENT, _context(parent.traceparent), attributes)

    def send(self, parent: Span, topic: str) -> Span | None:
        """Start `send <topic>`; its context travels on in the record."""
        return self._start(
            f"send {topic}",
            SpanKind.PRODUCER,
            _context(parent.traceparent),
            _messaging("send", topic),
        )

    def produce(self, topic: str, traceparent: str | None = None) -> Span | None:
        """Start `send <topic>` for the kit of upstream services: a root, or the caller's child.

        Sampled as `process` is: by its parent, else by the ratio.
        """
        parent = None if traceparent is None else _context(traceparent)
        if parent is None:
            if self._chance.fraction() >= self._ratio:
                return None
        elif not parent.trace_flags.sampled:
            return None
        return self._start(f"send {topic}", SpanKind.PRODUCER, parent, _messaging("send", topic))

    def shutdown(self, deadline: float = SHUTDOWN_SECONDS) -> None:
        """Export what is left and close; whatever is not through by then is lost.

        Args:
            deadline: Seconds. A collector that is down must not keep a worker from ending.
        """
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(deadline)

    def _start(
        self,
        name: str,
        kind: SpanKind,
        parent: SpanContext | None,
        attributes: Attributes,
    ) -> SampledSpan:
        # An empty context, not the current one: what else runs in this process is no parent.
        context = Context()
        if parent is not None:
            context = set_span_in_context(NonRecordingSpan(parent), context)
        return SampledSpan(
            self._tracer.start_span(name, context=context, kind=kind, attributes=attributes)
        )


def tracer_of(settings: TracingOptions, chance: Chance) -> NoTracer | SdkTracer:
    """Return the tracer that the settings name.

    Raises:
        ConfigurationError: The exporter `file` has no file, or none that can be written.
    """
    if settings.exporter == "none":
        return NoTracer()
    # The decision is made here, so the SDK records whatever it is asked for.
    provider = TracerProvider(sampler=ALWAYS_ON, resource=_resource(), shutdown_on_exit=False)
    if settings.exporter == "file":
        if settings.file is None:
            raise ConfigurationError("tracing.exporter is 'file': name it with tracing.file")
        # Written from a thread, as a disk may stall; soon, as a worker may be killed.
        exporter = CountingExporter(SpanFile(settings.file))
        processor = BatchSpanProcessor(exporter, schedule_delay_millis=_FILE_DELAY_MILLIS)
        provider.add_span_processor(processor)
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )

        # Imported only here: requests and protobuf cost 20 MB that a worker without it saves.
        exporter = CountingExporter(OTLPSpanExporter(endpoint=_traces_url(settings.endpoint)))
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return SdkTracer(provider, settings.ratio, chance, exporter)


def _resource() -> Resource:
    """Name the service as the environment does (OTEL_SERVICE_NAME), else `hookstream`."""
    ours = Resource({"service.name": "hookstream", "service.version": __version__})
    environment = OTELResourceDetector().detect()
    return Resource.create().merge(ours).merge(environment)


def _traces_url(endpoint: str | None) -> str | None:
    """Return where spans are posted: a collector's bare address gets OTLP's own path."""
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
    """Return a record's key where it is text of a bounded size."""
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
    """Tell by its last digit alone: nearly all traces are unsampled, and cost no more than this."""
    return len(traceparent) == _TRACEPARENT_LENGTH and traceparent[-1] in "02468aceACE"


def _context(traceparent: str) -> SpanContext | None:
    """Return the context that a W3C traceparent names; None where it is malformed."""
    found = _TRACEPARENT.match(traceparent)
    if found is None or found["version"] == "ff":
        return None
    if found["version"] == "00" and len(traceparent) != _TRACEPARENT_LENGTH:
        return None
    trace_id, span_id = int(found["trace"], 16), int(found["span"], 16)
    if not trace_id or not span_id:
        return None
    return SpanContext(
        trace_id, span_id, is_remote=True, trace_flags=TraceFlags(int(found["flags"], 16))
    )
