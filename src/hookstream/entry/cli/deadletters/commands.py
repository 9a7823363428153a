"""`hookstream dlq` and `hookstream undecodable`: list, show and redrive, the same for both.

A redrive counts and shows the selected records and, separately, those left out; after confirmation
it writes and runs the job, with a progress bar on a terminal; and it lists the records that could not
be redriven, and reports them by the exit code.
"""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import click

from hookstream.adapters.system import SystemClock
from hookstream.core.model.instant import to_rfc3339, to_the_second
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.record import Record
from hookstream.core.redrive.job import RedriveJob, jobs_of
from hookstream.core.redrive.marks import Ledger, Position, read_ledger
from hookstream.core.redrive.selector import Selector
from hookstream.core.redrive.summary import summary_of
from hookstream.entry.admin.audit import AuditLog
from hookstream.entry.admin.dead_letter_details import DetailsReader
from hookstream.entry.admin.dead_letters import DeadLetterReader, Listing, listed
from hookstream.entry.admin.known_names import (
    NO_TOPIC,
    Filter,
    name_filters,
    read_names,
    refuse_unknown,
)
from hookstream.entry.admin.redrives import (
    RedriveRules,
    Survey,
    claimed,
    new_job,
    rules_of,
    run_job,
    survey,
)
from hookstream.entry.admin.topics import cluster_topics
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.deadletters.kinds import DEAD_LETTERS, UNDECODABLE, Kind
from hookstream.entry.cli.deadletters.view import (
    details_document,
    listing_document,
    show_details,
    show_listing,
    show_tally,
    tally_document,
)
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.options import Amount, as_json_option, as_one, yes_option
from hookstream.entry.cli.progress import bar, reading
from hookstream.entry.cli.terminal import confirm
from hookstream.errors import InputRefused
from hookstream.pipeline.redrive import Result, Steps, cancel, find_job

_PLACE = re.compile(r"(?:(?P<topic>[^@]+)-)?(?P<partition>[0-9]{1,9})@(?P<offset>[0-9]{1,19})")


FINDINGS = 1
"""The exit code if selected records stay open."""


@dataclass(slots=True, frozen=True)
class RunOptions:
    """How a redrive is run."""

    rate: float | None
    dry_run: bool
    yes: bool
    resume: str | None
    cancel: str | None


run_options = as_one(
    "run",
    RunOptions,
    click.option(
        "--rate",
        type=Amount(0.01, 1_000_000),
        metavar="N",
        help="Records a second at most.",
    ),
    click.option("--dry-run", is_flag=True, help="Show what would be redriven; change nothing."),
    yes_option,
    click.option("--resume", metavar="JOB", help="Resume a job that was cut off."),
    click.option("--cancel", metavar="JOB", help="Cancel a job; what is left stays open."),
)
"""They arrive as `run`."""


def group_of(kind: Kind) -> click.Group:
    """Return the command group of one kind."""
    group = click.Group(kind.group, help=kind.group_help)

    @group.command("list", help=kind.list_help)
    @kind.conditions
    @click.option("--all", "all_", is_flag=True, help="Those that were redriven too.")
    @click.option(
        "--limit",
        "-n",
        type=click.IntRange(0, 100_000),
        default=20,
        show_default=True,
        help="How many of the newest are listed; all are counted.",
    )
    @as_json_option
    @pass_context
    def list_(
        context: Context, selector: Selector, limit: int, *, all_: bool, as_json: bool
    ) -> None:
        listing = Listing(kind.source, limit, all_)
        _list(context, kind, selector, listing, as_json=as_json)

    @group.command(help=kind.show_help)
    @click.argument("letter", metavar=kind.shown_by)
    @as_json_option
    @pass_context
    def show(context: Context, letter: str, *, as_json: bool) -> None:
        _show(context, kind, letter, as_json=as_json)

    @group.command(help=kind.redrive_help)
    @kind.conditions
    @run_options
    @as_json_option
    @pass_context
    def redrive(context: Context, selector: Selector, run: RunOptions, *, as_json: bool) -> None:
        reader = DeadLetterReader(context.settings, kind.source)
        _refuse_unknown(context, reader, selector)
        _RedriveCommand(context, kind, reader, run, as_json).redrive(selector.row())

    @group.command(help="List redrives: done, cancelled, and running or cut off.")
    @as_json_option
    @pass_context
    def jobs(context: Context, *, as_json: bool) -> None:
        _show_jobs(context, DeadLetterReader(context.settings, kind.source), as_json=as_json)

    return group


