"""`hookstream check`, `plan` and `apply`: check definition files, change the tables to what they declare."""

from collections.abc import Sequence
from pathlib import Path

import click

from hookstream.core.delivery.address import scrub
from hookstream.core.jobs.job import Job
from hookstream.core.model.counted import counted
from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.subscription import SigningSecret, Subscription
from hookstream.core.planning.changes import Change, Create, Delete, Plan, Unchanged, Update
from hookstream.core.planning.declared import EARLIEST_START
from hookstream.core.planning.fields import Difference, fields_of, named
from hookstream.core.planning.plan import PlanOptions
from hookstream.entry.admin.definition_check import DefinitionCheck, checked
from hookstream.entry.admin.definitions import FolderPlanner, last_instant
from hookstream.entry.admin.signing_secrets import secret_document
from hookstream.entry.cli.context import Context, pass_context
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
        "--prune", is_flag=True, help="Delete what the folder owns and does not declare any more."
    ),
    click.option("--cascade", is_flag=True, help="Delete a partner's subscriptions with it."),
    click.option(
        "--owner",
        metavar="NAME",
        help="The folder's name, by which it owns what it declares (else hookstream.yaml says it).",
    ),
    click.option(
        "--take-over",
        multiple=True,
        metavar="NAME",
        help="Own from now on what the folder NAME owns and this one declares; repeatable.",
    ),
    click.option(
        "--confirm-delete",
        type=click.IntRange(0),
        metavar="N",
        help="Delete N things, although that is much of what the folder owns.",
    ),
)
"""They arrive as `options`."""


