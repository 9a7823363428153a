"""Runs a long-lived command until SIGTERM or SIGINT, with logging as its settings say."""

import sys

import click

from hookstream.entry.cli.context import Context
from hookstream.entry.cli.root import INTERRUPTED, exit_code
from hookstream.entry.process import Main, log_failure, run_logged, run_process
from hookstream.errors import ConfigurationError


def run_lasting(context: Context, main: Main, subject: str) -> None:
    """Run a process until it is stopped, and exit with its code.

    Args:
        context: The command's.
        main: What the process does.
        subject: The first part of its log events' names.

    Raises:
        ConfigurationError: The settings are not valid, and standard error is a terminal.
        click.exceptions.Exit: The process has ended.
    """
    try:
        settings = context.settings
    except ConfigurationError as wrong:
        if not sys.stderr.isatty():
            # For log collectors.
            log_failure(subject, wrong)
            raise click.exceptions.Exit(exit_code(wrong)) from wrong
        raise
    if settings.log.format == "json":
        ended = run_logged(main, settings, subject, debug=context.debug)
    else:
        ended = run_process(
            main,
            settings,
            lambda address: context.err.print(f"metrics and health on http://{address}"),
        )
    match ended:
        case KeyboardInterrupt():
            code = INTERRUPTED
        case Exception():
            code = exit_code(ended)
        case _:
            code = ended
    click.get_current_context().exit(code)
