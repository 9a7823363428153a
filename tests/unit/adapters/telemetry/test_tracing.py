"""One trace covers a delivery's whole way, and an unsampled one costs nothing."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from hookstream.adapters.telemetry.tracers import tracer_of
from hookstream.adapters.telemetry.tracing import CountingExporter, SdkTracer
from hookstream.core.model.delivery import Delivery, OnlyFor, Trigger, UnmatchedEvent
from hookstream.core.model.outcome import RetryAt
from hookstream.core.model.record import Header, Origin, Record
from hookstream.errors import ConfigurationError
from hookstream.pipeline.ports import Tracer

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE}-{SPAN}-01"
UNSAMPLED = f"00-{TRACE}-{SPAN}-00"


class Fixed:
    """A Random that always returns the same."""

    def __init__(self, value: float) -> None:
        self.value = value

    def fraction(self) -> float:
        return self.value


@dataclass(frozen=True)
class Choice:
    exporter: str = "file"
    ratio: float = 1.0
    file: Path | None = None
    endpoint: str | None = None


def a_record(
    *headers: Header, key: bytes | None = b"order-7", value: bytes | None = b"x"
) -> Record:
    return Record("printprice.pricing.completed", 3, 41, 0, key, value, headers)


def a_delivery() -> Delivery:
    origin = Origin("printprice.pricing.completed", 3, 41, 0)
    return Delivery("msg_1", "crm", "acme", "pricing.completed", "e1", origin, 0, 1)


class Seen:
    """A tracer, and the spans that it exported."""

    def __init__(self, *, ratio: float = 0.5, chance: float = 0.9) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = SdkTracer(provider, ratio, Fixed(chance))

    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())


def test_a_record_is_processed_as_the_child_of_its_producer() -> None:
    seen = Seen()
    tracer: Tracer = seen.tracer
    span = tracer.process(a_record(), SAMPLED, "hookstream")
    assert span is not None
    span.end()
    (found,) = seen.spans()
    assert (span.trace_id, found.name, found.kind.name) == (
        TRACE,
        "process printprice.pricing.completed",
        "CONSUMER",
    )
    assert found.parent is not None
    assert f"{found.parent.span_id:016x}" == SPAN
    assert dict(found.attributes or {}) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "printprice.pricing.completed",
        "messaging.destination.partition.id": "3",
        "messaging.kafka.offset": 41,
        "messaging.kafka.message.key": "order-7",
        "messaging.consumer.group.name": "hookstream",
    }
    assert found.status.status_code is StatusCode.UNSET


def test_a_request_is_served_as_the_child_of_its_client_or_by_the_ratio() -> None:
    seen = Seen()
    asked = ("GET", "/v1/deliveries/{delivery_id}")
    span = seen.tracer.request(*asked, SAMPLED, "request-1")
    assert span is not None
    span.end(error=None, **{"http.response.status_code": 200})
    (found,) = seen.spans()
    assert (span.trace_id, found.name, found.kind.name) == (TRACE, " ".join(asked), "SERVER")
    assert dict(found.attributes or {}) == {
        "http.request.method": "GET",
        "http.route": "/v1/deliveries/{delivery_id}",
        "http.response.status_code": 200,
        "hookstream.request_id": "request-1",
    }
    for unsampled in (UNSAMPLED, None, "nonsense"):
        assert seen.tracer.request(*asked, unsampled, "request-2") is None
    assert Seen(chance=0.4).tracer.request(*asked, None, "request-3") is not None


def test_the_whole_way_is_one_trace() -> None:
    """First attempt, tier, second attempt: the context travels in the record's headers."""
    seen = Seen()
    process = seen.tracer.process(a_record(), SAMPLED, "hookstream")
    assert process is not None
    post = seen.tracer.post(
        process, "https://partner.example:8443/hook/secret?token=x", a_delivery(), 1
    )
    assert post is not None
    post.decided(RetryAt(5_000))
    post.end(error="503", **{"http.response.status_code": 503})
    send = seen.tracer.send(process, "hookstream.retry.5s", a_delivery(), RetryAt(5_000))
    assert send is not None
    send.end()
    process.end()
    again = seen.tracer.process(a_record(), send.traceparent, "hookstream.retry")
    assert again is not None
    again.end()
    by_name = {span.name.partition(" ")[0] + span.kind.name: span for span in seen.spans()}
    parents = {
        name: f"{span.parent.span_id:016x}" if span.parent else None
        for name, span in by_name.items()
    }
    assert {span.get_span_context().trace_id for span in seen.spans()} == {int(TRACE, 16)}  # type: ignore[union-attr]
    assert parents["POSTCLIENT"] == process.traceparent.split("-")[2]
    assert parents["sendPRODUCER"] == process.traceparent.split("-")[2]
    assert again.trace_id == TRACE
    assert dict(by_name["POSTCLIENT"].attributes or {}) == {
        "http.request.method": "POST",
        "url.full": "https://partner.example:8443/…",
        "server.address": "partner.example",
        "server.port": 8443,
        "http.response.status_code": 503,
        "error.type": "503",
        "hookstream.subscription.id": "crm",
        "hookstream.partner.id": "acme",
        "hookstream.delivery.id": "msg_1",
        "hookstream.event.type": "pricing.completed",
        "hookstream.event.id": "e1",
        "hookstream.attempt": 1,
        "hookstream.trigger": "initial",
        "hookstream.disposition": "retry",
    }
    assert by_name["POSTCLIENT"].status.status_code is StatusCode.ERROR


