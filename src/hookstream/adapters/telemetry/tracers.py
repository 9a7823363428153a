"""Selects the tracer by the settings, and loads OpenTelemetry only if spans are exported."""

from typing import TYPE_CHECKING

from hookstream.adapters.telemetry.no_tracer import NoTracer
from hookstream.pipeline.ports import Chance

if TYPE_CHECKING:
    from hookstream.adapters.telemetry.tracing import SdkTracer, TracingOptions


def tracer_of(settings: "TracingOptions", chance: Chance) -> "NoTracer | SdkTracer":
    """Return the tracer that the settings select.

    Raises:
        ConfigurationError: The exporter `file` has no file, or one that cannot be written.
    """
    if settings.exporter == "none":
        return NoTracer()
    # Imported only here: its SDK takes a tenth of a worker's start.
    from hookstream.adapters.telemetry.tracing import exporting_tracer  # noqa: PLC0415

    return exporting_tracer(settings, chance)
