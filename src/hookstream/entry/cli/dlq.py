"""`hookstream dlq`: what was given up and why, and bringing it back."""

from collections.abc import Iterator
from functools import cache, partial

import click

from hookstream.adapters.system import SystemClock
from hookstream.adapters.tables import SealedSecrets
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.outcome import DeadReason
from hookstream.core.model.record import Record
from hookstream.core.model.standing import Deleted, DisabledStanding
from hookstream.core.model.subscription import Subscription
from hookstream.core.redrive.marks import Shelf
from hookstream.core.redrive.revive import Revival
from hookstream.core.redrive.selector import Selector
from hookstream.core.redrive.selector_row import read_selector, selector_row
from hookstream.core.redrive.summary import LetterFacts, facts_of
from hookstream.entry.admin.dead_letters import DeadLetterReader
from hookstream.entry.admin.tables import read_state
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
from hookstream.entry.cli.deadletters.show import place_in, show_at, show_delivery
from hookstream.entry.cli.deadletters.view import DEAD
from hookstream.entry.cli.known_names import name_filters, read_names, refuse_unknown
from hookstream.entry.cli.progress import reading
from hookstream.entry.cli.standing_view import directory_of, word

_REASONS = click.Choice(sorted(reason.value for reason in DeadReason))


_conditions = as_one(
    "selector",
    Selector,
    several("--subscription", "subscription_ids", "Of this subscription"),
    several("--event-type", "event_types", "Of this event type"),
    several("--reason", "reasons", "Given up for this reason", _REASONS, "REASON"),
    several("--partner", "partner_ids", "Of this partner"),
    since_option,
    until_option,
)


@click.group()
def command() -> None:
    """List, show and redrive dead letters: deliveries that were given up."""


@command.command("list")
@_conditions
@all_option
@limit_option
@as_json_option
@pass_context
def list_(context: Context, selector: Selector, limit: int, *, all_: bool, as_json: bool) -> None:
    """Count dead letters by subscription and reason, and list the newest."""
    desk = DeadLetterReader(context.settings, Shelf.DEAD_LETTERS)
    _refuse_unknown(context, desk, selector)
    list_letters(
        context,
        desk,
        Window(DEAD, selector.since, selector.until, limit, all_, as_json),
        lambda record: selector.selects(record.headers, record.timestamp),
    )


@command.command()
@click.argument("letter", metavar="PLACE|DELIVERY")
@as_json_option
@pass_context
def show(context: Context, letter: str, *, as_json: bool) -> None:
    """Show one dead letter: headers, event, attempts.

    PLACE is where it stands, 3@1042 or TOPIC-3@1042; DELIVERY is its webhook-id.
    """
    desk = DeadLetterReader(context.settings, Shelf.DEAD_LETTERS)
    place = place_in(letter, desk.topic)
    if place is None:
        show_delivery(context, desk, letter, as_json=as_json)
    else:
        show_at(context, desk, place, as_json=as_json)


@command.command()
@_conditions
@run_options
@as_json_option
@pass_context
def redrive(context: Context, selector: Selector, run: Run, *, as_json: bool) -> None:
    """Bring open dead letters back: they are delivered again, with a fresh schedule.

    Letters of a subscription that is disabled or deleted are left out, and it says so.
    """
    desk = DeadLetterReader(context.settings, Shelf.DEAD_LETTERS)
    _refuse_unknown(context, desk, selector)
    asked = RedriveRequest(DEAD, selector_row(selector), run, as_json)
    redrive_letters(context, desk, asked, lambda row: _rules(desk, row))


@command.command()
@as_json_option
@pass_context
def jobs(context: Context, *, as_json: bool) -> None:
    """List redrives: done, cancelled, and running or cut off."""
    show_jobs(context, DeadLetterReader(context.settings, Shelf.DEAD_LETTERS), as_json=as_json)


def _refuse_unknown(context: Context, desk: DeadLetterReader, selector: Selector) -> None:
    """Refuse a name that neither the tables nor the window know."""
    filters = name_filters(
        partial(read_names, context.settings),
        subscriptions=selector.subscription_ids,
        partners=selector.partner_ids,
        event_types=selector.event_types,
    )

    def seen() -> Iterator[tuple[str, ...]]:
        with reading(context, desk):
            for facts in map(facts_of, desk.between(selector.since, selector.until)):
                yield facts.subscription_id, facts.partner_id, facts.event_type

    refuse_unknown(filters, seen)


def _rules(desk: DeadLetterReader, row: JsonObject) -> RedriveRules:
    """Return how the letters that a row asks for are redriven, as the tables stand now."""
    selector = read_selector(row)
    desk.since = selector.since
    clock = SystemClock()
    directory = directory_of(read_state(desk.settings, SealedSecrets()))

    @cache
    def obstacle_of(subscription_id: str) -> str | None:
        standing = directory.standing(subscription_id, clock.now())
        match standing:
            case Deleted():
                return f"{subscription_id} is deleted: a worker would cancel them"
            case DisabledStanding():
                state = word(standing, clock.now())
                return f"{subscription_id} is {state}: hookstream subscriptions enable comes first"
            case _:
                return None

    def obstacle(facts: LetterFacts) -> str | None:
        return obstacle_of(facts.subscription_id)

    def expires_after(subscription_id: str) -> Millis | None:
        found = directory.subscriptions.get(subscription_id)
        return found.retry.expires_after if isinstance(found, Subscription) else None

    def selects(record: Record) -> bool:
        return selector.selects(record.headers, record.timestamp)

    topics = desk.settings.topics_names
    revival = Revival(topics.tier(0), desk.origin, clock.now, expires_after)
    return RedriveRules(selects, obstacle, revival.delivery)
