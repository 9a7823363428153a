"""The state of a whole installation, from the brokers, the tables and the workers."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from hookstream.core.jobs.job import Job
from hookstream.core.lanes.lane_status import FullLane
from hookstream.core.model.counted import counted
from hookstream.core.model.delivery import DeferReason, Delivery
from hookstream.core.model.hold import Hold
from hookstream.core.model.instant import MINUTE, Millis, format_duration, to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.listing import partition_ranges
from hookstream.core.model.record import Record, TopicPartition
from hookstream.core.model.topics import Topics
from hookstream.core.offsets.group_position import GroupPosition
from hookstream.entry.admin.worker_pages import WorkerPage

STANDS_AFTER: Millis = MINUTE
"""How old the oldest unsettled event of a partition is when the partition is listed."""

NOT_ASKED = (
    "no worker was asked, so lanes at their limit and some open breakers are not known: set console.workers, or name"
    " some with --worker HOST:PORT"
)
"""The note if no worker was asked."""
_FOR_ITS_LANE: Final[Mapping[DeferReason, str]] = {
    DeferReason.LANE_FULL: "more deliveries come than it answers",
    DeferReason.RATE_LIMITED: "its rate limit",
    DeferReason.THROTTLED: "its endpoint slows it down",
}
"""Why a delivery waits in a tier for room in its lane."""
_NOT_SETTLED = " has not been settled"
_SEVERAL: Final = {
    "it has no leader: it is ": "they have no leader: they are ",
    "it is ": "they are ",
    "its log ends ": "their logs end ",
    "its ": "their ",
}
_RANGES = 5
"""How many ranges of partitions are named."""


@dataclass(slots=True)
class TierStatus:
    """The waiting deliveries of one tier."""

    topic: str
    waiting: int = 0
    """Deliveries, due or not."""
    overdue: int = 0
    """Those of them that are due."""
    overdue_since: Millis | None = None
    """When the first of them was due."""


@dataclass(slots=True)
class BreakerStatus:
    """A subscription whose circuit breaker is not closed."""

    subscription_id: str
    partner_id: str
    waiting: int = 0
    """Its deliveries that wait in tiers for it."""


@dataclass(slots=True, frozen=True)
class LaneAtLimit:
    """A subscription for which more comes than its lanes may attempt, though its breaker is closed."""

    subscription_id: str
    partner_id: str
    waiting: int
    """Its deliveries that wait in tiers for that."""
    queued: int
    """Its deliveries in lanes that may begin no attempt now."""
    workers: int
    """How many workers say that they have such a lane."""
    why: str
    """What holds up the lane in which most is queued, or, where no worker says, what most of it waits for."""


@dataclass(slots=True, frozen=True)
class OpenPartition:
    """A partition that an operator should look at."""

    at: TopicPartition
    why: str


@dataclass(slots=True)
class Status:
    """The state of an installation."""

    at: Millis
    """By this machine's clock."""
    lag: Millis
    """Age of the oldest event that is not settled; 0: all are."""
    unsettled: int
    """Records of event topics that are not settled, at most."""
    partitions: Sequence[OpenPartition]
    tiers: Sequence[TierStatus]
    breakers: Sequence[BreakerStatus]
    holds: Sequence[Hold]
    stalled_jobs: Sequence[Job]
    dead_letters: dict[str, int]
    """Of the last hour, by reason."""
    undecodable: dict[str, int]
    """Likewise."""
    workers: Sequence[WorkerPage] = ()
    """Those that were asked."""
    lanes_at_limit: Sequence[LaneAtLimit] = ()
    """As they and what waits say, the one of which most waits first."""
    notes: list[str] = field(default_factory=list)
    """What is not known or not counted, as sentences."""

    def as_json(self) -> JsonObject:
        """Return the status as plain JSON."""
        return {
            "at": to_rfc3339(self.at),
            "lag_seconds": self.lag / 1000,
            "unsettled_events": self.unsettled,
            "partitions": [
                {"topic": each.at.topic, "partition": each.at.partition, "why": each.why}
                for each in self.partitions
            ],
            "tiers": [
                {
                    "tier": each.topic,
                    "waiting": each.waiting,
                    "overdue": each.overdue,
                    "overdue_seconds": overdue_for(each, self.at) / 1000,
                }
                for each in self.tiers
            ],
            "open_breakers": [
                {
                    "subscription": each.subscription_id,
                    "partner": each.partner_id,
                    "waiting": each.waiting,
                }
                for each in self.breakers
            ],
            "lanes_at_limit": [
                {
                    "subscription": each.subscription_id,
                    "partner": each.partner_id,
                    "waiting": each.waiting,
                    "queued": each.queued,
                    "workers": each.workers,
                    "why": each.why,
                }
                for each in self.lanes_at_limit
            ],
            "holds": [
                {
                    "kind": each.kind.value,
                    "name": each.name,
                    "since": to_rfc3339(each.since),
                    "reason": each.reason,
                    "set_by": each.set_by,
                }
                for each in self.holds
            ],
            "stalled_jobs": [{"id": each.id, "kind": each.kind} for each in self.stalled_jobs],
            "dead_letters": dict(self.dead_letters),
            "undecodable": dict(self.undecodable),
            "workers": [
                {
                    "address": each.address,
                    "release": each.release,
                    "stopped_partitions": each.stopped_partitions,
                    "problem": each.problem or each.not_ready,
                }
                for each in self.workers
            ],
            "notes": list(self.notes),
        }


