"""Counts of dead letters by a property, with the hosts of endpoints from the tables."""

from hookstream.core.delivery.address import host_of
from hookstream.core.model.subscription import Subscription
from hookstream.core.redrive.groups import GroupBy, Grouping
from hookstream.entry.admin.subscriptions import directory_of
from hookstream.entry.admin.tables import read_state
from hookstream.settings import Settings


def grouped(settings: Settings, by: GroupBy) -> Grouping:
    """Return a grouping to fill; it reads the tables only if it counts by host."""
    if by is not GroupBy.HOST:
        return Grouping(by)
    subscriptions = directory_of(read_state(settings)).subscriptions

    def host(subscription_id: str) -> str | None:
        found = subscriptions.get(subscription_id)
        return host_of(found.endpoint.url) if isinstance(found, Subscription) else None

    return Grouping(by, host)