dlq = group_of(DEAD_LETTERS)
undecodable = group_of(UNDECODABLE)


def _list(
    context: Context, kind: Kind, selector: Selector, listing: Listing, *, as_json: bool
) -> None:
    reader = DeadLetterReader(context.settings, kind.source)
    _refuse_unknown(context, reader, selector)
    ledger = _ledger_to_show(context, reader)
    with reading(context, reader):
        listed(reader, ledger, selector, listing)
    if as_json:
        click.echo(json_line(listing_document(listing, kind, reader.topic)))
    else:
        show_listing(context.out, listing, kind, reader.topic, SystemClock().now())


def _show(context: Context, kind: Kind, text: str, *, as_json: bool) -> None:
    reader = DeadLetterReader(context.settings, kind.source)
    found = _found(context, kind, reader, text)
    audit = AuditLog(context.settings)
    details_of = DetailsReader(reader, _ledger_to_show(context, reader), audit).of
    documents: list[JsonObject] = []
    for record in found:
        with reading(context, reader, audit):
            details = details_of(record)
        if as_json:
            documents.append(details_document(details))
        else:
            show_details(context.out, details, SystemClock().now())
    for document in documents:
        click.echo(json_line(document))


def position_in(text: str, topic: str) -> Position | None:
    """Return the position that `3@1042` or `topic-3@1042` names; None where it names none.

    Raises:
        InputRefused: It is a position in another topic.
    """
    found = _PLACE.fullmatch(text)
    if found is None:
        return None
    if found["topic"] not in (None, topic):
        raise InputRefused(f"{text} is a place in another topic than {topic}")
    return Position(int(found["partition"]), int(found["offset"]))


def _found(context: Context, kind: Kind, reader: DeadLetterReader, text: str) -> list[Record]:
    """Return the records at a place, or of a delivery.

    Raises:
        InputRefused: There is none.
    """
    position = position_in(text, reader.topic)
    if position is not None:
        record = reader.at(position)
        if record is None:
            raise InputRefused(f"{reader.topic} holds no record at {position} (any more)")
        return [record]
    if kind is not DEAD_LETTERS:
        raise InputRefused(f"{text!r} is not a place such as 3@1042")
    with reading(context, reader):
        found = reader.of_delivery(text)
    if not found:
        raise InputRefused(
            f"{reader.topic} holds no dead letter of {text}: a place is written 3@1042; for a"
            f" delivery that was not given up, ask: hookstream attempts show {text}"
        )
    return found


def _refuse_unknown(context: Context, reader: DeadLetterReader, selector: Selector) -> None:
    """Refuse a name that is neither in the tables or the cluster nor in a record of the window."""
    settings = context.settings
    topics = cluster_topics(settings) if selector.topics else frozenset()
    filters = (
        *name_filters(
            partial(read_names, settings),
            subscriptions=selector.subscriptions,
            partners=selector.partners,
            event_types=selector.event_types,
        ),
        Filter("--topic", selector.topics, topics, NO_TOPIC),
    )

    def seen() -> Iterator[tuple[str, ...]]:
        with reading(context, reader):
            for each in map(summary_of, reader.between(selector.since, selector.until)):
                yield each.subscription_id, each.partner_id, each.event_type, each.origin_topic

    refuse_unknown(filters, seen)


def _ledger_to_show(context: Context, reader: DeadLetterReader) -> Ledger:
    """Return the known resolutions, and print the unreadable marks."""
    ledger, problems = read_ledger(reader.jobs())
    context.err.unreadable(f"{problem.key}: {problem.why}" for problem in problems)
    if problems:
        context.err.text("Some of what is shown as open may have been redriven.", "red")
    return ledger


