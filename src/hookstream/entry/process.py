"""Runs a process that lasts, a worker or an executor of jobs, and logs how it ends."""

import asyncio
import traceback
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import uvloop

from hookstream.adapters.system import SystemClock
from hookstream.adapters.telemetry.log import StructuredLogger
from hookstream.adapters.telemetry.log_capture import captured
from hookstream.errors import HookstreamError
from hookstream.settings import Settings

Main: TypeAlias = Callable[[Settings, Callable[[str], None]], Coroutine[Any, Any, int]]
"""Runs until it is stopped, and returns the exit code; it passes on the address of metrics and health."""

_LONGEST_STACK = 4_000
"""Characters."""


def run_process(main: Main, settings: Settings, ready: Callable[[str], None]) -> int:
    """Run a process until it is stopped, and return its exit code.

    Args:
        main: What it does.
        settings: Its settings.
        ready: Called with the address of metrics and health.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main(settings, ready))


def run_logged(
    main: Main, settings: Settings, subject: str, *, debug: bool
) -> int | KeyboardInterrupt | Exception:
    """Run a process whose only output is its log; return its exit code, or the exception that ended it.

    Args:
        main: What it does.
        settings: Its settings.
        subject: What its log events begin with, `worker` or `jobs`.
        debug: Whether an expected failure is logged with its stack.
    """
    logger = StructuredLogger(settings.log.level, settings.log.format)
    with captured(logger, SystemClock().monotonic):
        try:
            return run_process(main, settings, lambda _: None)
        except KeyboardInterrupt as interrupted:
            logger.info(f"{subject}.interrupted")
            return interrupted
        except Exception as failed:  # noqa: BLE001  the end of the process: it is logged here or nowhere
            stack = "".join(traceback.format_exception(failed))[-_LONGEST_STACK:]
            expected = isinstance(failed, HookstreamError)
            fields = {} if expected and not debug else {"stack": stack}
            detail = str(failed) if expected else repr(failed)
            logger.error(f"{subject}.failed", detail=detail, **fields)
            return failed


def log_failure(subject: str, failed: HookstreamError) -> None:
    """Log why a process does not start, if its settings cannot be used for logging."""
    StructuredLogger().error(f"{subject}.failed", detail=str(failed))
