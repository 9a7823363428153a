"""`hookstream deliveries`: lists deliveries by their state, shows one, and sends one again."""

from collections.abc import Iterator, Sequence
from functools import partial

import click

from hookstream.adapters.system import SystemClock
from hookstream.core.audit.history import DeliveryState
from hookstream.core.delivery.identity import is_batch_id
from hookstream.core.model.counted import counted
from hookstream.core.model.delivery import DeferReason, Trigger
from hookstream.core.model.instant import HOUR, Millis, to_the_second
from hookstream.core.model.outcome import DeadReason
from hookstream.entry.admin.deliveries import (
    MOST_LISTED,
    DeliveryListing,
    DeliveryReaders,
    DeliverySelection,
    details_of,
    listed,
    status_of,
)
from hookstream.entry.admin.delivery_remedies import remedies
from hookstream.entry.admin.known_names import name_filters, read_names, refuse_unknown
from hookstream.entry.admin.resends import plan_resend
from hookstream.entry.admin.resends import resend as send_again
from hookstream.entry.admin.tables import read_state
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.delivery_view import (
    details_document,
    listing_document,
    pending_facts,
    resend_document,
    show_details,
    show_listing,
    show_resend,
)
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.options import (
    as_json_option,
    as_one,
    several,
    since_option,
    until_option,
    yes_option,
)
from hookstream.entry.cli.progress import reading
from hookstream.entry.cli.terminal import confirm
from hookstream.errors import InputRefused

WINDOW: Millis = HOUR
"""From when on `list` reads what ended, where no --since is given: a week may be hundreds of millions."""

_STATES = click.Choice([each.value for each in DeliveryState if each is not DeliveryState.UNKNOWN])
_REASONS = click.Choice(
    sorted(
        {reason.value for reason in (*DeferReason, *DeadReason)} - {DeferReason.NOT_DUE.value}
        | {trigger.value for trigger in Trigger}
    )
)

scan_option = click.option(
    "--scan",
    type=click.IntRange(1, 100_000_000),
    default=1_000_000,
    show_default=True,
    metavar="N",
    help="Read at most N records of the tiers, of the attempts and of the dead letters each.",
)


@click.group()
def command() -> None:
    """List deliveries: what is pending and why, what ended and how; show one, or send it again."""


@command.command("list")
@as_one(
    "selection",
    DeliverySelection,
    several("--subscription", "subscriptions", "Of this subscription"),
    several("--partner", "partners", "Of this partner"),
    several("--event-type", "event_types", "Of this event type"),
    click.option("--event", metavar="ID", help="Of the event with this id."),
    several("--state", "states", "In this state", _STATES),
    several("--reason", "reasons", "Waiting or given up for this reason", _REASONS, "REASON"),
    since_option,
)
@click.option(
    "--limit",
    "-n",
    type=click.IntRange(0, MOST_LISTED),
    default=50,
    show_default=True,
    help="How many of the newest are listed; all are counted.",
)
@scan_option
@as_json_option
@pass_context
def list_(
    context: Context, selection: DeliverySelection, limit: int, scan: int, *, as_json: bool
) -> None:
    """Count deliveries by subscription, state and reason, and list those that changed last.

    What is pending comes from the tiers, whatever its age. What ended comes from the attempts and the
    dead letters, of the last hour unless --since is given; with --since, pending deliveries are those
    that were put into their tier since then. What was not read is said on standard error.
    """
    now = SystemClock().now()
    readers = DeliveryReaders(context.settings, scan)
    since = now - WINDOW if selection.since is None else selection.since
    with reading(context, *readers.all):
        listing = listed(readers, selection, since)
    _refuse_unknown(context, selection, listing)
    if as_json:
        click.echo(json_line(listing_document(listing, readers, limit)))
    else:
        show_listing(context.out, listing, limit, now)
    context.err.unreadable(listing.unreadable_marks)
    for sentence in reservations(listing, readers, is_default=selection.since is None):
        context.err.text(sentence, "yellow")


@command.command()
@click.argument("delivery_id", metavar="DELIVERY")
@since_option
@until_option
@scan_option
@as_json_option
@pass_context
def show(
    context: Context,
    delivery_id: str,
    since: Millis | None,
    until: Millis | None,
    scan: int,
    *,
    as_json: bool,
) -> None:
    """Show a DELIVERY (its webhook-id) over its runs: what happened, where it waits, what can be done.

    Reads the tiers, and all attempts and dead letters that the topics keep, or those of the window given.
    What was not read is said on standard error.
    """
    refuse_batch(delivery_id)
    readers, now = DeliveryReaders(context.settings, scan), SystemClock().now()
    with reading(context, *readers.all):
        details = details_of(readers, delivery_id, since, until)
    limits = [*scan_limits(readers), *unread(readers)]
    if not details.is_known:
        raise InputRefused(unknown_delivery(readers, delivery_id, limits))
    status = status_of(context.settings, details, now)
    can_be_done = list(
        remedies(details.history, details.pending, details.subscription_id, status, now)
    )
    if as_json:
        click.echo(json_line(details_document(details, status, can_be_done)))
    else:
        show_details(context.out, details, status, can_be_done, now)
    for sentence in limits:
        context.err.text(sentence, "yellow")


