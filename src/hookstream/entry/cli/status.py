"""`hookstream status`: the state of an installation on one screen."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

import click

from hookstream.core.model.counted import counted
from hookstream.core.model.instant import to_rfc3339
from hookstream.entry.admin.holds import subject
from hookstream.entry.admin.status import Status, by_cause, overdue_for
from hookstream.entry.admin.status_reading import MOST_READ
from hookstream.entry.admin.worker_pages import WorkerPage
from hookstream.entry.cli.context import Context, takes_api
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.moments import ago, lasted
from hookstream.entry.cli.options import Amount, as_json_option, workers_option
from hookstream.errors import DependencyUnavailable

_LINES = 8
"""The most lines for one kind of trouble, so that everything fits on one screen."""


@click.command()
@workers_option
@click.option("--watch", is_flag=True, help="Refresh until interrupted.")
@click.option(
    "--every",
    type=Amount(1, 3600),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="The interval of --watch.",
)
@click.option(
    "--scan",
    type=click.IntRange(1_000, 10_000_000),
    default=MOST_READ,
    show_default=True,
    metavar="RECORDS",
    help="Read at most this many tier records, and as many dead letters.",
)
@as_json_option
@takes_api
def command(
    context: Context,
    *,
    workers: tuple[str, ...],
    watch: bool,
    every: float,
    scan: int,
    as_json: bool,
) -> None:
    """Show what waits, what is stopped and what fails, on one screen.

    Shows lag, unassigned and stopped partitions, waiting and overdue tier records, open breakers and lanes at
    their limit by name, holds, stalled jobs, and the dead letters and undecodable records of the last hour by
    reason. It reads from the brokers and, if they can be reached, from workers: only those know their lanes.
    """

    def show() -> None:
        status = context.backend.status.read(workers, scan)
        if as_json:
            click.echo(json_line(status.as_json()))
        else:
            if watch and sys.stdout.isatty():
                click.clear()
            show_status(context, status)

    if watch:
        keep_shown(context, show, every, time.sleep)
    show()


def keep_shown(
    context: Context, show: Callable[[], None], every: float, pause: Callable[[float], None]
) -> NoReturn:
    """Refresh until interrupted; while the status cannot be read, print why, and continue.

    Args:
        context: Where to print.
        show: Reads and shows the status once.
        every: Seconds between two reads.
        pause: Waits for so many seconds.
    """
    while True:
        try:
            show()
        except DependencyUnavailable as why:
            context.err.text(f"cannot read the status: {why}", "yellow")
        pause(every)


def show_status(context: Context, status: Status) -> None:
    """Print a status: healthy parts in one line each, the others in full."""
    out, now = context.out, status.at
    lines = {
        "at": [to_rfc3339(now)],
        "lag": [f"{lasted(status.lag)}, {counted(status.unsettled, 'record')} unsettled"],
        "workers": [_worker(page) for page in status.workers] or ["none was asked"],
        "partitions": [
            *[f"{named}: {why}" for named, why in by_cause(status.partitions)],
            *[_stopped(page) for page in status.workers if page.stopped_partitions],
        ],
        "open breakers": [
            f"{each.subscription_id} ({each.partner_id or '?'}), {each.waiting:,} wait in tiers"
            for each in status.breakers
        ],
        "lanes at limit": _lanes(status),
        "holds": [
            f"{subject(hold.kind, hold.name)} for {ago(now, hold.since)}: {hold.reason or '-'}"
            + (f" ({hold.set_by})" if hold.set_by else "")
            for hold in status.holds
        ],
        "stalled jobs": [f"{job.id} ({job.kind})" for job in status.stalled_jobs],
        "dead letters, 1h": [f"{count:,} {why}" for why, count in status.dead_letters.items()],
        "undecodable, 1h": [f"{count:,} {why}" for why, count in status.undecodable.items()],
    }
    out.fields(
        [
            (name if first else "", line)
            for name, shown in lines.items()
            for first, line in _bounded(shown)
        ],
        pad_edge=False,
    )
    if status.tiers:
        rows = [
            (
                tier.topic,
                f"{tier.waiting:,}",
                f"{tier.overdue:,}",
                lasted(overdue_for(tier, now)) if tier.overdue else "",
            )
            for tier in status.tiers
        ]
        numbers = ("waiting", "overdue")
        out.table(("tier", *numbers, "for at most"), rows, numbers)
    else:
        out.print("Nothing waits in the tiers.")
    for note in status.notes:
        context.err.text(f"note: {note}", "yellow")


def _bounded(lines: Sequence[str]) -> Iterator[tuple[bool, str]]:
    """Yield the first few lines, each with whether it is the first; `none` if there are no lines."""
    for place, line in enumerate(lines[:_LINES] or ["none"]):
        yield place == 0, line
    if len(lines) > _LINES:
        yield False, f"and {len(lines) - _LINES:,} more"


def _lanes(status: Status) -> list[str]:
    found = [
        f"{each.subscription_id} ({each.partner_id or '?'}), {each.waiting:,} wait in tiers,"
        f" {each.queued:,} in lanes: {each.why}"
        + (f", in {each.workers:,} workers" if each.workers > 1 else "")
        for each in status.lanes_at_limit
    ]
    return found if found or status.workers else ["not known"]


def _stopped(page: WorkerPage) -> str:
    """Return how many partitions a worker has stopped; those that it makes late are named as well after a minute."""
    return f"{counted(page.stopped_partitions, 'partition')} stopped by {page.address}: its log names them"


def _worker(page: WorkerPage) -> str:
    """Return a worker's line: its release, or what is wrong with it."""
    if page.problem:
        return f"{page.address}: {page.problem}"
    stopped = page.stopped_partitions
    more = [f"not ready: {page.not_ready}"] if page.not_ready else []
    more += [f"{counted(stopped, 'partition')} stopped, see its log"] if stopped else []
    return ", ".join([f"{page.address} runs {page.release}", *more])
