"""`hookstream schemas`: event schemas are checked as files, published for ever, and listed."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from hookstream.adapters.avro.files import own_declared, read_schema_files
from hookstream.adapters.avro.published import schema_row
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.kafka.tables import TableChange
from hookstream.adapters.tables import SealedSecrets
from hookstream.core.catalog.publication import (
    DeclaredSchema,
    Finding,
    Novelty,
    Publication,
    PublicationPlan,
    StandingSchema,
    plan_publication,
)
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import (
    Subscription,
    SubscriptionState,
    UnreadableSubscription,
    covers,
)
from hookstream.entry.admin.tables import State, read_state, writing
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.terminal import json_line
from hookstream.errors import Conflict

REFUSED = 2


@click.group()
def command() -> None:
    """Check, publish and list event schemas."""


@command.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@pass_context
def check(context: Context, folder: Path) -> None:
    """Check the schemas in FOLDER (<event type>/v<N>.avsc) without a cluster."""
    files = read_schema_files(folder)
    plan = plan_publication([*files.schemas, *own_declared()], [], lambda _type, _version: False)
    _show_notes(context, (*files.notes, *plan.notes))
    _refuse_problems(context, (*files.problems, *plan.problems))
    count = len(files.schemas)
    context.out.print(f"{count} schema{'' if count == 1 else 's'} checked, nothing is wrong.")


@command.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_context
def apply(context: Context, folder: Path, *, yes: bool) -> None:
    """Publish the schemas in FOLDER and hookstream's own, after showing what that adds.

    What was published stays: records written with it must stay readable.
    """
    files = read_schema_files(folder)
    declared = [*files.schemas, *own_declared()]
    shown = _planned(declared, read_state(context.settings, SealedSecrets()))
    _show_notes(context, (*files.notes, *shown.notes))
    _refuse_problems(context, (*files.problems, *shown.problems))
    _show_plan(context, shown)
    if not shown.publications:
        return
    if not yes:
        click.confirm("Publish this?", abort=True, err=True)
    with writing(context.settings, SealedSecrets()) as desk:
        made = _planned(declared, desk.state())
        if made.publications != shown.publications or made.problems:
            raise Conflict("the published schemas changed meanwhile: run it again")
        desk.write([_row(context, each) for each in made.publications])
    context.err.print("Published.")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a schema.")
@pass_context
def list_schemas(context: Context, *, as_json: bool) -> None:
    """List every published revision; * marks what payloads of a version look like."""
    names = context.settings.topics_names
    state = read_state(context.settings, SealedSecrets())
    for fault in state.schema_faults:
        context.err.print(Text(fault, "red"), soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for column in ("EVENT TYPE", "VERSION", "REVISION", "FINGERPRINT", "PUBLISHED"):
        table.add_column(column, no_wrap=True)
    for schema in state.book:
        revision = schema.revision
        key = f"{revision.event_type}/{revision.event_version}/{revision.fingerprint}"
        published_at = to_rfc3339(state.rows[names.schemas][key].timestamp)
        is_reader = _is_reader(
            state.book, revision.event_type, revision.event_version, schema.number
        )
        if as_json:
            row: JsonObject = {
                "event_type": revision.event_type,
                "version": revision.event_version,
                "revision": schema.number,
                "fingerprint": revision.fingerprint,
                "published_at": published_at,
                "reader": is_reader,
            }
            click.echo(json_line(row))
        table.add_row(
            revision.event_type,
            f"v{revision.event_version}",
            f"{schema.number}{' *' if is_reader else ''}",
            revision.fingerprint,
            published_at[:16].replace("T", " "),
        )
    if not as_json:
        context.out.print(table)


def _planned(declared: Sequence[DeclaredSchema], state: State) -> PublicationPlan:
    standing = [
        StandingSchema(
            each.revision.event_type,
            each.revision.event_version,
            each.revision.fingerprint,
            each.number,
            each.tree,
        )
        for each in state.book
    ]
    return plan_publication(declared, standing, _pins(state.current.subscriptions))


def _pins(
    subscriptions: Mapping[str, Subscription | UnreadableSubscription],
) -> Callable[[str, int], bool]:
    """Return what tells whether a live subscription receives a version of a type."""

    def pinned(event_type: str, version: int) -> bool:
        return any(_receives(each, event_type, version) for each in subscriptions.values())

    return pinned


def _receives(
    subscription: Subscription | UnreadableSubscription, event_type: str, version: int
) -> bool:
    if not covers(subscription.event_types, event_type):
        return False
    match subscription:
        case Subscription():
            deleted = subscription.state is SubscriptionState.DELETED
            return not deleted and subscription.pin(event_type) == version
        case UnreadableSubscription():
            # Its pins cannot be read: any version may be meant.
            return True


def _row(context: Context, publication: Publication) -> TableChange:
    key, value = schema_row(publication.schema.tree, publication.number)
    return TableChange(context.settings.topics_names.schemas, key, value)


def _is_reader(book: SchemaBook, event_type: str, version: int, number: int) -> bool:
    reader = book.reader(event_type, version)
    return reader is not None and reader.number == number


def _show_plan(context: Context, plan: PublicationPlan) -> None:
    for each in plan.publications:
        schema = each.schema
        line = f"{schema.event_type} v{schema.version}"
        match each.novelty:
            case Novelty.EVENT_TYPE | Novelty.VERSION:
                context.out.print(Text(f"+ {line} (new {each.novelty})", "green"))
            case Novelty.REVISION | Novelty.DOCUMENTATION:
                context.out.print(
                    Text(f"~ {line} revision {each.number} ({each.novelty})", "yellow")
                )
    if plan.publications:
        count = f"{len(plan.publications)} to publish, {plan.unchanged} unchanged."
        context.out.print(Text(count, "bold"))
    else:
        context.out.print("Nothing to publish.")


def _show_notes(context: Context, notes: Sequence[Finding]) -> None:
    for note in notes:
        context.err.print(Text(f"note: {note.where}: {note.what}", "yellow"), soft_wrap=True)


def _refuse_problems(context: Context, problems: Sequence[Finding]) -> None:
    """Print problems and end with the code for refused input, where there are any."""
    for problem in problems:
        context.err.print(Text(f"{problem.where}: {problem.what}", "red"), soft_wrap=True)
    if problems:
        count = len(problems)
        context.err.print(f"{count} problem{'' if count == 1 else 's'}; nothing was published")
        raise click.exceptions.Exit(REFUSED)
