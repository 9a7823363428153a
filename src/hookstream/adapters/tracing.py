"""Tracing makes OpenTelemetry spans for sampled traces, and touches nothing for all others.

Sampling is parent-based: a record that carries a context follows it, another begins a trace with the
ratio's probability. The decision is made before the SDK is called, which costs 6 µs even for a span
that it then throws away. Names and attributes follow the semantic conventions 1.44 for messaging
(Kafka) and HTTP clients.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace import (
    Link,
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

from hookstream.core.delivery.address import host_of, scrub
from hookstream.core.model.record import Record
from hookstream.errors import ConfigurationError
from hookstream.pipeline.ports import Chance, Span

_TRACEPARENT_LENGTH = 55


class TracingSettings(Protocol):
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

    def shutdown(self) -> None:
        """Close nothing."""


class SdkTracer:
    """Fits `Tracer`, on the OpenTelemetry SDK."""

    def __init__(self, provider: TracerProvider, ratio: float, chance: Chance) -> None:
        """Begin traces for `ratio` of the records that carry no context."""
        self._provider = provider
        self._tracer: OtelTracer = provider.get_tracer("hookstream")
        self._ratio = ratio
        self._chance = chance

    def process(self, record: Record, traceparent: str | None, group: str) -> Span | None:
        """Start `process <topic>`, a child of the record's context or a root."""
        if traceparent is None:
            if self._chance.fraction() >= self._ratio:
                return None
            parent = None
        elif traceparent[-2:] != "01" or (parent := _parent(traceparent)) is None:
            return None
        attributes: dict[str, str | int] = {
            "messaging.system": "kafka",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": record.topic,
            "messaging.destination.partition.id": str(record.partition),
            "messaging.kafka.offset": record.offset,
            "messaging.consumer.group.name": group,
        }
        return self._start(f"process {record.topic}", SpanKind.CONSUMER, parent, attributes)

    def post(self, parent: Span, url: str, resend: int) -> Span | None:
        """Start `POST`, one attempt."""
        host = host_of(url)
        attributes: dict[str, str | int] = {
            "http.request.method": "POST",
            "url.full": scrub(url),
            "server.address": host,
        }
        if resend:
            attributes["http.request.resend_count"] = resend
        return self._start("POST", SpanKind.CLIENT, _parent(parent.traceparent), attributes)

    def send(self, parent: Span, topic: str) -> Span | None:
        """Start `send <topic>`; its context travels on in the record."""
        attributes: dict[str, str | int] = {
            "messaging.system": "kafka",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": topic,
        }
        return self._start(
            f"send {topic}", SpanKind.PRODUCER, _parent(parent.traceparent), attributes
        )

    def produce(self, topic: str) -> Span:
        """Start a root `send <topic>`, sampled: for the kit of upstream services."""
        attributes: dict[str, str | int] = {
            "messaging.system": "kafka",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": topic,
        }
        return self._start(f"send {topic}", SpanKind.PRODUCER, None, attributes)

    def shutdown(self) -> None:
        """Export what is left and close."""
        self._provider.shutdown()

    def _start(
        self,
        name: str,
        kind: SpanKind,
        parent: SpanContext | None,
        attributes: dict[str, str | int],
    ) -> SampledSpan:
        context = None if parent is None else set_span_in_context(NonRecordingSpan(parent))
        links: Sequence[Link] = ()
        return SampledSpan(
            self._tracer.start_span(
                name, context=context, kind=kind, attributes=attributes, links=links
            )
        )


class SpanFile(SpanExporter):
    """Appends spans to a file, one JSON object a line: for development and tests."""

    def __init__(self, path: Path) -> None:
        """Open the file for appending.

        Raises:
            ConfigurationError: It cannot be opened.
        """
        try:
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"tracing.file {path}: {error.strerror}") from error

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Append."""
        for span in spans:
            context = span.get_span_context()
            if context is None:
                continue
            line = {
                "trace_id": f"{context.trace_id:032x}",
                "span_id": f"{context.span_id:016x}",
                "parent_span_id": None if span.parent is None else f"{span.parent.span_id:016x}",
                "name": span.name,
                "kind": span.kind.name,
                "start_ns": span.start_time,
                "end_ns": span.end_time,
                "attributes": dict(span.attributes or {}),
                "status": span.status.status_code.name,
            }
            self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Close the file."""
        self._file.close()


def tracer_of(
    settings: TracingSettings, chance: Chance, service: str = "hookstream"
) -> NoTracer | SdkTracer:
    """Return the tracer that the settings name.

    Raises:
        ConfigurationError: The exporter `file` has no file, or none that can be written.
    """
    if settings.exporter == "none":
        return NoTracer()
    # The decision is made here, so the SDK records whatever it is asked for.
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    if settings.exporter == "file":
        if settings.file is None:
            raise ConfigurationError("tracing.exporter is 'file': name it with tracing.file")
        # Written as they end: a worker that is killed leaves its spans.
        provider.add_span_processor(SimpleSpanProcessor(SpanFile(settings.file)))
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )

        # Imported only here: requests and protobuf cost 20 MB that a worker without it saves.
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(settings.endpoint)))
    return SdkTracer(provider, settings.ratio, chance)


def _parent(traceparent: str) -> SpanContext | None:
    """Return the context that a W3C traceparent names; None where it is malformed."""
    parts = traceparent.split("-")
    if len(traceparent) != _TRACEPARENT_LENGTH or len(parts) != 4:  # noqa: PLR2004
        return None
    try:
        trace_id, span_id, flags = int(parts[1], 16), int(parts[2], 16), int(parts[3], 16)
    except ValueError:
        return None
    if not trace_id or not span_id:
        return None
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
