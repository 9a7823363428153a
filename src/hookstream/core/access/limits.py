"""What a partner may ask for by itself, within its limits; operators are not bound by them.

A partner whose limits were lowered keeps what it has: only what it asks for from then on is refused.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from hookstream.core.jobs.job import Job, JobState
from hookstream.core.model.instant import DAY, Millis, format_duration
from hookstream.core.model.partner_limits import PartnerLimits
from hookstream.core.model.subscription import (
    Subscription,
    SubscriptionState,
    UnreadableSubscription,
)

REPLAY = "replay"
"""The kind of jobs whose events count as replayed."""


class LimitReason(StrEnum):
    """Which limit refuses; each value is the reason that the partner is given."""

    SUBSCRIPTIONS = "too_many_subscriptions"
    MAX_IN_FLIGHT = "max_in_flight_exceeds_limit"
    WEIGHT = "weight_exceeds_limit"
    TIMEOUT = "timeout_exceeds_limit"
    RUNNING_JOBS = "too_many_running_jobs"
    REPLAYED_EVENTS = "too_many_replayed_events"
    FOREIGN_ID = "id_is_not_of_partner"


@dataclass(slots=True, frozen=True)
class LimitProblem:
    """Why a partner may not have what it asks for."""

    reason: LimitReason
    field: str
    """The field of the request that has to change; empty: none."""
    text: str
    """What the limit is, and what would exceed it."""


def subscription_problems(
    limits: PartnerLimits,
    existing: Iterable[Subscription | UnreadableSubscription],
    before: Subscription | None,
    after: Subscription,
) -> list[LimitProblem]:
    """Return why a partner may not write a subscription; none if it may.

    Args:
        limits: The partner's.
        existing: All its subscriptions as they are, deleted ones too.
        before: The subscription as it is; None: it is new, or was deleted.
        after: As the partner wants it.
    """
    found: list[LimitProblem] = []
    others = [each for each in existing if each.id != after.id and not _is_deleted(each)]
    if before is None or _is_deleted(before):
        before = None
        if len(others) >= limits.subscriptions:
            text = f"this partner may have {limits.subscriptions} subscriptions, and has {len(others)}"
            found.append(LimitProblem(LimitReason.SUBSCRIPTIONS, "", text))
        if not is_id_of(after.partner_id, after.id):
            text = f"the id of a subscription that a partner makes begins with {after.partner_id}."
            found.append(LimitProblem(LimitReason.FOREIGN_ID, "id", text))
    asked, had = after.limits, None if before is None else before.limits
    if had is None or asked.max_in_flight > had.max_in_flight:
        rest = sum(each.limits.max_in_flight for each in others if isinstance(each, Subscription))
        if rest + asked.max_in_flight > limits.max_in_flight:
            text = (
                f"the sum over all subscriptions may be {limits.max_in_flight}: the others have"
                f" {rest}, so this one may have {max(0, limits.max_in_flight - rest)}"
            )
            found.append(LimitProblem(LimitReason.MAX_IN_FLIGHT, "limits.max_in_flight", text))
    if asked.weight > max(limits.weight, 0 if had is None else had.weight):
        text = f"it may be {limits.weight} at most, not {asked.weight}"
        found.append(LimitProblem(LimitReason.WEIGHT, "limits.weight", text))
    timeout = after.endpoint.timeout
    if timeout > max(limits.timeout, 0 if before is None else before.endpoint.timeout):
        longest = format_duration(limits.timeout)
        text = f"it may be {longest} at most, not {format_duration(timeout)}"
        found.append(LimitProblem(LimitReason.TIMEOUT, "endpoint.timeout", text))
    return found


def is_id_of(partner_id: str, subscription_id: str) -> bool:
    """Return whether a partner may give a subscription this id: `<partner>.<random>`."""
    return (
        subscription_id.startswith(f"{partner_id}.") and len(subscription_id) > len(partner_id) + 1
    )


def job_problem(
    limits: PartnerLimits,
    jobs: Iterable[Job],
    subscriptions: Collection[str],
    now: Millis,
    events: int | None = None,
) -> LimitProblem | None:
    """Return why a partner may not start a job; None if it may.

    A running replay counts with all that it may deliver, as far as that is known, not only with what it has
    done. So the sum holds whichever processes start them, as long as they do so one after the other.

    Args:
        limits: The partner's.
        jobs: All jobs.
        subscriptions: The ids of the partner's subscriptions, deleted ones too.
        now: The brokers' time.
        events: How many events the new job may replay; None: it replays none.
    """
    own = [job for job in jobs if _concerns(job, subscriptions)]
    running = sum(job.state is JobState.RUNNING for job in own)
    if running >= limits.running_jobs:
        text = f"this partner may have {limits.running_jobs} running, and has {running}: wait"
        return LimitProblem(LimitReason.RUNNING_JOBS, "", text)
    if events is None:
        return None
    replayed = _replayed(own, now)
    if replayed + events > limits.replayed_events_a_day:
        text = (
            f"this partner may have {limits.replayed_events_a_day} events of 24 hours replayed:"
            f" {replayed} were, and this is {events}"
        )
        return LimitProblem(LimitReason.REPLAYED_EVENTS, "most_events", text)
    return None


def replayable_events(
    limits: PartnerLimits, jobs: Iterable[Job], subscriptions: Collection[str], now: Millis
) -> int:
    """Return how many events a partner may have replayed now; otherwise as `job_problem`."""
    own = [job for job in jobs if _concerns(job, subscriptions)]
    return max(0, limits.replayed_events_a_day - _replayed(own, now))


def _replayed(own: Iterable[Job], now: Millis) -> int:
    return sum(
        max(job.done, _reserved(job) if job.state is JobState.RUNNING else 0)
        for job in own
        if job.kind == REPLAY and (job.asked_at > now - DAY or job.state is JobState.RUNNING)
    )


def _reserved(job: Job) -> int:
    """Return how many events a job may replay, as far as its row says."""
    most = job.asked.get("most_events")
    return most if isinstance(most, int) else job.total


def _concerns(job: Job, subscriptions: Collection[str]) -> bool:
    """Return whether a job is about subscriptions of these alone: a replay of one, a redrive of some."""
    match job.asked:
        case {"subscription": str(name)}:
            return name in subscriptions
        case {"selector": {"subscriptions": [*names]}} if names:
            return all(isinstance(name, str) and name in subscriptions for name in names)
        case _:
            return False


def _is_deleted(found: Subscription | UnreadableSubscription) -> bool:
    return isinstance(found, Subscription) and found.state is SubscriptionState.DELETED