def test_a_job_s_run_of_a_delivery_names_the_job() -> None:
    seen = Seen()
    run = replace(a_delivery(), trigger=Trigger.REPLAY, job="job-7")
    span = seen.tracer.process(a_record(), SAMPLED, "hookstream.retry", run)
    assert span is not None
    span.end()
    attributes = seen.spans()[0].attributes or {}
    assert (attributes["hookstream.job.id"], attributes["hookstream.trigger"]) == (
        "job-7",
        "replay",
    )


def test_an_event_that_is_replayed_to_one_subscription_names_it() -> None:
    seen = Seen()
    only = OnlyFor("crm", "acme", "job-7")
    origin = Origin("printprice.pricing.completed", 3, 41, 0)
    state = UnmatchedEvent(origin, 0, trigger=Trigger.REPLAY, only=only)
    span = seen.tracer.process(a_record(), SAMPLED, "hookstream.retry", state)
    assert span is not None
    span.decoded("pricing.completed", "e1")
    span.end()
    attributes = seen.spans()[0].attributes or {}
    assert {
        name: value for name, value in attributes.items() if name.startswith("hookstream")
    } == {
        "hookstream.subscription.id": "crm",
        "hookstream.partner.id": "acme",
        "hookstream.trigger": "replay",
        "hookstream.job.id": "job-7",
        "hookstream.event.type": "pricing.completed",
        "hookstream.event.id": "e1",
    }


def test_a_resend_is_counted() -> None:
    seen = Seen()
    parent = seen.tracer.process(a_record(), SAMPLED, "hookstream")
    assert parent is not None
    post = seen.tracer.post(parent, "https://partner.example/", a_delivery(), 3)
    assert post is not None
    post.end()
    attributes = seen.spans()[0].attributes or {}
    assert (attributes["http.request.resend_count"], attributes["server.port"]) == (2, 443)


@pytest.mark.parametrize("flags", ["00", "02", "0a"])
def test_an_unsampled_parent_is_followed(flags: str) -> None:
    """Even where chance would have it: half a trace misleads."""
    seen = Seen(ratio=1.0, chance=0.0)
    assert seen.tracer.process(a_record(), f"00-{TRACE}-{SPAN}-{flags}", "hookstream") is None


@pytest.mark.parametrize(("chance", "sampled"), [(0.49, True), (0.5, False)])
def test_a_record_without_context_starts_a_trace_by_the_ratio(
    chance: float,
    sampled: bool,  # noqa: FBT001
) -> None:
    seen = Seen(ratio=0.5, chance=chance)
    assert (seen.tracer.process(a_record(), None, "hookstream") is not None) is sampled


def test_nothing_is_sampled_at_ratio_zero() -> None:
    assert Seen(ratio=0.0, chance=0.0).tracer.process(a_record(), None, "hookstream") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
    ],
)
def test_a_malformed_context_counts_as_none(text: str) -> None:
    """As W3C Trace Context requires: a new trace starts, by the ratio."""
    drawn = Seen(ratio=1.0, chance=0.0).tracer.process(a_record(), text, "hookstream")
    assert drawn is not None
    assert drawn.trace_id != TRACE
    assert Seen(ratio=0.0).tracer.process(a_record(), text, "hookstream") is None


