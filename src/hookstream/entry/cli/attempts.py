"""`hookstream attempts`: lists attempts, and shows the history of a delivery."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import click
from rich.text import Text

from hookstream.adapters.system import SystemClock
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import (
    DeadLettered,
    DeliveryHistory,
    DeliveryState,
    HistoryEntry,
    Purge,
    Redrive,
)
from hookstream.core.delivery.identity import is_batch_id
from hookstream.core.model.counted import counted
from hookstream.core.model.instant import HOUR, Millis, to_rfc3339, to_the_second
from hookstream.core.model.json import JsonObject
from hookstream.entry.admin.audit import AuditSelection
from hookstream.entry.cli.context import Context, takes_api
from hookstream.entry.cli.escaping import json_line
from hookstream.entry.cli.moments import took
from hookstream.entry.cli.options import (
    as_json_option,
    as_one,
    several,
    since_option,
    until_option,
)
from hookstream.entry.cli.progress import progress_bar
from hookstream.entry.cli.terminal import Terminal
from hookstream.errors import InputRefused

WINDOW: Millis = HOUR
"""The default window of `list`: a week may have hundreds of millions of attempts."""


_conditions = as_one(
    "selection",
    AuditSelection,
    several("--subscription", "subscriptions", "Of this subscription"),
    several("--partner", "partners", "Of this partner"),
    click.option(
        "--delivery", metavar="ID", help="Of the delivery, or batch, with this webhook-id."
    ),
    several("--event-type", "event_types", "Of this event type"),
    click.option("--event", metavar="ID", help="Of the event with this id."),
    several("--outcome", "outcomes", "With this outcome: delivered, failed, throttled"),
    several(
        "--disposition", "dispositions", "With this disposition: complete, retry, dead_letter"
    ),
    since_option,
    until_option,
)


@click.group()
def command() -> None:
    """Show the audit log: requests and their answers."""


@command.command("list")
@_conditions
@click.option(
    "--limit",
    "-n",
    type=click.IntRange(1, 1_000_000),
    default=50,
    show_default=True,
    help="How many of the newest are listed.",
)
@click.option(
    "--follow", "-f", is_flag=True, help="Print attempts as they are made, until Ctrl-C."
)
@as_json_option
@takes_api
def list_(
    context: Context, selection: AuditSelection, limit: int, *, follow: bool, as_json: bool
) -> None:
    """List attempts, the oldest first; of the last hour unless --since is given.

    With --json, one object a line.
    """
    if follow and selection.until is not None:
        raise click.UsageError("--follow never ends: omit --until")
    source, now = context.backend.attempts, SystemClock().now()
    window = ""
    if selection.since is None:
        window = " of the last hour (--since for more)"
        selection = replace(selection, since=now if follow else now - WINDOW)
    if follow:
        for entry in source.followed(selection, lambda said: context.err.text(said, "yellow")):
            _print(context, entry, as_json=as_json)
        return
    with progress_bar(context) as progress:
        found = source.listed(selection, limit, progress)
    if as_json:
        for entry in found.entries:
            _print(context, entry, as_json=True)
    else:
        context.out.lines(chain.from_iterable(map(_lines, found.entries)))
    least = "at least " if found.is_least else ""
    count = counted(found.count, "attempt")
    context.err.text(f"{len(found.entries):,} of {least}{count}{window}")
    _report(context, found.problems)


@command.command()
@click.argument("delivery_id", metavar="DELIVERY")
@since_option
@until_option
@as_json_option
@takes_api
def show(
    context: Context,
    delivery_id: str,
    since: Millis | None,
    until: Millis | None,
    *,
    as_json: bool,
) -> None:
    """Show the history of a DELIVERY (its webhook-id): attempts, dead letters, redrives.

    Reads everything that the topics retain, or the given window.
    """
    if is_batch_id(delivery_id):
        raise InputRefused(
            f"{delivery_id} is a batch, whose members each have their own history: see"
            f" `hookstream attempts list --delivery {delivery_id}`"
        )
    with progress_bar(context) as progress:
        found = context.backend.attempts.history(delivery_id, since, until, progress)
    _report(context, found.problems)
    if as_json:
        click.echo(json_line(history_document(found.history)))
    else:
        show_history(context.out, found.history)


def _print(context: Context, entry: AuditEntry, *, as_json: bool) -> None:
    if as_json:
        click.echo(json_line(entry.as_json()))
    else:
        context.out.lines(_lines(entry))


def _report(context: Context, problems: Sequence[str]) -> None:
    for problem in problems:
        context.err.text(problem, "red")


_COLOURS = {
    DeliveryState.COMPLETED: "green",
    DeliveryState.PENDING: "yellow",
    DeliveryState.CANCELLED: "yellow",
    DeliveryState.DEAD_LETTERED: "red",
    DeliveryState.UNKNOWN: "yellow",
}


def _lines(entry: AuditEntry) -> tuple[Text, Text]:
    """Return one attempt as two lines: its delivery, and its result."""
    head = Text(to_the_second(entry.started_at), "bold")
    head.append(f"  {entry.delivery_id}  {entry.subscription_id}", "not bold")
    return head, Text(f"    {entry.event_type}  {attempt_words(entry)}")


def attempt_words(entry: AuditEntry) -> str:
    """Return an attempt and its result: `#2 retry: failed 503 in 12ms, retry at ...`."""
    run = "" if entry.job_id is None else f" of {entry.job_id}"
    return f"#{entry.attempt} {entry.trigger}{run}: {result_words(entry)}{_next(entry)}"


def result_words(entry: AuditEntry) -> str:
    """Return the result of an attempt: `failed 503 in 12ms`."""
    if entry.outcome is None:
        return f"no attempt ({entry.reason or entry.disposition})"
    status = f" {entry.status}" if entry.status is not None else ""
    # The status already says this.
    said = (None, "", f"answered {entry.status}")
    error = "" if entry.error in said else f" ({entry.error})"
    batch = "" if entry.batch_id is None else f" (batch {entry.batch_id})"
    return f"{entry.outcome}{status}{error} in {took(entry.duration_us)}{batch}"


def _next(entry: AuditEntry) -> str:
    match entry.disposition:
        case "complete":
            return ""
        case "retry" if entry.next_due_at is not None:
            return f", retry at {to_the_second(entry.next_due_at)}"
        case "dead_letter":
            return f", dead letter ({entry.reason or 'no reason given'})"
        case other:
            return f", {other}"


def state_words(history: DeliveryHistory) -> str:
    """Return the state of a delivery, and who purged it."""
    purge = history.purge
    if purge is None:
        return history.state.value
    return f"{history.state.value} and purged by {purge.by}: {purge.why}"


def show_history(out: Terminal, history: DeliveryHistory) -> None:
    """Print the history of a delivery, grouped by event and run."""
    by_origin = _show_title(out, history)
    for origin, one in by_origin.items():
        _show_event(out, origin, one, several=len(by_origin) > 1)
        _show_runs(out, one)


def show_subject(out: Terminal, history: DeliveryHistory) -> None:
    """Print a delivery's state, and the type and subscription of each event under its id."""
    by_origin = _show_title(out, history)
    for origin, one in by_origin.items():
        _show_event(out, origin, one, several=len(by_origin) > 1)