@click.command()
@_folder
@plan_options
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@pass_context
def plan(context: Context, folder: Path, options: PlanOptions, *, as_json: bool) -> None:
    """Show what applying FOLDER would change. Exit code 3: there are changes."""
    planner = FolderPlanner(context.settings, context.environ, folder, options, needs_keys=False)
    context.err.refuse(planner.problems, "changed")
    made = planner.plan()
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
    help="The folder of the event schemas that patterns, templates and versions are checked on.",
)
@click.option("--json", "as_json", is_flag=True, help="Print problems and notes as JSON.")
@pass_context
def check(context: Context, folder: Path, schemas: Path, *, as_json: bool) -> None:
    """Check the partners and subscriptions in FOLDER without a cluster and without a key ring.

    As plan would for a cluster that has these schemas and no partners yet. No secret is read.
    """
    found = checked(context.settings, folder, schemas)
    if as_json:
        click.echo(json_line(_check_document(found)))
    else:
        for note in found.notes:
            context.err.text(f"note: {note}", "yellow")
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
@pass_context
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

    Signing secrets that are generated are shown once. Says when it takes effect, and returns then: events
    that are published from then on are delivered, also by a grant that is new or wider. The past of a subscription with start_from is replayed
    by a job, on which the command works until it is done.
    """
    planner = FolderPlanner(context.settings, context.environ, folder, options, needs_keys=True)
    context.err.refuse(planner.problems, "changed")
    shown = planner.plan()
    context.err.refuse(shown.problems, "changed")
    show_plan(context.err if as_json else context.out, shown)
    if not shown.writes:
        _report(context, shown, (), None, as_json=as_json)
        return
    confirm("Apply this?", yes=yes)
    changed = planner.apply(shown)
    made, writer = changed.result, changed.writer
    session = writer.session
    until = last_instant(made) if last_instant(made) > session.now else None
    # Secrets first: interrupting the wait must not lose them.
    _report(context, made, writer.started, until, as_json=as_json)
    context.err.warn(writer.warning)
    if until is not None:
        context.err.print(f"It takes effect at {to_rfc3339(until)}")
        if not no_wait:
            session.wait_until(until)
            context.err.print("Everything is active.")
    _replay(context, tuple(writer.started), wait=not no_wait, as_json=as_json)


def _replay(context: Context, jobs: Sequence[Job], *, wait: bool, as_json: bool) -> None:
    """Work on the replays of subscriptions that start in the past, one after the other."""
    for job in jobs:
        subscription_id = job.asked.get("subscription")
        context.err.text(f"{subscription_id} starts in the past: {job.id} replays it")
        if wait:
            require_finished(
                context, worked_on(context, context.cluster.jobs, job, as_json=as_json)
            )
        else:
            context.err.text(how_to_go_on(job.id))


def _report(
    context: Context,
    made: Plan,
    started: Sequence[Job],
    takes_effect: Millis | None,
    *,
    as_json: bool,
) -> None:
    """Print the signing secrets that a plan generated, which are never shown again.

    Args:
        context: Where to.
        made: The plan that was applied.
        started: The replays that it started.
        takes_effect: From when all of it holds; None: at once.
        as_json: Whether to print JSON.
    """
    secrets = _generated(made)
    if as_json:
        generated: list[Json] = [secret_document(owner.id, each) for owner, each in secrets]
        replays: list[Json] = [job.id for job in started]
        document: JsonObject = {**plan_document(made), "signing_secrets": generated}
        instant = None if takes_effect is None else to_rfc3339(takes_effect)
        click.echo(json_line({**document, "replays": replays, "takes_effect": instant}))
        return
    show_secrets(context.out, [(owner.id, secret) for owner, secret in secrets])


def show_plan(out: Terminal, plan: Plan) -> None:
    """Print a plan, without any secret."""
    for change in plan.writes:
        _show_change(out, change)
    for note in plan.notes:
        out.text(f"note: {note}", "yellow")
    if not plan.writes:
        out.print("Nothing to change.")
    else:
        out.text(_summary(plan), "bold")


def _generated(plan: Plan) -> list[tuple[Subscription, SigningSecret]]:
    """Return the signing secrets that a plan generated, each with its subscription."""
    found: list[tuple[Subscription, SigningSecret]] = []
    for change in plan.writes:
        if isinstance(change, Create | Update) and isinstance(change.after, Subscription):
            found += [(change.after, secret) for secret in change.generated]
    return found


def plan_document(plan: Plan) -> JsonObject:
    """Return a plan as JSON, without any secret."""
    changes: list[Json] = [_document(change) for change in plan.changes]
    return {
        "changes": changes,
        "problems": [str(problem) for problem in plan.problems],
        "notes": list(plan.notes),
    }


def _show_change(out: Terminal, change: Create | Update | Delete) -> None:
    match change:
        case Create(after, before):
            again = "" if before is None else " (deleted before: it starts over)"
            out.text(f"+ {named(after)}{again}", "green")
            for path, field in fields_of(after, scrub).items():
                if not path.startswith(_SIGNED_BY):
                    out.text(f"    {path}: {field.shown}")
            if change.start_from is not None:
                out.text(f"    start_from: {_start(change.start_from)}")
        case Update(before, _, differences):
            out.text(f"~ {named(before)}", "yellow")
            for difference in differences:
                out.text(f"    {_shown(difference)}")
        case Delete(before):
            out.text(f"- {named(before)}", "red")


def _start(start_from: Millis) -> str:
    return "earliest" if start_from == EARLIEST_START else to_rfc3339(start_from)


def _shown(difference: Difference) -> str:
    path, before, after = difference.path, difference.before, difference.after
    if path.startswith(_SIGNED_BY) and None in (before, after):
        name = path.removeprefix(_SIGNED_BY)
        return f"signing secret {name}: {'comes' if before is None else 'goes'}"
    if before == after:
        return f"{path}: changes {after}"
    return f"{path}: {before or '(none)'} → {after or '(none)'}"


def _summary(plan: Plan) -> str:
    counts = [
        (sum(isinstance(change, kind) for change in plan.changes), word)
        for kind, word in (
            (Create, "to create"),
            (Update, "to update"),
            (Delete, "to delete"),
            (Unchanged, "unchanged"),
        )
    ]
    return ", ".join(f"{count} {word}" for count, word in counts if count) + "."


def _document(change: Change) -> JsonObject:
    match change:
        case Create(after):
            fields: JsonObject = {
                path: field.shown for path, field in fields_of(after, scrub).items()
            }
            if change.start_from is not None:
                fields["start_from"] = _start(change.start_from)
            return {**_named("create", named(after)), "fields": fields}
        case Update(before, _, differences):
            changed: list[Json] = [
                {"path": each.path, "before": each.before, "after": each.after}
                for each in differences
            ]
            return {**_named("update", named(before)), "differences": changed}
        case Delete(before):
            return _named("delete", named(before))
        case Unchanged(before):
            return _named("none", named(before))


def _named(action: str, subject: str) -> JsonObject:
    kind, _, name = subject.partition(" ")
    return {"action": action, "kind": kind, "id": name}
