"""`dlq list` and `undecodable list`: letters of a window, counted, with the newest of them."""

from collections.abc import Callable
from dataclasses import dataclass

import click
from rich.text import Text

from hookstream.adapters.system import SystemClock
from hookstream.core.model.instant import Millis
from hookstream.core.model.record import Record
from hookstream.core.redrive.marks import Ledger
from hookstream.core.redrive.summary import facts_of
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.cli.context import Context
from hookstream.entry.cli.deadletters.view import Listing, Look, listing_document, show_listing
from hookstream.entry.cli.progress import reading
from hookstream.entry.cli.terminal import json_line


@dataclass(slots=True, frozen=True)
class Window:
    """What of a topic is listed, and how."""

    look: Look
    since: Millis | None
    until: Millis | None
    limit: int
    all_: bool
    """Whether letters that were redriven are listed too."""
    as_json: bool


def list_letters(
    context: Context, desk: DeadLetterReader, window: Window, selects: Callable[[Record], bool]
) -> None:
    """Read a window of a topic and print it."""
    ledger = ledger_to_show(context, desk)
    listing = Listing(window.look, window.limit, window.all_)
    with reading(context, desk):
        for record in desk.between(window.since, window.until):
            if selects(record):
                facts = facts_of(record)
                resolved_by = ledger.resolved_by(desk.shelf, facts.place)
                listing.add(facts, resolved_by)
    if window.as_json:
        click.echo(json_line(listing_document(listing, desk.topic)))
    else:
        show_listing(context.out, listing, desk.topic, SystemClock().now())


def ledger_to_show(context: Context, desk: DeadLetterReader) -> Ledger:
    """Return what is resolved as far as it can be read, and tell of marks that cannot."""
    ledger, problems = desk.ledger_so_far()
    for problem in problems:
        context.err.print(Text(f"unreadable: {problem.key}: {problem.why}", "red"), soft_wrap=True)
    if problems:
        context.err.print(Text("Some of what is shown as open may have been redriven.", "red"))
    return ledger
