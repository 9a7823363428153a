"""`hookstream undecodable`: records that never became events, and sending them back."""

from collections.abc import Iterator

import click

from hookstream.adapters.system import SystemClock
from hookstream.core.model.event import UndecodableReason
from hookstream.core.model.json import JsonObject
from hookstream.core.redrive.marks import Shelf
from hookstream.core.redrive.revive import Revival
from hookstream.core.redrive.selector_row import (
    UndecodableSelector,
    read_undecodable_selector,
    undecodable_row,
)
from hookstream.core.redrive.summary import facts_of
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.deadletters.list import Window, list_letters
from hookstream.entry.cli.deadletters.options import (
    Run,
    all_option,
    as_json_option,
    as_one,
    limit_option,
    run_options,
    several,
    since_option,
    until_option,
)
from hookstream.entry.cli.deadletters.redrive import (
    RedriveRequest,
    RedriveRules,
    redrive_letters,
    show_jobs,
)
from hookstream.entry.cli.deadletters.show import place_in, show_at
from hookstream.entry.cli.deadletters.view import UNDECODABLE
from hookstream.entry.cli.known_names import NO_TOPIC, Filter, cluster_topics, refuse_unknown
from hookstream.entry.cli.progress import reading
from hookstream.errors import InputRefused

_REASONS = click.Choice(sorted(reason.value for reason in UndecodableReason))


_conditions = as_one(
    "selector",
    UndecodableSelector,
    several("--topic", "topics", "From this event topic"),
    several("--reason", "reasons", "Undecodable for this reason", _REASONS, "REASON"),
    since_option,
    until_option,
)


@click.group()
def command() -> None:
    """List, show and redrive records that never became events."""


@command.command("list")
@_conditions
@all_option
@limit_option
@as_json_option
@pass_context
def list_(
    context: Context, selector: UndecodableSelector, limit: int, *, all_: bool, as_json: bool
) -> None:
    """Count undecodable records by topic and reason, and list the newest."""
    desk = DeadLetterReader(context.settings, Shelf.UNDECODABLE)
    _refuse_unknown(context, desk, selector)
    list_letters(
        context,
        desk,
        Window(UNDECODABLE, selector.since, selector.until, limit, all_, as_json),
        selector.selects,
    )


@command.command()
@click.argument("letter", metavar="PLACE")
@as_json_option
@pass_context
def show(context: Context, letter: str, *, as_json: bool) -> None:
    """Show one undecodable record: headers, and what decoding says of it today.

    PLACE is where it stands, 3@1042 or TOPIC-3@1042.
    """
    desk = DeadLetterReader(context.settings, Shelf.UNDECODABLE)
    place = place_in(letter, desk.topic)
    if place is None:
        raise InputRefused(f"{letter!r} is not a place such as 3@1042")
    show_at(context, desk, place, as_json=as_json)


@command.command()
@_conditions
@run_options
@as_json_option
@pass_context
def redrive(context: Context, selector: UndecodableSelector, run: Run, *, as_json: bool) -> None:
    """Send undecodable records back, to be identified, decoded and matched again.

    Matching is by the subscriptions of today, each judged by the time at which the record first
    stood in the log.
    """
    desk = DeadLetterReader(context.settings, Shelf.UNDECODABLE)
    _refuse_unknown(context, desk, selector)
    asked = RedriveRequest(UNDECODABLE, undecodable_row(selector), run, as_json)
    redrive_letters(context, desk, asked, lambda row: _rules(desk, row))


@command.command()
@as_json_option
@pass_context
def jobs(context: Context, *, as_json: bool) -> None:
    """List redrives: done, cancelled, and running or cut off."""
    show_jobs(context, DeadLetterReader(context.settings, Shelf.UNDECODABLE), as_json=as_json)


def _refuse_unknown(
    context: Context, desk: DeadLetterReader, selector: UndecodableSelector
) -> None:
    """Refuse a topic that neither the cluster nor the window knows."""
    known = cluster_topics(context.settings) if selector.topics else frozenset()

    def seen() -> Iterator[tuple[str]]:
        with reading(context, desk):
            for facts in map(facts_of, desk.between(selector.since, selector.until)):
                yield (facts.origin_topic,)

    refuse_unknown([Filter("--topic", selector.topics, known, NO_TOPIC)], seen)


def _rules(desk: DeadLetterReader, row: JsonObject) -> RedriveRules:
    """Return how the records that a row asks for are sent back."""
    selector = read_undecodable_selector(row)
    desk.since = selector.since
    revival = Revival(desk.settings.topics_names.tier(0), desk.origin, SystemClock().now)
    return RedriveRules(selector.selects, lambda _: None, revival.unmatched)
