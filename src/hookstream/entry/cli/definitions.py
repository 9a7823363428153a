"""`hookstream check`, `plan` and `apply`: check definition files, and change the tables to what they declare."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from rich.text import Text

from hookstream.core.jobs.job import Job
from hookstream.core.model.counted import counted
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.planning.fields import Difference
from hookstream.core.planning.plan import PlanOptions
from hookstream.entry.admin.definition_check import DefinitionCheck, checked
from hookstream.entry.admin.plan_view import ShownChange, ShownPlan
from hookstream.entry.admin.signing_secrets import secret_document
from hookstream.entry.backend.definition_ports import AppliedPlan
from hookstream.entry.cli.context import Context, pass_context, takes_api
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.gap_filling import worked_on
from hookstream.entry.cli.job_view import how_to_go_on, require_finished
from hookstream.entry.cli.options import as_one, yes_option
from hookstream.entry.cli.secrets_shown import show_secrets
from hookstream.entry.cli.terminal import HAS_CHANGES, Terminal, confirm

_SIGNED_BY = "endpoint.signing_secrets."

_folder = click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
plan_options = as_one(
    "options",
    PlanOptions,
    click.option(
        "--prune", is_flag=True, help="Delete what the folder owns but no longer declares."
    ),
    click.option("--cascade", is_flag=True, help="Delete a partner's subscriptions with it."),
    click.option(
        "--owner",
        metavar="NAME",
        help="The folder's name, under which it owns its definitions, if no hookstream.yaml gives one.",
    ),
    click.option(
        "--take-over",
        multiple=True,
        metavar="NAME",
        help="Take over from the folder NAME the definitions that this folder declares; repeatable.",
    ),
    click.option(
        "--confirm-delete",
        type=click.IntRange(0),
        metavar="N",
        help="Confirm the deletion of N rows, if that is more than tables.prune_share of what the folder owns.",
    ),
)
"""They arrive as `options`."""


@click.command()
@_folder
@plan_options
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@takes_api
def plan(context: Context, folder: Path, options: PlanOptions, *, as_json: bool) -> None:
    """Show what applying FOLDER would change. Exit code 3: there are changes."""
    found = context.backend.definitions.folder(folder, context.environ, options, needs_keys=False)
    context.err.refuse(found.problems, "changed")
    made = found.plan()
    if as_json:
        click.echo(json_line(plan_document(made)))
    elif not made.problems:
        show_plan(context.out, made)
    context.err.refuse(made.problems, "changed")
    raise click.exceptions.Exit(HAS_CHANGES if made.writes else 0)


@click.command()
@_folder
@click.option(
    "--schemas",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of the event schemas against which patterns, templates and versions are checked.",
)
@click.option("--json", "as_json", is_flag=True, help="Print problems and notes as JSON.")
@pass_context
def check(context: Context, folder: Path, schemas: Path, *, as_json: bool) -> None:
    """Check the partners and subscriptions in FOLDER without a cluster and without a key ring.

    The check is that of plan, for a cluster that has these schemas and no partners yet. No secret is read.
    """
    found = checked(context.settings, folder, schemas)
    if as_json:
        click.echo(json_line(_check_document(found)))
    else:
        context.err.lines(Text(f"note: {note}", "yellow") for note in found.notes)
    context.err.refuse(found.problems, "changed")
    if not as_json:
        context.out.print(
            f"{counted(found.partners, 'partner')} and"
            f" {counted(found.subscriptions, 'subscription')} checked, no problems found."
        )


def _check_document(found: DefinitionCheck) -> JsonObject:
    problems: list[Json] = [
        {"where": each.where, "subject": each.subject, "path": each.path, "why": each.why}
        for each in found.problems
    ]
    return {
        "problems": problems,
        "notes": list(found.notes),
        "partners": found.partners,
        "subscriptions": found.subscriptions,
    }


@click.command()
@_folder
@yes_option
@click.option("--no-wait", is_flag=True, help="Return before everything is active.")
@plan_options
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@takes_api
def apply(
    context: Context,
    folder: Path,
    options: PlanOptions,
    *,
    yes: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Change the tables to what FOLDER declares.

    Generated signing secrets are shown only once. Prints when the change takes effect and returns at that
    time: events published from then on are delivered, including those of a new or wider grant. A subscription
    with start_from gets its past by a replay job, which the command runs to its end.
    """
    found = context.backend.definitions.folder(folder, context.environ, options, needs_keys=True)
    context.err.refuse(found.problems, "changed")
    shown = found.plan()
    context.err.refuse(shown.problems, "changed")
    show_plan(context.err if as_json else context.out, shown)
    if not shown.writes:
        nothing = AppliedPlan(lambda: shown, (), (), None, lambda: None, None)
        _report(context, nothing, as_json=as_json)
        return
    confirm("Apply this?", yes=yes)
    applied = found.apply(shown)
    # Print secrets first: interrupting the wait must not lose them.
    _report(context, applied, as_json=as_json)
    context.err.warn(applied.warning)
    if applied.takes_effect is not None:
        context.err.print(f"It takes effect at {to_rfc3339(applied.takes_effect)}")
        if not no_wait:
            applied.wait()
            context.err.print("Everything is active.")
    _replay(context, applied.jobs, wait=not no_wait, as_json=as_json)


