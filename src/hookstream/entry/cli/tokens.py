"""`hookstream tokens`: creates, lists and revokes tokens for the API."""

import click

from hookstream.adapters.system import SystemClock
from hookstream.core.access.scopes import Scope
from hookstream.core.model.instant import Millis, parse_duration, to_rfc3339, to_the_second
from hookstream.entry.admin.tokens import (
    WantedToken,
    day_text,
    new_token_document,
    token_document,
    token_state,
)
from hookstream.entry.cli.context import Context, takes_api
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.options import as_json_option

_SCOPES = [each.value for each in Scope]


def _life(text: str) -> Millis:
    try:
        return parse_duration(text)
    except ValueError as why:
        raise click.BadParameter(str(why)) from None


@click.group()
def command() -> None:
    """Create, list and revoke tokens for the API."""


@command.command()
@click.option(
    "--admin", is_flag=True, help="An administrator's token, which may also manage tokens."
)
@click.option("--scope", type=click.Choice(_SCOPES), help="The scope of the token.")
@click.option(
    "--partner", "partner_id", metavar="PARTNER", help="The partner of a partner's token."
)
@click.option(
    "--expires",
    "life",
    type=_life,
    metavar="DURATION",
    help="Lifetime: 1m to 366d (default: 30d for admin, else 90d).",
)
@click.option("--label", default="", help="The purpose: one line of at most 100 characters.")
@as_json_option
@takes_api
def create(
    context: Context,
    scope: str | None,
    partner_id: str | None,
    life: Millis | None,
    label: str,
    *,
    admin: bool,
    as_json: bool,
) -> None:
    """Create a token and print it. It is shown only once; only its hash is stored."""
    if admin == (scope is not None):
        raise click.UsageError("give --admin or --scope")
    asked = WantedToken(Scope(scope or Scope.ADMIN), partner_id, life, label)
    made = context.backend.tokens.create(asked)
    if as_json:
        click.echo(json_line(new_token_document(made, made.token.created)))
        return
    click.echo(made.text)
    context.err.print(
        f"{made.token.id} ({made.token.scope}) is valid until {to_rfc3339(made.token.expires)}."
        " It is not shown again"
    )


@command.command("list")
@click.option("--partner", "partner_id", metavar="PARTNER", help="Only those of this partner.")
@as_json_option
@takes_api
def list_(context: Context, partner_id: str | None, *, as_json: bool) -> None:
    """List tokens, also those that expired or were revoked in the last month, without their texts."""
    tokens, unreadable = context.backend.tokens.listed(partner_id)
    context.err.unreadable(unreadable)
    now = SystemClock().now()
    if as_json:
        click.echo(json_line([token_document(token, now) for token in tokens]))
        return
    rows = [
        (
            token.id,
            token.scope.value,
            token.partner_id or "",
            token_state(token, now),
            to_the_second(token.expires),
            day_text(token) or "never",
            token.label,
        )
        for token in tokens
    ]
    columns = ("token", "scope", "partner", "state", "expires", "last used", "label")
    context.out.table(columns, rows)


@command.command()
@click.argument("token", metavar="TOKEN")
@takes_api
def revoke(context: Context, token: str) -> None:
    """Revoke TOKEN, an id or a token's own text: consoles refuse it within two seconds."""
    after, changed = context.backend.tokens.revoke(token)
    since = to_rfc3339(after.revoked or 0)
    if not changed:
        context.err.print(f"{after.id} was already revoked at {since}")
        return
    context.err.print(f"{after.id} is revoked")
