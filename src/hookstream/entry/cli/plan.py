"""`hookstream plan`: what `apply` would change, and nothing more."""

from pathlib import Path

import click
import orjson

from hookstream.adapters.system import SystemClock
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.plan_view import plan_document, show_plan, show_problems
from hookstream.entry.cli.planning import Asked, make_plan, read_folder
from hookstream.entry.cli.tables import read_state
from hookstream.entry.keys import key_ring

REFUSED = 2
HAS_CHANGES = 3


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--prune", is_flag=True, help="Delete what files own and do not declare any more.")
@click.option("--cascade", is_flag=True, help="Delete a partner's subscriptions with it.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@pass_context
def command(
    context: Context,
    folder: Path,
    *,
    prune: bool,
    cascade: bool,
    as_json: bool,
) -> None:
    """Show what applying FOLDER would change. Exit code 3: there are changes."""
    definitions = read_folder(context, folder)
    if definitions.problems:
        show_problems(context.err, definitions.problems)
        raise click.exceptions.Exit(REFUSED)
    settings = context.settings
    state = read_state(settings, key_ring(settings))
    takes_effect = SystemClock().now() + settings.tables.activation_lead
    made = make_plan(definitions, state, takes_effect, Asked(prune=prune, cascade=cascade))
    if as_json:
        click.echo(orjson.dumps(plan_document(made, made.problems)))
    elif not made.problems:
        show_plan(context.out, made)
    if made.problems:
        show_problems(context.err, made.problems)
        raise click.exceptions.Exit(REFUSED)
    raise click.exceptions.Exit(HAS_CHANGES if made.writes else 0)
