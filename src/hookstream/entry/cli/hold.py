"""`hookstream hold`: an operator's stop. What it stops waits without ageing and comes back."""

import re

import click
from rich.text import Text

from hookstream.adapters.avro.own_events import AvroNotices
from hookstream.adapters.kafka.tables import TableChange
from hookstream.adapters.system import SystemClock
from hookstream.adapters.tables import (
    SealedSecrets,
    disabled_row,
    failing_row,
    hold_key,
    write_hold,
)
from hookstream.core.model.hold import ALL, Hold, HoldKind
from hookstream.core.model.instant import format_duration, to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.listing import the_first
from hookstream.core.model.subscription import Subscription, SubscriptionState
from hookstream.core.model.suggestion import did_you_mean
from hookstream.entry.admin.changes import who
from hookstream.entry.admin.tables import (
    State,
    TablesSession,
    found_partner,
    no_subscription,
    read_state,
    writing,
)
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.known_names import names_of
from hookstream.entry.cli.standing_view import table_of
from hookstream.entry.cli.terminal import json_line
from hookstream.errors import InputRefused

_SEALED = SealedSecrets()
"""No hold needs a key: on-call sets one from wherever they are."""

_REASON = re.compile(r"\S[^\x00-\x1f\x7f]{0,199}")
_LONGEST_SHOWN = 60

_kind = click.argument(
    "kind", metavar="KIND", type=click.Choice([each.value for each in HoldKind])
)
_name = click.argument("name", metavar="[NAME]", required=False)


@click.group()
def command() -> None:
    """Stop deliveries for a while: they wait, without ageing, and none is lost.

    KIND is `endpoint` (NAME is a subscription id), `partner` (a partner id), `event-type` (an event
    type), or `everything`, which takes no NAME.
    """


@command.command("set")
@_kind
@_name
@click.option("--reason", required=True, help="Why, for whoever finds it: one line.")
@pass_context
def set_(context: Context, kind: str, name: str | None, reason: str) -> None:
    """Hold what KIND and NAME say: every worker stops within two seconds.

    Attempts that are under way finish. Retries and redrives are held too. Events go on being
    matched: what they owe waits, and is delivered when the hold is cleared.
    """
    what = _named(kind, name)
    reason = _checked_reason(reason)
    with writing(context.settings, _SEALED) as desk:
        state = desk.state()
        _refuse_unknown(state, *what)
        before = _standing(state, *what)
        hold = Hold(*what, desk.now, reason, who())
        if before is not None:
            # An unreadable row says no time: then it is held since now.
            since = before.since or desk.now
            hold = Hold(*what, since, reason, who(), before.revision + 1)
        row = TableChange(
            context.settings.topics_names.subscriptions, hold_key(*what), write_hold(hold)
        )
        _write(context, desk, row, hold, "set" if before is None else "changed", reason)
    if before is not None:
        context.err.print(
            f"{_shown(*what)} was held since {to_rfc3339(hold.since)} ({before.reason}); the reason is changed"
        )
        return
    context.err.print(f"{_shown(*what)} is held: every worker stops within two seconds")
    context.err.print(f"It ends with: hookstream hold clear {' '.join(_words(*what))}")


@command.command()
@_kind
@_name
@click.option("--reason", default="", help="Why, for the operations event.")
@pass_context
def clear(context: Context, kind: str, name: str | None, reason: str) -> None:
    """Clear a hold: what waited is delivered within five minutes.

    A delivery looks again after as long as it has waited so far, and at least every five minutes.
    """
    what = _named(kind, name)
    reason = _checked_reason(reason) if reason else ""
    with writing(context.settings, _SEALED) as desk:
        state = desk.state()
        before = _standing(state, *what)
        if before is None:
            names = [hold.name for hold in state.holds if hold.kind is what[0]]
            hint = did_you_mean(what[1], names)
            raise InputRefused(f"{_shown(*what)} is not held{hint}; {_in_force(state)}")
        row = TableChange(context.settings.topics_names.subscriptions, hold_key(*what), None)
        _write(context, desk, row, before, "cleared", reason)
    context.err.print(f"{_shown(*what)} is not held any more")
    others = [hold for hold in state.holds if hold is not before]
    if others:
        context.err.print(f"Still held: {_listed(others)}")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_context
