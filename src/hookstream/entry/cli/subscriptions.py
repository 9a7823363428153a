"""`hookstream subscriptions`: who is sent what, and stopping and starting it."""

from collections.abc import Callable

import click
from rich.table import Table
from rich.text import Text

from hookstream.adapters.system import SystemClock
from hookstream.adapters.tables import SealedSecrets
from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.standing import Deleted, Standing
from hookstream.core.model.subscription import Subscription, UnreadableSubscription
from hookstream.core.planning import transitions
from hookstream.core.planning.changes import Delete
from hookstream.core.planning.ownership import is_of_files
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.tables import (
    State,
    TablesSession,
    found_subscription,
    no_subscription,
    read_state,
    writing,
)
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.known_names import Filter, names_of, refuse_unknown
from hookstream.entry.cli.standing_view import (
    directory_of,
    shown_fields,
    subscription_document,
    table_of,
    word,
)
from hookstream.entry.cli.terminal import json_line
from hookstream.errors import Conflict

_SEALED = SealedSecrets()
"""None of these commands needs a key: on-call pauses from wherever they are."""

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_no_wait = click.option("--no-wait", is_flag=True, help="Return before it has taken effect.")
_revision = click.option(
    "--if-revision", type=int, metavar="N", help="Refuse unless the subscription is at revision N."
)


@click.group()
def command() -> None:
    """List, show, pause, resume, enable and delete subscriptions."""


@command.command("list")
@click.option("--partner", help="Only those of one partner.")
@click.option("--all", "with_deleted", is_flag=True, help="Deleted ones too.")
@_json
@pass_context
def list_(context: Context, partner: str | None, *, with_deleted: bool, as_json: bool) -> None:
    """List subscriptions with the state that they are in: their owner's and their health's."""
    state = read_state(context.settings, _SEALED)
    known = names_of(state).partners
    refuse_unknown([Filter("--partner", None if partner is None else {partner}, known)])
    directory, now = directory_of(state), SystemClock().now()
    table = table_of("subscription", "partner", "state", "event types")
    documents: list[Json] = []
    for name, subscription in sorted(state.current.subscriptions.items()):
        standing = directory.holds.over(directory.standing(name, now))
        if partner not in (None, subscription.partner_id):
            continue
        if isinstance(standing, Deleted) and not with_deleted:
            continue
        documents.append(_document(state, subscription, standing))
        types = "\n".join(subscription.event_types)
        shown = word(standing, now) + (", failing" if name in state.failing else "")
        table.add_row(*map(Text, (name, subscription.partner_id, shown, types)))
    if as_json:
        click.echo(json_line(documents))
    else:
        context.out.print(table)
    _warn(context, state)


@command.command()
@click.argument("subscription_id", metavar="SUBSCRIPTION")
@_json
@pass_context
def show(context: Context, subscription_id: str, *, as_json: bool) -> None:
    """Show everything about one SUBSCRIPTION but its secrets."""
    state = read_state(context.settings, _SEALED)
    subscription = state.current.subscriptions.get(subscription_id)
    if subscription is None:
        raise no_subscription(state, subscription_id)
    now = SystemClock().now()
    directory = directory_of(state)
    standing = directory.holds.over(directory.standing(subscription_id, now))
    if as_json:
        click.echo(json_line(_document(state, subscription, standing)))
        return
    table = Table(box=None, show_header=False)
    rows = {"subscription": subscription.id, "state": word(standing, now)}
    failing = state.failing.get(subscription_id)
    if failing is not None:
        rows["failing"] = f"nothing but failures since {to_rfc3339(failing.since)}"
    if isinstance(subscription, Subscription):
        rows["revision"] = str(subscription.revision)
        rows |= {path: str(text) for path, text in shown_fields(subscription).items()}
    rows["active from"] = to_rfc3339(subscription.active_from)
    for gap in subscription.gaps:
        end = "now" if gap.end is None else to_rfc3339(gap.end)
        rows[f"gap ({gap.reason}) from {to_rfc3339(gap.start)}"] = f"to {end}"
    for name, text in rows.items():
        table.add_row(Text(name, "bold"), Text(text))
    context.out.print(table)


@command.command()
@click.argument("subscription_id", metavar="SUBSCRIPTION")
@_revision
@_no_wait
@pass_context
def pause(
    context: Context, subscription_id: str, if_revision: int | None, *, no_wait: bool
) -> None:
    """Stop SUBSCRIPTION: what is pending waits, what is published meanwhile is not sent."""
    _change(context, subscription_id, if_revision, transitions.pause, "paused", wait=not no_wait)


