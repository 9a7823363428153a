"""Decides where consumption of a newly assigned partition starts, so that no gap is silent.

A default client silently resumes at the log's start or end if its committed offset is gone
(`auto.offset.reset`). Here each case is explicit: a first start, a resumption, a gap that is
counted, and lost offsets, where only a person can know what was settled.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from hookstream.core.model.instant import DAY, Millis
from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition, decode_metadata, position_from


@dataclass(slots=True, frozen=True)
class StartAt:
    """Consume from `offset`; commit it first if the group has no commit yet, or its log was cut."""

    offset: int
    commit: bool
    metadata: str = ""
    """What is settled above `offset`, in the format of `core/offsets/commit_metadata.py`."""

    @property
    def position(self) -> CommitPosition:
        """The offset with its metadata."""
        return CommitPosition(self.offset, self.metadata)


@dataclass(slots=True, frozen=True)
class GapThenStart:
    """The records in [first, next_offset) are gone: report a gap, then continue."""

    first: int
    """The committed offset."""
    next_offset: int
    """The log's start."""
    position: CommitPosition
    """The position to continue at, with the settled offsets above it, which a gap does not change."""


@dataclass(slots=True, frozen=True)
class OffsetsLost:
    """The settled offsets are unknown: the partition stops until an operator sets its position."""

    remedy: str
    """A text for operators: the cause, and the command that resumes the partition."""


Start: TypeAlias = StartAt | GapThenStart | OffsetsLost


@dataclass(slots=True, frozen=True)
class StartPolicy:
    """Distinguishes a first start from lost offsets if a group has no commit for a partition.

    A record that a subscription needs and that was due for settling a day ago shows that the group existed before:
    brokers delete the offsets of an empty group after seven days.
    """

    wanted_from: Callable[[str], Millis | None]
    """By topic, the append time from which records matter; None: no subscription needs any yet."""
    wait: Callable[[str], Millis]
    """By topic, how long a record waits before it is due: a tier's delay, 0 for events."""
    grace: Millis = DAY
    """How long after its due time a record may be unsettled, in milliseconds."""

    def telltale(self, topic: str, now: Millis) -> tuple[Millis, Millis] | None:
        """Return the append times [since, before) of records that show that offsets were lost.

        None if no record could show it.
        """
        wanted_from = self.wanted_from(topic)
        if wanted_from is None:
            return None
        before = now - self.wait(topic) - self.grace
        return (wanted_from, before) if wanted_from < before else None


def start(
    partition: TopicPartition,
    committed: CommitPosition | None,
    low: int,
    high: int,
    *,
    telltale: bool,
    cut: int | None = None,
) -> Start:
    """Return where to start.

    Args:
        partition: The assigned partition.
        committed: The group's committed offset with its metadata; None if there is none.
        low: The log start offset.
        high: The log end offset.
        telltale: Whether the log has a record within the times of `StartPolicy.telltale`. Only
            used if nothing is committed.
        cut: Where the log was cut while it was read, as the broker says: the records from there on are
            others. Negative: below the log's start. None: it was not.
    """
    if committed is None:
        if telltale:
            return OffsetsLost(
                f"the group has no committed offset for {_name(partition)}, but the log has records"
                f" that it must have settled: its offsets were lost. {_remedy(partition)}"
            )
        return StartAt(low, commit=True)
    offset, metadata = committed
    if offset > high:
        return OffsetsLost(
            f"the committed offset {offset} of {_name(partition)} lies beyond the log's end"
            f" {high}: the topic was created again or truncated. {_remedy(partition)}"
        )
    if cut is not None:
        cut = low if cut < 0 else cut
        offset, high = min(offset, cut), min(high, cut)
    settled = decode_metadata(metadata, committed.offset)
    if not settled or settled[-1][1] > high:
        # The log now ends below the settled offsets: it was truncated, and other records have these offsets.
        metadata, settled = "", ()
    if offset < low:
        return GapThenStart(offset, low, position_from(low, settled))
    # At once: whoever reads it next is not notified of the cut.
    return StartAt(offset, commit=cut is not None, metadata=metadata)


def _name(partition: TopicPartition) -> str:
    return f"{partition.topic}/{partition.partition}"


def _remedy(partition: TopicPartition) -> str:
    return (
        "Set its position with: hookstream partition start"
        f" {_name(partition)} --at earliest|latest|TIME"
    )
