"""`hookstream schemas`: checks event schemas as files, publishes and lists them."""

from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from hookstream.core.catalog.publication import Finding, Novelty, PublicationPlan
from hookstream.entry.admin.schemas import SchemaPublisher, revisions
from hookstream.entry.admin.tables import read_state
from hookstream.entry.cli.context import Context, pass_context
from hookstream.entry.cli.terminal import json_line

REFUSED = 2


@click.group()
def command() -> None:
    """Check, publish and list event schemas."""


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
@click.option("--yes", is_flag=True, help="Do not ask.")
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
    if not yes:
        click.confirm("Publish this?", abort=True, err=True)
    publisher.publish(context.settings, shown)
    context.err.print("Published.")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a schema.")
@pass_context
def list_schemas(context: Context, *, as_json: bool) -> None:
    """List every published revision; * marks the one whose shape payloads of the version have."""
    state = read_state(context.settings)
    for fault in state.schema_faults:
        context.err.print(Text(fault, "red"), soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for column in ("EVENT TYPE", "VERSION", "REVISION", "FINGERPRINT", "PUBLISHED"):
        table.add_column(column, no_wrap=True)
    for each in revisions(state, context.settings.topics_names.schemas):
        if as_json:
            click.echo(json_line(each))
        table.add_row(
            str(each["event_type"]),
            f"v{each['version']}",
            f"{each['revision']}{' *' if each['reader'] else ''}",
            str(each["fingerprint"]),
            str(each["published_at"])[:16].replace("T", " "),
        )
    if not as_json:
        context.out.print(table)


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


def _refuse_problems(context: Context, plan: PublicationPlan) -> None:
    """Print notes and problems; end with the code for refused input where there are problems."""
    for note in plan.notes:
        context.err.print(Text(f"note: {_line(note)}", "yellow"), soft_wrap=True)
    for problem in plan.problems:
        context.err.print(Text(_line(problem), "red"), soft_wrap=True)
    if plan.problems:
        count = len(plan.problems)
        context.err.print(f"{count} problem{'' if count == 1 else 's'}; nothing was published")
        raise click.exceptions.Exit(REFUSED)


def _line(finding: Finding) -> str:
    return f"{finding.where}: {finding.what}"
