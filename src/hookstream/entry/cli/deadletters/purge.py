"""`hookstream dlq purge` and `hookstream undecodable purge`: resolve records that are not to be delivered."""

from dataclasses import dataclass

import click

from hookstream.core.model.counted import counted
from hookstream.core.model.json import JsonObject
from hookstream.core.redrive.preview import BulkAct
from hookstream.core.redrive.purge import purge_reason
from hookstream.core.redrive.selector import Selector
from hookstream.entry.admin.surveys import Survey
from hookstream.entry.backend.bulk_ports import SetAsideCommands
from hookstream.entry.cli.context import Context, takes_api
from hookstream.entry.cli.deadletters.kinds import Kind
from hookstream.entry.cli.deadletters.selection import (
    places_argument,
    preview_option,
    selected,
    show_preview,
    show_survey,
    survey_document,
)
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.job_view import require_finished, working
from hookstream.entry.cli.options import as_json_option, as_one, yes_option
from hookstream.entry.cli.progress import progress_bar
from hookstream.entry.cli.terminal import confirm


@dataclass(slots=True, frozen=True)
class PurgeOptions:
    """How a purge is run."""

    because: str | None
    dry_run: bool
    yes: bool
    preview: str | None


purge_options = as_one(
    "run",
    PurgeOptions,
    click.option(
        "--because",
        metavar="TEXT",
        help="The reason for the purge; required, and shown with each record.",
    ),
    click.option("--dry-run", is_flag=True, help="Show what would be purged; change nothing."),
    yes_option,
    preview_option,
)
"""They arrive as `run`."""


def purge_command(kind: Kind) -> click.Command:
    """Return the command of one kind."""

    @click.command(help=kind.purge_help)
    @places_argument
    @kind.conditions
    @purge_options
    @as_json_option
    @takes_api
    def purge(
        context: Context,
        places: tuple[str, ...],
        selector: Selector,
        run: PurgeOptions,
        *,
        as_json: bool,
    ) -> None:
        if run.because is None and not run.dry_run:
            raise click.UsageError(
                "give the reason with --because: it is stored with each purged record"
            )
        why = "" if run.because is None else purge_reason(run.because)
        source = context.backend.aside(kind.source)
        selector = selected(places, selector, source.topic)
        with progress_bar(context) as progress:
            source.check_names(selector, progress)
        _purge(_Purge(context, kind, source, run, as_json), selector, why)

    return purge


@dataclass(slots=True, frozen=True)
class _Purge:
    """One `purge` command."""

    context: Context
    kind: Kind
    source: SetAsideCommands
    run: PurgeOptions
    as_json: bool


def _purge(command: _Purge, selector: Selector, why: str) -> None:
    """Count, ask for confirmation, and purge.

    Raises:
        InputRefused: The preview is of other records, or of fewer.
        click.exceptions.Exit: The job is not finished (code 1).
    """
    context, kind, source, run = command.context, command.kind, command.source, command.run
    if not run.dry_run:
        source.refuse_rival()
    row, preview = selector.row(), None
    if run.preview is not None:
        preview = source.known_preview(BulkAct.PURGE, run.preview, row)
        row = preview.selector
    with progress_bar(context) as progress:
        found = source.survey(BulkAct.PURGE, row, preview, progress)
    show_survey(context, found, kind, source.topic, BulkAct.PURGE, as_json=command.as_json)
    total = found.tally.records
    if preview is not None:
        preview.refuse_more(total)
    before = survey_document(found, kind)
    if run.dry_run or not total:
        made = source.preview(BulkAct.PURGE, row, found)
        show_preview(context, made, before, as_json=command.as_json)
        return
    them = "it" if total == 1 else "them"
    confirm(
        f"Purge {counted(total, kind.noun)}? No redrive can take {them} afterwards", yes=run.yes
    )
    _work(command, row, found, why)


def _work(command: _Purge, row: JsonObject, found: Survey, why: str) -> None:
    context, kind = command.context, command.kind
    # Another job may have started during the count and the question.
    command.source.refuse_rival()
    new = command.source.purge(row, found, why)
    with working(context, "Purging", new.job) as watch:
        result = new.run(watch)
    ended = result.job
    if command.as_json:
        document: JsonObject = {
            "id": ended.id,
            "by": ended.asked["by"],
            "why": why,
            "done": ended.done,
            "total": ended.total,
            "state": ended.state.value,
        }
        click.echo(json_line({**survey_document(found, kind), "job": document}))
    elif result.error is None:
        context.out.text(f"Purged {counted(ended.done, kind.noun)} as {ended.id}")
    require_finished(context, result)
