"""Runs a worker as a process, and logs how it ends."""

import asyncio
import traceback
from collections.abc import Callable

import uvloop

from hookstream.adapters.system import SystemClock
from hookstream.adapters.telemetry.log import StructuredLogger
from hookstream.adapters.telemetry.log_capture import captured
from hookstream.entry.worker.worker import run
from hookstream.errors import HookstreamError
from hookstream.settings import Settings

_LONGEST_STACK = 4_000
"""Characters."""


def run_process(settings: Settings, ready: Callable[[str], None]) -> int:
    """Run a worker until it is stopped, and return its exit code.

    Args:
        settings: The worker's.
        ready: Called with the address of metrics and health.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run(settings, ready))


def run_logged(settings: Settings, *, debug: bool) -> int | KeyboardInterrupt | Exception:
    """Run a worker whose only output is its log; return its exit code, or the exception that ended it.

    Args:
        settings: The worker's.
        debug: Whether an expected failure is logged with its stack.
    """
    logger = StructuredLogger(settings.log.level, settings.log.format)
    with captured(logger, SystemClock().monotonic):
        try:
            return run_process(settings, lambda _: None)
        except KeyboardInterrupt as interrupted:
            logger.info("worker.interrupted")
            return interrupted
        except Exception as failed:  # noqa: BLE001  the end of the process: it is logged here or nowhere
            stack = "".join(traceback.format_exception(failed))[-_LONGEST_STACK:]
            expected = isinstance(failed, HookstreamError)
            fields = {} if expected and not debug else {"stack": stack}
            detail = str(failed) if expected else repr(failed)
            logger.error("worker.failed", detail=detail, **fields)
            return failed


def log_failure(failed: HookstreamError) -> None:
    """Log why a worker does not start, if its settings cannot be used for logging."""
    StructuredLogger().error("worker.failed", detail=str(failed))
