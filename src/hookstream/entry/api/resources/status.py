"""Route that shows the state of the installation, for operators."""

from typing import Annotated

from msgspec import Meta

from hookstream.core.access.scopes import Scope
from hookstream.core.model.instant import to_rfc3339
from hookstream.entry.admin.status import Status
from hookstream.entry.api.fields import ApiInput, ApiOutput
from hookstream.entry.api.filters import time_text
from hookstream.entry.api.resources.holds import HoldInForce, shown_hold
from hookstream.entry.api.routes import ApiAnswer, Call, Route

MOST_SCANNED = 100_000
"""Tier records, and records of each dead-letter topic, that are read for one answer."""


class StatusQuery(ApiInput, frozen=True):
    """The bound on the records to read."""

    scan: Annotated[int, Meta(ge=1_000, le=MOST_SCANNED)] = MOST_SCANNED
    """Tier records, and records of each dead-letter topic, at most."""


class StatusPartitionShown(ApiOutput, frozen=True):
    """A partition that needs an operator's attention."""

    topic: str
    partition: int
    why: str


class StatusTierShown(ApiOutput, frozen=True):
    """The waiting deliveries of one tier."""

    tier: str
    waiting: int
    overdue: int
    overdue_since: str | None
    """When the first overdue one was due."""


class BreakerShown(ApiOutput, frozen=True):
    """A subscription whose deliveries wait for its circuit breaker."""

    subscription: str
    partner: str
    waiting: int


class LaneAtLimitShown(ApiOutput, frozen=True):
    """A subscription that gets more than its lanes may attempt, although its breaker is closed."""

    subscription: str
    partner: str
    waiting: int
    """Its deliveries that wait in tiers for this reason."""
    queued: int
    """Its deliveries in lanes that may start no attempt now."""
    workers: int
    """The number of workers that report such a lane."""
    why: str
    """The cause of the lane with the longest queue, or, if no worker reports one, the most frequent reason for waiting."""


class StatusWorkerShown(ApiOutput, frozen=True):
    """The answer of one worker."""

    address: str
    """The address that was asked."""
    release: str | None
    """Null: not known."""
    stopped_partitions: int
    not_ready: str | None
    """Why it matches no events now; null: it does match them."""
    problem: str | None
    """Why it did not answer; null: it did."""


class StatusJobShown(ApiOutput, frozen=True):
    """A stalled job."""

    id: str
    kind: str


class StatusShown(ApiOutput, frozen=True):
    """The state of the installation."""

    at: str
    lag_ms: int
    """Age of the oldest unsettled event; 0: all are settled."""
    unsettled_events: int
    """Unsettled records of event topics, at most."""
    partitions: tuple[StatusPartitionShown, ...]
    """Those without a worker, or that make no progress."""
    tiers: tuple[StatusTierShown, ...]
    open_breakers: tuple[BreakerShown, ...]
    """From the waiting deliveries and the workers; only the workers know all of them."""
    holds: tuple[HoldInForce, ...]
    stalled_jobs: tuple[StatusJobShown, ...]
    dead_letters: dict[str, int]
    """Of the last hour, by reason."""
    undecodable: dict[str, int]
    """Likewise."""
    workers: tuple[StatusWorkerShown, ...]
    """Those that `console.workers` names."""
    lanes_at_limit: tuple[LaneAtLimitShown, ...]
    """From the workers and the waiting deliveries; the most waiting deliveries first."""
    notes: tuple[str, ...]
    """What is unknown or not counted."""


def get_status(call: Call[StatusQuery, None]) -> ApiAnswer:
    """Return the state of the installation."""
    return ApiAnswer(_shown(call.services.status(call.query.scan)))


def _shown(status: Status) -> StatusShown:
    return StatusShown(
        at=to_rfc3339(status.at),
        lag_ms=status.lag,
        unsettled_events=status.unsettled,
        partitions=tuple(
            StatusPartitionShown(topic=each.at.topic, partition=each.at.partition, why=each.why)
            for each in status.partitions
        ),
        tiers=tuple(
            StatusTierShown(
                tier=each.topic,
                waiting=each.waiting,
                overdue=each.overdue,
                overdue_since=time_text(each.overdue_since),
            )
            for each in status.tiers
        ),
        open_breakers=tuple(
            BreakerShown(
                subscription=each.subscription_id, partner=each.partner_id, waiting=each.waiting
            )
            for each in status.breakers
        ),
        holds=tuple(shown_hold(each) for each in status.holds),
        stalled_jobs=tuple(
            StatusJobShown(id=each.id, kind=each.kind) for each in status.stalled_jobs
        ),
        dead_letters=dict(status.dead_letters),
        undecodable=dict(status.undecodable),
        workers=tuple(
            StatusWorkerShown(
                address=each.address,
                release=each.release or None,
                stopped_partitions=each.stopped_partitions,
                not_ready=each.not_ready or None,
                problem=each.problem or None,
            )
            for each in status.workers
        ),
        lanes_at_limit=tuple(
            LaneAtLimitShown(
                subscription=each.subscription_id,
                partner=each.partner_id,
                waiting=each.waiting,
                queued=each.queued,
                workers=each.workers,
                why=each.why,
            )
            for each in status.lanes_at_limit
        ),
        notes=tuple(status.notes),
    )


ROUTES = (
    Route(
        "GET",
        "/v1/status",
        Scope.OPERATOR_READ,
        "Show what waits, what is stopped, and what was given up in the last hour.",
        get_status,
        StatusShown,
        query=StatusQuery,
        tag="status",
    ),
)
