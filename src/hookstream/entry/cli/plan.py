"""`hookstream plan`: shows what `apply` would change."""

from pathlib import Path

import click

from hookstream.entry.admin.definitions import FolderPlanner, PlanRequest
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.plan_options import plan_options
from hookstream.entry.cli.plan_view import plan_document, refuse_problems, show_plan
from hookstream.entry.cli.terminal import json_line

HAS_CHANGES = 3


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@plan_options
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@pass_context
def command(context: Context, folder: Path, request: PlanRequest, *, as_json: bool) -> None:
    """Show what applying FOLDER would change. Exit code 3: there are changes."""
    planner = FolderPlanner(context.settings, context.environ, folder, request, needs_keys=False)
    refuse_problems(context.err, planner.problems)
    made = planner.plan()
    if as_json:
        click.echo(json_line(plan_document(made, made.problems)))
    elif not made.problems:
        show_plan(context.out, made)
    refuse_problems(context.err, made.problems)
    raise click.exceptions.Exit(HAS_CHANGES if made.writes else 0)
