"""`hookstream dlq purge` and `hookstream undecodable purge`."""

from dataclasses import dataclass

import click

from hookstream.core.model.counted import counted
from hookstream.core.model.json import JsonObject
from hookstream.core.redrive.preview import BulkAct
from hookstream.core.redrive.purge import purge_reason
from hookstream.core.redrive.selector import Selector
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.admin.jobs import start_job
from hookstream.entry.admin.previews import known_preview, preview_of
from hookstream.entry.admin.purges import narrowed, new_purge, purge_kind
from hookstream.entry.admin.surveys import Survey, survey
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.deadletters.kinds import Kind
from hookstream.entry.cli.deadletters.names import refuse_unknown_names
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
from hookstream.entry.cli.progress import reading
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
        help="Why nobody wants these delivered; required, and shown with each of them.",
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
    @pass_context
    def purge(
        context: Context,
        places: tuple[str, ...],
        selector: Selector,
        run: PurgeOptions,
        *,
        as_json: bool,
    ) -> None:
        if run.because is None and not run.dry_run:
            raise click.UsageError("say why with --because: it is kept with what is purged")
        why = "" if run.because is None else purge_reason(run.because)
        reader = DeadLetterReader(context.settings, kind.source)
        selector = selected(places, selector, reader.topic)
        refuse_unknown_names(context, reader, selector)
        _purge(_Purge(context, kind, reader, run, as_json), selector, why)

    return purge


@dataclass(slots=True, frozen=True)
class _Purge:
    """One `purge` command."""

    context: Context
    kind: Kind
    reader: DeadLetterReader
    run: PurgeOptions
    as_json: bool


def _purge(command: _Purge, selector: Selector, why: str) -> None:
    """Count, ask, and purge.

    Raises:
        InputRefused: The preview is of something else, or less.
        click.exceptions.Exit: The job is not finished (code 1).
    """
    context, kind, reader, run = command.context, command.kind, command.reader, command.run
    if not run.dry_run:
        reader.refuse_rival()
    row, ends, preview = selector.row(), None, None
    if run.preview is not None:
        preview = known_preview(reader, BulkAct.PURGE, run.preview, row)
        row, ends = preview.selector, preview.ends
    with reading(context, reader):
        found = survey(reader, narrowed(reader, row), ends)
    show_survey(context, found, kind, reader.topic, BulkAct.PURGE, as_json=command.as_json)
    total = found.tally.records
    if preview is not None:
        preview.refuse_more(total)
    before = survey_document(found, kind)
    if run.dry_run or not total:
        made = preview_of(reader, BulkAct.PURGE, row, found.ends, total)
        show_preview(context, made, before, as_json=command.as_json)
        return
    them = "it" if total == 1 else "them"
    confirm(f"Purge {counted(total, kind.noun)}? Nothing can redrive {them} then", yes=run.yes)
    _work(command, row, found, why)


def _work(command: _Purge, row: JsonObject, found: Survey, why: str) -> None:
    context, kind = command.context, command.kind
    # It may have begun while this one was counted, and while it was asked about.
    command.reader.refuse_rival()
    job = new_purge(command.reader, row, found, why)
    purging = purge_kind(context.settings)
    with working(context, "Purging", job) as watch:
        result = start_job(context.settings, job, watch, {purging.name: purging})
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
