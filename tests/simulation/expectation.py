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
"""How long before it takes effect a change of state is begun; a longer time, if it is begun again."""

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
class Taken:
    """A stretch of time in which the partner was not granted an event type."""

    since: Millis
    """The time from which records are not granted."""
    written: Millis
    """When the row was appended that says so."""
    given: Millis | None = None
    """When the row was appended that grants the type again."""
    granted_from: Millis | None = None
    """The time from which records are granted again."""


@dataclass(slots=True)
class Grants:
    """What the partner was not granted of each event type, by the time of records; of what is not here: all is."""

    taken: dict[str, list[Taken]] = field(default_factory=dict)

    def take(self, event_type: str, since: Millis, written: Millis) -> None:
        """Note that a type is granted no more."""
        self.taken.setdefault(event_type, []).append(Taken(since, written))

    def give(self, event_type: str, now: Millis, at: Millis) -> None:
        """Note that a type is granted again."""
        last = self.taken[event_type][-1]
        last.given, last.granted_from = now, at

    def since(self, event_type: str) -> Millis | None:
        """Return when the row was written by which a type is not granted; None: it is."""
        for each in self.taken.get(event_type, ()):
            if each.given is None:
                return each.written
        return None

    def today(self, event: "Event", begun: Millis) -> Owed:
        """Return what grants allow of an event to what `begun` at an instant, whatever held at its time."""
        verdict = Owed.MUST
        for each in self.taken.get(event.type, ()):
            if each.given is None and each.written + LAG < begun:
                return Owed.NEVER
            if each.given is None or each.given + LAG >= begun:
                verdict = Owed.MAY
        return verdict

    def owed(self, event: "Event", begun: Millis = 0) -> Owed:
        """Return what grants allow of an event, to what `begun` at an instant: then and today.

        Whoever has not read yet that it is taken away may send it; what is pending then is cancelled.
        """
        verdict = Owed.MUST
        for each in self.taken.get(event.type, ()):
            if each.granted_from is not None and event.timestamp > each.granted_from:
                continue
            if event.timestamp > each.written + LAG:
                return Owed.NEVER
            pending = each.given is None or each.given + LAG >= begun
            if pending or each.since < event.timestamp:
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


class Run(Protocol):
    """A replay to a subscription, or a test of one."""

    @property
    def status(self) -> "SubscriptionStatus": ...

    def owed(self, event: Event) -> Owed: ...


@dataclass(slots=True)
class Absence:
    """The row was missing until an instant; what was in tiers or over by then is still owed."""

    until: Millis | None
    safe: frozenset[str]


@dataclass(slots=True)
class SubscriptionStatus:
    """What is known of one subscription; of one life, if its id is deleted and created again."""

    wish: Wish
    active_from: Millis
    written: Millis = 0
    """When its first row was appended."""
    grants: Grants = field(default_factory=Grants)
    pauses: list[Stretch] = field(default_factory=list)
    disablings: list[Disabling] = field(default_factory=list)
    slacks: list[Stretch] = field(default_factory=list)
    """What precedes disablings and belongs to the replays of their gaps: what is late is left to them."""
    filled: list[Stretch] = field(default_factory=list)
    """The parts of gaps that replays fill."""
    absences: list[Absence] = field(default_factory=list)
    deleted_at: Millis | None = None
    url: str = ""
    """Its endpoint, which no other subscription has."""

    def owed(self, event: Event) -> Owed:
        wish = self.wish
        if event.garbage or event.type not in wish.types:
            return Owed.NEVER
        if wish.colour is not None and wish.colour != event.colour:
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

    def pause(self, at: Millis) -> None:
        self.pauses.append(Stretch(at))

    def resume(self, at: Millis) -> None:
        last = self.pauses[-1]
        last.end = max(at, last.start)

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
        """Subscriptions by id, each in its present life."""
        self.earlier: dict[str, list[SubscriptionStatus]] = {}
        """The earlier lives of ids that were deleted and created again."""
        self.by_url: dict[str, SubscriptionStatus] = {}
        self.grants = Grants()
        self.runs: dict[str, Run] = {}
        """Replays and tests, by the second half of the pairs of their runs."""

    def subscribed(self, status: SubscriptionStatus) -> None:
        """Note a new subscription, whose id may have been another's."""
        before = self.statuses.get(status.wish.id)
        if before is not None:
            self.earlier.setdefault(status.wish.id, []).append(before)
        self.statuses[status.wish.id] = self.by_url[status.url] = status

    def published(self, event: Event) -> None:
        self.events[event.id] = event
        self.by_origin[event.origin] = event

    def event(self, name: str) -> Event | None:
        """Return an event of an event topic, or of a test."""
        return self.events.get(name) or self.tests.get(name)

    def owed(self, pair: Pair) -> Owed:
        event = self.event(pair[0])
        found = self.runs.get(pair[1]) or self.status_of(pair)
        if event is None or found is None:
            return Owed.NEVER
        return Owed.MAY if self.is_inherited(pair) else found.owed(event)

    def owed_to(self, event: Event) -> list[Pair]:
        """Every delivery of an event that must be made, without those of replays."""
        return [
            (event.id, name)
            for name in self.statuses
            if self._life(name, event).owed(event) is Owed.MUST
        ]

    def status_of(self, pair: Pair) -> SubscriptionStatus | None:
        """Return the subscription that a delivery is for: of several lives of its id, that of the event's time."""
        run = self.runs.get(pair[1])
        if run is not None:
            return run.status
        event, name = self.events.get(pair[0]), pair[1]
        if event is None or name not in self.earlier:
            return self.statuses.get(name)
        return self._life(name, event)

    def lives_of(self, pair: Pair) -> list[SubscriptionStatus]:
        """Return the lives of an id that may get a delivery: its own, and those that started in the past, before it."""
        run, event, name = self.runs.get(pair[1]), self.event(pair[0]), base_of(pair)[1]
        found = self.status_of(pair)
        own = [self.statuses[name] if found is None else found]
        if run is not None or event is None:
            return own
        lives = (*self.earlier.get(name, ()), self.statuses[name])
        return own + [
            each for each in lives if any(gap.holds(event.timestamp) for gap in each.filled)
        ]

    def is_inherited(self, pair: Pair) -> bool:
        """Return whether it is a run that was begun for an earlier life of its id: it may be cancelled."""
        run = self.runs.get(pair[1])
        return run is not None and run.status is not self.statuses[run.status.wish.id]

    def _life(self, name: str, event: Event) -> SubscriptionStatus:
        """Return the life of an id whose time an event is of; the first one, if it is older than that."""
        present = self.statuses[name]
        lives = self.earlier.get(name)
        if lives is None or event.timestamp > present.active_from:
            return present
        there = (each for each in reversed(lives) if event.timestamp > each.active_from)
        return next(there, lives[0])

    def is_deleted(self, pair: Pair) -> bool:
        status = self.status_of(pair)
        return status is not None and status.deleted_at is not None
