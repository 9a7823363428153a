"""Subscriptions for operators: their status, and pausing, resuming, enabling and deleting them."""

from dataclasses import dataclass

from hookstream.core.delivery.address import scrub
from hookstream.core.matching.directory import Directory
from hookstream.core.model.instant import Millis, to_rfc3339, to_the_second
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.subscription import (
    Partner,
    Subscription,
    UnreadableSubscription,
)
from hookstream.core.model.subscription_status import (
    Absent,
    Deleted,
    DisabledStatus,
    Held,
    Live,
    Paused,
    SubscriptionStatus,
    Unreadable,
)
from hookstream.core.planning import transitions
from hookstream.core.planning.changes import Delete
from hookstream.core.planning.fields import fields_of
from hookstream.core.planning.rotation import without_ended
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.signing_secrets import signing_secrets
from hookstream.entry.admin.tables import State, at_revision


@dataclass(slots=True, frozen=True)
class SubscriptionFacts:
    """A subscription as it is shown: its row, its status, and its endpoint's health."""

    subscription: Subscription | UnreadableSubscription
    status: SubscriptionStatus | None
    """None: suspended. A partner learns of a hold only that there is one."""
    failing_since: Millis | None = None
    """Since when its endpoint only fails; None: it does not."""

    def state_text(self, now: Millis) -> str:
        """Return its status in a few words."""
        return "suspended" if self.status is None else status_text(self.status, now)


_SUSPENDED: JsonObject = {"state": "suspended"}


def facts_of(
    state: State, subscription_id: str, now: Millis, directory: Directory | None = None
) -> SubscriptionFacts:
    """Return a subscription of the tables.

    Args:
        state: The tables.
        subscription_id: One of them.
        now: The present.
        directory: What `directory_of` returned, where it is known already.
    """
    directory = directory_of(state) if directory is None else directory
    status = directory.holds.over(directory.status(subscription_id, now))
    failing = state.failing.get(subscription_id)
    found = state.current.subscriptions[subscription_id]
    return SubscriptionFacts(found, status, None if failing is None else failing.since)


def pause(
    writer: ChangeWriter, subscription_id: str, revision: int | None
) -> tuple[Subscription, bool]:
    """Pause a subscription; return it as it is then, and whether that changed it.

    Raises:
        InputRefused: There is no such subscription.
        Conflict: It is at another revision.
    """
    before = at_revision(writer.state, subscription_id, revision)
    after = transitions.pause(before, writer.session.takes_effect)
    if after is not before:
        writer.write_subscription(after, "paused", writer.session.takes_effect)
    return after, after is not before


def delete(writer: ChangeWriter, subscription_id: str, revision: int | None) -> Subscription:
    """Delete a subscription, and return it as it was.

    Raises:
        InputRefused: There is no such subscription.
        Conflict: It is at another revision than the one given.
    """
    subscription = at_revision(writer.state, subscription_id, revision)
    writer.write([Delete(subscription, transitions.delete(subscription))])
    return subscription


def directory_of(state: State) -> Directory:
    """Return the tables as a worker keeps them."""
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


def status_text(status: SubscriptionStatus, now: Millis) -> str:
    """Return the status of a subscription in a few words."""
    match status:
        case Live(subscription):
            begins = subscription.active_from
            return "active" if begins < now else f"active from {to_the_second(begins)}"
        case Held(hold=hold):
            return f"held since {to_the_second(hold.since)} ({hold.kind}: {hold.reason})"
        case Paused(since=since):
            return f"paused since {to_the_second(since)}"
        case DisabledStatus(disabled=disabled):
            return f"disabled since {to_the_second(disabled.since)} ({disabled.reason})"
        case Deleted():
            return "deleted"
        case Unreadable(unreadable):
            return f"unreadable: {unreadable.why}"
        case Absent():
            return "absent"


def status_document(status: SubscriptionStatus) -> JsonObject:
    """Return the status as JSON."""
    match status:
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
        case DisabledStatus(disabled=disabled):
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


def subscription_document(facts: SubscriptionFacts, now: Millis) -> JsonObject:
    """Return a subscription as JSON, without its secrets."""
    subscription = facts.subscription
    gaps: list[Json] = [
        {
            "start": to_rfc3339(gap.start),
            "end": None if gap.end is None else to_rfc3339(gap.end),
            "reason": gap.reason,
            "filled_by": gap.filled_by,
            "incomplete": gap.incomplete,
        }
        for gap in subscription.gaps
    ]
    document: JsonObject = {
        "id": subscription.id,
        "partner": subscription.partner_id,
        **(_SUSPENDED if facts.status is None else status_document(facts.status)),
        "event_types": list(subscription.event_types),
        "active_from": to_rfc3339(subscription.active_from),
        "gaps": gaps,
    }
    if isinstance(subscription, Subscription):
        document["revision"] = subscription.revision
        document["signing_secrets"] = signing_secrets(subscription, now)
        document["fields"] = shown_fields(without_ended(subscription, now))
        document["declared_at"] = subscription.declared_at or None
    since = facts.failing_since
    return {**document, "failing_since": None if since is None else to_rfc3339(since)}


def shown_fields(subject: Subscription | Partner) -> JsonObject:
    """Return the fields of a subject by their paths, without secrets."""
    return {path: field.shown for path, field in fields_of(subject, scrub).items()}
