"""Shows deliveries as text in eighty columns, and as JSON."""

from collections.abc import Iterator, Sequence

from rich.text import Text

from hookstream.core.audit.history import DeliveryState
from hookstream.core.audit.run_states import PendingRecord, RunCount, RunGroup, RunState
from hookstream.core.model.counted import counted
from hookstream.core.model.instant import Millis, to_rfc3339, to_the_second
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.subscription_status import SubscriptionStatus
from hookstream.entry.admin.deliveries import DeliveryDetails, DeliveryListing
from hookstream.entry.admin.delivery_life import DeliveryLife
from hookstream.entry.admin.subscriptions import status_document, status_text
from hookstream.entry.backend.listing_ports import DoneResend
from hookstream.entry.cli.attempts import history_document, show_subject
from hookstream.entry.cli.delivery_timeline import life_document, show_next, show_timeline
from hookstream.entry.cli.moments import ago
from hookstream.entry.cli.terminal import Terminal


def show_listing(out: Terminal, listing: DeliveryListing, limit: int, now: Millis) -> None:
    """Print the counts, and the runs that changed last."""
    found = listing.selected
    out.text(counted(len(found.states), "delivery", "deliveries"), "bold")
    if not found.states:
        return
    columns = ("deliveries", "subscription", "state", "oldest", "newest", "next due", "reason")
    rows = [_counted(group, count, now) for group, count in found.largest_first()]
    out.table(columns, rows, ("deliveries",))
    shown = found.newest(limit)
    if not shown:
        return
    rest = "" if len(shown) == len(found.states) else " (--limit for more)"
    out.text(f"\nThe newest {len(shown):,}{rest}, the oldest of them first:", "bold")
    for state in shown:
        for line in state_lines(state):
            out.text(line)


def _counted(group: RunGroup, count: RunCount, now: Millis) -> tuple[str, ...]:
    due = count.next_due_at
    waits = group.state is DeliveryState.PENDING
    return (
        f"{count.runs:,}",
        group.subscription_id,
        group.state.value,
        ago(now, count.oldest),
        ago(now, count.newest),
        to_the_second(due) if due is not None and waits else "",
        group.reason,
    )


COLOURS = {
    DeliveryState.COMPLETED: "green",
    DeliveryState.PENDING: "yellow",
    DeliveryState.CANCELLED: "yellow",
    DeliveryState.DEAD_LETTERED: "red",
    DeliveryState.UNKNOWN: "yellow",
}


def state_lines(state: RunState) -> tuple[Text, Text]:
    """Return a run as two lines: its state and delivery, and its facts."""
    reason = f" ({state.reason})" if state.reason else ""
    first = Text(to_the_second(state.at), "bold")
    first.append(f"  {state.state.value}{reason}", f"not bold {COLOURS[state.state]}")
    first.append(f"  {state.run.delivery_id}  {state.subscription_id}", "not bold")
    attempts = f"{state.attempt} attempt{'' if state.attempt == 1 else 's'}"
    parts = [
        f"{state.event_type} {state.event_id}",
        f"{attempts}, the last {state.last}" if state.last else attempts,
        state.detail,
        "" if state.run.job is None else f"run {state.run.job}",
        "" if state.due_at is None else f"due {to_the_second(state.due_at)}",
        state.place and f"{_where(state)} {state.place}",
    ]
    return first, Text(f"    {'; '.join(part for part in parts if part)}")


def _where(state: RunState) -> str:
    return "dead letter" if state.state is DeliveryState.DEAD_LETTERED else "at"


def listing_document(listing: DeliveryListing, not_read: JsonObject, limit: int) -> JsonObject:
    """Return a listing as JSON, with what was not read; scripts rely on its keys."""
    found = listing.selected
    groups: list[Json] = [
        {
            "subscription_id": group.subscription_id,
            "state": group.state.value,
            "reason": group.reason or None,
            "deliveries": count.runs,
            "oldest": to_rfc3339(count.oldest),
            "newest": to_rfc3339(count.newest),
            "next_due_at": _moment(count.next_due_at),
        }
        for group, count in found.largest_first()
    ]
    deliveries: list[Json] = [state_document(state) for state in found.newest(limit)]
    return {
        "total": len(found.states),
        "groups": groups,
        "deliveries": deliveries,
        "ended_since": _moment(listing.ended_since),
        "unsettled_events": listing.unsettled_events,
        "unreadable_marks": list(listing.unreadable_marks),
        **not_read,
    }


def state_document(state: RunState) -> JsonObject:
    """Return a run as JSON; scripts rely on its keys."""
    return {
        "delivery_id": state.run.delivery_id,
        "origin": state.run.origin or None,
        "job_id": state.run.job,
        "subscription_id": state.subscription_id,
        "partner_id": state.partner_id,
        "event_type": state.event_type,
        "event_id": state.event_id,
        "state": state.state.value,
        "at": to_rfc3339(state.at),
        "attempt": state.attempt,
        "trigger": state.trigger or None,
        "reason": state.reason or None,
        "detail": state.detail or None,
        "last": state.last or None,
        "due_at": _moment(state.due_at),
        "place": state.place or None,
    }


