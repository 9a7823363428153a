"""The request of a replay, which its job's row stores and which never changes.

A condition that this release does not know is refused, never ignored: more would be replayed than was
asked for.
"""

from dataclasses import dataclass

from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.row_fields import (
    INSTANT,
    TEXT,
    WHOLE,
    FieldKind,
    FieldUnreadable,
    RowFields,
    WrongType,
    listed,
    optional,
)
from hookstream.core.replay.interval import Interval
from hookstream.errors import InputRefused

KIND = "replay"
"""The `Job.kind` of replays."""


@dataclass(slots=True, frozen=True)
class ReplayRequest:
    """Which events of the past are delivered again, and to whom."""

    subscription_id: str
    interval: Interval
    """By the records' times. Its milliseconds are exact."""
    event_types: frozenset[str] = frozenset()
    """Exact names; empty: all types of the subscription."""
    as_granted_today: bool = False
    """Whether only today's grant is checked, not also the one in force at each record's time."""
    fills_gap: bool = False
    """Whether gaps of the subscription's row name this replay, which marks there that it may have lost records."""
    most_events: int | None = None
    """The number of events after which it ends, even before its interval does; None: no limit."""

    def wants(self, event_type: str) -> bool:
        """Return whether events of this type are requested."""
        return not self.event_types or event_type in self.event_types

    def document(self) -> JsonObject:
        """Return it as JSON, for a job's row or a preview."""
        event_types: list[Json] = [*sorted(self.event_types)]
        filling: JsonObject = {"fills_gap": True} if self.fills_gap else {}
        return {
            "subscription": self.subscription_id,
            "since": to_rfc3339(self.interval.since),
            "until": to_rfc3339(self.interval.until),
            "event_types": event_types,
            "as_granted_today": self.as_granted_today,
            **filling,
            **({} if self.most_events is None else {"most_events": self.most_events}),
        }


def _flag(found: object) -> bool:
    if not isinstance(found, bool):
        raise WrongType("is not true or false")
    return found


_FIELDS = RowFields(
    subscription=TEXT,
    since=INSTANT,
    until=INSTANT,
    event_types=listed(TEXT),
    as_granted_today=FieldKind(_flag),
    # An earlier release refuses it: it would not mark the row.
    fills_gap=FieldKind(_flag).sparse(absent=False),
    # Likewise: it would replay more.
    most_events=optional(WHOLE).sparse(),
)


def read_request(found: JsonObject) -> ReplayRequest:
    """Read the request of a replay.

    Raises:
        InputRefused: A condition is unknown to this release, or malformed.
    """
    unknown = sorted(set(found) - _FIELDS.names)
    if unknown:
        raise InputRefused(
            f"the replay has the conditions {', '.join(unknown)}, which need a newer release"
        )
    try:
        values = _FIELDS.values(found)
    except FieldUnreadable as why:
        raise InputRefused(f"the replay's {why}".replace("`", "")) from None
    interval = Interval(values["since"], values["until"])
    if not 0 <= interval.since < interval.until:
        raise InputRefused("the replay's until is not after its since")
    return ReplayRequest(
        values["subscription"],
        interval,
        frozenset(values["event_types"]),
        values["as_granted_today"],
        values["fills_gap"],
        values["most_events"],
    )
