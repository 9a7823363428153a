"""Dead letters are counted by one of their properties, in a bounded number of groups.

Errors are texts from outside, of which a flood may have a million. When there are too many groups, the
smallest ones are counted together, so that the largest can be trusted and the sum is exact.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from hookstream.core.redrive.summary import DeadLetterSummary, GroupCount

MOST_GROUPS = 1_000
"""At most twice as many are counted at a time, and this many are kept."""
LONGEST_NAME = 200
"""The most characters of a group's name."""
NONE = "-"
"""The name of the group of those without the property."""


class GroupBy(StrEnum):
    """What dead letters or undecodable records can be counted by."""

    REASON = "reason"
    SUBSCRIPTION = "subscription"
    STATUS = "status"
    """Of the last answer."""
    ERROR = "error"
    """Of the last attempt; of an undecodable record: why it is undecodable."""
    HOST = "host"
    """Of the subscription's endpoint, as it is now."""
    TOPIC = "topic"
    """Of the event."""


@dataclass(slots=True)
class Grouping:
    """Counts by one property."""

    by: GroupBy
    host_of: Callable[[str], str | None] = lambda _: None
    """Returns the host of a subscription's endpoint; None: it is not known."""
    groups: dict[str, GroupCount] = field(default_factory=dict)
    others: GroupCount | None = None
    """The groups that were too many and too small, together. Some of a named group may be among them."""

    def add(self, summary: DeadLetterSummary) -> None:
        """Count a record."""
        self.count(self._name(summary), GroupCount(1, summary.at, summary.at))

    def count(self, name: str, found: GroupCount) -> None:
        """Count records that have the property in common; `name` is empty for those without it."""
        name = name[:LONGEST_NAME] or NONE
        count = self.groups.get(name)
        if count is not None:
            count.add(found)
            return
        self.groups[name] = replace(found)
        if len(self.groups) > 2 * MOST_GROUPS:
            self._merge_smallest()

    def largest_first(self) -> list[tuple[str, GroupCount]]:
        """Return the groups by descending size, then by name: at most `MOST_GROUPS`."""
        if len(self.groups) > MOST_GROUPS:
            self._merge_smallest()
        return self._sorted()

    def _sorted(self) -> list[tuple[str, GroupCount]]:
        return sorted(self.groups.items(), key=lambda item: (-item[1].records, item[0]))

    def _merge_smallest(self) -> None:
        for name, count in self._sorted()[MOST_GROUPS:]:
            del self.groups[name]
            if self.others is None:
                self.others = count
            else:
                self.others.add(count)

    def _name(self, summary: DeadLetterSummary) -> str:
        match self.by:
            case GroupBy.REASON:
                return summary.reason
            case GroupBy.SUBSCRIPTION:
                return summary.subscription_id
            case GroupBy.STATUS:
                return summary.last_status
            case GroupBy.ERROR:
                return summary.last_error or (summary.detail if not summary.last_outcome else "")
            case GroupBy.HOST:
                return self.host_of(summary.subscription_id) or ""
            case GroupBy.TOPIC:
                return summary.origin_topic
