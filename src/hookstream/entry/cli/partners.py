"""`hookstream partners`: who may see what."""

import click
from rich.table import Table
from rich.text import Text

from hookstream.adapters.tables import SealedSecrets
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.json import Json
from hookstream.core.model.subscription import Partner, Subscription, SubscriptionState
from hookstream.core.planning import transitions
from hookstream.core.planning.changes import Delete
from hookstream.core.planning.ownership import is_of_files
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.tables import (
    State,
    found_partner,
    found_subscription,
    read_state,
    writing,
)
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.standing_view import shown_fields, table_of
from hookstream.entry.cli.terminal import json_line
from hookstream.errors import InputRefused

_SEALED = SealedSecrets()

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def command() -> None:
    """List, show and delete partners."""


@command.command("list")
@_json
@pass_context
def list_(context: Context, *, as_json: bool) -> None:
    """List partners and what they are granted."""
    state = read_state(context.settings, _SEALED)
    partners = sorted(state.current.partners.values(), key=lambda partner: partner.id)
    if as_json:
        click.echo(json_line([_document(partner, state) for partner in partners]))
        return
    table = table_of("partner", "name", "environments", "event types")
    for partner in partners:
        types, environments = partner.grant.event_types, partner.grant.environments
        cells = (partner.id, partner.name, "\n".join(environments), "\n".join(types))
        table.add_row(*map(Text, cells))
    context.out.print(table)


@command.command()
@click.argument("partner_id", metavar="PARTNER")
@_json
@pass_context
def show(context: Context, partner_id: str, *, as_json: bool) -> None:
    """Show one PARTNER and its subscriptions."""
    state = read_state(context.settings, _SEALED)
    partner = found_partner(state, partner_id)
    if as_json:
        click.echo(json_line(_document(partner, state)))
        return
    rows = {"partner": partner.id, "revision": str(partner.revision)}
    rows |= {path: str(text) for path, text in shown_fields(partner).items()}
    if partner.grant_from:
        rows["granted from"] = to_rfc3339(partner.grant_from)
    rows["subscriptions"] = ", ".join(_live(state, partner.id)) or "(none)"
    table = Table(box=None, show_header=False)
    for name, text in rows.items():
        table.add_row(Text(name, "bold"), Text(text))
    context.out.print(table)


@command.command()
@click.argument("partner_id", metavar="PARTNER")
@click.option("--cascade", is_flag=True, help="Delete its subscriptions with it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_context
def delete(context: Context, partner_id: str, *, cascade: bool, yes: bool) -> None:
    """Delete PARTNER, which must have no subscriptions unless they go with it."""
    if not yes:
        click.confirm(f"Delete partner {partner_id}?", abort=True, err=True)
    with writing(context.settings, _SEALED) as desk:
        state = desk.state()
        partner = found_partner(state, partner_id)
        live = _live(state, partner_id)
        if live and not cascade:
            raise InputRefused(
                f"partner {partner_id!r} has live subscriptions ({', '.join(live)}): "
                "--cascade deletes them as well"
            )
        going = [found_subscription(state, each) for each in live]
        changes = [Delete(each, transitions.delete(each)) for each in going]
        scribe = ChangeWriter(desk, context.settings.topics_names, _SEALED)
        scribe.write([*changes, Delete(partner, None)])
    context.err.print(f"{', '.join([*live, partner_id])}: deleted")
    if is_of_files(partner.owner):
        context.err.print("A file declares it: take that out, or the next apply creates it again")


def _live(state: State, partner_id: str) -> list[str]:
    """Return the ids of a partner's subscriptions, unreadable ones too, deleted ones not."""
    return sorted(
        name
        for name, found in state.current.subscriptions.items()
        if found.partner_id == partner_id
        and not (isinstance(found, Subscription) and found.state == SubscriptionState.DELETED)
    )


def _document(partner: Partner, state: State) -> Json:
    subscriptions: list[Json] = [*_live(state, partner.id)]
    return {
        "id": partner.id,
        "revision": partner.revision,
        "fields": shown_fields(partner),
        "granted_from": to_rfc3339(partner.grant_from),
        "subscriptions": subscriptions,
    }
