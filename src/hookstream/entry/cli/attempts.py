"""`hookstream attempts`: what was sent, what came back, and the whole life of a delivery."""

import heapq
from collections.abc import Iterator
from functools import partial
from typing import get_args

import click
from rich.text import Text

from hookstream.adapters.kafka.scan import Stretch
from hookstream.adapters.system import SystemClock
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeliveryState
from hookstream.core.model.instant import HOUR, Millis
from hookstream.core.model.outcome import Disposition, Outcome
from hookstream.core.redrive.marks import Shelf
from hookstream.entry.admin.audit import AuditLog, AuditSelection, life_of
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.cli.attempt_view import life_document, show_entry, show_life
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.deadletters.options import (
    as_json_option,
    as_one,
    several,
    since_option,
    until_option,
)
from hookstream.entry.cli.known_names import (
    Filter,
    name_filters,
    read_names,
    refuse_unknown,
)
from hookstream.entry.cli.progress import reading
from hookstream.entry.cli.terminal import json_line
from hookstream.errors import InputRefused

WINDOW: Millis = HOUR
"""What `list` reads where no time is given: a week of attempts may be hundreds of millions."""

_OUTCOMES = frozenset({"none", *(each.name for each in get_args(Outcome))})
_DISPOSITIONS = frozenset(each.name for each in get_args(Disposition))


_conditions = as_one(
    "wanted",
    AuditSelection,
    several("--subscription", "subscriptions", "Of this subscription"),
    several("--partner", "partners", "Of this partner"),
    click.option("--delivery", metavar="ID", help="Of the delivery with this webhook-id."),
    several("--event-type", "event_types", "Of this event type"),
    click.option("--event", metavar="ID", help="Of the event with this id."),
    several("--outcome", "outcomes", "What it came to: delivered, failed, throttled"),
    several("--disposition", "dispositions", "What came next: complete, retry, dead_letter"),
)


@click.group()
def command() -> None:
    """Look into the audit log: what was sent, and what came back."""


@command.command("list")
@_conditions
@since_option
@until_option
@click.option(
    "--limit",
    "-n",
    type=click.IntRange(1, 1_000_000),
    default=50,
    show_default=True,
    help="How many of the newest are listed.",
)
@click.option(
    "--follow", "-f", is_flag=True, help="Print attempts as they are made, until Ctrl-C."
)
@as_json_option
@pass_context
def list_(
    context: Context,
    wanted: AuditSelection,
    since: Millis | None,
    until: Millis | None,
    limit: int,
    *,
    follow: bool,
    as_json: bool,
) -> None:
    """List attempts, the oldest first; of the last hour where no --since is given.

    With --json, one object a line.
    """
    if follow and until is not None:
        raise click.UsageError("--follow goes on for ever: leave --until out")
    desk, now = AuditLog(context.settings), SystemClock().now()
    if follow:
        stretch = Stretch(since=now if since is None else since)
        _refuse_unknown(context, wanted, stretch, follow=True)
        for entry in desk.entries(wanted, stretch, follow=True):
            _print(context, entry, as_json=as_json)
        return
    stretch = Stretch(now - WINDOW if since is None else since, until)
    _refuse_unknown(context, wanted, stretch, follow=False)
    with reading(context, desk):
        newest, count = _newest(desk.entries(wanted, stretch), limit)
    for entry in newest:
        _print(context, entry, as_json=as_json)
    _tell_rest(context, desk, count, len(newest), windowed=since is None)


@command.command()
@click.argument("delivery_id", metavar="DELIVERY")
@since_option
@until_option
@as_json_option
@pass_context
def show(
    context: Context,
    delivery_id: str,
    since: Millis | None,
    until: Millis | None,
    *,
    as_json: bool,
) -> None:
    """Show the whole life of a DELIVERY (its webhook-id): attempts, deaths, redrives.

    Reads all that the topics keep, or the window given.
    """
    desk = AuditLog(context.settings)
    letters = DeadLetterReader(context.settings, Shelf.DEAD_LETTERS)
    with reading(context, desk, letters):
        life = life_of(desk, letters, delivery_id, Stretch(since, until))
    _tell_unreadable(context, desk)
    if life.standing is DeliveryState.UNKNOWN:
        raise InputRefused(
            f"neither {context.settings.topics_names.attempts} nor {letters.topic} has a record of"
            f" {delivery_id} in that window; it may still wait for its first attempt"
        )
    if as_json:
        click.echo(json_line(life_document(life)))
    else:
        show_life(context.out, life)


def _refuse_unknown(
    context: Context, wanted: AuditSelection, stretch: Stretch, *, follow: bool
) -> None:
    """Refuse a name that neither the tables nor the window know."""
    filters = (
        *name_filters(
            partial(read_names, context.settings),
            subscriptions=wanted.subscriptions,
            partners=wanted.partners,
            event_types=wanted.event_types,
            to_come=follow,
        ),
        Filter("--outcome", wanted.outcomes, _OUTCOMES, "there is no such outcome"),
        Filter(
            "--disposition", wanted.dispositions, _DISPOSITIONS, "there is no such disposition"
        ),
    )

    def seen() -> Iterator[tuple[str | None, ...]]:
        desk = AuditLog(context.settings)
        with reading(context, desk):
            for entry in desk.entries(AuditSelection(), stretch):
                yield (
                    entry.subscription_id,
                    entry.partner_id,
                    entry.event_type,
                    entry.outcome,
                    entry.disposition,
                )

    refuse_unknown(filters, seen)


def _newest(entries: Iterator[AuditEntry], limit: int) -> tuple[list[AuditEntry], int]:
    """Return the newest entries, the oldest of them first, and how many there were."""
    kept: list[tuple[Millis, int, AuditEntry]] = []
    count = 0
    for entry in entries:
        count += 1
        # The count keeps entries of one millisecond apart: they are not compared themselves.
        item = (entry.started_at, count, entry)
        if len(kept) < limit:
            heapq.heappush(kept, item)
        else:
            heapq.heappushpop(kept, item)
    return [entry for _, _, entry in sorted(kept)], count


def _print(context: Context, entry: AuditEntry, *, as_json: bool) -> None:
    if as_json:
        click.echo(json_line(entry.as_json()))
    else:
        show_entry(context.out, entry)


def _tell_rest(
    context: Context, desk: AuditLog, count: int, shown: int, *, windowed: bool
) -> None:
    window = " of the last hour (--since for more)" if windowed else ""
    context.err.print(Text(f"{shown:,} of {count:,} attempts{window}"))
    _tell_unreadable(context, desk)


def _tell_unreadable(context: Context, desk: AuditLog) -> None:
    if desk.unreadable:
        text = f"{desk.unreadable:,} records could not be read; the first is {desk.why_unreadable}"
        context.err.print(Text(text, "red"), soft_wrap=True)
