"""`hookstream worker`: delivers events until SIGTERM or SIGINT."""

import click

from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.lasting import run_lasting
from hookstream.entry.worker.worker import run


@click.command()
@pass_context
def command(context: Context) -> None:
    """Deliver events.

    Reads all event topics and tiers, and delivers the events that partners subscribed to. At SIGTERM or
    SIGINT it finishes the attempts in flight, within worker.drain_deadline. Exit code 0 after a clean drain,
    1 at the deadline.
    """
    run_lasting(context, run, "worker")
