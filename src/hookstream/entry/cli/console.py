"""`hookstream console`: serves the API and the console's pages until SIGTERM or SIGINT."""

import click

from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.lasting import run_lasting
from hookstream.entry.console.console import run


@click.command()
@pass_context
def command(context: Context) -> None:
    """Serve the API and the console's pages, and work on jobs.

    Any number of consoles may run behind one address: each follows the tables, and none has state of its own.
    Needs the key ring. At SIGTERM or SIGINT it finishes its requests and hands its jobs back, within
    console.drain_deadline. Exit code 0 after that, 1 at the deadline.
    """
    run_lasting(context, run, "console")