def _show_title(out: Terminal, history: DeliveryHistory) -> dict[str, DeliveryHistory]:
    """Print the state of a delivery; return the history of each event under its id."""
    title = Text(f"Delivery {history.delivery_id}: ", "bold")
    title.append(state_words(history), f"bold {_COLOURS[history.state]}")
    if history.completed and history.state is not DeliveryState.COMPLETED:
        title.append(", completed in an earlier run", "not bold")
    out.text(title)
    by_origin = history.by_origin()
    if len(by_origin) > 1:
        many = (
            f"  {len(by_origin)} events carry this id; receivers that deduplicate drop all but one"
        )
        out.text(many, "yellow")
    return by_origin


def _show_event(out: Terminal, origin: str, one: DeliveryHistory, *, several: bool) -> None:
    if several:
        head = Text(f"Event at {origin or 'an unknown position'}: ", "bold")
        head.append(state_words(one), f"bold {_COLOURS[one.state]}")
        out.text(head)
    if one.entries:
        _show_subject(out, one.entries[-1])


def _show_runs(out: Terminal, history: DeliveryHistory) -> None:
    runs = history.by_run()
    for job, run in runs.items():
        if len(runs) > 1:
            head = Text(f"  {'first life' if job is None else f'run of {job}'}: ", "bold")
            head.append(run.state.value, f"bold {_COLOURS[run.state]}")
            out.text(head)
        show_history_entries(out, run)


