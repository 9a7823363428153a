"""`hookstream config`: shows the settings that are in effect."""

import click

from hookstream.entry.admin.settings_shown import DEFAULT, shown_settings
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.options import as_json_option
from hookstream.settings import sources

_NOT_SET = "-"


@click.group()
def command() -> None:
    """Show the settings in effect."""


@command.command()
@click.option(
    "--given", is_flag=True, help="Show only the settings that are given, not the defaults."
)
@as_json_option
@pass_context
def show(context: Context, *, given: bool, as_json: bool) -> None:
    """Show every setting in effect, and its source. Secrets are hidden; - is a setting without a value.

    The command line overrides the environment, which overrides the file, which overrides the default. The
    command makes no connection.
    """
    found = sources(context.config, context.environ, context.overrides)
    settings = [
        each
        for each in shown_settings(context.settings, found)
        if not given or each.source != DEFAULT
    ]
    if as_json:
        click.echo(json_line([each.as_json() for each in settings]))
        return
    # A reader must see that a setting is empty, and not that a column is missing.
    rows = [(each.name, each.value or _NOT_SET, each.source) for each in settings]
    context.out.table(("setting", "value", "from"), rows)
