"""Attempts and the history of a delivery as text on eighty columns, and as JSON."""

from rich.text import Text

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import (
    DeadLettered,
    DeliveryHistory,
    DeliveryState,
    HistoryEntry,
    Redrive,
)
from hookstream.core.model.instant import to_rfc3339, to_the_second
from hookstream.core.model.json import JsonObject
from hookstream.entry.cli.moments import took
from hookstream.entry.cli.terminal import Terminal

_COLOURS = {
    DeliveryState.COMPLETED: "green",
    DeliveryState.PENDING: "yellow",
    DeliveryState.CANCELLED: "yellow",
    DeliveryState.DEAD_LETTERED: "red",
    DeliveryState.UNKNOWN: "yellow",
}


def show_entry(out: Terminal, entry: AuditEntry) -> None:
    """Print one attempt as two lines: its delivery, and its result."""
    head = Text(to_the_second(entry.started_at), "bold")
    head.append(f"  {entry.delivery_id}  {entry.subscription_id}", "not bold")
    out.text(head)
    out.text(f"    {entry.event_type}  {attempt_words(entry)}")


def attempt_words(entry: AuditEntry) -> str:
    """Return an attempt and its result: `#2 retry: failed 503 in 12ms, retry at ...`."""
    return f"#{entry.attempt} {entry.trigger}: {_result(entry)}{_next(entry)}"


def _result(entry: AuditEntry) -> str:
    if entry.outcome is None:
        return f"no attempt ({entry.reason or entry.disposition})"
    status = f" {entry.status}" if entry.status is not None else ""
    # The status already says this.
    said = (None, "", f"answered {entry.status}")
    error = "" if entry.error in said else f" ({entry.error})"
    return f"{entry.outcome}{status}{error} in {took(entry.duration_us)}"


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


def show_history(out: Terminal, history: DeliveryHistory) -> None:
    """Print the history of a delivery, grouped by the event."""
    title = Text(f"Delivery {history.delivery_id}: ", "bold")
    title.append(history.state.value, f"bold {_COLOURS[history.state]}")
    out.text(title)
    by_origin = history.by_origin()
    if len(by_origin) > 1:
        many = (
            f"  {len(by_origin)} events carry this id; receivers that deduplicate drop all but one"
        )
        out.text(many, "yellow")
    for origin, one in by_origin.items():
        if len(by_origin) > 1:
            head = Text(f"Event at {origin or 'an unknown place'}: ", "bold")
            head.append(one.state.value, f"bold {_COLOURS[one.state]}")
            out.text(head)
        if one.entries:
            _show_subject(out, one.entries[-1])
        show_history_entries(out, one)


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


def show_history_entries(out: Terminal, history: DeliveryHistory) -> None:
    """Print the entries of a history, one a line."""
    for entry in history.moments():
        at, words, style = _entry_line(entry)
        out.text(f"  {at}  {words}", style)
        if isinstance(entry, AuditEntry) and entry.response_excerpt:
            excerpt = " ".join(entry.response_excerpt.split())[:200]
            out.text(f"    answer: {excerpt}", "dim")


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


def history_document(history: DeliveryHistory) -> JsonObject:
    """Return a history as JSON; scripts rely on its keys."""
    return {
        "delivery_id": history.delivery_id,
        "state": history.state.value,
        "moments": [_entry_document(entry) for entry in history.moments()],
        "events": [
            {"origin": origin or None, "state": one.state.value}
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
                "open": entry.redriven_by is None,
            }
        case Redrive():
            return {
                "kind": "redrive",
                "at": to_rfc3339(entry.at),
                "job": entry.job_id,
                "place": entry.place,
            }
