"""`hookstream worker` delivers events until it is told to stop."""

import asyncio
import sys
import traceback
from collections.abc import Callable

import click
import uvloop

from hookstream.adapters.system import SystemClock
from hookstream.adapters.telemetry.log import StructuredJournal
from hookstream.adapters.telemetry.log_capture import captured
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.root import INTERRUPTED, exit_code
from hookstream.entry.worker.worker import run
from hookstream.errors import ConfigurationError, HookstreamError
from hookstream.settings import Settings


@click.command()
@pass_context
def command(context: Context) -> None:
    """Deliver events.

    Reads every event topic and every tier, and delivers what partners subscribed to. Stops at
    SIGTERM or SIGINT: attempts in flight finish, within worker.drain_deadline. Exit code 0 after a
    clean drain, 1 at the deadline.
    """
    settings = _settings(context)
    if settings.log.format == "json":
        journal = StructuredJournal(settings.log.level, settings.log.format)
        code = _structured(settings, journal, debug=context.debug)
    else:
        code = _run(
            settings, lambda address: context.err.print(f"metrics and health on http://{address}")
        )
    click.get_current_context().exit(code)


def _settings(context: Context) -> Settings:
    """Return the settings; where they cannot be read, say so as a collector of logs can take it."""
    try:
        return context.settings
    except ConfigurationError as wrong:
        if sys.stderr.isatty():
            raise
        StructuredJournal().error("worker.failed", detail=str(wrong))
        raise click.exceptions.Exit(exit_code(wrong)) from wrong


def _structured(settings: Settings, journal: StructuredJournal, *, debug: bool) -> int:
    """Run a worker of which everything that it writes is a line of its journal."""
    with captured(journal, SystemClock().monotonic):
        try:
            return _run(settings, lambda _: None)
        except KeyboardInterrupt:
            journal.info("worker.interrupted")
            return INTERRUPTED
        except Exception as failed:  # noqa: BLE001  the end of the process: it is said here or nowhere
            stack = "".join(traceback.format_exception(failed))[-4_000:]
            expected = isinstance(failed, HookstreamError)
            fields = {} if expected and not debug else {"stack": stack}
            detail = str(failed) if expected else repr(failed)
            journal.error("worker.failed", detail=detail, **fields)
            return exit_code(failed)


def _run(settings: Settings, ready: Callable[[str], None]) -> int:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run(settings, ready))
