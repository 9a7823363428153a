"""A selector picks dead letters or undecodable records, and is stored in the row of its redrive job.

An unknown condition is refused, not ignored: the job would redrive more than was requested.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hookstream.core.model import header_names as names
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Headers
from hookstream.core.model.row_fields import (
    INSTANT,
    FieldKind,
    FieldUnreadable,
    RowFields,
    WrongType,
    optional,
)
from hookstream.core.redrive.marks import OffsetRange, Position, RedriveSource, read_position
from hookstream.errors import InputRefused

_HEADERS = {
    "topics": names.ORIGIN_TOPIC,
    "subscriptions": names.SUBSCRIPTION_ID,
    "event_types": names.EVENT_TYPE,
    "reasons": names.REASON,
    "statuses": names.LAST_STATUS,
    "partners": names.PARTNER_ID,
}
"""The header that each condition tests, by the condition's name in a job's row."""

MAX_POSITIONS = 1_000
"""The most single positions of a selector."""

_CONDITIONS = {
    RedriveSource.DEAD_LETTERS: (
        "subscriptions",
        "event_types",
        "reasons",
        "statuses",
        "partners",
    ),
    RedriveSource.UNDECODABLE: ("topics", "reasons"),
}


@dataclass(slots=True, frozen=True)
class Selector:
    """Selects the records that meet every given condition. None: any value."""

    topics: frozenset[str] | None = None
    """Topics of the original events."""
    subscriptions: frozenset[str] | None = None
    """Subscription ids."""
    event_types: frozenset[str] | None = None
    """Exact names."""
    reasons: frozenset[str] | None = None
    statuses: frozenset[str] | None = None
    """HTTP statuses of the last answer, as texts."""
    partners: frozenset[str] | None = None
    """Partner ids."""
    since: Millis | None = None
    """Appended to the dead-letter or undecodable topic at this instant or later."""
    until: Millis | None = None
    """Appended before this instant."""
    positions: frozenset[Position] | None = None
    """Single records, at most `MAX_POSITIONS`."""

    def selects(
        self, headers: Headers, timestamp: Millis, position: Position | None = None
    ) -> bool:
        """Return whether a record is selected.

        Args:
            headers: Its headers.
            timestamp: When it was appended.
            position: Its position; None only if the selector has no positions.
        """
        if self.positions is not None and position not in self.positions:
            return False
        if self.since is not None and timestamp < self.since:
            return False
        if self.until is not None and timestamp >= self.until:
            return False
        values: Mapping[str, bytes | None] | None = None
        for name, header in _HEADERS.items():
            any_of: frozenset[str] | None = getattr(self, name)
            if any_of is None:
                continue
            if values is None:
                values = dict(headers)
            if _text(values.get(header)) not in any_of:
                return False
        return True

    def bounds(self) -> Mapping[int, OffsetRange] | None:
        """Return the offsets of each partition that may be selected; None: all of all partitions."""
        if self.positions is None:
            return None
        offsets: dict[int, list[int]] = {}
        for partition, offset in self.positions:
            offsets.setdefault(partition, []).append(offset)
        return {at: OffsetRange(min(found), max(found)) for at, found in offsets.items()}

    def row(self) -> JsonObject:
        """Return the selector for the job's row: only the given conditions."""
        return {name: given for name, given in _ANY_SOURCE.document(self).items() if given}


def read_selector(row: JsonObject, source: RedriveSource) -> Selector:
    """Read the selector of a job's row.

    Raises:
        InputRefused: A condition is unknown to this release, or malformed.
    """
    fields = _OF_SOURCE[source]
    unknown = sorted(set(row) - fields.names)
    if unknown:
        raise InputRefused(
            f"the job has the conditions {', '.join(unknown)}, which need a newer release"
        )
    try:
        return Selector(**fields.values(row))
    except FieldUnreadable as why:
        # The problem is a sentence that begins with the field's name.
        raise InputRefused("the job's condition " + str(why).replace("`", "", 2)) from None


def _words(found: object) -> frozenset[str]:
    if not isinstance(found, list) or not found or not all(isinstance(v, str) for v in found):
        raise WrongType("is not a list of words")
    return frozenset(found)


def _positions(found: object) -> frozenset[Position]:
    if not isinstance(found, list) or not 0 < len(found) <= MAX_POSITIONS:
        raise WrongType(f"is not a list of 1 to {MAX_POSITIONS:,} positions")
    positions = frozenset(read_position(text) for text in found if isinstance(text, str))
    read = frozenset(position for position in positions if position is not None)
    if len(read) != len(found):
        raise WrongType("is not a list of positions such as 3@1042, each once")
    return read


def _texts(positions: frozenset[Position]) -> list[str]:
    return [str(position) for position in sorted(positions)]


def _fields(conditions: Iterable[str]) -> RowFields:
    words, instant = optional(FieldKind(_words, sorted)), optional(INSTANT)
    positions = optional(FieldKind(_positions, _texts))
    return RowFields(
        **dict.fromkeys(conditions, words), since=instant, until=instant, positions=positions
    )


_ANY_SOURCE = _fields(_HEADERS)
_OF_SOURCE = {source: _fields(conditions) for source, conditions in _CONDITIONS.items()}


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")
