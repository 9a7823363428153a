"""`hookstream partners`: creates, lists, shows, releases and deletes partners, and makes portal links."""

from pathlib import Path

import click

from hookstream.core.model.instant import to_rfc3339
from hookstream.core.planning.ownership import is_of_files
from hookstream.entry.admin.definition_file import read_definition
from hookstream.entry.admin.partners import earlier_grants, partner_document
from hookstream.entry.admin.subscriptions import shown_fields
from hookstream.entry.cli import portal_links, release
from hookstream.entry.cli.context import Context, takes_api
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.options import as_json_option, definition_argument, yes_option
from hookstream.entry.cli.terminal import confirm


@click.group()
def command() -> None:
    """Create, list, show, release and delete partners; make portal links."""


command.add_command(release.partner)
command.add_command(portal_links.make)
command.add_command(portal_links.list_)
command.add_command(portal_links.revoke)


@command.command("list")
@as_json_option
@takes_api
def list_(context: Context, *, as_json: bool) -> None:
    """List partners with their grants."""
    found = context.backend.partners.listed()
    if as_json:
        click.echo(json_line([partner_document(*each) for each in found]))
        return
    rows = [
        (
            partner.id,
            partner.name,
            "\n".join(partner.grant.environments),
            "\n".join(partner.grant.event_types),
        )
        for partner, _ in found
    ]
    context.out.table(("partner", "name", "environments", "event types"), rows)


@command.command()
@click.argument("partner_id", metavar="PARTNER")
@as_json_option
@takes_api
def show(context: Context, partner_id: str, *, as_json: bool) -> None:
    """Show one PARTNER and its subscriptions."""
    partner, subscriptions = context.backend.partners.found(partner_id)
    if as_json:
        click.echo(json_line(partner_document(partner, subscriptions)))
        return
    rows = {"partner": partner.id, "revision": str(partner.revision)}
    rows |= {path: str(text) for path, text in shown_fields(partner).items()}
    since = partner.grants[-1].since
    if since is not None:
        rows["granted from"] = to_rfc3339(since)
    earlier = earlier_grants(partner)
    if earlier:
        rows["granted earlier"] = "\n".join(earlier)
    rows["subscriptions"] = ", ".join(subscriptions) or "(none)"
    context.out.fields(rows.items())


@command.command()
@definition_argument
@takes_api
def create(context: Context, file: Path) -> None:
    """Create the partner in FILE, YAML or JSON in the API's form; the API owns it."""
    partner, notes = context.backend.partners.create(read_definition(file))
    context.err.print(f"{partner.id} is created")
    for note in notes:
        context.err.text(f"note: {note}", "yellow")


@command.command()
@click.argument("partner_id", metavar="PARTNER")
@click.option("--cascade", is_flag=True, help="Delete its subscriptions as well.")
@yes_option
@takes_api
def delete(context: Context, partner_id: str, *, cascade: bool, yes: bool) -> None:
    """Delete PARTNER, which must have no subscriptions unless they are deleted with it."""
    confirm(f"Delete partner {partner_id}?", yes=yes)
    owner, live = context.backend.partners.delete(partner_id, cascade=cascade)
    context.err.print(f"{', '.join([*live, partner_id])}: deleted")
    if is_of_files(owner):
        context.err.print(
            "A definition file declares it: remove it there, or the next apply creates it again"
        )
