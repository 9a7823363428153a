"""Decides whether a subscription is active at a record's time, and who delivers a record in one of its gaps.

A subscription is active at a record's time if that is after its `active_from` and in no gap. It does not matter
which worker reads the record, or when. So each record of a subscription is delivered in one of three ways:

1. *Live*: its time lies in no gap. A worker delivers it, even if the worker lags, or if the record waited in the
   tiers for its schema or was redriven from the undecodable topic.
2. *Replay*: its time lies in a gap. The replay that fills the gap owns every record that it reads up to its
   fixed ends, if it names a schema. If that is not known yet, or the record cannot be decoded by it, the
   replay writes it to the tiers as an event for this subscription alone, which waits for its schema, or is
   set aside, apart from the copy of the same record for all other subscriptions. (There is none of a
   malformed record if nobody else wanted its type: then no worker decoded it.) That copy never matches here,
   or there would be two deliveries.
3. *Late*: its time lies in a gap that is filled, and the replay did not take it: it named no schema that may
   be used, so that every worker set it aside; or retention took records before the replay read them (the gap
   is `incomplete`). It matches when it is redriven, and in an incomplete gap also when its schema comes
   late.

It is unknown which records a replay lost, and whether the cause that made a record undecodable was repaired before
the replay read it. In these two cases a late event may be one that the replay took: it is then delivered twice,
with one `webhook-id`, since the other mistake would lose it. A gap whose replay was not requested is not
delivered at all.
"""

from collections.abc import Iterable
from enum import StrEnum

from hookstream.core.model.event import UndecodableReason
from hookstream.core.model.instant import Millis
from hookstream.core.model.subscription import (
    Disabled,
    Gap,
    Subscription,
    UnreadableSubscription,
)


class Arrival(StrEnum):
    """How an event reached the worker that matches it."""

    LIVE = "live"
    """It was read from its event topic, however late."""
    WAITED = "waited"
    """From a tier: its schema was not known when it was read, or for so long that it was set aside; or it
    could not be decoded, and was redriven."""
    UNDECODABLE = "undecodable"
    """From a tier: it named no schema that may be used, or was too large, and was redriven."""


_TAKEN = frozenset(
    {
        None,
        UndecodableReason.UNKNOWN_SCHEMA.value,
        UndecodableReason.MALFORMED.value,
        UndecodableReason.TRAILING_BYTES.value,
        UndecodableReason.BAD_ENVELOPE.value,
    }
)
"""Reasons for which a worker sets a record aside that names its schema: a replay takes it. (One that is too
large may have been refused before it was identified.)"""


def arrival_of(*, in_tier: bool, undecodable_as: str | None) -> Arrival:
    """Return how an event reached a worker.

    Args:
        in_tier: Whether it was read from a tier.
        undecodable_as: The reason with which it was set aside before it was redriven; None: it was not.
    """
    if not in_tier:
        return Arrival.LIVE
    if undecodable_as in _TAKEN:
        return Arrival.WAITED
    return Arrival.UNDECODABLE


def gaps_of(
    subscription: Subscription | UnreadableSubscription, disabled: Disabled | None
) -> tuple[Gap, ...]:
    """Return every gap, with the open one of a disabled endpoint."""
    if disabled is None:
        return subscription.gaps
    return (*subscription.gaps, Gap(disabled.since, None, "disabled"))


def around(gaps: Iterable[Gap], timestamp: Millis) -> list[Gap]:
    """Return the gaps in which a record's time lies."""
    return [
        gap for gap in gaps if gap.start < timestamp and (gap.end is None or timestamp <= gap.end)
    ]


def active_at(
    subscription: Subscription | UnreadableSubscription,
    disabled: Disabled | None,
    timestamp: Millis,
    arrival: Arrival = Arrival.LIVE,
) -> bool:
    """Return whether a record of this time is delivered by workers, and not by a replay or by nobody.

    Args:
        subscription: The subscription.
        disabled: Its health row; None: its endpoint is not disabled.
        timestamp: The record's time in its event topic.
        arrival: How it came to the worker, as an event for all subscriptions.
    """
    found = around(gaps_of(subscription, disabled), timestamp)
    if not found:
        return timestamp > subscription.active_from
    return left_by_replays(found, timestamp, arrival)


def precedes(timestamp: Millis, subscription: Subscription) -> bool:
    """Return whether a record is older than a subscription, as one of an earlier life of its id is.

    What a subscription that started in the past was created for is not. (Of its other gaps, that of a disabling
    begins a minute early, which may be before it was created.)
    """
    started = (gap for gap in subscription.gaps if gap.reason == "started")
    return timestamp <= subscription.active_from and not around(started, timestamp)


def run_precedes(begun: Millis, job: str, subscription: Subscription) -> bool:
    """Return whether a job's run of a delivery began for an earlier life of a subscription's id.

    Jobs begin no run for a subscription before it takes effect. (Earlier releases did: what fills a gap of its row
    is its own.)

    Args:
        begun: When the run began, by the brokers' clock.
        job: The job.
        subscription: The subscription that has the id now.
    """
    return begun <= subscription.active_from and not fills(job, subscription)


def fills(job: str, subscription: Subscription) -> bool:
    """Return whether a job is the replay that fills a gap of a subscription, or a part of one."""
    return any(gap.filled_by == job for gap in subscription.gaps)


def left_by_replays(gaps: Iterable[Gap], timestamp: Millis, arrival: Arrival) -> bool:
    """Return whether a record lies in a filled gap whose replay did not take it, as far as is known."""
    match arrival:
        case Arrival.LIVE:
            return False
        case Arrival.WAITED:
            return any(gap.incomplete for gap in around(gaps, timestamp))
        case Arrival.UNDECODABLE:
            return any(gap.filled_by is not None for gap in around(gaps, timestamp))
