"""`hookstream worker` delivers events until SIGTERM or SIGINT."""

import click

from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.lasting import run_lasting
from hookstream.entry.worker.worker import run


@click.command()
@pass_context
def command(context: Context) -> None:
    """Deliver events.

    Reads every event topic and every tier, and delivers what partners subscribed to. Stops at
    SIGTERM or SIGINT: attempts in flight finish, within worker.drain_deadline. Exit code 0 after a
    clean drain, 1 at the deadline.
    """
    run_lasting(context, run, "worker")
