"""A redrive from the command line: what it would do, the question, the run, and how it ended.

1. The letters that are asked for are counted, those left out apart, and shown.
2. After a yes the job is written and run, with a bar on a terminal.
3. What could not be brought back is named, and the exit code says so.
"""

import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

import click
from rich.text import Text

from hookstream.adapters.kafka.transactions import JobWriter
from hookstream.adapters.system import SystemClock, new_id
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.record import OutgoingRecord, Record
from hookstream.core.redrive.counts import Tally
from hookstream.core.redrive.job import RedriveJob, jobs_of
from hookstream.core.redrive.marks import Ledger, Shelf
from hookstream.core.redrive.revive import Unredrivable
from hookstream.core.redrive.summary import LetterFacts, facts_of
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.cli.context import Context
from hookstream.entry.cli.deadletters.options import Run
from hookstream.entry.cli.deadletters.view import Look, show_tally, tally_document
from hookstream.entry.cli.moments import clock_time
from hookstream.entry.cli.progress import bar, reading
from hookstream.entry.cli.standing_view import table_of
from hookstream.entry.cli.terminal import json_line
from hookstream.entry.cluster import reached
from hookstream.pipeline.redrive import (
    RedriveMeans,
    Redriving,
    Result,
    Selection,
    cancel,
    find_job,
)

FINDINGS = 1
"""The exit code where letters that were asked for stay open."""


@dataclass(slots=True, frozen=True)
class RedriveRequest:
    """What the command line says of a redrive."""

    look: Look
    selector: JsonObject
    """As the job's row will hold it."""
    run: Run
    as_json: bool


@dataclass(slots=True, frozen=True)
class RedriveRules:
    """Which letters are meant, which of those are left out, and how the rest is brought back."""

    selects: Callable[[Record], bool]
    obstacle: Callable[[LetterFacts], str | None]
    """Why a letter must not be redriven now; None: nothing stands in its way."""
    revive: Callable[[Record], OutgoingRecord | Unredrivable]

    def takes(self, record: Record) -> bool:
        """Return whether a letter is meant and not left out."""
        return self.selects(record) and self.obstacle(facts_of(record)) is None


@dataclass(slots=True)
class Survey:
    """What a redrive would do."""

    tally: Tally = field(default_factory=Tally)
    left_out: dict[str, int] = field(default_factory=dict)
    """Letters by the reason why they are left out."""


def survey(
    letters: Iterable[Record], ledger: Ledger, shelf: Shelf, look: Look, rules: RedriveRules
) -> Survey:
    """Count the open letters that are meant."""
    found = Survey()
    for record in letters:
        facts = facts_of(record)
        if not ledger.is_open(shelf, facts.place) or not rules.selects(record):
            continue
        obstacle = rules.obstacle(facts)
        if obstacle is None:
            found.tally.add(look.group(facts), facts.at)
        else:
            found.left_out[obstacle] = found.left_out.get(obstacle, 0) + 1
    return found


RulesOf: TypeAlias = Callable[[JsonObject], RedriveRules]
"""Reads what a job's row asks for."""


def redrive_letters(
    context: Context, desk: DeadLetterReader, asked: RedriveRequest, rules_of: RulesOf
) -> None:
    """Redrive what is asked for, go on with a job, or end one.

    Raises:
        click.UsageError: Conditions were given for a job that has its own.
        click.exceptions.Exit: Letters that were asked for stay open (code 1).
    """
    job_id = asked.run.resume or asked.run.cancel
    if job_id is None:
        _begin(context, desk, asked, rules_of(asked.selector))
        return
    if asked.selector or (asked.run.resume and asked.run.cancel):
        raise click.UsageError("--resume and --cancel take a job as it was asked, one at a time")
    find_job(desk.jobs(), job_id, desk.shelf)
    with _writer(desk, job_id) as writer:
        # Only now is no other process of this job left: what its row says stands.
        job = find_job(desk.jobs(), job_id, desk.shelf)
        done = f"{job.done:,} of {job.total:,}"
        if asked.run.cancel:
            cancel(writer, desk.settings.topics_names, job)
            context.err.print(Text(f"{job_id} is cancelled; it redrove {done}"))
            return
        context.err.print(Text(f"Going on with {job_id}: {done} done"))
        result = _run(context, desk, writer, job, rules_of(job.selector), asked.run.rate)
    _report(context, result, asked, None)


