"""The state of an installation in which something is wrong of every kind."""

from tests.doubles.clock import NOON

from hookstream.core.jobs.job import Job
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.record import TopicPartition
from hookstream.entry.admin.status import BreakerStatus, OpenPartition, Status, TierStatus


def a_status() -> Status:
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
