"""What the headers of a dead letter or an undecodable record say, for lists and counts.

Parsing is lenient: a record with broken headers is exactly what a person needs to see.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, TypeAlias

from hookstream.core.model import header_names as names
from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Record
from hookstream.core.redrive.ledger import ResolvedBy
from hookstream.core.redrive.marks import Position, RedriveSource

_Positional: TypeAlias = list[Any]  # type: ignore[explicit-any]  # constructor arguments by position


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

    def note(self, at: Millis) -> None:
        """Count one more record, which was written at this instant."""
        self.records += 1
        self.oldest = min(self.oldest, at)
        self.newest = max(self.newest, at)

    def add(self, other: "GroupCount") -> None:
        """Count the records of another group as well."""
        self.records += other.records
        self.oldest = min(self.oldest, other.oldest)
        self.newest = max(self.newest, other.newest)


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
        else:
            count.note(at)

    def largest_first(self) -> list[tuple[Group, GroupCount]]:
        """Return the groups by descending size, then by name."""
        return sorted(self.groups.items(), key=lambda item: (-item[1].records, item[0]))


@dataclass(slots=True, frozen=True)
class DeadLetterSummary:
    """One record for lists and summaries; empty text for a missing header."""

    position: Position
    at: Millis
    """When it was appended to its topic."""
    delivery_id: str = field(metadata={"header": names.DELIVERY_ID})
    subscription_id: str = field(metadata={"header": names.SUBSCRIPTION_ID})
    partner_id: str = field(metadata={"header": names.PARTNER_ID})
    event_type: str = field(metadata={"header": names.EVENT_TYPE})
    event_id: str = field(metadata={"header": names.EVENT_ID})
    attempt: str = field(metadata={"header": names.ATTEMPT})
    reason: str = field(metadata={"header": names.REASON})
    detail: str = field(metadata={"header": names.CONNECT_MESSAGE})
    last_outcome: str = field(metadata={"header": names.LAST_OUTCOME})
    last_status: str = field(metadata={"header": names.LAST_STATUS})
    last_error: str = field(metadata={"header": names.LAST_ERROR})
    job: str = field(metadata={"header": names.JOB})
    origin_topic: str = field(metadata={"header": names.ORIGIN_TOPIC})
    origin: str
    """`topic-partition@offset`."""
    origin_at: str
    by_reference: bool
    """It was kept without its value, which is only at its origin."""

    @property
    def last(self) -> str:
        """The result of the last attempt, in few words."""
        return self.last_status or self.last_error or self.last_outcome or "-"

    def group(self, source: RedriveSource) -> Group:
        """Return the group that it counts for, as a record of one of the two topics."""
        dead = source is RedriveSource.DEAD_LETTERS
        return Group(
            (self.subscription_id if dead else self.origin_topic) or "?", self.reason or "?"
        )

    def as_json(self, resolved_by: ResolvedBy | None) -> JsonObject:
        """Return it as plain JSON; null for a missing header.

        Args:
            resolved_by: What resolved it; None if it is open.
        """
        document: JsonObject = {"place": str(self.position), "at": to_rfc3339(self.at)}
        for name in _SHOWN:
            document[name] = str(getattr(self, name)) or None
        document["by_reference"] = self.by_reference
        document["open"] = resolved_by is None
        document["resolved_by"] = None if resolved_by is None else resolved_by.job_id
        purged = None if resolved_by is None else resolved_by.purged
        document["purged"] = (
            None
            if purged is None
            else {"by": purged.by, "why": purged.why, "at": to_rfc3339(purged.at)}
        )
        return document


_HEADERS: Mapping[str, str] = {
    each.name: each.metadata["header"]
    for each in fields(DeadLetterSummary)
    if "header" in each.metadata
}
"""The header of each field that is copied from a header's text."""

_READ = frozenset(
    (
        *_HEADERS.values(),
        names.ORIGIN_PARTITION,
        names.ORIGIN_OFFSET,
        names.ORIGIN_TIMESTAMP,
        names.ORIGIN_MILLIS,
    )
)
"""Half of the headers that a dead letter has; the others are not decoded."""

_SHOWN = (*(name for name in _HEADERS if name != "origin_topic"), "origin", "origin_at")
"""The fields of the JSON document that are null if they are empty."""


def summary_of(record: Record) -> DeadLetterSummary:
    """Return the summary of a record, from its headers."""
    values = {
        name: value.decode("utf-8", "replace")
        for name, value in record.headers
        if name in _READ and value is not None
    }
    text = values.get
    topic = text(names.ORIGIN_TOPIC)
    partition, offset = text(names.ORIGIN_PARTITION, ""), text(names.ORIGIN_OFFSET, "")
    # In the order of the fields: by their names it takes a third longer, and a topic may have millions.
    fields_in_order: _Positional = [
        Position(record.partition, record.offset),
        record.timestamp,
        *[text(header, "") for header in _HEADERS.values()],
        f"{topic}-{partition}@{offset}" if topic else "",
        _origin_at(values),
        record.value is None,
    ]
    return DeadLetterSummary(*fields_in_order)


def _origin_at(values: Mapping[str, str]) -> str:
    """Return the origin's timestamp; in milliseconds where RFC 3339 cannot express it."""
    millis = values.get(names.ORIGIN_MILLIS)
    return f"{millis} ms" if millis else values.get(names.ORIGIN_TIMESTAMP, "")
