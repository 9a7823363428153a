"""What all attempts of one revision of a subscription share is made once."""

from dataclasses import dataclass

from hookstream.core.delivery import address, signing
from hookstream.core.model.subscription import Subscription


@dataclass(slots=True, frozen=True)
class Prepared:
    """What every attempt of one revision of a subscription shares."""

    subscription: Subscription
    headers: signing.RequestHeaders
    host: str


class PreparedRequests:
    """The prepared parts by subscription."""

    def __init__(self) -> None:
        """Start empty."""
        self._prepared: dict[str, Prepared] = {}

    def of(self, subscription: Subscription) -> Prepared:
        """Return what attempts of this revision share."""
        found = self._prepared.get(subscription.id)
        if found is not None and found.subscription is subscription:
            return found
        endpoint = subscription.endpoint
        headers = signing.RequestHeaders(
            [secret.key for secret in endpoint.secrets], endpoint.headers
        )
        prepared = Prepared(subscription, headers, address.host_of(endpoint.url))
        self._prepared[subscription.id] = prepared
        return prepared

    def forget(self, subscription_id: str) -> None:
        """Drop a subscription's keys."""
        self._prepared.pop(subscription_id, None)