@dataclass(slots=True, frozen=True)
class _RedriveCommand:
    """One `redrive` command."""

    context: Context
    kind: Kind
    reader: DeadLetterReader
    run: RunOptions
    as_json: bool

    def redrive(self, row: JsonObject) -> None:
        """Redrive the records that a selector's row selects, resume a job, or cancel one.

        Raises:
            click.UsageError: Conditions were given for a job that has its own.
            click.exceptions.Exit: Records that were selected stay open (code 1).
        """
        run, job_id = self.run, self.run.resume or self.run.cancel
        if job_id is None:
            self._start(row)
            return
        if row or (run.resume and run.cancel):
            raise click.UsageError(
                "--resume and --cancel take a job as it was asked, one at a time"
            )
        find_job(self.reader.jobs(), job_id, self.reader.source)
        err = self.context.err
        with claimed(self.reader, job_id) as writer:
            # From here on no other process can change the job.
            job = find_job(self.reader.jobs(), job_id, self.reader.source)
            done = f"{job.done:,} of {job.total:,}"
            if run.cancel:
                cancel(writer, self.context.settings.topics_names, job)
                err.text(f"{job_id} is cancelled; it redrove {done}")
                return
            err.text(f"Resuming {job_id}: {done} done")
            result = self._work(writer, job, rules_of(self.reader, job.selector))
        self._report(result, None)

    def _start(self, row: JsonObject) -> None:
        reader, rules = self.reader, rules_of(self.reader, row)
        with reading(self.context, reader):
            found = survey(reader, rules)
        self._show_survey(found)
        total = found.tally.records
        if self.run.dry_run or not total:
            if self.as_json:
                click.echo(json_line({"job": None, **_survey_document(found, self.kind)}))
            return
        confirm(f"Redrive {total:,} {self.kind.noun}?", yes=self.run.yes)
        job = new_job(reader.source, row, found.ends, total)
        with claimed(reader, job.id) as writer:
            result = self._work(writer, job, rules)
        self._report(result, found)

    def _work(self, writer: Steps, job: RedriveJob, rules: RedriveRules) -> Result:
        with bar(self.context, "Redriving") as progress, _sigterm_interrupts():
            task = progress.add_task("", total=job.total, completed=job.done)
            try:
                done = partial(progress.advance, task)
                return run_job(self.reader, writer, job, rules, self.run.rate, done)
            except KeyboardInterrupt:
                resume = f"hookstream {self.kind.group} redrive --resume {job.id}"
                self.context.err.text(f"To resume: {resume}")
                raise

    def _show_survey(self, found: Survey) -> None:
        out = self.context.err if self.as_json else self.context.out
        total = found.tally.records
        title = f"{total:,} open {self.kind.noun} to redrive from {self.reader.topic}"
        out.text(title, "bold")
        if total:
            show_tally(out, found.tally, self.kind, SystemClock().now())
        for why, count in sorted(found.left_out.items()):
            out.text(f"left out: {count:,}, {why}", "yellow")

    def _report(self, result: Result, found: Survey | None) -> None:
        out, err = self.context.out, self.context.err
        if self.as_json:
            before = {} if found is None else _survey_document(found, self.kind)
            click.echo(json_line({**before, **_result_document(result)}))
        else:
            out.text(f"Redrove {result.job.done:,} {self.kind.noun} as {result.job.id}")
            for each in result.examples:
                line = f"{each.position} stays open: {each.why}"
                err.text(line, "red")
        if result.unredrivable:
            err.text(f"{result.unredrivable:,} could not be redriven and stay open")
            raise click.exceptions.Exit(FINDINGS)


def _show_jobs(context: Context, reader: DeadLetterReader, *, as_json: bool) -> None:
    """Print the redrives of a topic, the newest first."""
    jobs, problems = jobs_of(reader.jobs())
    mine = [job for job in reversed(jobs) if job.source is reader.source]
    context.err.unreadable(f"{problem.key}: {problem.why}" for problem in problems)
    if as_json:
        documents: list[Json] = [_job_document(job) for job in mine]
        click.echo(json_line(documents))
        return
    if not mine:
        context.out.text(f"No redrive of {reader.topic} is known")
        return
    rows = [
        (job.id, to_the_second(job.asked_at), f"{job.done:,} of {job.total:,}", job.state.value)
        for job in mine
    ]
    context.out.table(("job", "asked", "done", "state"), rows)


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C: end a redrive between two steps."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _result_document(result: Result) -> JsonObject:
    return {
        "job": _job_document(result.job),
        "not_redriven": result.unredrivable,
        "not_redriven_examples": [
            {"place": str(each.position), "why": each.why} for each in result.examples
        ],
    }


def _survey_document(found: Survey, kind: Kind) -> JsonObject:
    left_out: list[Json] = [
        {"why": why, "letters": count} for why, count in sorted(found.left_out.items())
    ]
    return {
        "letters": found.tally.records,
        "groups": tally_document(found.tally, kind),
        "left_out": left_out,
    }


def _job_document(job: RedriveJob) -> JsonObject:
    return {
        "id": job.id,
        "selector": job.selector,
        "asked_at": to_rfc3339(job.asked_at),
        "done": job.done,
        "total": job.total,
        "state": job.state.value,
    }
