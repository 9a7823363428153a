"""Statistics for operators without a console: counted from the topics themselves, within bounds."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from hookstream.adapters.kafka.groups import KafkaGroups
from hookstream.adapters.kafka.scan import ReadLimit, ScanBounds, read_spans
from hookstream.core.model.delivery import Delivery
from hookstream.core.model.delivery_headers import is_for_subscription, read_delivery
from hookstream.core.model.instant import MINUTE, Millis
from hookstream.core.model.record import TopicPartition
from hookstream.core.statistics.counts import Statistics
from hookstream.core.statistics.reading import LogStatistics, SkippedPlace, StatisticsBuilder
from hookstream.core.topology.plan import tier_topics
from hookstream.entry.admin.audit import AuditLog, AuditSelection
from hookstream.entry.admin.dead_letters import Progress, no_progress
from hookstream.entry.admin.partitions import skipped_places
from hookstream.entry.admin.tables import read_state
from hookstream.entry.cluster import reached
from hookstream.settings import Settings

MOST_RUNS = 1_000_000
"""How many runs are counted in memory at most: about a gigabyte."""

MOST_STEPS = 2_000
"""The most steps of one answer."""


@dataclass(slots=True, frozen=True)
class StatisticsWanted:
    """Whose statistics are asked for, and of which time."""

    since: Millis
    until: Millis
    step: Millis
    """The length of each step, whole minutes."""
    subscriptions: frozenset[str] | None = None
    """None here and below: of all."""
    partners: frozenset[str] | None = None

    @property
    def narrowed(self) -> bool:
        """Whether it is about some subscriptions or partners, not about everything."""
        return self.subscriptions is not None or self.partners is not None

    def selects(self, delivery: Delivery) -> bool:
        """Return whether a delivery is of whom is asked for."""
        return (self.subscriptions is None or delivery.subscription_id in self.subscriptions) and (
            self.partners is None or delivery.partner_id in self.partners
        )


@dataclass(slots=True)
class StatisticsReader:
    """Reads attempts and tiers once, at most `most` offsets of each, the newest.

    Args:
        settings: The cluster.
        most: How many offsets are read at most of the attempts, and as many of the tiers.
    """

    settings: Settings
    most: int
    attempts: AuditLog = field(init=False)
    attempts_limit: ReadLimit = field(init=False)
    """What was read of the attempts topic."""
    tiers_limit: ReadLimit = field(init=False)
    """What was read of the tiers."""
    progress: Progress = field(default=no_progress)
    left_out: int = 0
    """Records of runs that are not counted, since there were too many."""

    def __post_init__(self) -> None:
        """Bound both readings."""
        self.attempts_limit, self.tiers_limit = ReadLimit(self.most), ReadLimit(self.most)
        self.attempts = AuditLog(self.settings, limit=self.attempts_limit)

    def read(self, wanted: StatisticsWanted, now: Millis) -> Statistics:
        """Return the statistics, from the instant on from which all was read.

        Args:
            wanted: Whose, and of which time.
            now: The present.

        Raises:
            ConfigurationError: A topic may not be read.
            DependencyUnavailable: The cluster does not answer.
        """
        skipped = skipped_places(read_state(self.settings), self.settings.topics_names)
        counted = LogStatistics(MOST_RUNS, skipped)
        for delivery, place in self._waiting(wanted.since):
            if wanted.selects(delivery):
                counted.waiting(delivery, place)
        selection = AuditSelection(
            subscriptions=wanted.subscriptions, partners=wanted.partners, since=wanted.since
        )
        for entry in self.attempts.entries(selection):
            counted.entry(entry)
        self.left_out = counted.left_out
        since = self._complete_from(wanted.since, now)
        builder = StatisticsBuilder(
            # A minute that was read in part would be counted in part.
            since + -since % MINUTE,
            wanted.until,
            wanted.step,
            now=now,
            whole=since == wanted.since and not counted.left_out,
        )
        return counted.into(builder)

    def _waiting(self, since: Millis) -> Iterator[tuple[Delivery, SkippedPlace]]:
        """Yield what tiers say of deliveries, settled or not, and where: who waited, and whether for a hold."""
        groups = KafkaGroups(reached(self.settings))
        counts = groups.topics()
        tiers = [
            TopicPartition(name, partition)
            for name in tier_topics(self.settings.topics_names, counts)
            for partition in range(counts[name])
        ]
        starts, ends = groups.offsets_at(tiers, since), groups.offsets_at(tiers, "latest")
        spans = {at: ScanBounds(min(starts[at], ends[at]), ends[at]) for at in tiers}
        read = self.tiers_limit.newest(spans)
        for record in read_spans(reached(self.settings), read, progress=self.progress):
            self.tiers_limit.note(record)
            if record.headers_problem is None and is_for_subscription(record.headers):
                delivery = read_delivery(record.headers)
                if isinstance(delivery, Delivery):
                    yield delivery, (record.topic, record.partition, record.offset)

    def _complete_from(self, since: Millis, now: Millis) -> Millis:
        """Return from when on everything was read; the present where that is not known."""
        found = since
        for limit in (self.attempts_limit, self.tiers_limit):
            if limit.left_out:
                found = max(found, now if limit.complete_from is None else limit.complete_from)
        return found