def _show_subject(out: Terminal, entry: AuditEntry) -> None:
    origin = entry.origin
    lines = {
        "event": f"{entry.event_type} {entry.event_id}",
        "about": f"{entry.entity_id} ({entry.environment})",
        "for": f"{entry.subscription_id} of {entry.partner_id}, at {entry.host}",
        "from": f"{origin.place} of {to_the_second(origin.timestamp)}",
    }
    if entry.trace_id:
        lines["trace"] = entry.trace_id
    for name, text in lines.items():
        out.text(f"  {name:<6}{text}")


def show_history_entries(out: Terminal, history: DeliveryHistory, indent: str = "  ") -> None:
    """Print the entries of a history, one a line."""
    for entry in history.moments():
        at, words, style = _entry_line(entry)
        out.text(f"{indent}{at}  {words}", style)
        if isinstance(entry, AuditEntry) and entry.response_excerpt:
            excerpt = " ".join(entry.response_excerpt.split())[:200]
            out.text(f"{indent}  answer: {excerpt}", "dim")


def _entry_line(entry: HistoryEntry) -> tuple[str, str, str]:
    match entry:
        case AuditEntry():
            style = "green" if entry.disposition == "complete" else ""
            return to_the_second(entry.started_at), attempt_words(entry), style
        case DeadLettered():
            detail = f": {entry.detail}" if entry.detail else ""
            words = f"dead letter {entry.place} ({entry.reason}{detail})"
            return to_the_second(entry.at), words, "red"
        case Redrive():
            words = f"redriven from {entry.place} by {entry.job_id}"
            return to_the_second(entry.at), words, "cyan"
        case Purge():
            words = f"purged at {entry.place} by {entry.by} ({entry.job_id}): {entry.why}"
            return to_the_second(entry.at), words, "yellow"


def history_document(history: DeliveryHistory) -> JsonObject:
    """Return a history as JSON; scripts rely on its keys."""
    return {
        "delivery_id": history.delivery_id,
        "state": history.state.value,
        "purged": history.purge is not None,
        "completed": history.completed,
        "runs": [
            {"job_id": job, "state": run.state.value} for job, run in history.by_run().items()
        ],
        "moments": [_entry_document(entry) for entry in history.moments()],
        "events": [
            {
                "origin": origin or None,
                "state": one.state.value,
                "purged": one.purge is not None,
            }
            for origin, one in history.by_origin().items()
        ],
    }


def _entry_document(entry: HistoryEntry) -> JsonObject:
    match entry:
        case AuditEntry():
            return {"kind": "attempt", "at": to_rfc3339(entry.started_at), **entry.as_json()}
        case DeadLettered():
            return {
                "kind": "dead_letter",
                "at": to_rfc3339(entry.at),
                "place": entry.place,
                "reason": entry.reason,
                "detail": entry.detail,
                "attempt": entry.attempt,
                "origin": entry.origin or None,
                "job_id": entry.job,
                "open": entry.is_open,
            }
        case Redrive():
            return {
                "kind": "redrive",
                "at": to_rfc3339(entry.at),
                "job": entry.job_id,
                "place": entry.place,
            }
        case Purge():
            return {
                "kind": "purge",
                "at": to_rfc3339(entry.at),
                "job": entry.job_id,
                "place": entry.place,
                "by": entry.by,
                "why": entry.why,
            }
