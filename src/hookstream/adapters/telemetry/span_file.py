"""Appends finished spans to a file, one JSON object per line: traces without a collector."""

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from hookstream.errors import ConfigurationError

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class SpanFile(SpanExporter):
    """Appends spans to a file, one JSON object per line: for development and tests."""

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
                "start": _instant(span.start_time),
                "end": _instant(span.end_time),
                "attributes": dict(span.attributes or {}),
                "status": span.status.status_code.name,
            }
            self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Close the file."""
        self._file.close()


def _instant(nanoseconds: int | None) -> str | None:
    """Return RFC 3339 text with microseconds."""
    if nanoseconds is None:
        return None
    moment = _EPOCH + dt.timedelta(microseconds=nanoseconds // 1000)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
