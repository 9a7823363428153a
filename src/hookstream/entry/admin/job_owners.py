"""Finds the partner of a job: a partner may see and cancel jobs that concern only its own deliveries."""

from collections.abc import Mapping

from hookstream.core.jobs.job import Job
from hookstream.core.model.subscription import Subscription, UnreadableSubscription


def partner_of_job(
    job: Job, subscriptions: Mapping[str, Subscription | UnreadableSubscription]
) -> str | None:
    """Return the partner that a job is about; None: it is about several, or it is not known.

    Args:
        job: The job.
        subscriptions: All of them by their ids, deleted ones too.
    """
    name = job.asked.get("subscription")
    if isinstance(name, str):
        found = subscriptions.get(name)
        return None if found is None else found.partner_id
    selector = job.asked.get("selector")
    partners = selector.get("partners") if isinstance(selector, dict) else None
    if isinstance(partners, list) and len(partners) == 1 and isinstance(partners[0], str):
        return partners[0]
    return None
