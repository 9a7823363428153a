"""A plan as text, and as JSON."""

from collections.abc import Sequence

from hookstream.core.delivery.address import scrub
from hookstream.core.delivery.signing import write_secret
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.subscription import SigningSecret, Subscription
from hookstream.core.planning.changes import Change, Create, Delete, Plan, Unchanged, Update
from hookstream.core.planning.declared import Problem
from hookstream.core.planning.fields import Difference, fields_of, named
from hookstream.entry.cli.terminal import Terminal

_SIGNED_BY = "endpoint.signing_secrets."


def show_plan(out: Terminal, plan: Plan) -> None:
    """Print the changes of a plan, one after another."""
    for change in plan.writes:
        _show_change(out, change)
    for note in plan.notes:
        out.text(f"note: {note}", "yellow")
    if not plan.writes:
        out.print("Nothing to change.")
    else:
        out.text(_summary(plan), "bold")


def show_secrets(out: Terminal, secrets: Sequence[tuple[Subscription, SigningSecret]]) -> None:
    """Print the generated signing secrets; they are never shown again."""
    if secrets:
        out.text("Signing secrets, shown this once:", "bold")
    for subscription, secret in secrets:
        line = f"  {subscription.id}  {secret.id}  {write_secret(secret.key)}"
        out.text(line)


def generated_of(plan: Plan) -> list[tuple[Subscription, SigningSecret]]:
    """Return the signing secrets that a plan generated, each with its subscription."""
    found: list[tuple[Subscription, SigningSecret]] = []
    for change in plan.writes:
        if isinstance(change, Create | Update) and isinstance(change.after, Subscription):
            found += [(change.after, secret) for secret in change.generated]
    return found


def plan_document(plan: Plan, problems: Sequence[Problem] = ()) -> JsonObject:
    """Return the plan as JSON; scripts rely on its fields."""
    changes: list[Json] = [_document(change) for change in plan.changes]
    return {
        "changes": changes,
        "problems": [str(problem) for problem in problems],
        "notes": list(plan.notes),
    }


def secrets_document(secrets: Sequence[tuple[Subscription, SigningSecret]]) -> list[Json]:
    """Return generated signing secrets as JSON."""
    return [
        {"subscription": subscription.id, "id": secret.id, "secret": write_secret(secret.key)}
        for subscription, secret in secrets
    ]


def _show_change(out: Terminal, change: Create | Update | Delete) -> None:
    match change:
        case Create(after, before):
            again = "" if before is None else " (deleted before: it starts over)"
            out.text(f"+ {named(after)}{again}", "green")
            for path, field in fields_of(after, scrub).items():
                if not path.startswith(_SIGNED_BY):
                    out.text(f"    {path}: {field.shown}")
        case Update(before, _, differences):
            out.text(f"~ {named(before)}", "yellow")
            for difference in differences:
                out.text(f"    {_shown(difference)}")
        case Delete(before):
            out.text(f"- {named(before)}", "red")


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
