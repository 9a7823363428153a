"""`hookstream schemas`: checks, publishes, lists, documents and registers event schemas."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from hookstream.core.catalog.publication import Finding, Novelty
from hookstream.core.model.counted import counted
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import BodyFormat, Content
from hookstream.entry.admin.schema_documents import SampleFormat, SchemaDocuments
from hookstream.entry.admin.schemas_shown import ShownSchemas
from hookstream.entry.backend.schema_ports import SchemaDocumentCommands
from hookstream.entry.cli.context import Context, takes_api
from hookstream.entry.cli.escaping import json_document, json_line
from hookstream.entry.cli.options import yes_option
from hookstream.entry.cli.schema_registration import list_types, register
from hookstream.entry.cli.terminal import confirm

C = TypeVar("C", bound=Callable[..., Any])


@click.group()
def command() -> None:
    """Check, publish, list, document and register event schemas."""


command.add_command(register)
command.add_command(list_types)


@command.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--against",
    metavar="FOLDER|REVISION|topic",
    help="Compare with another folder's schemas, with FOLDER at a git revision, or with what is"
    " published in the cluster.",
)
@takes_api
def check(context: Context, folder: Path, against: str | None) -> None:
    """Check the schemas (<event type>/v<N>.avsc) and mappings (mappings/<name>.yaml) in FOLDER.

    Needs no cluster, except with --against topic. With --against, a change is a problem if apply would refuse
    it once those schemas are published.
    """
    files = context.backend.schemas.folder(folder)
    _refuse_problems(context, files.checked(against))
    counts = counted(files.count, "schema")
    if files.mappings:
        counts += f" and {counted(files.mappings, 'mapping')}"
    context.out.print(f"{counts} checked, no problems found.")


@command.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--remove-mapping",
    "remove",
    multiple=True,
    metavar="NAME",
    help="Remove a published mapping that FOLDER does not declare; repeatable.",
)
@yes_option
@takes_api
def apply(context: Context, folder: Path, remove: tuple[str, ...], *, yes: bool) -> None:
    """Publish the schemas and mappings in FOLDER, and hookstream's own schemas, after showing them.

    A published schema cannot be removed: records written with it must stay readable. A mapping may change,
    but not its source of event ids.
    """
    files = context.backend.schemas.folder(folder, remove)
    shown = files.planned()
    _refuse_problems(context, shown)
    _show_plan(context, shown)
    if not shown.count:
        return
    confirm("Publish this?", yes=yes)
    files.publish(shown)
    context.err.print("Published.")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a schema.")
@takes_api
def list_schemas(context: Context, *, as_json: bool) -> None:
    """List every published revision, and every mapping.

    * marks the revision whose shape the version's payloads have.
    """
    found, mappings, faults = context.backend.schemas.listed()
    for fault in faults:
        context.err.text(fault, "red")
    if as_json:
        for each in (*found, *mappings):
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
    if mappings:
        context.out.print()
        context.out.table(
            ("MAPPING", "OF", "TOPICS", "EVENT TYPE"),
            [_mapping_row(each) for each in mappings],
        )


@command.command()
@click.argument("name")
@click.option("--version", type=click.IntRange(1), help="The version. [default: the newest]")
@takes_api
def show(context: Context, name: str, version: int | None) -> None:
    """Print as JSON the published schema of the event type NAME, or the mapping NAME."""
    click.echo(json_document(context.backend.schemas.shown(name, version)))


def _of_one_version(command: C) -> C:
    """Add the options that select a version of an event type, and the source of its schema."""
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
    type=click.Choice([BodyFormat.STANDARD.value, BodyFormat.CLOUDEVENTS.value]),
    default=BodyFormat.STANDARD.value,
    show_default=True,
    help="The format of the bodies.",
)
@click.option(
    "--content",
    type=click.Choice([each.value for each in Content]),
    default=Content.FULL.value,
    show_default=True,
    help="Whether the bodies contain the event's data.",
)
@click.option(
    "--batch", is_flag=True, help="Print that of batches in which every event is of the TYPE."
)
@takes_api
def print_json_schema(
    context: Context,
    event_type: str,
    version: int | None,
    folder: Path | None,
    body_format: str,
    content: str,
    *,
    batch: bool,
) -> None:
    """Print the JSON Schema (2020-12) of the bodies of events of a TYPE."""
    document = _documents(context, folder).json_schema(
        event_type, version, BodyFormat(body_format), Content(content), batch=batch
    )
    click.echo(json_document(document))


@command.command("sample")
@_of_one_version
@click.option(
    "--format",
    "sample_format",
    type=click.Choice([each.value for each in SampleFormat]),
    default=SampleFormat.STANDARD.value,
    show_default=True,
    help="The format of the body; input: the line that `events send` takes.",
)
@takes_api
def print_sample(
    context: Context, event_type: str, version: int | None, folder: Path | None, sample_format: str
) -> None:
    """Print the body of a realistic event of a TYPE, the same one each time."""
    body = _documents(context, folder).sample(event_type, version, sample_format)
    printed = json_line if sample_format == SampleFormat.INPUT else json_document
    click.echo(printed(body))


def _mapping_row(mapping: JsonObject) -> tuple[str, ...]:
    record, topics = mapping["record"], cast("list[str]", mapping["topics"])
    chosen_by = f"record {record}" if record else f"subject {mapping['subject']}"
    return str(mapping["mapping"]), chosen_by, ", ".join(topics), str(mapping["event_type"])


def _documents(context: Context, folder: Path | None) -> SchemaDocumentCommands:
    if folder is None:
        return context.backend.schemas
    return SchemaDocuments.of_files(folder)


def _show_plan(context: Context, plan: ShownSchemas) -> None:
    for each in plan.publications:
        line = f"{each.event_type} v{each.version}"
        match each.novelty:
            case Novelty.EVENT_TYPE | Novelty.VERSION:
                context.out.text(f"+ {line} (new {each.novelty})", "green")
            case _:
                context.out.text(f"~ {line} revision {each.revision} ({each.novelty})", "yellow")
    for mapping in plan.mappings:
        if mapping.is_new:
            context.out.text(f"+ mapping {mapping.name}", "green")
        else:
            context.out.text(f"~ mapping {mapping.name} revision {mapping.revision}", "yellow")
        for text in mapping.lines:
            context.out.text(f"    {text}")
    for name in plan.removed:
        context.out.text(f"- mapping {name}", "red")
    if plan.count:
        context.out.text(f"{plan.count} to publish, {plan.unchanged} unchanged.", "bold")
    else:
        context.out.print("Nothing to publish.")


def _refuse_problems(context: Context, plan: ShownSchemas) -> None:
    """Print notes and problems; if there are problems, exit with the code for refused input."""
    for note in plan.notes:
        context.err.text(f"note: {_line(note)}", "yellow")
    context.err.refuse([_line(problem) for problem in plan.problems], "published")


def _line(finding: Finding) -> str:
    return f"{finding.where}: {finding.what}"
