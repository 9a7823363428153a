"""`hookstream events`: publishes events from lines of JSON, and shows events as lines of JSON."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import click
from rich.progress import SpinnerColumn, TextColumn

from hookstream.core.model.counted import counted
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.entry.backend.event_ports import SentLines, TailedRecord, WantedTail
from hookstream.entry.cli.context import Context, takes_api
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.progress import transient
from hookstream.entry.cli.terminal import Terminal

SHOWN_REFUSALS = 100
SHOWN_AUDIENCES = 20


@click.group()
def command() -> None:
    """Publish events, and show events as they come."""


@command.command()
@click.argument("file", type=click.File("rb"))
@click.option(
    "--topic-prefix",
    default="printprice.",
    show_default=True,
    help="The prefix of the event topics' names.",
)
@takes_api
def send(context: Context, file: BinaryIO, topic_prefix: str) -> None:
    """Publish the events in FILE (- for standard input), one JSON object a line.

    A line holds type, entity_id, environment and data, as events are delivered, and optionally id, timestamp
    and version, which are generated otherwise. A refused line is reported with the reason; the others are
    sent. For each event type and environment that was sent, the command prints how many subscriptions ask for
    it. Exit code 1: some lines were refused.
    """
    columns = (SpinnerColumn(), TextColumn("{task.completed} lines read"))
    with transient(context, *columns) as progress:
        task = progress.add_task("sending", total=None)

        watch = _Watch(context.err, lambda number: progress.update(task, completed=number))
        done = context.backend.events.send(file, topic_prefix, watch)
    _show_audiences(context, done)
    context.err.text(f"{done.sent} sent, {done.refused} refused", "bold")
    if done.refused:
        raise click.exceptions.Exit(1)


@dataclass
class _Watch:
    """Shows the refused lines, the first of them with the reason."""

    err: Terminal
    read: Callable[[int], None]
    count: int = 0

    def refused(self, number: int, why: str) -> None:
        self.count += 1
        if self.count <= SHOWN_REFUSALS:
            self.err.text(f"line {number}: {why}", "red")
        elif self.count == SHOWN_REFUSALS + 1:
            self.err.print("more lines are refused; from now on they are only counted")


def _show_audiences(context: Context, done: SentLines) -> None:
    """Print how many subscriptions ask for the sent events; first those that no subscription gets."""
    if done.problem:
        context.err.text(
            f"the number of subscriptions that ask for them is not known: {done.problem}", "yellow"
        )
    found = sorted(
        done.audiences, key=lambda each: (each.here > 0, each.event_type, each.environment)
    )
    for audience in found[:SHOWN_AUDIENCES]:
        context.err.text(str(audience), "" if audience.here else "yellow")
    more = len(found) - SHOWN_AUDIENCES
    if more > 0:
        rest = counted(
            more, "more event type and environment", "more event types and environments"
        )
        context.err.print(f"and {rest}")


@command.command()
@click.option("--topic", "topics", multiple=True, help="A topic; repeatable.")
@click.option("--type", "event_types", multiple=True, help="An event type; repeatable.")
@click.option("--from-beginning", is_flag=True, help="Start with the oldest record, not the next.")
@click.option("--no-follow", is_flag=True, help="End at the current end of the log.")
@click.option("--where", is_flag=True, help="Show each record's position with its event.")
@click.option("-n", "limit", type=click.IntRange(1), help="End after this many records.")
@takes_api
def tail(
    context: Context,
    topics: Sequence[str],
    event_types: Sequence[str],
    limit: int | None,
    *,
    from_beginning: bool,
    no_follow: bool,
    where: bool,
) -> None:
    """Show events decoded, one JSON object a line, as they come.

    `events send` takes the same lines. They have the delivered fields; a value that several branches of a
    union accept has the name of its branch.

    Without --topic, all event topics (events.topics) are read. Records that are not events are reported on
    standard error.
    """
    wanted = WantedTail(
        sorted({*topics}),
        frozenset(event_types),
        from_beginning=from_beginning,
        follow=not no_follow,
        most=limit,
    )
    for record in context.backend.events.tail(wanted):
        event = record.event
        if event is None:
            at = f"{record.at.topic}/{record.at.partition}@{record.offset}"
            context.err.text(f"{at}: {record.problem}", "yellow")
            continue
        click.echo(json_line({**event, "record": _place(record)} if where else event))
        if limit is not None:
            limit -= 1
            if not limit:
                return


def _place(record: TailedRecord) -> JsonObject:
    return {
        "topic": record.at.topic,
        "partition": record.at.partition,
        "offset": record.offset,
        "appended_at": to_rfc3339(record.appended_at),
    }