def test_a_later_version_of_the_context_is_read() -> None:
    text = f"01-{TRACE}-{SPAN}-01-more"
    found = Seen().tracer.process(a_record(), text, "hookstream")
    assert found is not None
    assert found.trace_id == TRACE


def test_a_retry_of_an_unsampled_delivery_is_not_drawn_again() -> None:
    record = a_record(("hs-origin-topic", b"printprice.pricing.completed"))
    assert Seen(ratio=1.0, chance=0.0).tracer.process(record, None, "hookstream.retry") is None


def test_keys_that_are_not_text_and_tombstones_are_shown_as_such() -> None:
    seen = Seen()
    span = seen.tracer.process(a_record(key=b"\xff", value=None), SAMPLED, "hookstream")
    assert span is not None
    span.end()
    attributes = seen.spans()[0].attributes or {}
    assert "messaging.kafka.message.key" not in attributes
    assert attributes["messaging.kafka.message.tombstone"] is True


def test_a_producer_starts_a_trace_or_joins_its_callers() -> None:
    seen = Seen(ratio=1.0, chance=0.0)
    root = seen.tracer.produce("printprice.pricing.completed")
    child = seen.tracer.produce("printprice.pricing.completed", SAMPLED)
    assert root is not None
    assert child is not None
    assert child.trace_id == TRACE != root.trace_id
    assert seen.tracer.produce("printprice.pricing.completed", UNSAMPLED) is None


def test_spans_go_to_a_file_one_a_line(tmp_path: Path) -> None:
    tracer = tracer_of(Choice(file=tmp_path / "spans.jsonl"), Fixed(0.0))
    span = tracer.process(a_record(), SAMPLED, "hookstream")
    assert span is not None
    span.end(error="timeout", attempt=3)
    tracer.shutdown()
    (line,) = [json.loads(text) for text in (tmp_path / "spans.jsonl").read_text().splitlines()]
    assert line.pop("start") <= line.pop("end")
    assert line.pop("attributes")["error.type"] == "timeout"
    assert line == {
        "trace_id": TRACE,
        "span_id": span.traceparent.split("-")[2],
        "parent_span_id": SPAN,
        "name": "process printprice.pricing.completed",
        "kind": "CONSUMER",
        "status": "ERROR",
    }


def test_without_an_exporter_there_are_no_spans() -> None:
    tracer = tracer_of(Choice(exporter="none"), Fixed(0.0))
    assert tracer.process(a_record(), SAMPLED, "hookstream") is None
    assert tracer.produce("printprice.pricing.completed") is None
    tracer.shutdown()


COLLECTOR_IS_DOWN = """
from hookstream.adapters.system import SystemChance
from hookstream.adapters.telemetry.tracers import tracer_of
from hookstream.settings.groups import TracingSettings

exporter = TracingSettings(exporter="otlp", ratio=1.0, endpoint="http://127.0.0.1:1")
tracer = tracer_of(exporter, SystemChance())
tracer.produce("printprice.pricing.completed").end()
tracer.shutdown(deadline=0.2)
"""


class Failing(SpanExporter):
    """An exporter whose collector is down, or that raises."""

    def __init__(self, *, raises: bool) -> None:
        self.raises = raises

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002
        if self.raises:
            raise OSError
        return SpanExportResult.FAILURE


@pytest.mark.parametrize("raises", [True, False])
def test_spans_that_cannot_be_exported_are_counted(*, raises: bool) -> None:
    exporter = CountingExporter(Failing(raises=raises))
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = SdkTracer(provider, 1.0, Fixed(0.0), exporter)
    for _ in range(3):
        span = tracer.produce("printprice.pricing.completed")
        assert span is not None
        span.end()
    tracer.shutdown()
    assert tracer.lost == 3


def test_a_collector_that_is_down_does_not_keep_a_process_from_ending() -> None:
    """In its own process: the exporter's thread keeps trying, and draws from `random`.

    In this process it would do so while Hypothesis observes it.
    """
    done = subprocess.run(  # noqa: S603  our own interpreter
        [sys.executable, "-c", COLLECTOR_IS_DOWN], timeout=15, check=False, capture_output=True
    )

    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("file", [None, Path("/nonexistent/folder/spans.jsonl")])
def test_a_file_that_cannot_be_written_is_a_clear_error(file: Path | None) -> None:
    with pytest.raises(ConfigurationError, match=r"tracing\.file"):
        tracer_of(Choice(file=file), Fixed(0.0))
