"""Partners for operators: their subscriptions and limits, and deleting them."""

from collections.abc import Sequence

from hookstream.core.model.instant import format_duration, to_rfc3339
from hookstream.core.model.json import Json, JsonObject, json_text
from hookstream.core.model.partner_limits import PARTNER_LIMIT_BOUNDS, PartnerLimits
from hookstream.core.model.subscription import Partner, Subscription, SubscriptionState
from hookstream.core.planning import transitions
from hookstream.core.planning.changes import Delete
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.subscriptions import shown_fields
from hookstream.entry.admin.tables import (
    State,
    found_partner,
    found_subscription,
)
from hookstream.errors import InputRefused


def live_subscriptions(state: State, partner_id: str) -> list[str]:
    """Return the ids of a partner's subscriptions, unreadable ones too, deleted ones not."""
    return sorted(
        name
        for name, found in state.current.subscriptions.items()
        if found.partner_id == partner_id
        and not (isinstance(found, Subscription) and found.state == SubscriptionState.DELETED)
    )


def partner_document(partner: Partner, live: Sequence[str]) -> JsonObject:
    """Return a partner as JSON, with the ids of its subscriptions."""
    subscriptions: list[Json] = [*live]
    grants: list[Json] = [
        {
            "since": None if held.since is None else to_rfc3339(held.since),
            "event_types": [*held.grant.event_types],
            "environments": [*held.grant.environments],
            "pattern": held.grant.pattern,
        }
        for held in partner.grants
    ]
    return {
        "id": partner.id,
        "revision": partner.revision,
        "fields": shown_fields(partner),
        "limits": limits_document(partner.limits),
        "granted_from": to_rfc3339(partner.grants[-1].since or 0),
        "grants": grants,
        "subscriptions": subscriptions,
    }


def limits_document(limits: PartnerLimits) -> JsonObject:
    """Return all limits as JSON, in the form of a partner's file."""
    found: JsonObject = {name: getattr(limits, name) for name in PARTNER_LIMIT_BOUNDS}
    return {**found, "timeout": format_duration(limits.timeout)}


def earlier_grants(partner: Partner) -> list[str]:
    """Return a line for each earlier grant that is known, the latest one first."""
    lines = []
    for held, after in zip(partner.grants[-2::-1], partner.grants[:0:-1], strict=True):
        since = "?" if held.since is None else to_rfc3339(held.since)
        types, where = ", ".join(held.grant.event_types), ", ".join(held.grant.environments)
        pattern = "" if held.grant.pattern is None else f"; {json_text(held.grant.pattern)}"
        until = to_rfc3339(after.since or 0)
        lines.append(f"{since} to {until}: {types or '(nothing)'} in {where or '(none)'}{pattern}")
    return lines


def delete(writer: ChangeWriter, partner_id: str, *, cascade: bool) -> tuple[Partner, list[str]]:
    """Delete a partner; return it as it was, and the subscriptions that were deleted with it.

    Raises:
        InputRefused: There is no such partner, or it has subscriptions and `cascade` is false.
    """
    partner = found_partner(writer.state, partner_id)
    live = live_subscriptions(writer.state, partner_id)
    if live and not cascade:
        raise InputRefused(
            f"partner {partner_id!r} has live subscriptions ({', '.join(live)}): "
            "--cascade deletes them as well"
        )
    going = [found_subscription(writer.state, each) for each in live]
    changes = [Delete(each, transitions.delete(each)) for each in going]
    writer.write([*changes, Delete(partner, None)])
    return partner, live
