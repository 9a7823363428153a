"""The state of an installation in which something is wrong of every kind."""

from dataclasses import replace

from tests.doubles.clock import NOON
from tests.doubles.lanes import CALM

from hookstream.core.jobs.job import Job
from hookstream.core.lanes.lane_status import FullLane
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.record import TopicPartition
from hookstream.entry.admin.status import (
    BreakerStatus,
    OpenPartition,
    Status,
    TierStatus,
    with_workers,
)
from hookstream.entry.admin.worker_pages import WorkerPage

PAGES = (
    WorkerPage(
        "10.0.0.1:9464",
        "1.2.3",
        (("crm", "acme"), ("erp", "acme")),
        full_lanes=(
            FullLane("shop", "rival", replace(CALM, in_flight=4, queued=70)),
            FullLane("crm", "acme", replace(CALM, queued=5)),
        ),
        unnamed=3,
    ),
    WorkerPage(
        "10.0.0.2:9464",
        "1.2.3",
        stopped_partitions=2,
        not_ready="tables_current: false",
        full_lanes=(FullLane("shop", "rival", replace(CALM, rests=9.0, queued=90)),),
    ),
    WorkerPage("10.0.0.3:9464", problem="it gave no answer: refused"),
)


def a_status() -> Status:
    return with_workers(_without_workers(), PAGES)


def _without_workers() -> Status:
    return Status(
        at=NOON,
        lag=90_500,
        unsettled=1_234,
        partitions=[
            OpenPartition(TopicPartition("printprice.pricing", 3), "it is assigned to no worker"),
            OpenPartition(TopicPartition("printprice.pricing", 4), "it is assigned to no worker"),
        ],
        tiers=[
            TierStatus("hookstream.retry.5s", 7, 2, NOON - 61_000),
            TierStatus("hookstream.retry.1h", 1),
        ],
        breakers=[BreakerStatus("crm", "acme", 1_200)],
        holds=[Hold(HoldKind.PARTNER, "acme", NOON - 7_200_000, "a deploy", "ann@desk", 3)],
        stalled_jobs=[Job("replay-1", "replay", {}, NOON)],
        dead_letters={"expired": 12, "gone": 1},
        undecodable={"corrupt": 3},
        notes=["5 tier records beyond the bound were not read"],
    )
