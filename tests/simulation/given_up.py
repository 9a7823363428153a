"""What is not owed any more.

Records that a log lost, once that was reported; and records that an operator skipped, who named where
a partition continues whose offsets were lost.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TypeAlias

from hookstream.core.model.record import Record, TopicPartition

Place: TypeAlias = tuple[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class Lost:
    """The offsets of a partition as they were when they were lost."""

    committed: int
    above: frozenset[int]
    """What was settled above `committed`."""
    evidence: int | None
    """A record that proves the loss; None: there is no proof."""

    def settled(self, offset: int) -> bool:
        return offset < self.committed or offset in self.above


@dataclass(slots=True)
class GivenUp:
    """The places of records that may be missing, and the starts of logs."""

    starts: dict[TopicPartition, int] = field(default_factory=dict)
    """The starts of logs that retention has cut."""
    lost: dict[TopicPartition, Lost] = field(default_factory=dict)
    """Where offsets were lost and nothing was committed since."""
    said: set[TopicPartition] = field(default_factory=set)
    """Those for which an operator just named a start position."""
    _places: set[Place] = field(default_factory=set)

    def __contains__(self, place: Place) -> bool:
        return place in self._places

    def is_cut(self, place: Place) -> bool:
        """Return whether a record is gone from the log."""
        where, offset = place
        return offset < self.starts.get(where, 0)

    def resumed(self, where: TopicPartition, offset: int) -> str | None:
        """Record that a partition is committed for the first time since its offsets were lost.

        What was not settled then and is skipped is given up, if an operator requested it or the
        log does not have it. Return what is wrong if an operator had to decide and did not.
        """
        lost, said = self.lost.pop(where), where in self.said
        self.said.discard(where)
        self._places |= {
            (where, passed)
            for passed in range(offset)
            if not lost.settled(passed) and (said or self.is_cut((where, passed)))
        }
        shown = lost.evidence is not None and not self.is_cut((where, lost.evidence))
        if shown and not said:
            return (
                f"{where} begins at {offset}, though {lost.evidence} shows that offsets were lost"
            )
        return None

    def report(self, record: Record, settled: Collection[Place]) -> str | None:
        """Take an operations event over; return what is wrong with it if it reports a gap.

        What was `settled` above an unsettled offset is not missing, although it is in the gap.
        """
        event = json.loads(record.value or b"{}")
        if event["type"] != "log.gap":
            return None
        gap = event["data"]
        where = TopicPartition(gap["topic"], gap["partition"])
        first, end = gap["first"], gap["next"]
        if not first < end <= self.starts.get(where, 0):
            return f"a gap from {first} to {end} of {where} is reported, and there is none"
        places = {(where, offset) for offset in range(first, end)}
        self._places |= places.difference(settled)
        return None
