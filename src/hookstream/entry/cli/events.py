"""`hookstream events`: publishes events from lines of JSON, and shows events as lines of JSON."""

import asyncio
from collections.abc import Collection, Sequence
from typing import BinaryIO

import click
from rich.progress import SpinnerColumn, TextColumn

from hookstream.core.model.counted import counted
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Record
from hookstream.entry.admin.event_audience import audiences
from hookstream.entry.admin.event_sending import EventSender
from hookstream.entry.admin.event_tail import tail as tailed
from hookstream.entry.admin.event_tail import topics_to_tail
from hookstream.entry.admin.known_names import NO_TOPIC, Filter, read_names, refuse_unknown
from hookstream.entry.admin.tables import read_state
from hookstream.entry.admin.topics import cluster_topics
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.progress import transient
from hookstream.errors import HookstreamError

SHOWN_REFUSALS = 100
SHOWN_AUDIENCES = 20


@click.group()
def command() -> None:
    """Publish events, and show events as they come."""


@command.command()
@click.argument("file", type=click.File("rb"))
@click.option("--topic-prefix", default="printprice.", show_default=True, help="Topics' names.")
@pass_context
def send(context: Context, file: BinaryIO, topic_prefix: str) -> None:
    """Publish the events in FILE (- for standard input), one JSON object a line.

    A line holds type, entity_id, environment and data, as events are delivered, and optionally id,
    timestamp and version, which are generated otherwise. A refused line is reported with the reason;
    the others are sent. Of each event type and environment that was sent it says how many subscriptions
    ask for it. Exit code 1: some lines were refused.
    """
    columns = (SpinnerColumn(), TextColumn("{task.completed} lines read"))
    with transient(context, *columns) as progress:
        task = progress.add_task("sending", total=None)

        def show(number: int, why: str) -> None:
            if sender.refused <= SHOWN_REFUSALS:
                context.err.text(f"line {number}: {why}", "red")
            elif sender.refused == SHOWN_REFUSALS + 1:
                context.err.print("more lines are refused; from here on they are only counted")

        sender = EventSender(
            context.settings, lambda number: progress.update(task, completed=number), show
        )
        asyncio.run(sender.run(file, topic_prefix))
    _show_audiences(context, sender.kinds)
    context.err.text(f"{sender.sent} sent, {sender.refused} refused", "bold")
    if sender.refused:
        raise click.exceptions.Exit(1)


def _show_audiences(context: Context, kinds: Collection[tuple[str, str]]) -> None:
    """Say how many subscriptions ask for what was sent; first the events that none gets."""
    if not kinds:
        return
    try:
        state = read_state(context.settings)
    except HookstreamError as problem:
        context.err.text(f"how many subscriptions ask for them is not known: {problem}", "yellow")
        return
    found = sorted(audiences(state, kinds), key=lambda audience: audience.here > 0)
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
@click.option("--no-follow", is_flag=True, help="End where the log ends now.")
@click.option("--where", is_flag=True, help="Show each record's place with its event.")
@click.option("-n", "limit", type=click.IntRange(1), help="End after so many records.")
@pass_context
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

    `events send` takes the same lines. They have the fields that are delivered; a value that several
    branches of a union accept has the name of its branch.

    Without --topic, all event topics (events.topics). Records that are no events are reported on
    standard error.
    """
    settings, types = context.settings, frozenset(event_types)
    if topics:
        refuse_unknown([Filter("--topic", {*topics}, cluster_topics(settings), NO_TOPIC)])
    known = read_names(settings) if types else None
    if known is not None:
        refuse_unknown([Filter("--type", types, known.event_types)])
    chosen = sorted({*topics}) or topics_to_tail(settings)
    records = tailed(settings, chosen, types, from_beginning=from_beginning, follow=not no_follow)
    for record, event in records:
        if isinstance(event, str):
            at = f"{record.topic}/{record.partition}@{record.offset}"
            context.err.text(f"{at}: {event}", "yellow")
            continue
        click.echo(json_line({**event, "record": _place(record)} if where else event))
        if limit is not None:
            limit -= 1
            if not limit:
                return


def _place(record: Record) -> JsonObject:
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "appended_at": to_rfc3339(record.timestamp),
    }
