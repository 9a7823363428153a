"""`hookstream worker` delivers events until it is told to stop."""

import asyncio

import click
import uvloop

from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.worker import run


@click.command()
@pass_context
def command(context: Context) -> None:
    """Deliver events.

    Reads every event topic and every tier, and delivers what partners subscribed to. Stops at
    SIGTERM or SIGINT: attempts in flight finish, within worker.drain_deadline. Exit code 0 after a
    clean drain, 1 at the deadline.
    """

    def ready(address: str) -> None:
        context.err.print(f"metrics and health on http://{address}")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(run(context.settings, ready))
    click.get_current_context().exit(code)
