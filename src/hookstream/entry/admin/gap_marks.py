"""Says in a subscription's row that a replay may have lost records of its gaps."""

from hookstream.core.model.subscription import Subscription, SubscriptionState
from hookstream.core.planning.gap_fills import incomplete
from hookstream.entry.admin.changes import changing
from hookstream.errors import DependencyUnavailable, ProducerFenced
from hookstream.settings import Settings


def mark_incomplete(settings: Settings, subscription_id: str, job_id: str) -> None:
    """Say in a subscription's row that a replay may have lost records of its gaps. Blocks.

    Raises:
        DependencyUnavailable: The brokers cannot be reached, or another writer took over the tables
            meanwhile.
    """
    try:
        _mark(settings, subscription_id, job_id)
    except ProducerFenced as fenced:
        # It is not the job that was taken over.
        raise DependencyUnavailable(f"the tables are being changed: {fenced}") from None


def _mark(settings: Settings, subscription_id: str, job_id: str) -> None:
    with changing(settings) as writer:
        found = writer.state.current.subscriptions.get(subscription_id)
        if isinstance(found, Subscription) and found.state is not SubscriptionState.DELETED:
            after = incomplete(found, job_id)
            if after is not found:
                lost = [f"gaps: {job_id} may have lost records of those that it fills"]
                writer.write_subscription(after, "updated", writer.session.now, details=lost)
