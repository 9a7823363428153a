"""`hookstream schemas register` and `schemas types`: registers schemas, and lists types with their sources."""

import asyncio

import click

from hookstream.entry.admin.schema_registration import DEFAULT_SUBJECT, SchemaRegistration
from hookstream.entry.cli.context import Context, takes_api
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.options import yes_option
from hookstream.entry.cli.terminal import confirm


@click.command()
@click.argument("event_types", metavar="[TYPE]...", nargs=-1)
@click.option("--registry", required=True, help="The registry's name in the settings.")
@click.option(
    "--subject",
    default=DEFAULT_SUBJECT,
    show_default=True,
    help="The subject, with {name} (of the record), {type} and {version}.",
)
@yes_option
@takes_api
def register(
    context: Context, event_types: tuple[str, ...], registry: str, subject: str, *, yes: bool
) -> None:
    """Register published schemas with a registry, after showing what is added.

    The highest revision of each version is registered, if the registry's own compatibility rule for its
    subject allows it. Without a TYPE, all but hookstream's own. This machine connects to the registry.
    """
    registration = SchemaRegistration(context.settings, registry, subject)
    book = context.backend.schemas.book()
    planned = asyncio.run(registration.planned(book, event_types))
    for each in planned:
        line = f"{each.event_type} v{each.version}: {each.subject}"
        if each.id is not None:
            context.out.text(f"= {line} has it as {each.id}")
        elif each.problem is None:
            context.out.text(f"+ {line}", "green")
    problems = [
        f"{each.event_type} v{each.version}: {each.problem}"
        for each in planned
        if each.problem is not None
    ]
    context.err.refuse(problems, "registered")
    new = [each for each in planned if each.id is None]
    if not new:
        context.out.print("Nothing to register.")
        return
    confirm(f"Register {len(new)} with {registry}?", yes=yes)
    for each in asyncio.run(registration.register(new)):
        context.out.text(f"{each.event_type} v{each.version}: {each.subject} has it as {each.id}")


@click.command("types")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a version.")
@takes_api
def list_types(context: Context, *, as_json: bool) -> None:
    """List event types with their versions, and the source of each.

    Registry schemas that belong to no event type are listed below, with the reason.
    """
    found = context.backend.schemas.types()
    if as_json:
        for each in found:
            click.echo(json_line(each))
        return
    rows = []
    for each in found:
        ids = each["registered"]
        registered = ", ".join(
            f"{name['registry']} {name['id']}"
            for name in (ids if isinstance(ids, list) else ())
            if isinstance(name, dict)
        )
        version = each["version"]
        rows.append(
            (
                str(each["event_type"] or each.get("record") or "?"),
                "" if version is None else f"v{version}",
                str(each.get("revisions", "")),
                str(each.get("why") or each["from"]),
                registered,
            )
        )
    context.out.table(("EVENT TYPE", "VERSION", "REVISIONS", "FROM", "REGISTERED AS"), rows)
