"""`hookstream plan` and `hookstream apply`: changes the tables to what definition files declare."""

from pathlib import Path

import click

from hookstream.core.model.json import Json
from hookstream.core.planning.changes import Plan
from hookstream.core.planning.plan import PlanOptions
from hookstream.entry.admin.definitions import FolderPlanner, last_instant
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.options import as_one, yes_option
from hookstream.entry.cli.plan_view import (
    generated_of,
    plan_document,
    secrets_document,
    show_plan,
    show_secrets,
)
from hookstream.entry.cli.terminal import confirm, json_line

HAS_CHANGES = 3

_folder = click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
plan_options = as_one(
    "options",
    PlanOptions,
    click.option(
        "--prune", is_flag=True, help="Delete what the folder owns and does not declare any more."
    ),
    click.option("--cascade", is_flag=True, help="Delete a partner's subscriptions with it."),
    click.option(
        "--owner",
        metavar="NAME",
        help="The folder's name, by which it owns what it declares (else hookstream.yaml says it).",
    ),
    click.option(
        "--take-over",
        multiple=True,
        metavar="NAME",
        help="Own from now on what the folder NAME owns and this one declares; repeatable.",
    ),
    click.option(
        "--confirm-delete",
        type=click.IntRange(0),
        metavar="N",
        help="Delete N things, although that is much of what the folder owns.",
    ),
)
"""They arrive as `options`."""


@click.command()
@_folder
@plan_options
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@pass_context
def plan(context: Context, folder: Path, options: PlanOptions, *, as_json: bool) -> None:
    """Show what applying FOLDER would change. Exit code 3: there are changes."""
    planner = FolderPlanner(context.settings, context.environ, folder, options, needs_keys=False)
    context.err.refuse(planner.problems, "changed")
    made = planner.plan()
    if as_json:
        click.echo(json_line(plan_document(made, made.problems)))
    elif not made.problems:
        show_plan(context.out, made)
    context.err.refuse(made.problems, "changed")
    raise click.exceptions.Exit(HAS_CHANGES if made.writes else 0)


@click.command()
@_folder
@yes_option
@click.option("--no-wait", is_flag=True, help="Return before everything is active.")
@plan_options
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@pass_context
def apply(
    context: Context,
    folder: Path,
    options: PlanOptions,
    *,
    yes: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Change the tables to what FOLDER declares.

    Signing secrets that are generated are shown once. Returns when everything new is active: events
    that are published from then on are delivered.
    """
    planner = FolderPlanner(context.settings, context.environ, folder, options, needs_keys=True)
    context.err.refuse(planner.problems, "changed")
    shown = planner.plan()
    context.err.refuse(shown.problems, "changed")
    show_plan(context.err if as_json else context.out, shown)
    if not shown.writes:
        _report(context, shown, as_json=as_json)
        return
    confirm("Apply this?", yes=yes)
    with planner.applied(shown) as (made, session):
        # Secrets first: interrupting the wait must not lose them.
        _report(context, made, as_json=as_json)
        until = last_instant(made)
        if until > session.now and not no_wait:
            session.wait_until(until)
            context.err.print("Everything is active.")


def _report(context: Context, made: Plan, *, as_json: bool) -> None:
    secrets = generated_of(made)
    if as_json:
        generated: list[Json] = secrets_document(secrets)
        click.echo(json_line({**plan_document(made), "signing_secrets": generated}))
    else:
        show_secrets(context.out, secrets)
