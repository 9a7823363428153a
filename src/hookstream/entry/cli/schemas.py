"""`hookstream schemas`: checks event schemas, publishes, lists and documents them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from hookstream.core.catalog.publication import Finding, Novelty, PublicationPlan
from hookstream.entry.admin.schema_documents import SampleFormat, SchemaDocuments
from hookstream.entry.admin.schemas import SchemaPublisher, revisions
from hookstream.entry.admin.tables import read_state
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.options import yes_option
from hookstream.entry.cli.schema_registration import list_types, register
from hookstream.entry.cli.terminal import confirm, json_document, json_line

C = TypeVar("C", bound=Callable[..., Any])


@click.group()
def command() -> None:
    """Check, publish, list and document event schemas."""


command.add_command(register)
command.add_command(list_types)


@command.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@pass_context
def check(context: Context, folder: Path) -> None:
    """Check the schemas in FOLDER (<event type>/v<N>.avsc) without a cluster."""
    publisher = SchemaPublisher(folder)
    _refuse_problems(context, publisher.checked())
    count = publisher.count
    context.out.print(f"{count} schema{'' if count == 1 else 's'} checked, no problems found.")


@command.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@yes_option
@pass_context
def apply(context: Context, folder: Path, *, yes: bool) -> None:
    """Publish the schemas in FOLDER and hookstream's own, after showing what that adds.

    What was published stays: records written with it must stay readable.
    """
    publisher = SchemaPublisher(folder)
    shown = publisher.planned(read_state(context.settings))
    _refuse_problems(context, shown)
    _show_plan(context, shown)
    if not shown.publications:
        return
    confirm("Publish this?", yes=yes)
    publisher.publish(context.settings, shown)
    context.err.print("Published.")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a schema.")
@pass_context
def list_schemas(context: Context, *, as_json: bool) -> None:
    """List every published revision; * marks the one whose shape payloads of the version have."""
    state = read_state(context.settings)
    for fault in state.schema_faults:
        context.err.text(fault, "red")
    found = list(revisions(state, context.settings.topics_names.schemas))
    if as_json:
        for each in found:
            click.echo(json_line(each))
        return
    rows = [
        (
            str(each["event_type"]),
            f"v{each['version']}",
            f"{each['revision']}{' *' if each['reader'] else ''}",
            str(each["fingerprint"]),
            str(each["published_at"])[:16].replace("T", " "),
        )
        for each in found
    ]
    context.out.table(("EVENT TYPE", "VERSION", "REVISION", "FINGERPRINT", "PUBLISHED"), rows)


def _of_one_version(command: C) -> C:
    """Add what names a version of an event type, and where its schema is."""
    for option in (
        click.option(
            "--schemas",
            "folder",
            type=click.Path(path_type=Path, file_okay=False),
            help="Take the schemas from this folder, without a cluster.",
        ),
        click.option(
            "--version", type=click.IntRange(1), help="The version. [default: the newest]"
        ),
        click.argument("event_type", metavar="TYPE"),
    ):
        command = option(command)
    return command


@command.command("jsonschema")
@_of_one_version
@click.option(
    "--format",
    "body_format",
    type=click.Choice([SampleFormat.STANDARD.value, SampleFormat.CLOUDEVENTS.value]),
    default=SampleFormat.STANDARD.value,
    show_default=True,
    help="The format of the bodies.",
)
@pass_context
def print_json_schema(
    context: Context, event_type: str, version: int | None, folder: Path | None, body_format: str
) -> None:
    """Print the JSON Schema (2020-12) of the bodies of events of a TYPE."""
    documents = _documents(context, folder)
    click.echo(json_document(documents.json_schema(event_type, version, body_format)))


@command.command("sample")
@_of_one_version
@click.option(
    "--format",
    "sample_format",
    type=click.Choice([each.value for each in SampleFormat]),
    default=SampleFormat.STANDARD.value,
    show_default=True,
    help="The format of the body; input: as `events send` takes it, on one line.",
)
@pass_context
def print_sample(
    context: Context, event_type: str, version: int | None, folder: Path | None, sample_format: str
) -> None:
    """Print the body of a realistic event of a TYPE, the same one each time."""
    body = _documents(context, folder).sample(event_type, version, sample_format)
    printed = json_line if sample_format == SampleFormat.INPUT else json_document
    click.echo(printed(body))


def _documents(context: Context, folder: Path | None) -> SchemaDocuments:
    if folder is None:
        return SchemaDocuments.of_published(context.settings)
    return SchemaDocuments.of_files(folder)


def _show_plan(context: Context, plan: PublicationPlan) -> None:
    for each in plan.publications:
        schema = each.schema
        line = f"{schema.event_type} v{schema.version}"
        match each.novelty:
            case Novelty.EVENT_TYPE | Novelty.VERSION:
                context.out.text(f"+ {line} (new {each.novelty})", "green")
            case Novelty.REVISION | Novelty.DOCUMENTATION:
                context.out.text(f"~ {line} revision {each.number} ({each.novelty})", "yellow")
    if plan.publications:
        count = f"{len(plan.publications)} to publish, {plan.unchanged} unchanged."
        context.out.text(count, "bold")
    else:
        context.out.print("Nothing to publish.")


def _refuse_problems(context: Context, plan: PublicationPlan) -> None:
    """Print notes and problems; end with the code for refused input where there are problems."""
    for note in plan.notes:
        context.err.text(f"note: {_line(note)}", "yellow")
    context.err.refuse([_line(problem) for problem in plan.problems], "published")


def _line(finding: Finding) -> str:
    return f"{finding.where}: {finding.what}"
