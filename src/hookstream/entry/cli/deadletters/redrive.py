"""Runs a redrive from the command line: survey, confirmation, run and result.

1. Count and show the selected records and, separately, those left out.
2. After confirmation, write and run the job, with a progress bar on a terminal.
3. List the records that could not be redriven, and report them by the exit code.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import click

from hookstream.adapters.system import SystemClock
from hookstream.core.model.instant import to_rfc3339, to_the_second
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.redrive.job import RedriveJob, jobs_of
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.admin.redrives import (
    JobRun,
    RedriveRules,
    Survey,
    claimed,
    new_job,
    rules_of,
    survey,
)
from hookstream.entry.cli.context import Context
from hookstream.entry.cli.deadletters.kinds import Kind
from hookstream.entry.cli.deadletters.view import show_tally, tally_document
from hookstream.entry.cli.options import Amount, as_one, yes_option
from hookstream.entry.cli.progress import bar, reading
from hookstream.entry.cli.terminal import confirm, json_line
from hookstream.pipeline.redrive import Result, find_job

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


@dataclass(slots=True, frozen=True)
class RedriveCommand:
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
        with claimed(self.reader, job_id) as work:
            job = work.found(job_id)
            done = f"{job.done:,} of {job.total:,}"
            if run.cancel:
                work.cancel(job)
                err.text(f"{job_id} is cancelled; it redrove {done}")
                return
            err.text(f"Resuming {job_id}: {done} done")
            result = self._work(work, job, rules_of(self.reader, job.selector))
        self._report(result, None)

    def _start(self, row: JsonObject) -> None:
        reader, rules = self.reader, rules_of(self.reader, row)
        ledger, ends = reader.ledger(), reader.ends()
        with reading(self.context, reader):
            found = survey(reader.records(ends), ledger, reader.source, rules)
        self._show_survey(found)
        total = found.tally.records
        if self.run.dry_run or not total:
            if self.as_json:
                click.echo(json_line({"job": None, **_survey_document(found, self.kind)}))
            return
        confirm(f"Redrive {total:,} {self.kind.noun}?", yes=self.run.yes)
        job = new_job(reader.source, row, ends, total)
        with claimed(reader, job.id) as work:
            result = self._work(work, job, rules)
        self._report(result, found)

    def _work(self, work: JobRun, job: RedriveJob, rules: RedriveRules) -> Result:
        with bar(self.context, "Redriving") as progress, _sigterm_interrupts():
            task = progress.add_task("", total=job.total, completed=job.done)
            try:
                return work.run(job, rules, self.run.rate, partial(progress.advance, task))
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


def show_jobs(context: Context, reader: DeadLetterReader, *, as_json: bool) -> None:
    """Print the redrives of a topic, the newest first."""
    jobs, problems = jobs_of(reader.jobs())
    mine = [job for job in reversed(jobs) if job.source is reader.source]
    for problem in problems:
        context.err.text(f"unreadable: {problem.key}: {problem.why}", "red")
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
