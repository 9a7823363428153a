"""`hookstream plan`: what `apply` would change, and nothing more."""

from dataclasses import replace
from pathlib import Path

import click

from hookstream.adapters.system import SystemClock
from hookstream.adapters.tables import Keys, SealedSecrets
from hookstream.entry.admin.definitions import PlanRequest, make_plan, read_folder
from hookstream.entry.admin.tables import read_state
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.plan_options import asked_options
from hookstream.entry.cli.plan_view import plan_document, show_plan, show_problems
from hookstream.entry.cli.terminal import json_line
from hookstream.entry.keys import key_ring
from hookstream.errors import ConfigurationError
from hookstream.settings import Settings

REFUSED = 2
HAS_CHANGES = 3


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@asked_options
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@pass_context
def command(
    context: Context,
    folder: Path,
    asked: PlanRequest,
    *,
    as_json: bool,
) -> None:
    """Show what applying FOLDER would change. Exit code 3: there are changes."""
    settings = context.settings
    keys, why = _keys(settings)
    definitions = read_folder(settings, context.environ, folder, asked, secrets=why is None)
    if definitions.problems:
        show_problems(context.err, definitions.problems)
        raise click.exceptions.Exit(REFUSED)
    state = read_state(settings, keys)
    takes_effect = SystemClock().now() + settings.tables.activation_lead
    made = make_plan(
        definitions, state, takes_effect, asked, settings.tables.prune_share, opened=why is None
    )
    if why is not None:
        note = f"signing secrets are compared by their names only, without a key ring: {why}"
        made = replace(made, notes=(*made.notes, note))
    if as_json:
        click.echo(json_line(plan_document(made, made.problems)))
    elif not made.problems:
        show_plan(context.out, made)
    if made.problems:
        show_problems(context.err, made.problems)
        raise click.exceptions.Exit(REFUSED)
    raise click.exceptions.Exit(HAS_CHANGES if made.writes else 0)


def _keys(settings: Settings) -> tuple[Keys, str | None]:
    """Return the key ring, or, where there is none to be had, what carries secrets sealed and why.

    Files are checked where no secret is: in continuous integration.
    """
    try:
        return key_ring(settings), None
    except ConfigurationError as why:
        return SealedSecrets(), str(why)
