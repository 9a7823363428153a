"""`hookstream deliveries`: lists deliveries by their state, shows one, and sends one again."""

from collections.abc import Sequence
from contextlib import ExitStack

import click

from hookstream.adapters.system import SystemClock
from hookstream.core.audit.history import DeliveryState
from hookstream.core.audit.run_states import PendingRecord
from hookstream.core.delivery.identity import is_batch_id
from hookstream.core.model.delivery import DeferReason, Trigger
from hookstream.core.model.instant import HOUR, Millis
from hookstream.core.model.outcome import DeadReason
from hookstream.entry.admin.deliveries import (
    MOST_LISTED,
    DeliverySelection,
)
from hookstream.entry.admin.delivery_remedies import remedies
from hookstream.entry.admin.resends import LONGEST_REASON
from hookstream.entry.backend.listing_ports import WantedResend
from hookstream.entry.cli.context import Context, takes_api
from hookstream.entry.cli.delivery_payload import (
    payload_document,
    payload_reservations,
    payload_text,
)
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
from hookstream.entry.cli.progress import progress_bar
from hookstream.entry.cli.terminal import confirm
from hookstream.errors import InputRefused

WINDOW: Millis = HOUR
"""How far back `list` reads ended deliveries by default: a week may have hundreds of millions."""

_STATES = click.Choice([each.value for each in DeliveryState if each is not DeliveryState.UNKNOWN])
_REASONS = click.Choice(
    sorted(
        {reason.value for reason in (*DeferReason, *DeadReason)} - {DeferReason.NOT_DUE.value}
        | {trigger.value for trigger in Trigger}
    )
)

origin_option = click.option(
    "--origin",
    metavar="TOPIC-P@O",
    help="The event's original position; required if several events have this DELIVERY's id.",
)
scan_option = click.option(
    "--scan",
    type=click.IntRange(1, 100_000_000),
    default=1_000_000,
    show_default=True,
    metavar="N",
    help="Read at most N records each of the tiers, the attempts and the dead letters.",
)


@click.group()
def command() -> None:
    """List deliveries, pending and ended; show one, or send it again."""


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
    help="List at most this many, the newest; all are counted.",
)
@scan_option
@as_json_option
@takes_api
def list_(
    context: Context, selection: DeliverySelection, limit: int, scan: int, *, as_json: bool
) -> None:
    """Count deliveries by subscription, state and reason, and list those that changed last.

    Pending deliveries are read from the tiers, whatever their age; ended ones from the attempts and the dead
    letters of the last hour, unless --since is given. With --since, pending deliveries are those that were
    written to their tier since then. Standard error lists what was not read.
    """
    now = SystemClock().now()
    since = now - WINDOW if selection.since is None else selection.since
    with progress_bar(context) as progress:
        found = context.backend.deliveries(scan).listed(selection, since, progress)
    listing = found.listing
    if as_json:
        click.echo(json_line(listing_document(listing, found.not_read, limit)))
    else:
        show_listing(context.out, listing, limit, now)
    context.err.unreadable(listing.unreadable_marks)
    for sentence in found.problems:
        context.err.text(sentence, "yellow")


@command.command()
@click.argument("delivery_id", metavar="DELIVERY")
@since_option
@until_option
@scan_option
@as_json_option
@takes_api
def show(
    context: Context,
    delivery_id: str,
    since: Millis | None,
    until: Millis | None,
    scan: int,
    *,
    as_json: bool,
) -> None:
    """Show a DELIVERY (its webhook-id) with all its runs: what happened, where it waits, and the possible remedies.

    Reads the tiers, and all retained attempts and dead letters, or those of the given window. Standard error
    lists what was not read.
    """
    refuse_batch(delivery_id)
    now = SystemClock().now()
    with progress_bar(context) as progress:
        found = context.backend.deliveries(scan).found(delivery_id, since, until, progress)
    details, status = found.details, found.status
    can_be_done = list(
        remedies(details.history, details.pending, details.subscription_id, status, now)
    )
    if as_json:
        click.echo(json_line(details_document(details, status, found.life, can_be_done)))
    else:
        show_details(context.out, details, status, found.life, can_be_done, now)
    for sentence in found.problems:
        context.err.text(sentence, "yellow")


@command.command()
@click.argument("delivery_id", metavar="DELIVERY")
@origin_option
@since_option
@until_option
@scan_option
@as_json_option
@takes_api
def payload(
    context: Context,
    delivery_id: str,
    origin: str | None,
    since: Millis | None,
    until: Millis | None,
    scan: int,
    *,
    as_json: bool,
) -> None:
    """Print the body of a DELIVERY (its webhook-id), rendered from its event by the subscription as it is now.

    The event comes from its origin, or from the tier record or dead letter that still has it. Secrets of a
    template are not shown. Standard error says where the event came from, and whether the subscription
    changed since the last attempt.
    """
    refuse_batch(delivery_id)
    with progress_bar(context) as progress:
        found = context.backend.deliveries(scan).payload(
            delivery_id, origin, since, until, progress
        )
    if as_json:
        click.echo(json_line(payload_document(found)))
    else:
        context.out.text(payload_text(found))
    for sentence in payload_reservations(found):
        context.err.text(sentence, "yellow")


@command.command()
@click.argument("delivery_id", metavar="DELIVERY")
@origin_option
@click.option(
    "--as-granted-today",
    is_flag=True,
    help="Check only today's grant, not also the one in force at the event's time.",
)
@click.option(
    "--reason", metavar="TEXT", default="", help="The reason, shown by `jobs show` and in --json."
)
@since_option
@until_option
@scan_option
@yes_option
@as_json_option
@takes_api
def resend(
    context: Context,
    delivery_id: str,
    origin: str | None,
    since: Millis | None,
    until: Millis | None,
    scan: int,
    *,
    as_granted_today: bool,
    reason: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Send a DELIVERY (its webhook-id) again, in its own run, however it ended before.

    The event comes from its origin, or from the tier record or dead letter that still has it. It is sent by
    the subscription as it is now, under the same webhook-id, with the trigger `replay` and its own schedule;
    the filter is not evaluated again. The command refuses an event that the partner was not granted at its
    time or is not granted today, and a disabled or deleted subscription. If a run of the delivery is pending,
    it asks for confirmation. --since and --until limit the window in which the delivery is searched.
    """
    refuse_batch(delivery_id)
    now = SystemClock().now()

    def allowed(pending: Sequence[PendingRecord]) -> None:
        showing.close()
        for each in pending:
            facts = "; ".join(f"{name} {text}" for name, text in pending_facts(each, now))
            context.err.text(f"A run of {delivery_id} is pending: {facts}", "yellow")
        if pending:
            confirm("Send it again anyway? The endpoint may get it twice", yes=yes)

    if len(reason) > LONGEST_REASON:
        raise InputRefused(
            f"--reason has {len(reason)} characters; at most {LONGEST_REASON} are allowed"
        )
    wanted = WantedResend(delivery_id, origin, as_granted_today, since, until, reason)
    with ExitStack() as showing:
        progress = showing.enter_context(progress_bar(context))
        done = context.backend.deliveries(scan).resend(wanted, allowed, progress)
    if as_json:
        click.echo(json_line(resend_document(done)))
    else:
        show_resend(context.out, done)


def refuse_batch(delivery_id: str) -> None:
    """Refuse the `webhook-id` of a batch.

    Raises:
        InputRefused: The id is a batch's.
    """
    if is_batch_id(delivery_id):
        raise InputRefused(
            f"{delivery_id} is a batch, whose members are deliveries of their own: see"
            f" `hookstream attempts list --delivery {delivery_id}`"
        )
