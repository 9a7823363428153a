"""`hookstream topics`: plans and creates the topics that hookstream needs."""

import click

from hookstream.core.topology.plan import CreateTopic, describe
from hookstream.entry.admin.topics import TopicsPlan, apply_topics, plan_topics
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.options import yes_option
from hookstream.entry.cli.terminal import HAS_CHANGES, confirm


@click.group()
def command() -> None:
    """Plan and create hookstream's topics."""


@command.command("plan")
@pass_context
def plan_(context: Context) -> None:
    """Show what apply would create or change. Exit code 3: there are changes."""
    planned = plan_topics(context.settings)
    _show(context, planned)
    if planned.todo:
        raise click.exceptions.Exit(HAS_CHANGES)


@command.command()
@yes_option
@pass_context
def apply(context: Context, *, yes: bool) -> None:
    """Create missing topics, and change existing ones as planned; nothing shrinks, is shortened or deleted."""
    planned = plan_topics(context.settings)
    _show(context, planned)
    if not planned.todo:
        return
    confirm("Apply this?", yes=yes)
    apply_topics(context.settings, planned, context.err.print)
    context.out.print("Done.")


def _show(context: Context, planned: TopicsPlan) -> None:
    for change in planned.changes:
        context.out.print(describe(change), highlight=False)
    if not planned.todo:
        context.out.print("All topics are as planned.")
    elif planned.replication == 1 and any(isinstance(c, CreateTopic) for c in planned.changes):
        context.out.print(
            "New topics get one replica: if their broker is lost, their records are lost."
        )
