"""Reads the waiting records of the tiers: those that no worker has settled, by the group's commits.

A tier keeps its records for two weeks and more, long after they were settled. One is pending only while
it is neither below the committed offset nor among the settled offsets above it, which the commit's
metadata names. Workers commit once a second, so a record that was settled within the last seconds still
counts as pending.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from hookstream.adapters.kafka.scan import ScanBounds, read_spans
from hookstream.core.model.delivery import Delivery
from hookstream.core.model.delivery_headers import is_for_subscription, read_delivery
from hookstream.core.model.header_reading import HeaderProblem
from hookstream.core.model.listing import partition_ranges
from hookstream.core.model.record import Record, TopicPartition
from hookstream.core.offsets.group_position import GroupPosition
from hookstream.entry.admin.dead_letters import Progress, no_progress
from hookstream.entry.admin.partitions import ReadPartitions
from hookstream.entry.cluster import reached
from hookstream.errors import DependencyUnavailable
from hookstream.settings import Settings


@dataclass(slots=True)
class PendingReader:
    """Reads the tier records that no worker has settled; what it met and left out is counted."""

    settings: Settings
    most: int
    """How many offsets are read at most, of all tiers together."""
    progress: Progress = field(default=no_progress)
    not_read: int = 0
    """Unsettled offsets that were not read, the newest of their partitions."""
    unmatched: int = 0
    """Records of events that are still to be matched: whom they are for is not known yet."""
    unreadable: int = 0
    """Records whose headers do not give a delivery's state; a worker sets them aside."""
    why_unreadable: str = ""
    """The problem of the first of them."""
    leaderless: int = 0
    """Partitions that no broker leads, so that what is pending there is not known."""
    lost: int = 0
    """Partitions whose committed offset lies beyond their end, so that what is pending is not known."""

    def deliveries(self) -> Iterator[tuple[Record, Delivery]]:
        """Yield the tier records of deliveries that are pending, each with its state.

        Raises:
            ConfigurationError: The tiers or the group may not be read.
            DependencyUnavailable: The cluster does not answer.
        """
        # The commits are read before the ends: what moves to another tier meanwhile is met there.
        positions = ReadPartitions(self.settings).of_tiers(oldest=False)
        self.leaderless = sum(not position.has_leader for position in positions)
        self.lost = sum(position.beyond_end for position in positions)
        by_place = {position.at: position for position in positions}
        spans = self._spans(positions)
        for record in read_spans(reached(self.settings), spans, progress=self.progress):
            if by_place[record.where].settles(record.offset):
                continue
            delivery = self._read(record)
            if delivery is not None:
                yield record, delivery

    def _spans(self, positions: list[GroupPosition]) -> dict[TopicPartition, ScanBounds]:
        """Return what to read of each partition; where it is too much, an equal share of each, the oldest."""
        spans = {
            each.at: ScanBounds(each.unread_from, max(each.end, each.unread_from))
            for each in positions
        }
        total = sum(span.end - span.start for span in spans.values())
        if total <= self.most:
            return spans
        read = {
            at: ScanBounds(start, start + (end - start) * self.most // total)
            for at, (start, end) in spans.items()
        }
        self.not_read = total - sum(span.end - span.start for span in read.values())
        return read

    def _read(self, record: Record) -> Delivery | None:
        if record.headers_problem is None and not is_for_subscription(record.headers):
            self.unmatched += 1
            return None
        found = (
            read_delivery(record.headers)
            if record.headers_problem is None
            else HeaderProblem("", record.headers_problem)
        )
        if isinstance(found, HeaderProblem):
            self.unreadable += 1
            place = f"{record.topic}-{record.partition}@{record.offset}"
            self.why_unreadable = self.why_unreadable or f"{place}: {found}"
            return None
        return found


def unsettled_events(settings: Settings) -> int:
    """Return how many records of event topics are unsettled at most.

    Their deliveries may wait in workers' lanes, or the records may not be read yet: no tier has them.

    Raises:
        DependencyUnavailable: The cluster does not answer, or a partition has no leader.
    """
    positions = ReadPartitions(settings).of_events()
    unled = [each.at for each in positions if not each.has_leader]
    if unled:
        raise DependencyUnavailable(
            f"what is unsettled is not known: no broker leads {partition_ranges(unled, 5)} now"
        )
    return sum(position.unsettled for position in positions)
