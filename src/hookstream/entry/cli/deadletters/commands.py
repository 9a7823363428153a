"""`hookstream dlq` and `hookstream undecodable`: list, show and redrive, the same for both."""

import re
from collections.abc import Iterator
from functools import partial

import click

from hookstream.adapters.system import SystemClock
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Record
from hookstream.core.redrive.marks import Ledger, Position
from hookstream.core.redrive.selector import Selector
from hookstream.core.redrive.summary import summary_of
from hookstream.entry.admin.audit import AuditLog
from hookstream.entry.admin.dead_letter_details import DetailsReader
from hookstream.entry.admin.dead_letters import DeadLetterReader, Listing, listed
from hookstream.entry.admin.known_names import (
    NO_TOPIC,
    Filter,
    name_filters,
    read_names,
    refuse_unknown,
)
from hookstream.entry.admin.topics import cluster_topics
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.deadletters.kinds import DEAD_LETTERS, UNDECODABLE, Kind
from hookstream.entry.cli.deadletters.redrive import (
    RedriveCommand,
    RunOptions,
    run_options,
    show_jobs,
)
from hookstream.entry.cli.deadletters.view import (
    details_document,
    listing_document,
    show_details,
    show_listing,
)
from hookstream.entry.cli.options import as_json_option
from hookstream.entry.cli.progress import reading
from hookstream.entry.cli.terminal import json_line
from hookstream.errors import InputRefused

_PLACE = re.compile(r"(?:(?P<topic>[^@]+)-)?(?P<partition>[0-9]{1,9})@(?P<offset>[0-9]{1,19})")


def group_of(kind: Kind) -> click.Group:
    """Return the command group of one kind."""
    group = click.Group(kind.group, help=kind.group_help)

    @group.command("list", help=kind.list_help)
    @kind.conditions
    @click.option("--all", "all_", is_flag=True, help="Those that were redriven too.")
    @click.option(
        "--limit",
        "-n",
        type=click.IntRange(0, 100_000),
        default=20,
        show_default=True,
        help="How many of the newest are listed; all are counted.",
    )
    @as_json_option
    @pass_context
    def list_(
        context: Context, selector: Selector, limit: int, *, all_: bool, as_json: bool
    ) -> None:
        listing = Listing(kind.source, limit, all_)
        _list(context, kind, selector, listing, as_json=as_json)

    @group.command(help=kind.show_help)
    @click.argument("letter", metavar=kind.shown_by)
    @as_json_option
    @pass_context
    def show(context: Context, letter: str, *, as_json: bool) -> None:
        _show(context, kind, letter, as_json=as_json)

    @group.command(help=kind.redrive_help)
    @kind.conditions
    @run_options
    @as_json_option
    @pass_context
    def redrive(context: Context, selector: Selector, run: RunOptions, *, as_json: bool) -> None:
        reader = DeadLetterReader(context.settings, kind.source)
        _refuse_unknown(context, reader, selector)
        RedriveCommand(context, kind, reader, run, as_json).redrive(selector.row())

    @group.command(help="List redrives: done, cancelled, and running or cut off.")
    @as_json_option
    @pass_context
    def jobs(context: Context, *, as_json: bool) -> None:
        show_jobs(context, DeadLetterReader(context.settings, kind.source), as_json=as_json)

    return group


dlq = group_of(DEAD_LETTERS)
undecodable = group_of(UNDECODABLE)


def _list(
    context: Context, kind: Kind, selector: Selector, listing: Listing, *, as_json: bool
) -> None:
    reader = DeadLetterReader(context.settings, kind.source)
    _refuse_unknown(context, reader, selector)
    ledger = _ledger_to_show(context, reader)
    with reading(context, reader):
        listed(reader, ledger, selector, listing)
    if as_json:
        click.echo(json_line(listing_document(listing, kind, reader.topic)))
    else:
        show_listing(context.out, listing, kind, reader.topic, SystemClock().now())


def _show(context: Context, kind: Kind, text: str, *, as_json: bool) -> None:
    reader = DeadLetterReader(context.settings, kind.source)
    found = _found(context, kind, reader, text)
    audit = AuditLog(context.settings)
    details_of = DetailsReader(reader, _ledger_to_show(context, reader), audit).of
    documents: list[JsonObject] = []
    for record in found:
        with reading(context, reader, audit):
            details = details_of(record)
        if as_json:
            documents.append(details_document(details))
        else:
            show_details(context.out, details, SystemClock().now())
    for document in documents:
        click.echo(json_line(document))


def position_in(text: str, topic: str) -> Position | None:
    """Return the position that `3@1042` or `topic-3@1042` names; None where it names none.

    Raises:
        InputRefused: It is a position in another topic.
    """
    found = _PLACE.fullmatch(text)
    if found is None:
        return None
    if found["topic"] not in (None, topic):
        raise InputRefused(f"{text} is a place in another topic than {topic}")
    return Position(int(found["partition"]), int(found["offset"]))


def _found(context: Context, kind: Kind, reader: DeadLetterReader, text: str) -> list[Record]:
    """Return the records at a place, or of a delivery.

    Raises:
        InputRefused: There is none.
    """
    position = position_in(text, reader.topic)
    if position is not None:
        record = reader.at(position)
        if record is None:
            raise InputRefused(f"{reader.topic} holds no record at {position} (any more)")
        return [record]
    if kind is not DEAD_LETTERS:
        raise InputRefused(f"{text!r} is not a place such as 3@1042")
    with reading(context, reader):
        found = reader.of_delivery(text)
    if not found:
        raise InputRefused(
            f"{reader.topic} holds no dead letter of {text}: a place is written 3@1042; for a"
            f" delivery that was not given up, ask: hookstream attempts show {text}"
        )
    return found


def _refuse_unknown(context: Context, reader: DeadLetterReader, selector: Selector) -> None:
    """Refuse a name that is neither in the tables or the cluster nor in a record of the window."""
    settings = context.settings
    topics = cluster_topics(settings) if selector.topics else frozenset()
    filters = (
        *name_filters(
            partial(read_names, settings),
            subscriptions=selector.subscriptions,
            partners=selector.partners,
            event_types=selector.event_types,
        ),
        Filter("--topic", selector.topics, topics, NO_TOPIC),
    )

    def seen() -> Iterator[tuple[str, ...]]:
        with reading(context, reader):
            for each in map(summary_of, reader.between(selector.since, selector.until)):
                yield each.subscription_id, each.partner_id, each.event_type, each.origin_topic

    refuse_unknown(filters, seen)


def _ledger_to_show(context: Context, reader: DeadLetterReader) -> Ledger:
    """Return the known resolutions, and print the unreadable marks."""
    ledger, problems = reader.ledger_so_far()
    for problem in problems:
        context.err.text(f"unreadable: {problem.key}: {problem.why}", "red")
    if problems:
        context.err.text("Some of what is shown as open may have been redriven.", "red")
    return ledger
