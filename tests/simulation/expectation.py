"""What should happen, by an independent model: who is owed which event, from the log and the owners' commands alone.

It knows nothing of hookstream's matching. An event is owed to a subscription, is not, or may be
either way, where the guarantee leaves it open (the moments around a disabling, a row that vanished).
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from tests.simulation.story import LATE, Wish

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
    appended: Millis = 0
    """When it was appended, whatever its timestamp says."""

    @property
    def origin(self) -> tuple[str, int, int]:
        return self.topic, self.partition, self.offset


@dataclass(slots=True)
class Stretch:
    """A range of the log that is not delivered: after `start`, up to and with `end` (None: open)."""

    start: Millis
    end: Millis | None = None
    filled_by: str | None = None
    """The replay that has its records."""
    incomplete: bool = False
    """Whether that may have lost some."""

    def holds(self, timestamp: Millis) -> bool:
        return timestamp > self.start and (self.end is None or timestamp <= self.end)


@dataclass(slots=True)
class Grants:
    """What the partner was granted of each event type, by the time of records; of what is not here: all."""

    taken: dict[str, list[tuple[Millis, Millis | None, Millis | None]]] = field(
        default_factory=dict
    )
    """By type: when it was taken away, when the row was written that grants it again, and from when it does."""

    def take(self, event_type: str, now: Millis) -> None:
        """Note that a type is granted no more."""
        self.taken.setdefault(event_type, []).append((now, None, None))

    def give(self, event_type: str, now: Millis, at: Millis) -> None:
        """Note that a type is granted again."""
        self.taken[event_type][-1] = self.taken[event_type][-1][0], now, at

    def since(self, event_type: str) -> Millis | None:
        """Return since when a type is not granted; None: it is."""
        for began, ended, _ in self.taken.get(event_type, ()):
            if ended is None:
                return began
        return None

    def today(self, event: "Event", begun: Millis) -> Owed:
        """Return what grants allow of an event to what `begun` at an instant, whatever held at its time."""
        verdict = Owed.MUST
        for began, ended, _ in self.taken.get(event.type, ()):
            if ended is None and began + LAG < begun:
                return Owed.NEVER
            if ended is None or ended + LAG >= begun:
                verdict = Owed.MAY
        return verdict

    def owed(self, event: "Event", begun: Millis = 0) -> Owed:
        """Return what grants allow of an event, to what `begun` at an instant: then and today.

        Whoever has not read yet that it is taken away may send it; what is pending then is cancelled.
        """
        verdict = Owed.MUST
        for began, ended, at in self.taken.get(event.type, ()):
            if event.timestamp > began + LAG and (at is None or event.timestamp <= at):
                return Owed.NEVER
            if (at is None or event.timestamp <= at) and (ended is None or ended + LAG >= begun):
                verdict = Owed.MAY
            if began < event.timestamp and (at is None or event.timestamp <= at):
                verdict = Owed.MAY
        return verdict


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


class Owes(Protocol):
    """A subscription, or a replay to one, or a test of one."""

    def owed(self, event: Event) -> Owed: ...


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
    grants: Grants = field(default_factory=Grants)
    pauses: list[Stretch] = field(default_factory=list)
    disablings: list[Disabling] = field(default_factory=list)
    slacks: list[Stretch] = field(default_factory=list)
    """What precedes disablings and belongs to the replays of their gaps: what is late is left to them."""
    filled: list[Stretch] = field(default_factory=list)
    """The parts of gaps that replays fill."""
    absences: list[Absence] = field(default_factory=list)
    deleted_at: Millis | None = None
    before: "SubscriptionStatus | None" = None
    """The deleted subscription that had this one's id."""

    def of(self, timestamp: Millis) -> "SubscriptionStatus":
        """Return the subscription that an event of a time is of: this one, or an earlier one of its id."""
        if self.before is None or timestamp > self.active_from:
            return self
        return self.before.of(timestamp)

    def owed(self, event: Event) -> Owed:
        life = self.of(event.timestamp)
        if life is not self:
            return life.owed(event)
        wish = self.wish
        if (
            event.garbage
            or event.type not in wish.types
            or wish.colour not in (None, event.colour)
        ):
            return Owed.NEVER
        at = event.timestamp
        if at <= self.active_from:
            return self._late(event)
        if any(pause.holds(at) for pause in self.pauses):
            return self._late(event)
        if self.deleted_at is not None and at > self.deleted_at + LAG:
            return Owed.NEVER
        granted = self.grants.owed(event)
        if granted is Owed.NEVER:
            return Owed.NEVER
        disabled = [disabling.owed(at) for disabling in self.disablings]
        if Owed.NEVER in disabled:
            return self._late(event)
        unsure = granted is Owed.MAY or Owed.MAY in disabled or self._may_miss(event)
        return Owed.MAY if unsure else Owed.MUST

    def _may_miss(self, event: Event) -> bool:
        """Return whether a replay has an event instead, or a worker may not have known the subscription."""
        return any(stretch.holds(event.timestamp) for stretch in self.slacks) or any(
            self._lost_sight(absence, event) for absence in self.absences
        )

    def _late(self, event: Event) -> Owed:
        """Return whether an event of a gap is delivered by workers: what a replay lost may wait for its schema."""
        lost = any(gap.incomplete and gap.holds(event.timestamp) for gap in self.filled)
        return Owed.MAY if lost and event.type == LATE else Owed.NEVER

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
"""Event id and subscription id: one delivery. A run that a replay began names its job behind the subscription."""