def show_details(
    out: Terminal,
    details: DeliveryDetails,
    status: SubscriptionStatus | None,
    life: DeliveryLife,
    can_be_done: Sequence[str],
    now: Millis,
) -> None:
    """Print a delivery: its life, where it waits, and the possible remedies."""
    if details.history.moments():
        show_subject(out, details.history)
    else:
        title = Text(f"Delivery {details.delivery_id}: ", "bold")
        title.append("pending", f"bold {COLOURS[DeliveryState.PENDING]}")
        out.text(title)
        delivery = details.pending[0].delivery
        out.text(f"  event {delivery.event_type} {delivery.event_id}")
        out.text(f"  for   {delivery.subscription_id} of {delivery.partner_id}")
        out.text(f"  from  {delivery.origin.place} of {to_the_second(delivery.origin.timestamp)}")
    show_next(out, life, now)
    for each in details.pending:
        out.text("Waits", "bold")
        for name, text in pending_facts(each, now):
            out.text(f"  {name:<8}{text}")
    show_timeline(out, life)
    if details.subscription_id:
        state = "not known: the tables cannot be read"
        if status is not None:
            state = status_text(status, now)
        out.text("Subscription", "bold")
        out.text(f"  {details.subscription_id}: {state}")
    if can_be_done:
        out.text("What can be done", "bold")
        for sentence in can_be_done:
            out.text(f"  {sentence}")


def pending_facts(pending: PendingRecord, now: Millis) -> Iterator[tuple[str, str]]:
    """Yield the facts of a waiting run from its tier record, each with a name."""
    delivery = pending.delivery
    if delivery.job is not None:
        yield "run", delivery.job
    since = delivery.deferred_since
    yield "why", f"{pending.reason}{'' if since is None else f', since {to_the_second(since)}'}"
    due = delivery.due_at
    early = ", or as soon as its lane has room" if delivery.has_slot else ""
    if due is None or due <= now:
        yield "due", f"now{'' if due is None else f', since {to_the_second(due)}'}"
    else:
        yield "due", f"{to_the_second(due)}{early}"
    yield "next", f"attempt {delivery.attempt + 1}, {delivery.trigger.value}"
    if pending.last:
        yield "last", pending.last
    yield "expires", to_the_second(delivery.expires_at)
    yield "in", f"{pending.place}, written {to_the_second(pending.at)}"


def details_document(
    details: DeliveryDetails,
    status: SubscriptionStatus | None,
    life: DeliveryLife,
    can_be_done: Sequence[str],
) -> JsonObject:
    """Return a delivery as JSON; scripts rely on its keys."""
    waits: list[Json] = [_pending_document(each) for each in details.pending]
    known = details.subscription_id or None
    return {
        **history_document(details.history),
        "pending": waits,
        "subscription_id": known,
        "subscription": None if status is None else status_document(status),
        "can_be_done": list(can_be_done),
        **life_document(life),
    }


def _pending_document(pending: PendingRecord) -> JsonObject:
    delivery = pending.delivery
    return {
        "job_id": delivery.job,
        "origin": delivery.origin.place,
        "reason": pending.reason,
        "due_at": _moment(delivery.due_at),
        "deferrals": delivery.deferrals,
        "deferred_since": _moment(delivery.deferred_since),
        "next_attempt": delivery.attempt + 1,
        "trigger": delivery.trigger.value,
        "last": pending.last or None,
        "first_at": _moment(delivery.first_at),
        "expires_at": _moment(delivery.expires_at),
        "topic": pending.topic,
        "partition": pending.partition,
        "offset": pending.offset,
        "written_at": _moment(pending.at),
    }


def show_resend(out: Terminal, done: DoneResend) -> None:
    """Print a resend that was written."""
    place = f", from {done.found}" if done.found else ""
    rows = [
        ("resend", done.job.id),
        ("delivery", done.delivery_id),
        ("to", f"{done.subscription_id} of {done.partner_id}"),
        ("event", f"{done.event_type} {done.event_id}{place}"),
    ]
    if done.waits:
        rows.append(("waits", done.waits))
    out.fields([*rows, ("follow it", f"hookstream deliveries show {done.delivery_id}")])


def resend_document(done: DoneResend) -> JsonObject:
    """Return a resend that was written as JSON; scripts rely on its keys."""
    return {
        "job_id": done.job.id,
        "delivery_id": done.delivery_id,
        "subscription_id": done.subscription_id,
        "event_type": done.event_type,
        "event_id": done.event_id,
        "origin": done.origin or None,
        "found": done.found or None,
        "waits": done.waits or None,
        "pending_before": done.pending_before,
    }


def _moment(instant: Millis | None) -> str | None:
    return None if instant is None else to_rfc3339(instant)