@command.command()
@click.argument("subscription_id", metavar="SUBSCRIPTION")
@_revision
@_no_wait
@pass_context
def resume(
    context: Context, subscription_id: str, if_revision: int | None, *, no_wait: bool
) -> None:
    """Start a paused SUBSCRIPTION again."""
    _change(context, subscription_id, if_revision, transitions.resume, "resumed", wait=not no_wait)


@command.command()
@click.argument("subscription_id", metavar="SUBSCRIPTION")
@_revision
@_no_wait
@pass_context
def enable(
    context: Context, subscription_id: str, if_revision: int | None, *, no_wait: bool
) -> None:
    """Enable SUBSCRIPTION again after it was disabled, by a 410 or for failing too long."""
    with writing(context.settings, _SEALED) as desk:
        state = desk.state()
        subscription = _checked(state, subscription_id, if_revision)
        disabled = state.current.disabled.get(subscription_id)
        if disabled is None:
            context.err.print(f"{subscription_id} is not disabled")
            return
        after = transitions.enable(subscription, disabled, desk.takes_effect)
        scribe = ChangeWriter(desk, context.settings.topics_names, _SEALED)
        scribe.write_subscription(after, "enabled", desk.takes_effect, clear_health=True)
        context.err.print(
            f"{subscription_id} is enabled from {to_rfc3339(desk.takes_effect)}. It was sent "
            f"nothing that was published after {to_rfc3339(disabled.since)}; the gap in its row "
            f"starts at {to_rfc3339(disabled.since - transitions.SLACK)}. What was pending then "
            f"is brought back by: hookstream dlq redrive --subscription {subscription_id}"
        )
        _wait(desk, wait=not no_wait)


@command.command()
@click.argument("subscription_id", metavar="SUBSCRIPTION")
@_revision
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_context
def delete(context: Context, subscription_id: str, if_revision: int | None, *, yes: bool) -> None:
    """Delete SUBSCRIPTION: its pending deliveries are cancelled."""
    if not yes:
        click.confirm(
            f"Delete subscription {subscription_id} and cancel what is pending?",
            abort=True,
            err=True,
        )
    with writing(context.settings, _SEALED) as desk:
        subscription = _checked(desk.state(), subscription_id, if_revision)
        scribe = ChangeWriter(desk, context.settings.topics_names, _SEALED)
        scribe.write([Delete(subscription, transitions.delete(subscription))])
    context.err.print(f"{subscription_id} is deleted")
    if is_of_files(subscription.owner):
        context.err.print("A file declares it: take that out, or the next apply creates it again")


def _document(
    state: State, subscription: Subscription | UnreadableSubscription, standing: Standing
) -> JsonObject:
    failing = state.failing.get(subscription.id)
    since = None if failing is None else to_rfc3339(failing.since)
    return {**subscription_document(subscription, standing), "failing_since": since}


def _change(
    context: Context,
    subscription_id: str,
    if_revision: int | None,
    transition: Callable[[Subscription, Millis], Subscription],
    done: str,
    *,
    wait: bool,
) -> None:
    with writing(context.settings, _SEALED) as desk:
        before = _checked(desk.state(), subscription_id, if_revision)
        after = transition(before, desk.takes_effect)
        if after is before:
            context.err.print(f"{subscription_id} is {before.state} already")
            return
        scribe = ChangeWriter(desk, context.settings.topics_names, _SEALED)
        scribe.write_subscription(after, done, desk.takes_effect)
        context.err.print(f"{subscription_id} is {done} from {to_rfc3339(desk.takes_effect)}")
        _wait(desk, wait=wait)


def _checked(state: State, subscription_id: str, revision: int | None) -> Subscription:
    found = found_subscription(state, subscription_id)
    if revision not in (None, found.revision):
        raise Conflict(
            f"subscription {subscription_id!r} is at revision {found.revision}, not {revision}"
        )
    return found


def _wait(desk: TablesSession, *, wait: bool) -> None:
    if wait:
        desk.wait_until(desk.takes_effect)


def _warn(context: Context, state: State) -> None:
    for why in state.unreadable:
        context.err.print(Text(f"unreadable: {why}", "red"), soft_wrap=True)