_IN = " in "


def of_run(event: str, subscription_id: str, job: str | None) -> Pair:
    """Return one run of a delivery; None: its first life."""
    return event, subscription_id if job is None else f"{subscription_id}{_IN}{job}"


def is_run(pair: Pair) -> bool:
    """Return whether a replay began it."""
    return _IN in pair[1]


def is_test(pair: Pair) -> bool:
    """Return whether it is a test of an endpoint, whose job has the name of its event."""
    return pair[1].endswith(f"{_IN}{pair[0]}")


def base_of(pair: Pair) -> Pair:
    """Return the delivery of which it is a run."""
    return pair[0], pair[1].partition(_IN)[0]


class Expectation:
    """Every event and subscription of a story."""

    def __init__(self) -> None:
        self.events: dict[str, Event] = {}
        self.by_origin: dict[tuple[str, int, int], Event] = {}
        self.tests: dict[str, Event] = {}
        """The events of tests, which are in no event topic."""
        self.statuses: dict[str, SubscriptionStatus] = {}
        self.grants = Grants()
        self.runs: dict[str, Owes] = {}
        """Replays and tests, by the second half of the pairs of their runs."""

    def published(self, event: Event) -> None:
        self.events[event.id] = event
        self.by_origin[event.origin] = event

    def event(self, name: str) -> Event | None:
        """Return an event of an event topic, or of a test."""
        return self.events.get(name) or self.tests.get(name)

    def owed(self, pair: Pair) -> Owed:
        event = self.event(pair[0])
        status: Owes | None = self.statuses.get(pair[1]) or self.runs.get(pair[1])
        if event is None or status is None:
            return Owed.NEVER
        return status.owed(event)

    def owed_to(self, event: Event) -> list[Pair]:
        """Every delivery of an event that must be made, without those of replays."""
        return [
            (event.id, name)
            for name, status in self.statuses.items()
            if status.owed(event) is Owed.MUST
        ]

    def is_deleted(self, pair: Pair) -> bool:
        """Return whether the subscription that a delivery is of was deleted, though its id may be used again."""
        status = self.status_of(pair)
        return status is not None and status.deleted_at is not None

    def status_of(self, pair: Pair) -> SubscriptionStatus | None:
        """Return what is known of the subscription that a delivery is of."""
        status, event = self.statuses.get(base_of(pair)[1]), self.event(pair[0])
        if status is None or event is None:
            return status
        return status.of(event.timestamp)
