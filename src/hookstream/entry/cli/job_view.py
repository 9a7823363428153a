"""Shows jobs: their rows, the progress while a command works on one, and its result."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import click

from hookstream.adapters.system import SystemClock
from hookstream.core.jobs.job import Job, JobState
from hookstream.core.model.instant import to_rfc3339, to_the_second
from hookstream.core.model.json import Json, JsonObject
from hookstream.entry.admin.job_listing import JobListing, JobStatus, Watch
from hookstream.entry.cli.context import Context
from hookstream.entry.cli.progress import bar
from hookstream.pipeline.job_kind import RunEnd, RunResult

_SAY_AGAIN = 60.0
"""Seconds after which the same reason for waiting is shown again."""
_FOR_EXECUTORS = frozenset({"ends", "extent", "topic_id"})
"""Parts of a request that mean nothing to people: offsets by partition, and whose they are."""
_LONGEST_ASKED = 300
"""The most characters that are shown of one part of a request."""
FINDINGS = 1
"""The exit code if a job is not finished, or did only a part of what was requested."""


def job_document(status: JobStatus) -> JsonObject:
    """Return a job as JSON; scripts rely on its keys."""
    job = status.job
    notes: list[Json] = [{"at": to_rfc3339(note.at), "text": note.text} for note in job.notes]
    return {
        "id": job.id,
        "kind": job.kind,
        "asked": job.asked,
        "asked_at": to_rfc3339(job.asked_at),
        "asked_by": job.asked_by,
        "state": job.state.value,
        "reason": job.reason,
        "done": job.done,
        "total": job.total,
        "counts": {**job.counts},
        "rate": job.rate,
        "revision": job.revision,
        "holder": job.holder,
        "held_until": None if job.held_until is None else to_rfc3339(job.held_until),
        "held": status.is_held,
        "stalled": status.is_stalled,
        "waits": status.waits,
        "waits_for": status.waits_for,
        "notes": notes,
    }


def show_jobs(context: Context, listing: JobListing) -> None:
    """Print jobs, the newest first."""
    context.err.unreadable(f"{problem.key}: {problem.why}" for problem in listing.unreadable)
    if not listing.jobs:
        context.out.text("No job is known")
        return
    rows = [
        (
            status.job.id,
            to_the_second(status.job.asked_at),
            progress_of(status.job),
            state_of(status),
            status.job.holder if status.is_held else "",
        )
        for status in reversed(listing.jobs)
    ]
    context.out.table(("job", "asked", "done", "state", "holder"), rows)
    stalled = [status.job.id for status in listing.jobs if status.is_stalled]
    if stalled:
        context.err.text(
            f"No executor works on {', '.join(stalled)}. {how_to_go_on(stalled[0])}", "red"
        )


def show_job(context: Context, status: JobStatus) -> None:
    """Print one job."""
    job, out = status.job, context.out
    out.text(f"{job.id}: {state_of(status)}", "bold")
    fields = [
        ("kind", job.kind),
        ("asked", to_the_second(job.asked_at)),
        *([("asked by", job.asked_by)] if job.asked_by else []),
        *_asked(job),
        ("done", progress_of(job)),
        *((name, f"{count:,}") for name, count in job.counts.items()),
    ]
    if job.rate is not None:
        fields.append(("rate", f"{job.rate:g} a second"))
    if status.is_held:
        fields.append(("holder", job.holder))
    if job.held_until is not None and job.state is JobState.RUNNING:
        fields.append(("held until", to_the_second(job.held_until)))
    if job.reason:
        fields.append(("reason", job.reason))
    out.fields(fields)
    for note in job.notes:
        out.text(f"{to_the_second(note.at)}  {note.text}")
    if status.waits:
        context.err.text(how_to_end_its_wait(status))
    elif not status.is_held and job.state.is_resumable:
        context.err.text(how_to_go_on(job.id, job.state))


def _asked(job: Job) -> list[tuple[str, str]]:
    """Return the parts of the request that people can use, each in a bounded length."""
    found: list[tuple[str, str]] = []
    for name, value in job.asked.items():
        text = "" if name in _FOR_EXECUTORS else _shown(value)
        if len(text) > _LONGEST_ASKED:
            text = f"{text[:_LONGEST_ASKED]}… ({len(text):,} characters: --json has all)"
        if text:
            found.append((name, text))
    return found


def _shown(value: Json) -> str:
    """Return one part of a request as a short text; empty if it has no value."""
    match value:
        case _ if not value:
            return ""
        case str():
            return value
        case True:
            return "yes"
        case [*texts] if all(isinstance(each, str) for each in texts):
            return ", ".join(map(str, texts))
        case _:
            return json.dumps(value, ensure_ascii=False)


def progress_of(job: Job) -> str:
    """Return how much of a job is done."""
    return f"{job.done:,} of {job.total:,}" if job.total else f"{job.done:,}"


def state_of(status: JobStatus) -> str:
    """Return a job's state for people."""
    if status.is_stalled:
        return "stalled"
    if status.waits:
        return f"waits for {status.waits_for or 'another job'}"
    if status.job.state is JobState.RUNNING and not status.is_held:
        return "running, without a holder"
    return status.job.state.value


