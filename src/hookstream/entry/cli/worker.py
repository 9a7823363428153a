"""`hookstream worker` delivers events until SIGTERM or SIGINT."""

import sys

import click

from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.root import INTERRUPTED, exit_code
from hookstream.entry.worker.process import log_failure, run_logged, run_process
from hookstream.errors import ConfigurationError
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
        ended = run_logged(settings, debug=context.debug)
    else:
        ended = run_process(
            settings, lambda address: context.err.print(f"metrics and health on http://{address}")
        )
    match ended:
        case KeyboardInterrupt():
            code = INTERRUPTED
        case Exception():
            code = exit_code(ended)
        case _:
            code = ended
    click.get_current_context().exit(code)


def _settings(context: Context) -> Settings:
    """Return the settings; if they are invalid, log the reason, for log collectors."""
    try:
        return context.settings
    except ConfigurationError as wrong:
        if sys.stderr.isatty():
            raise
        log_failure(wrong)
        raise click.exceptions.Exit(exit_code(wrong)) from wrong
