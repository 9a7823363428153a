"""Marks in a subscription's row that a replay may have lost records of its gaps."""

from hookstream.core.model.subscription import Subscription, SubscriptionState
from hookstream.core.planning.gap_fills import incomplete
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.writing import attempt_change
from hookstream.errors import Contended, DependencyUnavailable
from hookstream.settings import Settings


def mark_incomplete(settings: Settings, subscription_id: str, job_id: str) -> None:
    """Mark in a subscription's row that a replay may have lost records of its gaps. Blocks.

    Raises:
        DependencyUnavailable: The brokers cannot be reached, or other writers took over the tables
            each time.
    """

    def mark(writer: ChangeWriter) -> None:
        found = writer.state.current.subscriptions.get(subscription_id)
        if isinstance(found, Subscription) and found.state is not SubscriptionState.DELETED:
            after = incomplete(found, job_id)
            if after is not found:
                lost = [f"gaps: {job_id} may have lost records of those that it fills"]
                writer.write_subscription(after, "updated", writer.session.now, details=lost)

    try:
        attempt_change(settings, mark)
    except Contended as why:
        # A job continues after an unavailable dependency, but not after a refusal.
        raise DependencyUnavailable(f"the tables are being changed: {why}") from None
