"""The life of one delivery: its timeline, its next step, and its last request."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeliveryHistory
from hookstream.core.audit.next_step import NextStep, next_step
from hookstream.core.audit.run_states import PendingRecord
from hookstream.core.audit.timeline import LifeStep, timeline
from hookstream.core.jobs.job import Job
from hookstream.core.model.subscription_status import SubscriptionStatus
from hookstream.entry.admin.sent_requests import LastSent, last_sent
from hookstream.entry.admin.tables import State


@dataclass(slots=True, frozen=True)
class DeliveryLife:
    """The parts of one delivery's life, in the order in which they are shown."""

    steps: tuple[LifeStep, ...]
    coming: NextStep
    sent: LastSent | None
    """None: no request was made."""


def life_of(
    history: DeliveryHistory,
    entries: Iterable[AuditEntry],
    pending: Sequence[PendingRecord],
    job: Callable[[str], Job | None],
    status: SubscriptionStatus | None,
    state: State | None,
    subscriptions: str,
) -> DeliveryLife:
    """Return the life of a delivery.

    Args:
        history: Its history.
        entries: Its audit entries, each copy as an entry of its own.
        pending: Where its runs wait, the one that is due first at the front.
        job: Returns the job with an id; None: its row is gone.
        status: Its subscription's status under the holds; None: it is not known.
        state: The tables; None: they cannot be read.
        subscriptions: The name of the subscriptions table.
    """
    ids = dict.fromkeys(job_ids(history, pending))
    found = {each: row for each in ids if (row := job(each)) is not None}
    return DeliveryLife(
        timeline(entries, history.deaths, pending, found),
        next_step(history, pending, status),
        last_sent(history.entries, state, subscriptions),
    )


def job_ids(history: DeliveryHistory, pending: Sequence[PendingRecord]) -> Iterator[str]:
    """Yield the jobs that started runs of a delivery or redrove it, each as often as it is named."""
    named = (
        *(entry.job_id for entry in history.entries),
        *(death.job for death in history.deaths),
        *(death.redriven_by for death in history.deaths),
        *(record.delivery.job for record in pending),
    )
    yield from filter(None, named)
