"""What nobody is owed any more: records that the log lost, once that was told."""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TypeAlias

from hookstream.core.model.record import Record, TopicPartition

Place: TypeAlias = tuple[TopicPartition, int]


@dataclass(slots=True)
class GivenUp:
    """The places of records that may be missing, and the starts of logs."""

    starts: dict[TopicPartition, int] = field(default_factory=dict)
    """Where logs begin that retention has cut."""
    _places: set[Place] = field(default_factory=set)

    def __contains__(self, place: Place) -> bool:
        return place in self._places

    def is_cut(self, place: Place) -> bool:
        """Tell whether the log no longer holds a record."""
        where, offset = place
        return offset < self.starts.get(where, 0)

    def told(self, record: Record, settled: Collection[Place]) -> str | None:
        """Take an operations event over; return what is wrong with it where it tells of a gap.

        What was `settled` behind a hole is not missing, although it lies in the gap.
        """
        told = json.loads(record.value or b"{}")
        if told["type"] != "log.gap":
            return None
        gap = told["data"]
        where = TopicPartition(gap["topic"], gap["partition"])
        first, end = gap["first"], gap["next"]
        if not first < end <= self.starts.get(where, 0):
            return f"a gap from {first} to {end} of {where} is told, and there is none"
        places = {(where, offset) for offset in range(first, end)}
        self._places |= places.difference(settled)
        return None
