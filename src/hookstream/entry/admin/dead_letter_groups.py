"""Counts of dead letters by a property, with the hosts of endpoints from the tables."""

from collections.abc import Mapping

from hookstream.core.delivery.address import host_of
from hookstream.core.model.subscription import Subscription, UnreadableSubscription
from hookstream.core.redrive.groups import GroupBy, Grouping
from hookstream.entry.admin.subscriptions import directory_of
from hookstream.entry.admin.tables import read_state
from hookstream.settings import Settings


def grouped(settings: Settings, by: GroupBy) -> Grouping:
    """Return a grouping to fill; it reads the tables only if it counts by host."""
    if by is not GroupBy.HOST:
        return Grouping(by)
    return by_host(directory_of(read_state(settings)).subscriptions)


def by_host(subscriptions: Mapping[str, Subscription | UnreadableSubscription]) -> Grouping:
    """Return a grouping by the hosts of subscriptions' endpoints."""

    def host(subscription_id: str) -> str | None:
        found = subscriptions.get(subscription_id)
        return host_of(found.endpoint.url) if isinstance(found, Subscription) else None

    return Grouping(GroupBy.HOST, host)
