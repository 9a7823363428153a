"""`hookstream apply`: makes the tables say what files declare, after showing what that changes."""

from pathlib import Path

import click

from hookstream.adapters.system import SystemClock
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import Json
from hookstream.core.model.subscription import Partner, Subscription
from hookstream.core.planning.changes import Create, Plan, Update, confirm
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.definitions import PlanRequest, make_plan, read_folder
from hookstream.entry.admin.tables import read_state, writing
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.plan_options import asked_options
from hookstream.entry.cli.plan_view import (
    generated_of,
    plan_document,
    secrets_document,
    show_plan,
    show_problems,
    show_secrets,
)
from hookstream.entry.cli.terminal import json_line
from hookstream.entry.keys import key_ring

REFUSED = 2


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--no-wait", is_flag=True, help="Return before everything is active.")
@asked_options
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@pass_context
def command(
    context: Context,
    folder: Path,
    asked: PlanRequest,
    *,
    yes: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Make the tables say what FOLDER declares.

    Signing secrets that are generated are shown once. Returns when everything new is active: what
    is published from then on is delivered.
    """
    definitions = read_folder(context.settings, context.environ, folder, asked)
    if definitions.problems:
        show_problems(context.err, definitions.problems)
        raise click.exceptions.Exit(REFUSED)
    settings = context.settings
    share = settings.tables.prune_share
    keys = key_ring(settings)
    takes_effect = SystemClock().now() + settings.tables.activation_lead
    shown = make_plan(definitions, read_state(settings, keys), takes_effect, asked, share)
    if shown.problems:
        show_problems(context.err, shown.problems)
        raise click.exceptions.Exit(REFUSED)
    show_plan(context.err if as_json else context.out, shown)
    if not shown.writes:
        _report(context, shown, as_json=as_json)
        return
    if not yes:
        click.confirm("Apply this?", abort=True, err=True)
    with writing(settings, keys) as desk:
        state = desk.state()
        made = make_plan(definitions, state, desk.takes_effect, asked, share)
        confirm(shown, made)
        scribe = ChangeWriter(desk, settings.topics_names, keys)
        scribe.write(made.writes)
        scribe.forget(state)
        # Secrets first: whoever interrupts the waiting must not lose them.
        _report(context, made, as_json=as_json)
        until = _last_instant(made)
        if until > desk.now and not no_wait:
            desk.wait_until(until)
            context.err.print("Everything is active.")


def _report(context: Context, made: Plan, *, as_json: bool) -> None:
    secrets = generated_of(made)
    if as_json:
        generated: list[Json] = secrets_document(secrets)
        click.echo(json_line({**plan_document(made), "signing_secrets": generated}))
    else:
        show_secrets(context.out, secrets)


def _last_instant(made: Plan) -> Millis:
    """Return the instant after which everything that was written holds."""
    instants = [0]
    for change in made.writes:
        match change:
            case Create(Subscription() as after):
                instants.append(after.active_from)
            case Update(_, Partner() as after):
                instants.append(after.grant_from)
            case _:
                pass
    return max(instants)
