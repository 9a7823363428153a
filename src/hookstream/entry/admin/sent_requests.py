"""Reconstructs the request of a past attempt from its audit record and the present subscription."""

from collections.abc import Iterable
from dataclasses import dataclass

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.delivery.address import host_header
from hookstream.core.delivery.bodies.batch import batch_body
from hookstream.core.delivery.bodies.formats import media_type
from hookstream.core.delivery.sent_request import (
    AttemptMade,
    SentRequest,
    SubscriptionToday,
    sent_request,
)
from hookstream.core.model.delivery import Trigger
from hookstream.core.model.instant import Millis
from hookstream.core.model.outcome import Refused
from hookstream.core.model.subscription import Subscription
from hookstream.entry.admin.tables import State

_NO_REQUEST = (None, Refused.name)
"""Outcomes without a request: it ended before one was made, or was refused."""


@dataclass(slots=True, frozen=True)
class LastSent:
    """The last request of a delivery."""

    at: Millis
    attempt: int
    job: str | None
    """The run that it belongs to; None: the first life."""
    version: int
    """The version of the event's data that was sent."""
    request: SentRequest
    changed_at: Millis | None
    """When the subscription changed last, if that was after the request; None: it did not, or is not known."""
    is_known: bool
    """Whether the subscription can be read today."""


def last_sent(
    entries: Iterable[AuditEntry], state: State | None, subscriptions: str
) -> LastSent | None:
    """Return the last request that was made of a delivery; None: none was.

    Args:
        entries: Its audit entries.
        state: The tables; None: they cannot be read.
        subscriptions: The name of the subscriptions table.
    """
    made = [entry for entry in entries if entry.outcome not in _NO_REQUEST]
    if not made:
        return None
    last = max(made, key=lambda entry: (entry.started_at, entry.attempt))
    found = None if state is None else state.current.subscriptions.get(last.subscription_id)
    today = None
    if isinstance(found, Subscription):
        today = _today(found, last.started_at)
    row = None if state is None else state.rows[subscriptions].get(last.subscription_id)
    changed_at = None if row is None or row.timestamp <= last.started_at else row.timestamp
    return LastSent(
        last.started_at,
        last.attempt,
        last.job_id,
        last.event_version,
        sent_request(_made(last), today),
        changed_at,
        today is not None,
    )


def _made(entry: AuditEntry) -> AttemptMade:
    is_test = entry.trigger == Trigger.TEST
    return AttemptMade(
        webhook_id=entry.batch_id or entry.delivery_id,
        at=entry.started_at,
        attempt=entry.attempt,
        trigger=entry.trigger,
        replay=None if is_test else entry.job_id,
        host=entry.host,
        body_bytes=entry.request_bytes,
        in_batch=entry.batch_id is not None,
    )


def _today(subscription: Subscription, at: Millis) -> SubscriptionToday:
    """Return what a subscription says of a request that was made at an instant."""
    endpoint = subscription.endpoint
    static = (*endpoint.headers, *endpoint.secret_headers)
    batch = None if subscription.batch is None else batch_body(subscription.format)
    return SubscriptionToday(
        host=host_header(endpoint.target),
        content_type=media_type(subscription.format) if batch is None else batch.media_type,
        header_names=[name for name, _ in static],
        has_credentials=endpoint.credentials is not None,
        secrets=[secret.id for secret in endpoint.secrets if secret.is_live(at)],
    )