def overdue_for(tier: TierStatus, now: Millis) -> Millis:
    """Return for how long the most overdue delivery of a tier has been due."""
    return 0 if tier.overdue_since is None else max(0, now - tier.overdue_since)


class TierTally:
    """Counts the waiting deliveries in the tiers, one by one."""

    def __init__(self, topics: Topics, now: Millis) -> None:
        self._topics = topics
        self._now = now
        self._tiers: dict[str, TierStatus] = {}
        self._behind_breakers: dict[str, BreakerStatus] = {}
        self._behind_lanes: dict[tuple[str, str], Counter[DeferReason]] = {}

    def add(self, record: Record, delivery: Delivery) -> None:
        """Count a tier record that is not settled."""
        tier = self._tiers.setdefault(record.topic, TierStatus(record.topic))
        tier.waiting += 1
        # It leaves its tier after the tier's delay, and waits for the rest in a worker or a smaller tier.
        due = max(
            record.timestamp + (self._topics.delay_of(record.topic) or 0), delivery.due_at or 0
        )
        if due < self._now:
            tier.overdue += 1
            first = tier.overdue_since
            tier.overdue_since = due if first is None else min(first, due)
        reason = delivery.deferred_reason
        if reason is DeferReason.BREAKER_OPEN:
            found = self._behind_breakers.setdefault(
                delivery.subscription_id,
                BreakerStatus(delivery.subscription_id, delivery.partner_id),
            )
            found.waiting += 1
        elif reason is not None and reason in _FOR_ITS_LANE:
            reasons = self._behind_lanes.setdefault(
                (delivery.subscription_id, delivery.partner_id), Counter()
            )
            reasons[reason] += 1

    def lanes_at_limit(self) -> list[LaneAtLimit]:
        """Return the subscriptions of which some waits for room in a lane."""
        return _most_first(
            LaneAtLimit(
                name, partner, waits.total(), 0, 0, _FOR_ITS_LANE[waits.most_common(1)[0][0]]
            )
            for (name, partner), waits in self._behind_lanes.items()
        )

    def tiers(self) -> list[TierStatus]:
        """Return the tiers in which something waits, by their delays."""
        return sorted(
            self._tiers.values(), key=lambda tier: self._topics.delay_of(tier.topic) or 0
        )

    def breakers(self, workers: Iterable[WorkerPage] = ()) -> list[BreakerStatus]:
        """Return the subscriptions whose breaker is not closed: as workers say, or as what waits says."""
        return _with_open(self._behind_breakers.values(), workers)


