"""Decides where the reading of a newly assigned partition begins, so that no gap is ever silent.

A client left to itself resumes at the log's start or end without a word when its committed offset
is gone (`auto.offset.reset`). Here every case has a name: a first start, a resumption, a gap that
is counted, and offsets that were lost, where only a person can know what was settled.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from hookstream.core.model.instant import DAY, Millis
from hookstream.core.model.record import TopicPartition
from hookstream.core.offsets.commit_metadata import CommitPosition, progress_from, read_note


@dataclass(slots=True, frozen=True)
class StartAt:
    """Read from `offset` on; `commit` it first where the group has no commit yet."""

    offset: int
    commit: bool
    note: str = ""
    """What of the records above is settled, as `core/offsets/commit_metadata.py` writes it."""

    @property
    def progress(self) -> CommitPosition:
        """The offset with its note."""
        return CommitPosition(self.offset, self.note)


@dataclass(slots=True, frozen=True)
class GapThenStart:
    """The records in [first, next_offset) are gone: say so, then read on."""

    first: int
    """The committed offset."""
    next_offset: int
    """The log's start."""
    progress: CommitPosition
    """Where to read on, and what is settled above: a gap does not unsettle anything."""


@dataclass(slots=True, frozen=True)
class OffsetsLost:
    """Nobody can tell what was settled: the partition stops until a person names a position."""

    remedy: str
    """A sentence for an operator: what happened and the command that ends it."""


Start: TypeAlias = StartAt | GapThenStart | OffsetsLost


@dataclass(slots=True, frozen=True)
class StartPolicy:
    """What tells a first start from lost offsets, where a group has no commit for a partition.

    A record that somebody wants and that should have been settled a day ago means that this group
    has been here before: the broker forgets the offsets of an empty group after seven days.
    """

    wanted_from: Callable[[str], Millis | None]
    """The append time, by topic, after which records matter; None: none matters to anybody yet."""
    wait: Callable[[str], Millis]
    """How long a record of the topic rests before it is due: a tier's delay, 0 for events."""
    grace: Millis = DAY
    """How long after it is due a record may well be unsettled. Milliseconds."""

    def telltale(self, topic: str, now: Millis) -> tuple[Millis, Millis] | None:
        """Return the append times [since, before) of records that show that offsets were lost.

        None where no record could show it.
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
) -> Start:
    """Return where to begin.

    Args:
        partition: What was assigned.
        committed: The group's committed offset with its metadata; None where it has none.
        low: The offset of the log's start.
        high: The offset after the log's end.
        telltale: The log holds a record that `StartPolicy.telltale` speaks of. Counts only where
            nothing is committed.
    """
    if committed is None:
        if telltale:
            return OffsetsLost(
                f"the group has no committed offset for {_name(partition)}, but records that it"
                f" should have settled are in the log: its offsets were lost. {_remedy(partition)}"
            )
        return StartAt(low, commit=True)
    offset, note = committed
    if offset > high:
        return OffsetsLost(
            f"the committed offset {offset} of {_name(partition)} lies beyond the log's end"
            f" {high}: the topic was created again or truncated. {_remedy(partition)}"
        )
    settled = read_note(note, offset)
    if not settled or settled[-1][1] > high:
        # A log that ends below what was settled lost its end: other records stand there now.
        note, settled = "", ()
    if offset < low:
        return GapThenStart(offset, low, progress_from(low, settled))
    return StartAt(offset, commit=False, note=note)


def _name(partition: TopicPartition) -> str:
    return f"{partition.topic}/{partition.partition}"


def _remedy(partition: TopicPartition) -> str:
    return (
        "Say where to begin: hookstream partition start"
        f" {_name(partition)} --at earliest|latest|TIME"
    )
