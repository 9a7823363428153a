"""Partners for operators: their subscriptions, and deleting them."""

from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.subscription import Partner, Subscription, SubscriptionState
from hookstream.core.planning import transitions
from hookstream.core.planning.changes import Delete
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.subscriptions import shown_fields
from hookstream.entry.admin.tables import State, found_partner, found_subscription
from hookstream.errors import InputRefused


def live_subscriptions(state: State, partner_id: str) -> list[str]:
    """Return the ids of a partner's subscriptions, unreadable ones too, deleted ones not."""
    return sorted(
        name
        for name, found in state.current.subscriptions.items()
        if found.partner_id == partner_id
        and not (isinstance(found, Subscription) and found.state == SubscriptionState.DELETED)
    )


def partner_document(partner: Partner, state: State) -> JsonObject:
    """Return a partner as JSON."""
    subscriptions: list[Json] = [*live_subscriptions(state, partner.id)]
    return {
        "id": partner.id,
        "revision": partner.revision,
        "fields": shown_fields(partner),
        "granted_from": to_rfc3339(partner.grant_from),
        "subscriptions": subscriptions,
    }


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