def with_workers(status: Status, workers: Sequence[WorkerPage]) -> Status:
    """Return a status with what workers say of breakers, of lanes and of themselves.

    What other workers said of lanes and of themselves before is left out.
    """
    notes = [each for each in status.notes if each != NOT_ASKED]
    if not workers:
        notes.append(NOT_ASKED)
    unnamed = sum(each.unnamed for each in workers)
    if unnamed:
        notes.append(
            f"workers count {unnamed:,} more open breakers and lanes at their limit, and do not name them"
        )
    breakers = _with_open(status.breakers, workers)
    lanes = _at_limit(status.lanes_at_limit, workers)
    return replace(status, breakers=breakers, workers=workers, lanes_at_limit=lanes, notes=notes)


def _at_limit(known: Iterable[LaneAtLimit], workers: Iterable[WorkerPage]) -> list[LaneAtLimit]:
    found = {
        each.subscription_id: replace(each, queued=0, workers=0) for each in known if each.waiting
    }
    lanes: dict[str, list[FullLane]] = {}
    for worker in workers:
        for lane in worker.full_lanes:
            lanes.setdefault(lane.subscription_id, []).append(lane)
    for name, each in lanes.items():
        nothing = LaneAtLimit(name, each[0].partner_id, 0, 0, 0, "")
        found[name] = replace(
            found.get(name, nothing),
            queued=sum(lane.status.queued for lane in each),
            workers=len(each),
            why=max(each, key=lambda lane: lane.status.queued).why,
        )
    return _most_first(found.values())


def _most_first(lanes: Iterable[LaneAtLimit]) -> list[LaneAtLimit]:
    return sorted(lanes, key=lambda each: (-each.waiting - each.queued, each.subscription_id))


def _with_open(
    known: Iterable[BreakerStatus], workers: Iterable[WorkerPage]
) -> list[BreakerStatus]:
    found = {each.subscription_id: each for each in known}
    for worker in workers:
        for subscription_id, partner_id in worker.open_breakers:
            found.setdefault(subscription_id, BreakerStatus(subscription_id, partner_id))
    return sorted(found.values(), key=lambda each: (-each.waiting, each.subscription_id))


def lag_of(positions: Iterable[GroupPosition], now: Millis) -> Millis:
    """Return the age of the oldest record that is not settled; 0: there is none."""
    return max(
        (max(0, now - each.oldest) for each in positions if each.oldest is not None), default=0
    )


def open_partitions(
    events: Iterable[GroupPosition], tiers: Iterable[GroupPosition], now: Millis
) -> list[OpenPartition]:
    """Return the partitions that no worker reads, whose offsets were lost, or whose events are not settled."""
    found: list[OpenPartition] = []
    for each in events:
        why = _why_open(each)
        if not why and each.oldest is not None and now - each.oldest > STANDS_AFTER:
            age = format_duration((now - each.oldest) // 1000 * 1000)
            why = f"its oldest event{_NOT_SETTLED} for {age}"
        if why:
            found.append(OpenPartition(each.at, why))
    found += [OpenPartition(each.at, why) for each in tiers if (why := _why_open(each))]
    return found


def _why_open(position: GroupPosition) -> str:
    if not position.has_leader:
        return "it has no leader: it is not read, and what is unsettled is not known"
    if position.beyond_end:
        return "its log ends before the committed offset: the topic was created again or cut"
    if position.holder is None:
        return "it is assigned to no worker"
    return ""


def by_cause(partitions: Iterable[OpenPartition]) -> list[tuple[str, str]]:
    """Return partitions by why they need a look: how many and which, and why.

    The ages of partitions that make no progress differ; the first one stands for all.
    """
    alike: dict[str, list[OpenPartition]] = {}
    for each in partitions:
        alike.setdefault(each.why.partition(_NOT_SETTLED)[0], []).append(each)
    return [
        (
            f"{counted(len(group), 'partition')} ({partition_ranges([each.at for each in group], _RANGES)})",
            group[0].why if len(group) == 1 else _of_several(group[0].why),
        )
        for group in alike.values()
    ]


def _of_several(why: str) -> str:
    """Return why several partitions need a look, from why the first of them does."""
    for one, several in _SEVERAL.items():
        if why.startswith(one):
            return several + why.removeprefix(one)
    return why


def by_reason(reasons: Iterable[str]) -> dict[str, int]:
    """Return how many there are of each reason, the most frequent first."""
    return dict(Counter(reason or "?" for reason in reasons).most_common())
