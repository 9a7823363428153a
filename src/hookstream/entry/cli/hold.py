"""`hookstream hold`: suspends deliveries; they wait without ageing, and none is lost."""

import re

import click

from hookstream.adapters.system import SystemClock
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.entry.admin.holds import listed, subject, subject_in
from hookstream.entry.cli.context import Context, takes_api
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.moments import lasted
from hookstream.entry.cli.options import as_json_option
from hookstream.errors import InputRefused

_REASON = re.compile(r"\S[^\x00-\x1f\x7f]{0,199}")

_kind = click.argument(
    "kind", metavar="KIND", type=click.Choice([each.value for each in HoldKind])
)
_name = click.argument("name", metavar="[NAME]", required=False)


@click.group()
def command() -> None:
    """Suspend deliveries of an endpoint, a partner, an event type or everything.

    Held deliveries wait without ageing, and none is lost. KIND is `endpoint` (NAME is a subscription id),
    `partner` (a partner id), `event-type` (an event type), or `everything`, which takes no NAME.
    """


@command.command("set")
@_kind
@_name
@click.option("--reason", required=True, help="The reason, shown with the hold: one line.")
@takes_api
def set_(context: Context, kind: str, name: str | None, reason: str) -> None:
    """Hold KIND NAME: every worker stops its attempts within two seconds.

    Attempts in flight finish. Retries and redrives are held too. Events are still matched; their
    deliveries wait until the hold is cleared.
    """
    what = subject_in(HoldKind(kind), name)
    hold, before = context.backend.holds.set(*what, _checked_reason(reason))
    if before is not None:
        since = to_rfc3339(hold.since)
        context.err.print(
            f"{subject(*what)} was held since {since} ({before.reason}); the reason is changed"
        )
        return
    context.err.print(f"{subject(*what)} is held: every worker stops within two seconds")
    context.err.print(f"To clear it: hookstream hold clear {subject(*what)}")


@command.command()
@_kind
@_name
@click.option("--reason", default="", help="The reason, for the operations event.")
@takes_api
def clear(context: Context, kind: str, name: str | None, reason: str) -> None:
    """Clear a hold: waiting deliveries are attempted within five minutes.

    A held delivery checks again after 5 s, 30 s and 1 m, and then every 5 m (the tiers of retry.tiers up to 5 m).
    """
    what = subject_in(HoldKind(kind), name)
    others = context.backend.holds.clear(*what, _checked_reason(reason) if reason else "")
    context.err.print(f"{subject(*what)} is no longer held")
    if others:
        context.err.print(f"Still held: {listed([*others])}")


@command.command("list")
@as_json_option
@takes_api
def list_(context: Context, *, as_json: bool) -> None:
    """List the holds in force, the oldest first."""
    holds, unreadable = context.backend.holds.listed()
    context.err.unreadable(unreadable)
    if as_json:
        click.echo(json_line([_document(hold) for hold in holds]))
        return
    if not holds:
        context.err.print("Nothing is held.")
        return
    now = SystemClock().now()
    rows = [
        (
            subject(hold.kind, hold.name),
            to_rfc3339(hold.since),
            lasted(now - hold.since),
            hold.set_by,
            hold.reason,
        )
        for hold in holds
    ]
    context.out.table(("held", "since", "for", "by", "reason"), rows)


def _checked_reason(reason: str) -> str:
    if _REASON.fullmatch(reason) is None:
        raise InputRefused("--reason: write 1 to 200 characters on one line")
    return reason


def _document(hold: Hold) -> JsonObject:
    return {
        "kind": hold.kind.value,
        "name": None if hold.kind is HoldKind.EVERYTHING else hold.name,
        "since": to_rfc3339(hold.since),
        "reason": hold.reason,
        "set_by": hold.set_by,
        "revision": hold.revision,
    }
