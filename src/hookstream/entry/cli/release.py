"""`hookstream subscriptions release` and `partners release`: hand a row over to the API, or back to files."""

import click

from hookstream.core.planning.ownership import folder_of, is_of_files
from hookstream.entry.admin.ownership import ReleasedTo
from hookstream.entry.cli.context import Context, takes_api

_to = click.option(
    "--to",
    type=click.Choice([each.value for each in ReleasedTo]),
    default=ReleasedTo.API.value,
    show_default=True,
    help="The owner from then on: the API, or definition files.",
)
_revision = click.option(
    "--if-revision", type=int, metavar="N", help="Refuse unless it is at revision N."
)


@click.command("release")
@click.argument("subscription_id", metavar="SUBSCRIPTION")
@_to
@_revision
@takes_api
def subscription(context: Context, subscription_id: str, to: str, if_revision: int | None) -> None:
    """Hand SUBSCRIPTION over to the API, or back to definition files. Nothing else changes."""
    before = context.backend.subscriptions.release(subscription_id, if_revision, ReleasedTo(to))
    _report(context, subscription_id, ReleasedTo(to), before)


@click.command("release")
@click.argument("partner_id", metavar="PARTNER")
@_to
@_revision
@takes_api
def partner(context: Context, partner_id: str, to: str, if_revision: int | None) -> None:
    """Hand PARTNER, without its subscriptions, over to the API, or back to definition files."""
    before = context.backend.partners.release(partner_id, if_revision, ReleasedTo(to))
    _report(context, partner_id, ReleasedTo(to), before)


def _report(context: Context, name: str, to: ReleasedTo, before: str | None) -> None:
    """Print the new owner, and what to do with the file."""
    if before is None:
        context.err.print(f"{name} already belongs to {_OWNER[to]}")
        return
    context.err.print(f"{name} now belongs to {_OWNER[to]}")
    if to is ReleasedTo.FILES:
        context.err.print(
            "The next apply of a folder that declares it makes that folder its owner"
        )
    elif is_of_files(before):
        folder = folder_of(before)
        where = "its file" if folder is None else f"its file in the folder {folder}"
        context.err.print(f"Remove {where}: the next apply refuses the folder until then")


_OWNER = {ReleasedTo.API: "the API", ReleasedTo.FILES: "definition files"}
