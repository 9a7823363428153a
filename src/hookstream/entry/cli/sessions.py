"""`hookstream sessions`: lists and ends sessions of the console's pages."""

import click

from hookstream.core.model.instant import to_rfc3339, to_the_second
from hookstream.entry.admin.sessions import session_document
from hookstream.entry.cli.context import Context, takes_api
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.options import as_json_option


@click.group()
def command() -> None:
    """List and end sessions of the console's pages."""


@command.command("list")
@click.option("--partner", "partner_id", metavar="PARTNER", help="Only those of this partner.")
@as_json_option
@takes_api
def list_(context: Context, partner_id: str | None, *, as_json: bool) -> None:
    """List sessions, also those that ended or expired in the last day."""
    found, unreadable = context.backend.sessions.listed(partner_id)
    context.err.unreadable(unreadable)
    if as_json:
        click.echo(json_line([session_document(*each) for each in found]))
        return
    rows = [
        (
            session.id,
            session.scope.value,
            session.partner_id or "",
            session.token_id or session.link_id or "",
            state,
            to_the_second(session.began),
            to_the_second(session.expires),
        )
        for session, state in found
    ]
    columns = ("session", "scope", "partner", "begun by", "state", "began", "expires")
    context.out.table(columns, rows)


@command.command()
@click.argument("session_id", metavar="SESSION", required=False)
@click.option(
    "--partner",
    "partner_id",
    metavar="PARTNER",
    help="End all sessions of this partner, and revoke its unused portal links.",
)
@takes_api
def revoke(context: Context, session_id: str | None, partner_id: str | None) -> None:
    """End SESSION, or all sessions of a partner: consoles refuse them within two seconds."""
    if (session_id is None) == (partner_id is None):
        raise click.UsageError("give a SESSION id, or --partner to end all sessions of a partner")
    if partner_id is not None:
        ended = context.backend.sessions.end_of_partner(partner_id)
        names = [*ended.sessions, *ended.links]
        context.err.print(
            f"{', '.join(names)}: ended" if names else f"{partner_id} has no open session or link"
        )
        return
    session, changed = context.backend.sessions.end(session_id or "")
    if changed:
        context.err.print(f"{session.id} is ended")
        return
    since = to_rfc3339(session.expires if session.ended is None else session.ended)
    context.err.print(f"{session.id} was already over at {since}")
