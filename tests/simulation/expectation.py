"""What should happen, by an independent model: who is owed which event, from the log and the owners' commands alone.

It knows nothing of hookstream's matching. An event is owed to a subscription, is not, or may be
either way, where the guarantee leaves it open (the moments around a disabling, a row that vanished).
"""

from dataclasses import dataclass, field
from enum import Enum

from tests.simulation.story import Wish

from hookstream.core.model.freshness import FRESH_FOR
from hookstream.core.model.instant import Millis

AHEAD: Millis = 2_000
"""How long before it takes effect a change of state is written: longer than a table may lag."""

LAG: Millis = int(FRESH_FOR * 1000)
"""After this, every worker that matches knows a row."""


class Owed(Enum):
    """Whether an event is owed to a subscription."""

    MUST = "must"
    MAY = "may"
    NEVER = "never"


@dataclass(slots=True)
class Event:
    """A record that was appended to an event topic."""

    id: str
    type: str
    colour: str
    topic: str
    partition: int
    offset: int
    timestamp: Millis
    garbage: bool = False
    """True: it is not an event."""

    @property
    def origin(self) -> tuple[str, int, int]:
        return self.topic, self.partition, self.offset


@dataclass(slots=True)
class Stretch:
    """A range of the log that is not delivered: after `start`, up to and with `end` (None: open)."""

    start: Millis
    end: Millis | None = None

    def holds(self, timestamp: Millis) -> bool:
        return timestamp > self.start and (self.end is None or timestamp <= self.end)


@dataclass(slots=True)
class Disabling:
    """A worker disabled an endpoint; several may do so, each by its own clock."""

    first: Millis
    last: Millis
    known: Millis
    """By when every worker that matches anything knows it."""
    enabled: Millis | None = None

    def owed(self, timestamp: Millis) -> Owed:
        if timestamp <= self.first or (self.enabled is not None and timestamp > self.enabled):
            return Owed.MUST
        return Owed.NEVER if timestamp > max(self.last, self.known) else Owed.MAY


@dataclass(slots=True)
class Absence:
    """The row was missing until an instant; what was in tiers or over by then is still owed."""

    until: Millis | None
    safe: frozenset[str]


@dataclass(slots=True)
class SubscriptionStatus:
    """What is known of one subscription."""

    wish: Wish
    active_from: Millis
    pauses: list[Stretch] = field(default_factory=list)
    disablings: list[Disabling] = field(default_factory=list)
    absences: list[Absence] = field(default_factory=list)
    deleted_at: Millis | None = None

    def owed(self, event: Event) -> Owed:
        wish = self.wish
        if event.garbage or event.type not in wish.types:
            return Owed.NEVER
        if wish.colour is not None and wish.colour != event.colour:
            return Owed.NEVER
        at = event.timestamp
        if at <= self.active_from or any(pause.holds(at) for pause in self.pauses):
            return Owed.NEVER
        if self.deleted_at is not None and at > self.deleted_at + LAG:
            return Owed.NEVER
        verdicts = {disabling.owed(at) for disabling in self.disablings}
        if Owed.NEVER in verdicts:
            return Owed.NEVER
        unsure = any(self._lost_sight(absence, event) for absence in self.absences)
        return Owed.MAY if unsure or Owed.MAY in verdicts else Owed.MUST

    def _lost_sight(self, absence: Absence, event: Event) -> bool:
        seen = absence.until is not None and event.timestamp > absence.until + LAG
        return not seen and event.id not in absence.safe

    # Changes by owners and workers.

    def pause(self, now: Millis) -> Millis:
        at = now + AHEAD
        self.pauses.append(Stretch(at))
        return at

    def resume(self, now: Millis) -> Millis:
        last = self.pauses[-1]
        last.end = max(now + AHEAD, last.start)
        return last.end

    def disabled(self, since: Millis, now: Millis) -> None:
        known = now + LAG
        last = self.disablings[-1] if self.disablings else None
        if last is None or last.enabled is not None:
            self.disablings.append(Disabling(since, since, known))
            return
        last.first = min(last.first, since)
        last.last = max(last.last, since)
        last.known = max(last.known, known)

    def enabled(self, at: Millis) -> None:
        self.disablings[-1].enabled = at


Pair = tuple[str, str]
"""Event id and subscription id: one delivery."""


class Expectation:
    """Every event and subscription of a story."""

    def __init__(self) -> None:
        self.events: dict[str, Event] = {}
        self.by_origin: dict[tuple[str, int, int], Event] = {}
        self.statuses: dict[str, SubscriptionStatus] = {}

    def published(self, event: Event) -> None:
        self.events[event.id] = event
        self.by_origin[event.origin] = event

    def owed(self, pair: Pair) -> Owed:
        event, status = self.events.get(pair[0]), self.statuses.get(pair[1])
        if event is None or status is None:
            return Owed.NEVER
        return status.owed(event)

    def owed_to(self, event: Event) -> list[Pair]:
        """Every delivery of an event that must be made."""
        return [
            (event.id, name)
            for name, status in self.statuses.items()
            if status.owed(event) is Owed.MUST
        ]

    def is_deleted(self, pair: Pair) -> bool:
        status = self.statuses.get(pair[1])
        return status is not None and status.deleted_at is not None
