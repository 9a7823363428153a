"""Decides by the present subscription whether the next step of a replay may be made."""

from dataclasses import dataclass
from typing import TypeAlias

from hookstream.core.jobs.job import Job
from hookstream.core.model.active_interval import run_precedes
from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.subscription import Partner, Subscription
from hookstream.core.model.subscription_status import (
    Absent,
    Deleted,
    DisabledStatus,
    Held,
    Live,
    Paused,
    SubscriptionStatus,
    Unreadable,
)
from hookstream.core.replay.reached import Revisions


@dataclass(slots=True, frozen=True)
class Proceed:
    """The next step may be made."""

    revisions: Revisions
    """The rows by which it is checked."""
    note: str = ""
    """What changed since the last step; empty: nothing."""


@dataclass(slots=True, frozen=True)
class Wait:
    """Nothing is written as long as this lasts."""

    why: str


@dataclass(slots=True, frozen=True)
class Refuse:
    """Nothing more is written until an operator resumes the job."""

    why: str


StepStatus: TypeAlias = Proceed | Wait | Refuse


def step_status(
    subscription_id: str, status: SubscriptionStatus, before: Revisions, job: Job, now: Millis
) -> StepStatus:
    """Return whether the next step of a replay may be made.

    Args:
        subscription_id: The subscription.
        status: Its status, holds included.
        before: The rows by which the last step was judged.
        job: The replay.
        now: The present, by the brokers' clock.
    """
    match status:
        case Live(subscription) if run_precedes(job.asked_at, job.id, subscription):
            return Refuse(
                f"{subscription_id} was deleted and created again after the replay was requested:"
                " request another one"
            )
        case Live(subscription) if now <= subscription.active_from:
            # By then every worker has its row, and none cancels a run by that of an earlier life of the id.
            return Wait(f"{subscription_id} starts at {to_rfc3339(subscription.active_from)}")
        case Live(subscription, Partner() as partner):
            return _proceed(subscription, partner, before)
        case DisabledStatus(disabled=disabled):
            return Refuse(
                f"{subscription_id} is disabled ({disabled.reason}): hookstream subscriptions enable"
                " comes first, then jobs resume"
            )
        case Deleted():
            return Refuse(f"{subscription_id} was deleted")
        case _:
            return Wait(_why(subscription_id, status))


def _why(subscription_id: str, status: Live | Held | Paused | Unreadable | Absent) -> str:
    match status:
        case Live(subscription):
            return f"partner {subscription.partner_id} has no row: nothing is granted to it"
        case Held(hold=hold):
            return f"{subscription_id} is held ({hold.kind}: {hold.reason})"
        case Paused():
            return f"{subscription_id} is paused"
        case Unreadable(unreadable):
            return f"{subscription_id} cannot be read: {unreadable.why}"
        case Absent():
            return f"there is no subscription {subscription_id} (any more)"


def _proceed(subscription: Subscription, partner: Partner, before: Revisions) -> Proceed:
    now = Revisions(subscription.revision, partner.revision)
    changed = [
        f"{what} changed (revision {old} to {new}): it counts from here on"
        for what, old, new in (
            (f"subscription {subscription.id}", before.subscription, now.subscription),
            (f"partner {partner.id}", before.partner, now.partner),
        )
        if old not in (0, new)
    ]
    return Proceed(now, "; ".join(changed))
