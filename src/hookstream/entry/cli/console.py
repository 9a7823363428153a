"""`hookstream console` serves the API until SIGTERM or SIGINT."""

import click

from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.lasting import run_lasting
from hookstream.entry.console.console import run


@click.command()
@pass_context
def command(context: Context) -> None:
    """Serve the API, and work on jobs.

    Any number of consoles may run behind one address: each follows the tables, and none holds anything
    of its own. Needs the key ring. Stops at SIGTERM or SIGINT: requests end and jobs are handed back,
    within console.drain_deadline. Exit code 0 after that, 1 at the deadline.
    """
    run_lasting(context, run, "console")
