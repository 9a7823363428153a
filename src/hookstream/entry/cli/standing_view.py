"""How a subscription stands, in a word for lists and in JSON for scripts."""

from rich.table import Table

from hookstream.core.delivery.address import scrub
from hookstream.core.matching.directory import Directory
from hookstream.core.model.instant import Millis, to_rfc3339, to_the_second
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.standing import (
    Absent,
    Deleted,
    DisabledStanding,
    Held,
    Live,
    Paused,
    Standing,
    Unreadable,
)
from hookstream.core.model.subscription import Partner, Subscription, UnreadableSubscription
from hookstream.core.planning.fields import fields_of
from hookstream.entry.admin.tables import State


def directory_of(state: State) -> Directory:
    """Return the tables as a worker would hold them."""
    directory = Directory()
    for partner in state.current.partners.values():
        directory.put_partner(partner)
    for subscription in state.current.subscriptions.values():
        directory.put_subscription(subscription)
    for disabled in state.current.disabled.values():
        directory.put_disabled(disabled)
    for hold in state.holds:
        directory.holds.put(hold)
    return directory


def word(standing: Standing, now: Millis) -> str:
    """Return a standing in a few words."""
    match standing:
        case Live(subscription):
            begins = subscription.active_from
            return "active" if begins < now else f"active from {_short(begins)}"
        case Held(hold=hold):
            return f"held since {_short(hold.since)} ({hold.kind}: {hold.reason})"
        case Paused(since=since):
            return f"paused since {_short(since)}"
        case DisabledStanding(disabled=disabled):
            return f"disabled since {_short(disabled.since)} ({disabled.reason})"
        case Deleted():
            return "deleted"
        case Unreadable(unreadable):
            return f"unreadable: {unreadable.why}"
        case Absent():
            return "absent"


def standing_document(standing: Standing) -> JsonObject:
    """Return a standing as JSON."""
    match standing:
        case Live(subscription):
            return {"state": "active", "since": to_rfc3339(subscription.active_from)}
        case Held(hold=hold):
            return {
                "state": "held",
                "since": to_rfc3339(hold.since),
                "hold": {"kind": hold.kind, "name": hold.name},
                "reason": hold.reason,
            }
        case Paused(since=since):
            return {"state": "paused", "since": to_rfc3339(since)}
        case DisabledStanding(disabled=disabled):
            return {
                "state": "disabled",
                "since": to_rfc3339(disabled.since),
                "reason": disabled.reason,
                "evidence": disabled.evidence,
            }
        case Deleted():
            return {"state": "deleted"}
        case Unreadable(unreadable):
            return {"state": "unreadable", "reason": unreadable.why}
        case Absent():
            return {"state": "absent"}


def subscription_document(
    subscription: Subscription | UnreadableSubscription, standing: Standing
) -> JsonObject:
    """Return a subscription as JSON, without what must not be shown."""
    gaps: list[Json] = [
        {
            "start": to_rfc3339(gap.start),
            "end": None if gap.end is None else to_rfc3339(gap.end),
            "reason": gap.reason,
        }
        for gap in subscription.gaps
    ]
    document: JsonObject = {
        "id": subscription.id,
        "partner": subscription.partner_id,
        **standing_document(standing),
        "event_types": list(subscription.event_types),
        "active_from": to_rfc3339(subscription.active_from),
        "gaps": gaps,
    }
    if isinstance(subscription, Subscription):
        document["revision"] = subscription.revision
        document["fields"] = shown_fields(subscription)
    return document


def shown_fields(subject: Subscription | Partner) -> JsonObject:
    """Return the fields of a subject as they may be shown."""
    return {path: field.shown for path, field in fields_of(subject, scrub).items()}


def table_of(*columns: str) -> Table:
    """Return an empty table that cuts nothing off: what it shows is copied from it.

    The first and the last column hold names; what is between them gives way first.
    """
    table = Table(box=None, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=index in (0, len(columns) - 1))
    return table


def _short(instant: Millis) -> str:
    """Return an instant to the second, in UTC, short enough for a column."""
    return to_the_second(instant) + "Z"
