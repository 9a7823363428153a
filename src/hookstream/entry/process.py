"""Runs a long-lived process (a worker, a console or an executor) and logs how it ends."""

import asyncio
import signal
import traceback
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias

import uvloop

from hookstream.adapters.system import SystemClock
from hookstream.adapters.telemetry.log import StructuredLogger
from hookstream.adapters.telemetry.log_capture import captured
from hookstream.entry.shutdown import end_process_after
from hookstream.errors import HookstreamError
from hookstream.pipeline.ports import Logger
from hookstream.settings import Settings

Main: TypeAlias = Callable[[Settings, Callable[[str], None]], Coroutine[Any, Any, int]]
"""Runs until it is stopped, and returns the exit code; it passes on the address of metrics and health."""

_LONGEST_STACK = 4_000
"""Characters."""
_STARTING_ENDS_WITHIN = 5.0
"""Seconds that a process has to close its parts if it is ended while it starts."""


def run_process(main: Main, settings: Settings, ready: Callable[[str], None]) -> int:
    """Run a process until it is stopped, and return its exit code: 0 also if it is stopped while it starts.

    Args:
        main: The process. Once it has started, it handles SIGTERM itself.
        settings: Its settings.
        ready: Called with the address of metrics and health.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_from_the_start(main(settings, ready)))


async def _from_the_start(main: Coroutine[Any, Any, int]) -> int:
    """Run a process, and end it at a SIGTERM that comes before it handles signals itself.

    The first process of a container has no default action for a signal: a SIGTERM during the read of the tables would
    be lost, and the process would join its groups anyway.
    """
    running = asyncio.current_task()
    is_ended = False

    def end() -> None:
        nonlocal is_ended
        is_ended = True
        # A thread may be waiting for brokers that do not answer.
        end_process_after(_STARTING_ENDS_WITHIN)
        if running is not None:
            running.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
    try:
        return await main
    except asyncio.CancelledError:
        if not is_ended:
            raise
        return 0


def run_logged(
    main: Main, settings: Settings, subject: str, *, debug: bool
) -> int | KeyboardInterrupt | Exception:
    """Run a process whose only output is its log; return its exit code, or the exception that ended it.

    Args:
        main: The process.
        settings: Its settings.
        subject: The prefix of its log events, `worker` or `jobs`.
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
            log_failed(logger, subject, failed, debug=debug)
            return failed


def log_failed(
    logger: Logger, subject: str, failed: BaseException, *, debug: bool = False
) -> None:
    """Log one of the exceptions that ended a process, with its stack unless it was expected.

    Args:
        logger: The log.
        subject: The prefix of its log events, `worker` or `jobs`.
        failed: The exception.
        debug: Whether an expected failure is logged with its stack as well.
    """
    stack = "".join(traceback.format_exception(failed))[-_LONGEST_STACK:]
    expected = isinstance(failed, HookstreamError)
    fields = {} if expected and not debug else {"stack": stack}
    detail = str(failed) if expected else repr(failed)
    logger.error(f"{subject}.failed", detail=detail, **fields)


def raise_first(failures: Sequence[BaseException], logger: Logger, subject: str) -> None:
    """Raise the first of the exceptions that ended a process, if there are any, and log the others.

    The caller shows or logs the one that is raised.
    """
    for other in failures[1:]:
        log_failed(logger, subject, other)
    if failures:
        raise failures[0]


def causes_of(failed: BaseException) -> list[BaseException]:
    """Return the exceptions in a group, in its order; groups are nested, as task groups are.

    Args:
        failed: A group, or one exception, which is returned alone.
    """
    if isinstance(failed, BaseExceptionGroup):
        return [cause for each in failed.exceptions for cause in causes_of(each)]
    return [failed]


def log_failure(subject: str, failed: HookstreamError) -> None:
    """Log why a process does not start, if its settings cannot be used for logging."""
    StructuredLogger().error(f"{subject}.failed", detail=str(failed))