def _replay(context: Context, jobs: Sequence[Job], *, wait: bool, as_json: bool) -> None:
    """Work on the replays of subscriptions that start in the past, one after the other."""
    for job in jobs:
        subscription_id = job.asked.get("subscription")
        context.err.text(f"{subscription_id} starts in the past: {job.id} replays it")
        if wait:
            require_finished(
                context, worked_on(context, context.backend.jobs, job, as_json=as_json)
            )
        else:
            context.err.text(how_to_go_on(job.id))


def _report(context: Context, applied: AppliedPlan, *, as_json: bool) -> None:
    """Print the signing secrets that a plan generated; they are never shown again."""
    if as_json:
        generated: list[Json] = [secret_document(owner, each) for owner, each in applied.generated]
        replays: list[Json] = [job.id for job in applied.jobs]
        document: JsonObject = {**plan_document(applied.plan()), "signing_secrets": generated}
        at = applied.takes_effect
        instant = None if at is None else to_rfc3339(at)
        click.echo(json_line({**document, "replays": replays, "takes_effect": instant}))
        return
    show_secrets(context.out, applied.generated)


def show_plan(out: Terminal, plan: ShownPlan) -> None:
    """Print a plan, without any secret."""
    out.lines(line for change in plan.writes for line in _lines_of(change))
    out.lines(Text(f"note: {note}", "yellow") for note in plan.notes)
    if not plan.writes:
        out.print("Nothing to change.")
    else:
        out.text(_summary(plan), "bold")


def plan_document(plan: ShownPlan) -> JsonObject:
    """Return a plan as JSON, without any secret."""
    changes: list[Json] = [_document(change) for change in plan.changes]
    return {
        "changes": changes,
        "problems": [str(problem) for problem in plan.problems],
        "notes": list(plan.notes),
    }


def _lines_of(change: ShownChange) -> Iterator[Text]:
    """Yield the lines that show a change."""
    match change.action:
        case "create":
            again = " (deleted before: it starts over)" if change.was_deleted else ""
            yield Text(f"+ {change.subject}{again}", "green")
            for path, shown in change.fields:
                if not path.startswith(_SIGNED_BY):
                    yield Text(f"    {path}: {shown}")
            if change.start_from is not None:
                yield Text(f"    start_from: {change.start_from}")
        case "update":
            yield Text(f"~ {change.subject}", "yellow")
            for difference in change.differences:
                yield Text(f"    {_shown(difference)}")
        case _:
            yield Text(f"- {change.subject}", "red")


def _shown(difference: Difference) -> str:
    path, before, after = difference.path, difference.before, difference.after
    if path.startswith(_SIGNED_BY) and None in (before, after):
        name = path.removeprefix(_SIGNED_BY)
        return f"signing secret {name}: {'comes' if before is None else 'goes'}"
    if before == after:
        return f"{path}: changes {after}"
    return f"{path}: {before or '(none)'} → {after or '(none)'}"


def _summary(plan: ShownPlan) -> str:
    counts = [
        (sum(change.action == action for change in plan.changes), word)
        for action, word in (
            ("create", "to create"),
            ("update", "to update"),
            ("delete", "to delete"),
            ("none", "unchanged"),
        )
    ]
    return ", ".join(f"{count} {word}" for count, word in counts if count) + "."


def _document(change: ShownChange) -> JsonObject:
    kind, _, name = change.subject.partition(" ")
    named: JsonObject = {"action": change.action, "kind": kind, "id": name}
    match change.action:
        case "create":
            fields: JsonObject = dict(change.fields)
            if change.start_from is not None:
                fields["start_from"] = change.start_from
            return {**named, "fields": fields}
        case "update":
            changed: list[Json] = [
                {"path": each.path, "before": each.before, "after": each.after}
                for each in change.differences
            ]
            return {**named, "differences": changed}
        case _:
            return named
