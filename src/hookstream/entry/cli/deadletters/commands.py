"""`hookstream dlq` and `hookstream undecodable`: the list, show and redrive commands of both.

A redrive counts and shows the selected records and, separately, those left out. After confirmation it writes
and runs the job, with a progress bar on a terminal. Then it lists the records that could not be redriven, and
reports them by the exit code.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import click

from hookstream.adapters.system import SystemClock
from hookstream.core.jobs.job import Job
from hookstream.core.model.counted import counted
from hookstream.core.model.instant import to_rfc3339, to_the_second
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.redrive.groups import GroupBy
from hookstream.core.redrive.job import UNREDRIVABLE
from hookstream.core.redrive.preview import BulkAct
from hookstream.core.redrive.revive import Unredrivable
from hookstream.core.redrive.selector import Selector
from hookstream.entry.admin.dead_letters import Listing
from hookstream.entry.admin.surveys import Survey
from hookstream.entry.backend.bulk_ports import SetAsideCommands
from hookstream.entry.backend.sending_ports import NewJob
from hookstream.entry.cli.context import Context, takes_api
from hookstream.entry.cli.deadletters.export import export_command
from hookstream.entry.cli.deadletters.kinds import DEAD_LETTERS, UNDECODABLE, Kind
from hookstream.entry.cli.deadletters.purge import purge_command
from hookstream.entry.cli.deadletters.selection import (
    places_argument,
    preview_option,
    selected,
    show_preview,
    show_survey,
    survey_document,
)
from hookstream.entry.cli.deadletters.view import (
    details_document,
    listing_document,
    show_details,
    show_listing,
)
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.job_view import FINDINGS, progress_of, require_finished, working
from hookstream.entry.cli.options import as_json_option, as_one, rate_option, yes_option
from hookstream.entry.cli.progress import progress_bar
from hookstream.entry.cli.terminal import confirm
from hookstream.pipeline.job_kind import RunResult

EXAMPLES = 100
"""The most records that could not be redriven that are named; all of them stay open."""


@dataclass(slots=True, frozen=True)
class RunOptions:
    """How a redrive is run."""

    rate: float | None
    dry_run: bool
    yes: bool
    resume: str | None
    cancel: str | None
    preview: str | None


run_options = as_one(
    "run",
    RunOptions,
    rate_option("At most N records per second."),
    click.option("--dry-run", is_flag=True, help="Show what would be redriven; change nothing."),
    yes_option,
    preview_option,
    click.option("--resume", metavar="JOB", help="Resume an interrupted job."),
    click.option("--cancel", metavar="JOB", help="Cancel a job; its remaining records stay open."),
)
"""They arrive as `run`."""


def group_of(kind: Kind) -> click.Group:
    """Return the command group of one kind."""
    group = click.Group(kind.group, help=kind.group_help)

    @group.command("list", help=kind.list_help)
    @kind.conditions
    @click.option(
        "--all", "all_", is_flag=True, help="Include those that were redriven or purged."
    )
    @click.option(
        "--group-by",
        type=click.Choice([each.value for each in kind.groups]),
        help="Count by this instead of the reason.",
    )
    @click.option(
        "--limit",
        "-n",
        type=click.IntRange(0, 100_000),
        default=20,
        show_default=True,
        help="List at most this many, the newest; all are counted.",
    )
    @as_json_option
    @takes_api
    def list_(
        context: Context,
        selector: Selector,
        limit: int,
        group_by: str | None,
        *,
        all_: bool,
        as_json: bool,
    ) -> None:
        source = context.backend.aside(kind.source)
        grouping = None if group_by is None else source.grouped(GroupBy(group_by))
        listing = Listing(kind.source, limit, all_, grouping)
        _list(context, kind, selector, listing, as_json=as_json)

    @group.command(help=kind.show_help)
    @click.argument("letter", metavar=kind.shown_by)
    @as_json_option
    @takes_api
    def show(context: Context, letter: str, *, as_json: bool) -> None:
        _show(context, kind, letter, as_json=as_json)

    @group.command(help=kind.redrive_help)
    @places_argument
    @kind.conditions
    @run_options
    @as_json_option
    @takes_api
    def redrive(
        context: Context,
        places: tuple[str, ...],
        selector: Selector,
        run: RunOptions,
        *,
        as_json: bool,
    ) -> None:
        source = context.backend.aside(kind.source)
        selector = selected(places, selector, source.topic)
        with progress_bar(context) as progress:
            source.check_names(selector, progress)
        _RedriveCommand(context, kind, source, run, as_json).redrive(selector.row())

    @group.command(help="List redrive jobs: finished, cancelled, running and interrupted.")
    @as_json_option
    @takes_api
    def jobs(context: Context, *, as_json: bool) -> None:
        _show_jobs(context, context.backend.aside(kind.source), as_json=as_json)

    group.add_command(export_command(kind))
    group.add_command(purge_command(kind))
    return group


dlq = group_of(DEAD_LETTERS)
undecodable = group_of(UNDECODABLE)


def _list(
    context: Context, kind: Kind, selector: Selector, listing: Listing, *, as_json: bool
) -> None:
    source = context.backend.aside(kind.source)
    with progress_bar(context) as progress:
        source.check_names(selector, progress)
        problems = source.listed(selector, listing, progress)
    _show_unreadable(context, problems.unreadable_marks)
    if as_json:
        click.echo(json_line(listing_document(listing, kind, source.topic)))
    else:
        show_listing(context.out, listing, kind, source.topic, SystemClock().now())
    for sentence in problems.reservations:
        context.err.text(sentence, "yellow")


def _show(context: Context, kind: Kind, name: str, *, as_json: bool) -> None:
    with progress_bar(context) as progress:
        read = context.backend.aside(kind.source).details(name, progress)
    _show_unreadable(context, read.unreadable_marks)
    for details in read.found:
        if as_json:
            click.echo(json_line(details_document(details)))
        else:
            show_details(context.out, details, SystemClock().now())
    for sentence in read.reservations:
        context.err.text(sentence, "yellow")


def _show_unreadable(context: Context, marks: Sequence[str]) -> None:
    context.err.unreadable(marks)
    if marks:
        context.err.text(
            "Some records that are shown as open may have been redriven or purged.", "red"
        )


@dataclass(slots=True)
class _Unredrivable:
    """The records that stay open, as far as this command found them."""

    count: int = 0
    examples: list[Unredrivable] = field(default_factory=list)
    """The first `EXAMPLES` of them."""

    def add(self, record: Unredrivable) -> None:
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(record)


@dataclass(slots=True, frozen=True)
class _RedriveCommand:
    """One `redrive` command."""

    context: Context
    kind: Kind
    source: SetAsideCommands
    run: RunOptions
    as_json: bool
    left: _Unredrivable = field(default_factory=_Unredrivable)

    def redrive(self, row: JsonObject) -> None:
        """Redrive the records that a selector's row selects, resume a job, or cancel one.

        Raises:
            click.UsageError: Conditions were given for a job that has its own.
            click.exceptions.Exit: Records that were selected stay open, or it is not finished (code 1).
        """
        run, job_id = self.run, self.run.resume or self.run.cancel
        if job_id is None:
            self._start(row)
            return
        if row or run.preview or (run.resume and run.cancel):
            raise click.UsageError("--resume and --cancel take one job, without conditions")
        err = self.context.err
        job = self.source.redrive_in(job_id)
        if run.cancel:
            cancelled = self.context.backend.jobs.cancel(job_id)
            err.text(f"{job_id} is cancelled; it redrove {progress_of(cancelled)}")
            return
        self.source.refuse_rival(job_id)
        err.text(f"Resuming {job_id}: {progress_of(job)} done")
        self._work(self.source.resumed(job, run.rate, self.left.add), None)

    def _start(self, row: JsonObject) -> None:
        source, preview = self.source, None
        if not self.run.dry_run:
            source.refuse_rival()
        if self.run.preview is not None:
            preview = source.known_preview(BulkAct.REDRIVE, self.run.preview, row)
            row = preview.selector
        with progress_bar(self.context) as progress:
            found = source.survey(BulkAct.REDRIVE, row, preview, progress)
        show_survey(
            self.context, found, self.kind, source.topic, BulkAct.REDRIVE, as_json=self.as_json
        )
        total = found.tally.records
        if preview is not None:
            preview.refuse_more(total)
        if self.run.dry_run or not total:
            made = source.preview(BulkAct.REDRIVE, row, found)
            show_preview(
                self.context, made, survey_document(found, self.kind), as_json=self.as_json
            )
            return
        confirm(f"Redrive {counted(total, self.kind.noun)}?", yes=self.run.yes)
        # Another job may have started during the count and the question.
        source.refuse_rival()
        self._work(source.redrive(row, found, self.run.rate, self.left.add), found)

    def _work(self, new: NewJob, found: Survey | None) -> None:
        """Work on a new job, which a survey found, or on one that exists."""
        with working(self.context, "Redriving", new.job) as watch:
            result = new.run(watch)
        if self.context.api_url:
            # The executor knows the failed records.
            self.left.count = result.job.counts.get(UNREDRIVABLE, 0)
        self._report(result, found)

    def _report(self, result: RunResult, found: Survey | None) -> None:
        out, err = self.context.out, self.context.err
        if self.as_json:
            before = {} if found is None else survey_document(found, self.kind)
            click.echo(json_line({**before, **self._result_document(result.job)}))
        else:
            if result.error is None:
                redriven = counted(result.job.done, self.kind.noun)
                out.text(f"Redrove {redriven} as {result.job.id}")
            for each in self.left.examples:
                line = f"{each.position} stays open: {each.why}"
                err.text(line, "red")
        if self.left.count:
            stay = "stays" if self.left.count == 1 else "stay"
            err.text(f"{self.left.count:,} could not be redriven and {stay} open")
        require_finished(self.context, result)
        if self.left.count:
            raise click.exceptions.Exit(FINDINGS)

    def _result_document(self, job: Job) -> JsonObject:
        return {
            "job": _job_document(job, job.asked["selector"]),
            "not_redriven": self.left.count,
            "not_redriven_examples": [
                {"place": str(each.position), "why": each.why} for each in self.left.examples
            ],
        }


def _show_jobs(context: Context, source: SetAsideCommands, *, as_json: bool) -> None:
    """Print the redrives of a topic, the newest first."""
    redrives, problems = source.redrives()
    mine = [*reversed(redrives)]
    context.err.unreadable(problems)
    if as_json:
        documents: list[Json] = [_job_document(job, asked.selector) for job, asked in mine]
        click.echo(json_line(documents))
        return
    if not mine:
        context.out.text(f"No redrive of {source.topic} is known")
        return
    rows = [
        (job.id, to_the_second(job.asked_at), progress_of(job), job.state.value) for job, _ in mine
    ]
    context.out.table(("job", "asked", "done", "state"), rows)


def _job_document(job: Job, selector: Json) -> JsonObject:
    return {
        "id": job.id,
        "selector": selector,
        "asked_at": to_rfc3339(job.asked_at),
        "done": job.done,
        "total": job.total,
        "state": job.state.value,
    }
