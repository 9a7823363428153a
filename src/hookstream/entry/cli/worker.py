"""`hookstream worker` delivers events until SIGTERM or SIGINT."""

import sys

import click

from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.root import INTERRUPTED, exit_code
from hookstream.entry.worker.process import log_failure, run_logged, run_process
from hookstream.errors import ConfigurationError


@click.command()
@pass_context
def command(context: Context) -> None:
    """Deliver events.

    Reads every event topic and every tier, and delivers what partners subscribed to. Stops at
    SIGTERM or SIGINT: attempts in flight finish, within worker.drain_deadline. Exit code 0 after a
    clean drain, 1 at the deadline.
    """
    try:
        settings = context.settings
    except ConfigurationError as wrong:
        if not sys.stderr.isatty():
            # For log collectors.
            log_failure(wrong)
            raise click.exceptions.Exit(exit_code(wrong)) from wrong
        raise
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