def _begin(
    context: Context, desk: DeadLetterReader, asked: RedriveRequest, rules: RedriveRules
) -> None:
    ledger, ends = desk.ledger(), desk.ends()
    with reading(context, desk):
        found = survey(desk.letters(ends), ledger, desk.shelf, asked.look, rules)
    _show_survey(context, found, desk, asked)
    letters = found.tally.letters
    if asked.run.dry_run or not letters:
        if asked.as_json:
            _print_json({"job": None, **_survey_document(found, asked.look)})
        return
    if not asked.run.yes:
        click.confirm(f"Redrive {letters:,} {asked.look.noun}?", abort=True, err=True)
    job = _new_job(desk, asked, ends, letters)
    with _writer(desk, job.id) as writer:
        result = _run(context, desk, writer, job, rules, asked.run.rate)
    _report(context, result, asked, found)


def _new_job(
    desk: DeadLetterReader, asked: RedriveRequest, ends: Mapping[int, int], total: int
) -> RedriveJob:
    now = SystemClock().now()
    moment = to_rfc3339(now)[:19].replace(":", "").replace("-", "")
    return RedriveJob(
        id=f"redrive-{moment}-{new_id()[:6]}",
        shelf=desk.shelf,
        selector=asked.selector,
        asked_at=now,
        ends=ends,
        total=total,
    )


def show_jobs(context: Context, desk: DeadLetterReader, *, as_json: bool) -> None:
    """List the redrives over a topic, the newest first."""
    jobs, problems = jobs_of(desk.jobs())
    mine = [job for job in reversed(jobs) if job.shelf is desk.shelf]
    for problem in problems:
        context.err.print(Text(f"unreadable: {problem.id}: {problem.why}", "red"), soft_wrap=True)
    if as_json:
        documents: list[Json] = [_job_document(job) for job in mine]
        click.echo(json_line(documents))
        return
    if not mine:
        context.out.print(Text(f"No redrive of {desk.topic} is known"))
        return
    table = table_of("job", "asked", "done", "state")
    for job in mine:
        done = f"{job.done:,} of {job.total:,}"
        table.add_row(*map(Text, (job.id, clock_time(job.asked_at), done, job.state.value)))
    context.out.print(table)


@contextmanager
def _writer(desk: DeadLetterReader, job_id: str) -> Iterator[JobWriter]:
    settings = desk.settings
    with JobWriter(reached(settings), settings.topics_names.job(job_id)) as writer:
        yield writer


def _run(
    context: Context,
    desk: DeadLetterReader,
    writer: JobWriter,
    job: RedriveJob,
    rules: RedriveRules,
    rate: float | None,
) -> Result:
    means = RedriveMeans(desk.settings.topics_names, desk, writer, SystemClock(), time.sleep)
    with bar(context, "Redriving") as progress, _sigterm_interrupts():
        task = progress.add_task("", total=job.total, completed=job.done)
        wanted = Selection(rules.takes, rules.revive, rate)
        run = Redriving(means, job, wanted, lambda letters: progress.advance(task, letters))
        try:
            return run.run()
        except KeyboardInterrupt:
            group = "dlq" if desk.shelf is Shelf.DEAD_LETTERS else "undecodable"
            context.err.print(Text(f"Go on with: hookstream {group} redrive --resume {job.id}"))
            raise


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """End a redrive between two steps on SIGTERM as on Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _show_survey(
    context: Context, found: Survey, desk: DeadLetterReader, asked: RedriveRequest
) -> None:
    out = context.err if asked.as_json else context.out
    letters = found.tally.letters
    out.print(Text(f"{letters:,} open {asked.look.noun} to redrive from {desk.topic}", "bold"))
    if letters:
        show_tally(out, found.tally, asked.look, SystemClock().now())
    for why, count in sorted(found.left_out.items()):
        out.print(Text(f"left out: {count:,}, {why}", "yellow"), soft_wrap=True)


def _report(context: Context, result: Result, asked: RedriveRequest, found: Survey | None) -> None:
    job = result.job
    if asked.as_json:
        refused: list[Json] = [
            {"place": str(example.place), "why": example.why} for example in result.examples
        ]
        document: JsonObject = {} if found is None else _survey_document(found, asked.look)
        document["job"] = _job_document(job)
        document["not_redriven"] = result.unredrivable
        document["not_redriven_examples"] = refused
        _print_json(document)
    else:
        context.out.print(Text(f"Redrove {job.done:,} {asked.look.noun} as {job.id}"))
        for example in result.examples:
            line = f"{example.place} stays open: {example.why}"
            context.err.print(Text(line, "red"), soft_wrap=True)
    if result.unredrivable:
        context.err.print(Text(f"{result.unredrivable:,} could not be redriven and stay open"))
        raise click.exceptions.Exit(FINDINGS)


def _survey_document(found: Survey, look: Look) -> JsonObject:
    left_out: list[Json] = [
        {"why": why, "letters": count} for why, count in sorted(found.left_out.items())
    ]
    return {
        "letters": found.tally.letters,
        "groups": tally_document(found.tally, look),
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


def _print_json(document: JsonObject) -> None:
    click.echo(json_line(document))
