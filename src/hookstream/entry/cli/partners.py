"""`hookstream partners`: lists, shows and deletes partners."""

from functools import partial

import click

from hookstream.core.model.instant import to_rfc3339
from hookstream.core.planning.ownership import is_of_files
from hookstream.entry.admin import partners
from hookstream.entry.admin.partners import earlier_grants, live_subscriptions, partner_document
from hookstream.entry.admin.subscriptions import shown_fields
from hookstream.entry.admin.tables import found_partner, read_state
from hookstream.entry.admin.writing import attempt_change
from hookstream.entry.cli import release
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.options import as_json_option, yes_option
from hookstream.entry.cli.terminal import confirm


@click.group()
def command() -> None:
    """List, show, release and delete partners."""


command.add_command(release.partner)


@command.command("list")
@as_json_option
@pass_context
def list_(context: Context, *, as_json: bool) -> None:
    """List partners and what they are granted."""
    state = read_state(context.settings)
    found = sorted(state.current.partners.values(), key=lambda partner: partner.id)
    if as_json:
        click.echo(json_line([partner_document(partner, state) for partner in found]))
        return
    rows = [
        (
            partner.id,
            partner.name,
            "\n".join(partner.grant.environments),
            "\n".join(partner.grant.event_types),
        )
        for partner in found
    ]
    context.out.table(("partner", "name", "environments", "event types"), rows)


@command.command()
@click.argument("partner_id", metavar="PARTNER")
@as_json_option
@pass_context
def show(context: Context, partner_id: str, *, as_json: bool) -> None:
    """Show one PARTNER and its subscriptions."""
    state = read_state(context.settings)
    partner = found_partner(state, partner_id)
    if as_json:
        click.echo(json_line(partner_document(partner, state)))
        return
    rows = {"partner": partner.id, "revision": str(partner.revision)}
    rows |= {path: str(text) for path, text in shown_fields(partner).items()}
    since = partner.grants[-1].since
    if since is not None:
        rows["granted from"] = to_rfc3339(since)
    earlier = earlier_grants(partner)
    if earlier:
        rows["granted earlier"] = "\n".join(earlier)
    rows["subscriptions"] = ", ".join(live_subscriptions(state, partner.id)) or "(none)"
    context.out.fields(rows.items())


@command.command()
@click.argument("partner_id", metavar="PARTNER")
@click.option("--cascade", is_flag=True, help="Delete its subscriptions with it.")
@yes_option
@pass_context
def delete(context: Context, partner_id: str, *, cascade: bool, yes: bool) -> None:
    """Delete PARTNER, which must have no subscriptions unless they go with it."""
    confirm(f"Delete partner {partner_id}?", yes=yes)
    act = partial(partners.delete, partner_id=partner_id, cascade=cascade)
    partner, live = attempt_change(context.settings, act, console=None).result
    context.err.print(f"{', '.join([*live, partner_id])}: deleted")
    if is_of_files(partner.owner):
        context.err.print(
            "A file declares it: remove it there, or the next apply creates it again"
        )
