"""`hookstream dlq export` and `hookstream undecodable export`: write records to a file as JSON Lines."""

from pathlib import Path

import click

from hookstream.core.redrive.selector import Selector
from hookstream.entry.admin.dead_letter_export import write_lines
from hookstream.entry.cli.context import Context, takes_api
from hookstream.entry.cli.deadletters.kinds import Kind
from hookstream.entry.cli.escaping import shown_json
from hookstream.entry.cli.job_view import FINDINGS
from hookstream.entry.cli.progress import progress_bar


def export_command(kind: Kind) -> click.Command:
    """Return the command of one kind."""

    @click.command(help=kind.export_help)
    @click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
    @kind.conditions
    @click.option(
        "--all", "all_", is_flag=True, help="Include those that were redriven or purged."
    )
    @click.option("--force", is_flag=True, help="Replace FILE if it exists.")
    @takes_api
    def export(
        context: Context, file: Path, selector: Selector, *, all_: bool, force: bool
    ) -> None:
        source = context.backend.aside(kind.source)
        with progress_bar(context) as progress:
            source.check_names(selector, progress)
            exported = source.export(selector, progress, with_resolved=all_)
            if file == Path("-"):
                for line in exported.encoded():
                    click.echo(shown_json(line))
            else:
                write_lines(exported.encoded(), file, replaces=force)
        context.err.text(f"{kind.noun}s: {exported.counts.note()}")
        if exported.counts.began_again:
            raise click.exceptions.Exit(FINDINGS)

    return export
