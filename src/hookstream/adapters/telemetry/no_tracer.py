"""The tracer of a process that exports no spans: it loads nothing of OpenTelemetry."""

SHUTDOWN_SECONDS = 5.0
"""How long a tracer may take to close."""


class NoTracer:
    """The `Tracer` without an exporter: every method returns None."""

    lost = 0
    """Without spans, none is lost."""

    def _start(self, *_: object, **__: object) -> None:
        """Start nothing."""

    process = post = send = cancel = produce = request = _start

    def shutdown(self, deadline: float = SHUTDOWN_SECONDS) -> None:
        """Close nothing."""