def list_(context: Context, *, as_json: bool) -> None:
    """List the holds in force, the oldest first."""
    state = read_state(context.settings, _SEALED)
    for why in state.unreadable:
        context.err.print(f"unreadable: {why}", style="red")
    holds = sorted(state.holds, key=lambda hold: (hold.since, hold.kind, hold.name))
    if as_json:
        click.echo(json_line([_document(hold) for hold in holds]))
        return
    if not holds:
        context.err.print("Nothing is held.")
        return
    now = SystemClock().now()
    table = table_of("held", "since", "for", "by", "reason")
    for hold in holds:
        lasted = format_duration(max(now - hold.since, 0) // 1_000 * 1_000)
        since = to_rfc3339(hold.since)
        table.add_row(
            *map(Text, (_shown(hold.kind, hold.name), since, lasted, hold.set_by, hold.reason))
        )
    context.out.print(table)


def _named(kind: str, name: str | None) -> tuple[HoldKind, str]:
    found = HoldKind(kind)
    if found is HoldKind.EVERYTHING:
        if name not in (None, ALL):
            raise InputRefused(f"`everything` takes no name, and {name!r} was given")
        return found, ALL
    if not name:
        raise InputRefused(f"say which {found} is meant: hookstream hold ... {found} NAME")
    return found, name


def _checked_reason(reason: str) -> str:
    if _REASON.fullmatch(reason) is None:
        raise InputRefused("--reason: write 1 to 200 characters on one line")
    return reason


def _refuse_unknown(state: State, kind: HoldKind, name: str) -> None:
    """Refuse a name that nothing has: a hold that is misspelt stops nothing.

    Raises:
        InputRefused: There is no such subscription, partner or event type.
    """
    match kind:
        case HoldKind.ENDPOINT:
            found = state.current.subscriptions.get(name)
            if found is None:
                raise no_subscription(state, name)
            if isinstance(found, Subscription) and found.state is SubscriptionState.DELETED:
                raise InputRefused(f"subscription {name!r} is deleted")
        case HoldKind.PARTNER:
            found_partner(state, name)
        case HoldKind.EVENT_TYPE:
            known = names_of(state).event_types
            if name not in known:
                hint = did_you_mean(name, known)
                raise InputRefused(f"no schema of an event type {name!r} is published{hint}")
        case HoldKind.EVERYTHING:
            return


def _standing(state: State, kind: HoldKind, name: str) -> Hold | None:
    return next((hold for hold in state.holds if (hold.kind, hold.name) == (kind, name)), None)


def _write(
    context: Context, desk: TablesSession, row: TableChange, hold: Hold, change: str, reason: str
) -> None:
    """Write the row, and the operations event that tells of it, in one transaction."""
    notices = AvroNotices(context.settings.topics_names, "cli", disabled_row, failing_row)
    told = notices.hold_changed(hold, change, at=desk.now, changed_by=who(), reason=reason)
    desk.write([row], [told])


def _in_force(state: State) -> str:
    return f"held: {_listed(list(state.holds))}" if state.holds else "nothing is"


def _listed(holds: list[Hold]) -> str:
    return the_first([_shown(hold.kind, hold.name) for hold in holds], _LONGEST_SHOWN)


def _words(kind: HoldKind, name: str) -> tuple[str, ...]:
    return (kind.value,) if kind is HoldKind.EVERYTHING else (kind.value, name)


def _shown(kind: HoldKind, name: str) -> str:
    return " ".join(_words(kind, name))


def _document(hold: Hold) -> JsonObject:
    return {
        "kind": hold.kind.value,
        "name": None if hold.kind is HoldKind.EVERYTHING else hold.name,
        "since": to_rfc3339(hold.since),
        "reason": hold.reason,
        "set_by": hold.set_by,
        "revision": hold.revision,
    }
