"""`hookstream partners portal-link`, `portal-links` and `revoke-link`: links that open a partner's pages once."""

import click

from hookstream.adapters.system import SystemClock
from hookstream.core.access.scopes import Scope
from hookstream.core.model.instant import Millis, parse_duration, to_rfc3339, to_the_second
from hookstream.entry.admin.sessions import WantedLink, link_document, link_state
from hookstream.entry.cli.context import Context, takes_api
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.options import as_json_option


def _life(text: str) -> Millis:
    try:
        return parse_duration(text)
    except ValueError as why:
        raise click.BadParameter(str(why)) from None


@click.command("portal-link")
@click.argument("partner_id", metavar="PARTNER")
@click.option(
    "--manage", is_flag=True, help="Allow its session to change things, not only to read them."
)
@click.option(
    "--expires",
    "life",
    type=_life,
    metavar="DURATION",
    help="Lifetime: 1m to 24h (default: 15m).",
)
@as_json_option
@takes_api
def make(
    context: Context, partner_id: str, life: Millis | None, *, manage: bool, as_json: bool
) -> None:
    """Make a link that opens the pages of PARTNER once, and print it. It is shown only once."""
    scope = Scope.PARTNER_MANAGE if manage else Scope.PARTNER_READ
    link, url = context.backend.sessions.make_link(WantedLink(partner_id, scope, life))
    if as_json:
        click.echo(json_line({**link_document(link, link.created), "url": url}))
        return
    click.echo(url)
    context.err.print(
        f"{link.id} ({link.scope}) may be used once, until {to_rfc3339(link.expires)}. It is not"
        " shown again"
    )
    if url.startswith("/"):
        context.err.text(
            "note: console.url is not set: put the console's address before it", "yellow"
        )


@click.command("portal-links")
@click.argument("partner_id", metavar="PARTNER")
@as_json_option
@takes_api
def list_(context: Context, partner_id: str, *, as_json: bool) -> None:
    """List the portal links of PARTNER, also those that expired in the last day."""
    links, unreadable = context.backend.sessions.links(partner_id)
    context.err.unreadable(unreadable)
    now = SystemClock().now()
    if as_json:
        click.echo(json_line([link_document(link, now) for link in links]))
        return
    rows = [
        (
            link.id,
            link.scope.value,
            link_state(link, now),
            to_the_second(link.expires),
            link.session_id or "",
        )
        for link in links
    ]
    context.out.table(("link", "scope", "state", "expires", "session"), rows)


@click.command("revoke-link")
@click.argument("partner_id", metavar="PARTNER")
@click.argument("link_id", metavar="LINK")
@takes_api
def revoke(context: Context, partner_id: str, link_id: str) -> None:
    """Revoke LINK of PARTNER, and end the session that it began."""
    after, changed = context.backend.sessions.revoke_link(partner_id, link_id)
    if not changed:
        since = to_rfc3339(after.revoked or 0)
        context.err.print(f"{after.id} was already revoked at {since}")
        return
    ended = "" if after.session_id is None else f", and {after.session_id} is ended"
    context.err.print(f"{after.id} is revoked{ended}")
