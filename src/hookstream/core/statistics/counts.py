"""Statistics of a subscription, a partner or everything: what is counted, and the rates made of it.

Deliveries are counted by the minute in which their event was appended to its topic, so a late attempt
changes the minute of its event. Held and paused deliveries, replays, resends and tests are left out, and
counted apart.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from hookstream.core.model.instant import MINUTE, Millis
from hookstream.core.statistics.errors import ErrorPattern
from hookstream.core.statistics.life import Ending, RunKind

OVERDUE: Millis = 5 * MINUTE
"""A delivery that is open for longer counts against the success rate."""


_LEFT_OUT = {RunKind.HELD: "held", RunKind.REPLAY: "replays", RunKind.TEST: "tests"}
"""The count of each kind that is left out of all others."""


@dataclass(slots=True)
class Counts:
    """Deliveries of some minutes, each counted once, by how it has ended so far."""

    open: int = 0
    """Of which no record says that they ended; those that wait in tiers, and attempts in between."""
    overdue: int = 0
    """Those of them that are open for longer than 5 minutes."""
    dead_lettered: int = 0
    """Whether or not they are being redriven meanwhile."""
    cancelled: int = 0
    delivered: int = 0
    delivered_at_once: int = 0
    """Those of them whose first 2xx came at most 2 seconds after the append of their event."""
    retries: int = 0
    """Attempts after the first."""
    held: int = 0
    """Left out of all above: they waited for a hold or a pause."""
    replays: int = 0
    """Left out as well: runs of replays and resends."""
    tests: int = 0
    """Left out as well."""

    @property
    def events(self) -> int:
        """How many deliveries are counted: the events that matched."""
        return self.open + self.dead_lettered + self.cancelled + self.delivered

    @property
    def decided(self) -> int:
        """What the rates are taken of: delivered, dead-lettered, and open for longer than 5 minutes."""
        return self.delivered + self.dead_lettered + self.overdue

    @property
    def success_rate(self) -> float | None:
        """Delivered ones of the decided; None: none is decided."""
        return self.delivered / self.decided if self.decided else None

    @property
    def at_once_rate(self) -> float | None:
        """Those delivered within 2 seconds of the decided; None: none is decided."""
        return self.delivered_at_once / self.decided if self.decided else None

    @property
    def left_out(self) -> int:
        """How many runs are not counted: held, paused, replays and tests."""
        return self.held + self.replays + self.tests

    @property
    def left_out_share(self) -> float:
        """Their share of all runs; 0 where there is none."""
        every = self.events + self.left_out
        return self.left_out / every if every else 0.0

    def add(
        self, kind: RunKind, ending: Ending, runs: int, retries: int, *, overdue: bool
    ) -> None:
        """Count runs of one kind and ending.

        Args:
            kind: Whether they are counted.
            ending: How they ended.
            runs: How many; negative ones are taken out.
            retries: Their attempts after the first.
            overdue: Whether ones that are open are so for longer than 5 minutes.
        """
        left_out = _LEFT_OUT.get(kind)
        if left_out is not None:
            setattr(self, left_out, getattr(self, left_out) + runs)
            return
        self.retries += retries
        match ending:
            case Ending.OPEN:
                self.open += runs
                self.overdue += runs if overdue else 0
            case Ending.DEAD_LETTERED:
                self.dead_lettered += runs
            case Ending.CANCELLED | Ending.SKIPPED:
                self.cancelled += runs
            case Ending.DELIVERED | Ending.DELIVERED_AT_ONCE:
                self.delivered += runs
                self.delivered_at_once += runs if ending is Ending.DELIVERED_AT_ONCE else 0

    def include(self, other: "Counts") -> None:
        """Count what another has as well."""
        # By name: a statistic of a day by minute adds up 1,440 of them.
        self.open += other.open
        self.overdue += other.overdue
        self.dead_lettered += other.dead_lettered
        self.cancelled += other.cancelled
        self.delivered += other.delivered
        self.delivered_at_once += other.delivered_at_once
        self.retries += other.retries
        self.held += other.held
        self.replays += other.replays
        self.tests += other.tests


class CountedRuns(NamedTuple):
    """A number of runs of one minute that are counted alike."""

    minute: Millis
    kind: RunKind
    ending: Ending
    runs: int
    retries: int


def is_overdue(minute: Millis, now: Millis) -> bool:
    """Return whether every event of a minute was appended more than 5 minutes ago."""
    return minute + MINUTE + OVERDUE <= now


class StatisticsStep(NamedTuple):
    """The counts of one interval."""

    at: Millis
    """Its start."""
    counts: Counts


def steps_of(
    runs: Iterable[CountedRuns], since: Millis, until: Millis, step: Millis, *, now: Millis
) -> tuple[StatisticsStep, ...]:
    """Return the counts of each interval from `since` on; those without a run are left out.

    Args:
        runs: Runs of minutes in [since, until), in any order.
        since: The start of the first interval.
        until: The end of the last.
        step: The length of an interval, at least a minute.
        now: The present, by which open ones are overdue.
    """
    found: dict[Millis, Counts] = {}
    for minute, kind, ending, count, retries in runs:
        if not since <= minute < until:
            continue
        at = minute - (minute - since) % step
        counts = found.get(at)
        if counts is None:
            counts = found[at] = Counts()
        counts.add(kind, ending, count, retries, overdue=is_overdue(minute, now))
    return tuple(StatisticsStep(at, found[at]) for at in sorted(found))


class LastAttempt(NamedTuple):
    """The newest attempt, whatever run it belongs to."""

    at: Millis
    """When it began."""
    outcome: str
    status: int | None
    delivery_id: str


@dataclass(slots=True, frozen=True)
class Statistics:
    """The statistics of a subscription, a partner or everything, for a stated window."""

    since: Millis
    """Events appended from here on are counted. Later than what was asked for where the window of what is
    known begins later."""
    until: Millis
    counts: Counts
    steps: tuple[StatisticsStep, ...]
    last_attempt: LastAttempt | None
    """None: none was made within the window."""
    errors: tuple[ErrorPattern, ...]
    """The most frequent first."""
    whole: bool = True
    """Whether all of the interval that was asked for is known."""


def totals_of(steps: Iterable[StatisticsStep]) -> Counts:
    """Return the counts of all intervals together."""
    counts = Counts()
    for each in steps:
        counts.include(each.counts)
    return counts
