"""Counts dead letters by two words, for a short summary."""

from dataclasses import dataclass, field
from typing import NamedTuple

from hookstream.core.model.instant import Millis


class Group(NamedTuple):
    """What records are counted by: the subscription or origin topic, and the reason."""

    of: str
    reason: str


@dataclass(slots=True)
class GroupCount:
    """The number of records in a group, and when the oldest and newest were written."""

    records: int
    oldest: Millis
    newest: Millis


@dataclass(slots=True)
class Tally:
    """The counts of one scan of a topic. Bounded by subscriptions times reasons."""

    groups: dict[Group, GroupCount] = field(default_factory=dict)
    records: int = 0

    def add(self, group: Group, at: Millis) -> None:
        """Count one record; `at` is when it was written."""
        self.records += 1
        count = self.groups.get(group)
        if count is None:
            self.groups[group] = GroupCount(1, at, at)
            return
        count.records += 1
        count.oldest = min(count.oldest, at)
        count.newest = max(count.newest, at)

    def largest_first(self) -> list[tuple[Group, GroupCount]]:
        """Return the groups by descending size, then by name."""
        return sorted(self.groups.items(), key=lambda item: (-item[1].records, item[0]))
