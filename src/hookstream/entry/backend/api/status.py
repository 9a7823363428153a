"""The state of an installation through the API; this process asks the workers that are named."""

from dataclasses import dataclass

from hookstream.core.jobs.job import Job
from hookstream.core.model.instant import from_rfc3339
from hookstream.core.model.record import TopicPartition
from hookstream.entry.admin.status import (
    BreakerStatus,
    LaneAtLimit,
    OpenPartition,
    Status,
    TierStatus,
    with_workers,
)
from hookstream.entry.admin.worker_pages import WorkerPage, read_workers
from hookstream.entry.api.resources.status import MOST_SCANNED, StatusQuery, StatusShown
from hookstream.entry.backend.api.client import ApiClient
from hookstream.entry.backend.api.values import hold_in, instant_or_none


@dataclass(slots=True, frozen=True)
class ApiStatus:
    """Implements `StatusCommand`."""

    api: ApiClient

    def read(self, workers: tuple[str, ...], most: int) -> Status:
        query = StatusQuery(scan=min(most, MOST_SCANNED))
        status = _status(self.api.get("/v1/status", StatusShown, query))
        # A console never connects to an address that a client gives it.
        return with_workers(status, read_workers(workers)) if workers else status


def _status(shown: StatusShown) -> Status:
    return Status(
        at=from_rfc3339(shown.at),
        lag=shown.lag_ms,
        unsettled=shown.unsettled_events,
        partitions=[
            OpenPartition(TopicPartition(each.topic, each.partition), each.why)
            for each in shown.partitions
        ],
        tiers=[
            TierStatus(each.tier, each.waiting, each.overdue, instant_or_none(each.overdue_since))
            for each in shown.tiers
        ],
        breakers=[
            BreakerStatus(each.subscription, each.partner, each.waiting)
            for each in shown.open_breakers
        ],
        holds=[hold_in(each) for each in shown.holds],
        stalled_jobs=[Job(each.id, each.kind, {}, 0) for each in shown.stalled_jobs],
        dead_letters=dict(shown.dead_letters),
        undecodable=dict(shown.undecodable),
        workers=[
            WorkerPage(
                each.address,
                each.release or "",
                stopped_partitions=each.stopped_partitions,
                not_ready=each.not_ready or "",
                problem=each.problem or "",
            )
            for each in shown.workers
        ],
        lanes_at_limit=[
            LaneAtLimit(
                each.subscription, each.partner, each.waiting, each.queued, each.workers, each.why
            )
            for each in shown.lanes_at_limit
        ],
        notes=list(shown.notes),
    )
