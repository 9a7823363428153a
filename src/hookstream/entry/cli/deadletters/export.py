"""`hookstream dlq export` and `hookstream undecodable export`."""

from pathlib import Path

import click

from hookstream.core.redrive.selector import Selector
from hookstream.entry.admin.dead_letter_export import DeadLetterExport
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.deadletters.kinds import Kind
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.progress import progress_bar, reading


def export_command(kind: Kind) -> click.Command:
    """Return the command of one kind."""

    @click.command(help=kind.export_help)
    @click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
    @kind.conditions
    @click.option("--all", "all_", is_flag=True, help="Those that were redriven or purged too.")
    @click.option("--force", is_flag=True, help="Replace FILE if it exists.")
    @pass_context
    def export(
        context: Context, file: Path, selector: Selector, *, all_: bool, force: bool
    ) -> None:
        reader = DeadLetterReader(context.settings, kind.source)
        with progress_bar(context) as progress:
            context.cluster.aside(kind.source).check_names(selector, progress)
        exported = DeadLetterExport(reader, reader.ledger(), selector, all_)
        with reading(context, reader):
            if file == Path("-"):
                for line in exported.lines():
                    click.echo(json_line(line))
            else:
                exported.write(file, replaces=force)
        context.err.text(f"{kind.noun}s: {exported.counts.note()}")

    return export
