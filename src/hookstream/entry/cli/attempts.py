"""`hookstream attempts`: lists attempts, and shows the history of a delivery."""

from collections.abc import Iterator
from functools import partial
from typing import get_args

import click

from hookstream.adapters.system import SystemClock
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeliveryState
from hookstream.core.model.instant import HOUR, Millis
from hookstream.core.model.outcome import Disposition, Outcome
from hookstream.core.redrive.marks import RedriveSource
from hookstream.entry.admin.audit import AuditLog, AuditSelection, history_of, newest
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.admin.known_names import Filter, name_filters, read_names, refuse_unknown
from hookstream.entry.cli.attempt_view import history_document, show_entry, show_history
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.options import (
    as_json_option,
    as_one,
    several,
    since_option,
    until_option,
)
from hookstream.entry.cli.progress import reading
from hookstream.entry.cli.terminal import json_line
from hookstream.errors import InputRefused

WINDOW: Millis = HOUR
"""The default window of `list`: a week of attempts may be hundreds of millions."""

_OUTCOMES = frozenset({"none", *(each.name for each in get_args(Outcome))})
_DISPOSITIONS = frozenset(each.name for each in get_args(Disposition))


_conditions = as_one(
    "selection",
    AuditSelection,
    several("--subscription", "subscriptions", "Of this subscription"),
    several("--partner", "partners", "Of this partner"),
    click.option("--delivery", metavar="ID", help="Of the delivery with this webhook-id."),
    several("--event-type", "event_types", "Of this event type"),
    click.option("--event", metavar="ID", help="Of the event with this id."),
    several("--outcome", "outcomes", "With this outcome: delivered, failed, throttled"),
    several(
        "--disposition", "dispositions", "With this disposition: complete, retry, dead_letter"
    ),
)


@click.group()
def command() -> None:
    """Show the audit log: requests and their answers."""


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
    selection: AuditSelection,
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
        raise click.UsageError("--follow never ends: leave --until out")
    audit, now = AuditLog(context.settings), SystemClock().now()
    default = now if follow else now - WINDOW
    begin = default if since is None else since
    _refuse_unknown(context, selection, begin, until, follow=follow)
    if follow:
        for entry in audit.entries(selection, begin, follow=True):
            _print(context, entry, as_json=as_json)
        return
    with reading(context, audit):
        found, count = newest(audit.entries(selection, begin, until), limit)
    for entry in found:
        _print(context, entry, as_json=as_json)
    window = " of the last hour (--since for more)" if since is None else ""
    context.err.text(f"{len(found):,} of {count:,} attempts{window}")
    _report_unreadable(context, audit)


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
    """Show the history of a DELIVERY (its webhook-id): attempts, dead letters, redrives.

    Reads all that the topics keep, or the window given.
    """
    audit = AuditLog(context.settings)
    dead_letters = DeadLetterReader(context.settings, RedriveSource.DEAD_LETTERS)
    with reading(context, audit, dead_letters):
        history = history_of(audit, dead_letters, delivery_id, since, until)
    _report_unreadable(context, audit)
    if history.state is DeliveryState.UNKNOWN:
        raise InputRefused(
            f"neither {context.settings.topics_names.attempts} nor {dead_letters.topic} has a"
            f" record of {delivery_id} in that window; it may still wait for its first attempt"
        )
    if as_json:
        click.echo(json_line(history_document(history)))
    else:
        show_history(context.out, history)


def _refuse_unknown(
    context: Context,
    selection: AuditSelection,
    since: Millis,
    until: Millis | None,
    *,
    follow: bool,
) -> None:
    """Refuse a name that is neither in the tables nor in a record of the window."""
    filters = (
        *name_filters(
            partial(read_names, context.settings),
            subscriptions=selection.subscriptions,
            partners=selection.partners,
            event_types=selection.event_types,
            to_come=follow,
        ),
        Filter("--outcome", selection.outcomes, _OUTCOMES, "there is no such outcome"),
        Filter(
            "--disposition", selection.dispositions, _DISPOSITIONS, "there is no such disposition"
        ),
    )

    def seen() -> Iterator[tuple[str | None, ...]]:
        audit = AuditLog(context.settings)
        with reading(context, audit):
            for entry in audit.entries(AuditSelection(), since, until):
                yield (
                    entry.subscription_id,
                    entry.partner_id,
                    entry.event_type,
                    entry.outcome,
                    entry.disposition,
                )

    refuse_unknown(filters, seen)


def _print(context: Context, entry: AuditEntry, *, as_json: bool) -> None:
    if as_json:
        click.echo(json_line(entry.as_json()))
    else:
        show_entry(context.out, entry)


def _report_unreadable(context: Context, audit: AuditLog) -> None:
    if audit.unreadable:
        count, why = audit.unreadable, audit.why_unreadable
        text = f"{count:,} records could not be read; the first is {why}"
        context.err.text(text, "red")
