"""`hookstream jobs`: lists, shows, cancels and resumes jobs of every kind, and runs an executor."""

import click

from hookstream.core.model.json import Json
from hookstream.entry.admin.job_listing import JobStatus
from hookstream.entry.cli.context import Context, pass_context, takes_api
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.job_view import (
    FINDINGS,
    job_document,
    progress_of,
    require_finished,
    show_job,
    show_jobs,
    working,
)
from hookstream.entry.cli.lasting import run_lasting
from hookstream.entry.cli.options import as_json_option, rate_option
from hookstream.pipeline.job_kind import RunEnd

_job = click.argument("job_id", metavar="JOB")


@click.group()
def command() -> None:
    """List, show, cancel and resume jobs; run an executor.

    A job is long work in steps, such as a redrive. The command that starts one works on it; if the command
    ends early, any other executor continues, and no step is done twice.
    """


@command.command("list")
@as_json_option
@takes_api
def list_(context: Context, *, as_json: bool) -> None:
    """List jobs, the newest first.

    Exit code 1 if a job is stalled: for a minute it has had no holder, and it is not waiting for its turn.
    """
    listing = context.backend.jobs.listed()
    if as_json:
        documents: list[Json] = [job_document(each) for each in reversed(listing.jobs)]
        context.err.unreadable(f"{problem.key}: {problem.why}" for problem in listing.unreadable)
        click.echo(json_line(documents))
    else:
        show_jobs(context, listing)
    if any(each.is_stalled for each in listing.jobs):
        raise click.exceptions.Exit(FINDINGS)


@command.command()
@_job
@as_json_option
@takes_api
def show(context: Context, job_id: str, *, as_json: bool) -> None:
    """Show one job: progress, holder, notes, and why it ended."""
    status = context.backend.jobs.found(job_id)
    if as_json:
        click.echo(json_line(job_document(status)))
    else:
        show_job(context, status)


@command.command()
@_job
@takes_api
def cancel(context: Context, job_id: str) -> None:
    """Cancel a job, whichever executor runs it. Finished steps are kept; the rest is not done."""
    job = context.backend.jobs.cancel(job_id)
    context.err.text(f"{job_id} is cancelled: {progress_of(job)} done")


@command.command()
@_job
@click.option("--detach", is_flag=True, help="Leave the work to `hookstream jobs run`.")
@rate_option("At most N per second from now on.")
@as_json_option
@takes_api
def resume(
    context: Context, job_id: str, rate: float | None, *, detach: bool, as_json: bool
) -> None:
    """Continue a job that failed, or that no executor works on.

    If its holder died, this waits until its lease expires, 30 s at most. Exit code 1 if the job is not
    finished when the command ends.
    """
    if detach:
        if rate is not None:
            raise click.UsageError("--rate is for a job that this command works on: omit --detach")
        job = context.backend.jobs.free(job_id)
        context.err.text(f"{job.id} is free for any executor: {progress_of(job)} done")
        return
    source = context.backend.jobs
    found = source.found(job_id).job
    with working(context, "Working", found) as watch:
        result = source.resume(job_id, watch, rate)
    if as_json:
        held = result.why in (RunEnd.HELD, RunEnd.LOST)
        click.echo(json_line(job_document(JobStatus(result.job, held, is_stalled=False))))
    elif result.why is RunEnd.ENDED:
        context.out.text(f"{job_id} is {result.job.state}: {progress_of(result.job)} done")
    require_finished(context, result)


@command.command()
@pass_context
def run(context: Context) -> None:
    """Take over jobs that no executor works on, until SIGTERM or SIGINT.

    Several of these processes may run; each works on up to jobs.at_once jobs. At the signal, every
    job is handed back between two steps, within jobs.drain_deadline. Exit code 0 after that, 1 at
    the deadline.
    """
    # Imported here: the other commands need neither the log nor the health port.
    from hookstream.entry.executor.executor import run as run_executor  # noqa: PLC0415

    run_lasting(context, run_executor, "jobs")
