"""Attempts and whole lives of deliveries, as people read them on eighty columns."""

from rich.console import Console
from rich.text import Text

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import (
    DeadLettered,
    DeliveryHistory,
    DeliveryState,
    HistoryEntry,
    Redrive,
)
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.entry.cli.moments import clock_time, took

_COLOURS = {
    DeliveryState.COMPLETED: "green",
    DeliveryState.PENDING: "yellow",
    DeliveryState.CANCELLED: "yellow",
    DeliveryState.DEAD_LETTERED: "red",
    DeliveryState.UNKNOWN: "yellow",
}


def show_entry(out: Console, entry: AuditEntry) -> None:
    """Print one attempt as two lines: whose it was, and what it came to."""
    head = Text(clock_time(entry.started_at), "bold")
    head.append(f"  {entry.delivery_id}  {entry.subscription_id}", "not bold")
    out.print(head, soft_wrap=True)
    out.print(Text(f"    {entry.event_type}  {attempt_words(entry)}"), soft_wrap=True)


def attempt_words(entry: AuditEntry) -> str:
    """Return what an attempt was and came to: `#2 retry: failed 503 in 12ms, retry at ...`."""
    return f"#{entry.attempt} {entry.trigger}: {_came_to(entry)}{_next(entry)}"


def _came_to(entry: AuditEntry) -> str:
    if entry.outcome is None:
        return f"no attempt ({entry.reason or entry.disposition})"
    status = f" {entry.status}" if entry.status is not None else ""
    # That it answered so is said by the status already.
    said = (None, "", f"answered {entry.status}")
    error = "" if entry.error in said else f" ({entry.error})"
    return f"{entry.outcome}{status}{error} in {took(entry.duration_us)}"


def _next(entry: AuditEntry) -> str:
    match entry.disposition:
        case "complete":
            return ""
        case "retry" if entry.next_due_at is not None:
            return f", retry at {clock_time(entry.next_due_at)}"
        case "dead_letter":
            return f", dead letter ({entry.reason or 'no reason given'})"
        case other:
            return f", {other}"


def show_life(out: Console, life: DeliveryHistory) -> None:
    """Print the life of a delivery as a timeline."""
    title = Text(f"Delivery {life.delivery_id}: ", "bold")
    title.append(life.standing.value, f"bold {_COLOURS[life.standing]}")
    out.print(title, soft_wrap=True)
    lives = life.by_origin()
    if len(lives) > 1:
        many = f"  {len(lives)} events carry this id; receivers that deduplicate drop all but one"
        out.print(Text(many, "yellow"), soft_wrap=True)
    for origin, one in lives.items():
        if len(lives) > 1:
            head = Text(f"Event at {origin or 'an unknown place'}: ", "bold")
            head.append(one.standing.value, f"bold {_COLOURS[one.standing]}")
            out.print(head, soft_wrap=True)
        if one.entries:
            _show_subject(out, one.entries[-1])
        show_moments(out, one)


def _show_subject(out: Console, entry: AuditEntry) -> None:
    origin = entry.origin
    lines = {
        "event": f"{entry.event_type} {entry.event_id}",
        "about": f"{entry.entity_id} ({entry.environment})",
        "for": f"{entry.subscription_id} of {entry.partner_id}, at {entry.host}",
        "from": f"{origin.place} of {clock_time(origin.timestamp)}",
    }
    if entry.trace_id:
        lines["trace"] = entry.trace_id
    for name, text in lines.items():
        out.print(Text(f"  {name:<6}{text}"), soft_wrap=True)


def show_moments(out: Console, life: DeliveryHistory) -> None:
    """Print what happened to a delivery, one moment a line."""
    for moment in life.moments():
        at, words, style = _moment(moment)
        out.print(Text(f"  {at}  {words}", style), soft_wrap=True)
        if isinstance(moment, AuditEntry) and moment.response_excerpt:
            excerpt = " ".join(moment.response_excerpt.split())[:200]
            out.print(Text(f"    answer: {excerpt}", "dim"), soft_wrap=True)


def _moment(moment: HistoryEntry) -> tuple[str, str, str]:
    match moment:
        case AuditEntry():
            style = "green" if moment.disposition == "complete" else ""
            return clock_time(moment.started_at), attempt_words(moment), style
        case DeadLettered():
            detail = f": {moment.detail}" if moment.detail else ""
            words = f"dead letter {moment.place} ({moment.reason}{detail})"
            return clock_time(moment.at), words, "red"
        case Redrive():
            words = f"redriven from {moment.place} by {moment.job_id}"
            return clock_time(moment.at), words, "cyan"


def life_document(life: DeliveryHistory) -> JsonObject:
    """Return a life as JSON; its fields are what others' scripts stand on."""
    return {
        "delivery_id": life.delivery_id,
        "state": life.standing.value,
        "moments": [_moment_document(moment) for moment in life.moments()],
        "events": [
            {"origin": origin or None, "state": one.standing.value}
            for origin, one in life.by_origin().items()
        ],
    }


def _moment_document(moment: HistoryEntry) -> JsonObject:
    match moment:
        case AuditEntry():
            return {"kind": "attempt", "at": to_rfc3339(moment.started_at), **moment.as_json()}
        case DeadLettered():
            return {
                "kind": "dead_letter",
                "at": to_rfc3339(moment.at),
                "place": moment.place,
                "reason": moment.reason,
                "detail": moment.detail,
                "attempt": moment.attempt,
                "origin": moment.origin or None,
                "open": moment.redriven_by is None,
            }
        case Redrive():
            return {
                "kind": "redrive",
                "at": to_rfc3339(moment.at),
                "job": moment.job_id,
                "place": moment.place,
            }