@command.command()
@click.argument("delivery_id", metavar="DELIVERY")
@click.option(
    "--origin",
    metavar="TOPIC-P@O",
    help="Which event, by its first place; needed where several have this DELIVERY's id.",
)
@click.option(
    "--as-granted-today",
    is_flag=True,
    help="Ask today's grant alone, not also the one in force at the event's time.",
)
@since_option
@until_option
@scan_option
@yes_option
@as_json_option
@pass_context
def resend(
    context: Context,
    delivery_id: str,
    origin: str | None,
    since: Millis | None,
    until: Millis | None,
    scan: int,
    *,
    as_granted_today: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Send a DELIVERY (its webhook-id) again, in a run of its own, whatever became of it before.

    The event comes from its origin, or from the tier record or dead letter that still has it. It is sent
    by the subscription as it is now, under the same webhook-id, with the trigger `replay` and a schedule
    of its own, and the filter is not asked again. What the partner was not granted at the event's time,
    or is not today, is refused, and so is a disabled or deleted subscription. Where a run of it is
    pending, it asks first. --since and --until bound the window in which the delivery is looked for.
    """
    refuse_batch(delivery_id)
    readers, now = DeliveryReaders(context.settings, scan), SystemClock().now()
    with reading(context, *readers.all):
        details = details_of(readers, delivery_id, since, until)
    if not details.is_known:
        limits = [*scan_limits(readers), *unread(readers)]
        raise InputRefused(unknown_delivery(readers, delivery_id, limits))
    planned = plan_resend(
        context.settings,
        read_state(context.settings),
        details,
        origin,
        as_granted_today=as_granted_today,
    )
    if planned.pending:
        for each in planned.pending:
            facts = "; ".join(f"{name} {text}" for name, text in pending_facts(each, now))
            context.err.text(f"A run of {delivery_id} is pending: {facts}", "yellow")
        confirm("Send it again all the same? The endpoint may get it twice", yes=yes)
    job = send_again(context.settings, planned)
    if as_json:
        click.echo(json_line(resend_document(planned, job)))
    else:
        show_resend(context.out, planned, job)


def refuse_batch(delivery_id: str) -> None:
    """Refuse the `webhook-id` of a batch.

    Raises:
        InputRefused: It is one.
    """
    if is_batch_id(delivery_id):
        raise InputRefused(
            f"{delivery_id} is a batch, and each of its members is a delivery of its own: see"
            f" `hookstream attempts list --delivery {delivery_id}`"
        )


def unknown_delivery(readers: DeliveryReaders, delivery_id: str, limits: Sequence[str]) -> str:
    """Return what is to be said of a delivery that no record mentions that was read."""
    names = readers.settings.topics_names
    said = (
        f"no tier, and neither {names.attempts} nor {names.dead_letters}, has a record of {delivery_id}"
        " in what was read; its event may not be matched yet, or it waits in a worker's lane for its"
        " first attempt"
    )
    return "; ".join([said, *limits])


def _refuse_unknown(
    context: Context, selection: DeliverySelection, listing: DeliveryListing
) -> None:
    """Refuse a name that is neither in the tables nor in any record that was read."""
    filters = name_filters(
        partial(read_names, context.settings),
        subscriptions=selection.subscriptions,
        partners=selection.partners,
        event_types=selection.event_types,
    )

    def seen() -> Iterator[tuple[str, ...]]:
        for each in listing.selected.states:
            yield each.subscription_id, each.partner_id, each.event_type

    refuse_unknown(filters, seen)


def reservations(
    listing: DeliveryListing, readers: DeliveryReaders, *, is_default: bool
) -> Iterator[str]:
    """Yield a sentence for each thing that limits what a listing says.

    Args:
        listing: The listing.
        readers: What was and was not read for it.
        is_default: Whether the window is the default one.
    """
    if listing.ended_since is not None and is_default:
        yield f"what ended before {to_the_second(listing.ended_since)} was not read (--since for more)"
    yield from scan_limits(readers)
    if listing.dropped:
        dropped = counted(listing.dropped, "delivery is", "deliveries are")
        yield f"{dropped} not counted: {MOST_LISTED:,} newer ones were read"
    yield from unread(readers)
    if listing.unsettled_events:
        yield (
            f"not settled: up to {counted(listing.unsettled_events, 'record')} of event topics, of which"
            " deliveries may wait in a worker's lane, which no topic shows"
        )


def scan_limits(readers: DeliveryReaders) -> Iterator[str]:
    """Yield a sentence for each topic of which --scan left something out."""
    names = readers.settings.topics_names
    if readers.pending.not_read:
        yield (
            f"tiers: not read: {counted(readers.pending.not_read, 'unsettled record')}, the newest of each"
            " partition (--scan for more)"
        )
    for topic, limit in (
        (names.attempts, readers.attempts_limit),
        (names.dead_letters, readers.dead_letters_limit),
    ):
        if limit.left_out:
            complete_from = limit.complete_from
            since = (
                ""
                if complete_from is None
                else f"; it is complete from {to_the_second(complete_from)}"
            )
            yield (
                f"{topic}: not read: {counted(limit.left_out, 'record')} of the window, the oldest{since}"
                " (--scan for more)"
            )


def unread(readers: DeliveryReaders) -> Iterator[str]:
    """Yield a sentence for each kind of record that does not say which delivery it is of."""
    pending, attempts = readers.pending, readers.attempts
    if pending.lost:
        yield (
            f"{counted(pending.lost, 'partition')} of tiers: the committed offset is beyond the end, and"
            " what is pending there is not known: hookstream partition list --open"
        )
    if pending.unmatched:
        yield (
            f"{counted(pending.unmatched, 'event waits', 'events wait')} in the tiers to be matched:"
            " for which subscriptions is not known yet"
        )
    for count, why in (
        (pending.unreadable, pending.why_unreadable),
        (attempts.unreadable, attempts.why_unreadable),
    ):
        if count:
            yield f"{counted(count, 'record')} could not be read; the first is {why}"