def how_to_go_on(job_id: str, state: JobState = JobState.RUNNING) -> str:
    """Return how an operator continues or ends a job that is not finished, or that failed."""
    todo = f"To continue: hookstream jobs resume {job_id}; to end it: hookstream jobs cancel {job_id}."
    by_itself = "A process 'hookstream jobs run' continues it automatically"
    if state is JobState.FAILED:
        by_itself = "It failed, so no process 'hookstream jobs run' continues it automatically"
    return f"{todo} ({by_itself})"


def how_to_end_its_wait(status: JobStatus) -> str:
    """Return how an operator ends the wait of a job for its turn."""
    goes_on = f"{status.job.id} continues automatically when it is its turn"
    other = status.waits_for
    if other is None:
        return f"{goes_on}: another job works on the same records, or was requested before it"
    return (
        f"{goes_on}. If no executor works on {other}: hookstream jobs resume {other}, or hookstream jobs"
        f" cancel {other}"
    )


@contextmanager
def working(context: Context, title: str, job: Job) -> Iterator[Watch]:
    """Show the progress of a job on a terminal, new notes, and why it waits, each minute at most."""
    said, noted, clock = dict[str, float](), set(job.notes), SystemClock()

    def waiting(_: Job, why: str) -> None:
        now = clock.monotonic()
        if now - said.get(why, -_SAY_AGAIN) >= _SAY_AGAIN:
            said[why] = now
            context.err.text(f"{job.id} waits: {why}", "yellow")

    with bar(context, title) as progress:
        task = progress.add_task("", total=job.total or None, completed=job.done)

        def moved(now: Job) -> None:
            for note in now.notes:
                if note not in noted:
                    noted.add(note)
                    context.err.text(note.text)
            progress.update(task, completed=now.done, total=now.total or None)

        yield Watch(moved, waiting)


def require_finished(context: Context, result: RunResult) -> None:
    """Report a job that did not end, or did only a part of what was requested.

    Raises:
        ConfigurationError: The job's failure.
        click.exceptions.Exit: It is not finished or not complete (code 1).
    """
    job, err = result.job, context.err
    if result.error is not None:
        err.text(how_to_go_on(job.id, job.state))
        raise result.error
    if result.why is RunEnd.ENDED:
        if job.state is JobState.DONE:
            return
        err.text(f"{job.id} is {job.state}: {job.reason or 'no reason is known'}", "red")
        if job.state.is_resumable:
            err.text(how_to_go_on(job.id, job.state))
        raise click.exceptions.Exit(FINDINGS)
    err.text(f"{job.id} is not finished: {progress_of(job)} done", "red")
    if result.why is RunEnd.STOPPED:
        err.text(how_to_go_on(job.id))
    else:
        err.text(f"Another process took it over: hookstream jobs show {job.id}")
    raise click.exceptions.Exit(FINDINGS)
