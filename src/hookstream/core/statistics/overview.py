"""The numbers of an installation, a partner or a subscription over one window, in steps of equal length.

Deliveries are counted as all statistics count them; requests by when they were recorded.
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from hookstream.core.model.instant import DAY, HOUR, MINUTE, Millis
from hookstream.core.statistics.attempts import AttemptCounts, CountedAttempts, total_of
from hookstream.core.statistics.counts import CountedRuns, Counts, is_overdue
from hookstream.core.statistics.errors import ErrorPattern

MOST_STEPS: Final = 180
"""How many steps an overview has at most."""

WORST: Final = 10
"""How many endpoints are named, those with the most failed requests."""

_STEPS: Final = (
    *(MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 30 * MINUTE),
    *(HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY),
)
"""Lengths of steps: each divides a day, so that steps begin at round times."""


class OverviewWindow(StrEnum):
    """How far back an overview goes."""

    HOUR = "1h"
    DAY = "24h"
    ALL = "all"
    """As far as is known."""

    @property
    def span(self) -> Millis | None:
        """Its length; None: as far as is known."""
        return {"1h": HOUR, "24h": DAY}.get(self.value)


class Steps(NamedTuple):
    """An interval in steps of equal length; the last may not be over yet."""

    since: Millis
    """A multiple of `step`."""
    until: Millis
    """The present."""
    step: Millis

    def start_of(self, instant: Millis) -> Millis:
        """Return the start of the step that an instant lies in."""
        return instant - (instant - self.since) % self.step

    def starts(self) -> list[Millis]:
        """Return the start of each step, the oldest first; the last one has the present in it."""
        return list(range(self.since, self.until + 1, self.step))


def steps_for(window: OverviewWindow, now: Millis, known_since: Millis) -> Steps:
    """Return the steps of a window that ends at present: at most `MOST_STEPS`.

    Args:
        window: How far back.
        now: The present.
        known_since: From when on everything is known; what lies before it is left out.
    """
    since = known_since if window.span is None else max(now - window.span, known_since)
    since = max(0, min(since, now - 1))
    for step in _STEPS:
        start = since - since % step
        if (now - start) // step < MOST_STEPS:
            return Steps(start, now, step)
    # Longer than half a year: whole days.
    days = (now - since) // (DAY * (MOST_STEPS - 1)) + 1
    step = days * DAY
    return Steps(since - since % step, now, step)


def is_whole(window: OverviewWindow, now: Millis, known_since: Millis) -> bool:
    """Return whether everything of a window that ends at present is known."""
    return window.span is None or known_since <= now - window.span


class OverviewStep(NamedTuple):
    """The numbers of one step."""

    at: Millis
    """Its start."""
    counts: Counts
    attempts: AttemptCounts


class FailingEndpoint(NamedTuple):
    """A subscription with failed requests."""

    subscription_id: str
    partner_id: str
    attempts: int
    failed: int
    error: ErrorPattern | None = None
    """Its most frequent error of the hours that the window touches; None: its file is gone meanwhile."""


@dataclass(slots=True, frozen=True)
class Overview:
    """The numbers of one window."""

    steps: tuple[OverviewStep, ...]
    """All steps of the window, also those in which nothing was, the oldest first."""
    since: Millis
    """Later than the start of the first step where less is known."""
    until: Millis
    step: Millis
    counts: Counts
    attempts: AttemptCounts
    worst: tuple[FailingEndpoint, ...]
    """The endpoints with the most failed requests, at most `WORST`."""
    whole: bool
    """Whether everything of the window is known."""


class OverviewBuilder:
    """Adds up an overview from what several places have of distinct runs and requests.

    Args:
        steps: The interval, which ends at present.
    """

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._found = {at: OverviewStep(at, Counts(), AttemptCounts()) for at in steps.starts()}
        self._failing: dict[tuple[str, str], list[int]] = {}
        """By subscription and partner: requests, and failed ones."""

    def add_runs(self, runs: Iterable[CountedRuns]) -> None:
        """Add runs of minutes within the interval."""
        for minute, kind, ending, count, retries in runs:
            step = self._found.get(self._steps.start_of(minute))
            if step is not None:
                overdue = is_overdue(minute, self._steps.until)
                step.counts.add(kind, ending, count, retries, overdue=overdue)

    def add_attempts(self, counted: Iterable[CountedAttempts]) -> None:
        """Add requests of minutes within the interval."""
        for each in counted:
            step = self._found.get(self._steps.start_of(each.at))
            if step is not None:
                step.attempts.add(each)

    def add_failing(self, found: Iterable[FailingEndpoint]) -> None:
        """Add what endpoints failed at, of distinct requests."""
        for subscription_id, partner_id, attempts, failed, _ in found:
            known = self._failing.setdefault((subscription_id, partner_id), [0, 0])
            known[0] += attempts
            known[1] += failed

    def worst(self) -> list[FailingEndpoint]:
        """Return the endpoints with the most failed requests so far, at most `WORST`."""
        found = heapq.nsmallest(
            WORST, self._failing.items(), key=lambda item: (-item[1][1], item[0])
        )
        return [FailingEndpoint(*names, counts[0], counts[1]) for names, counts in found]

    def overview(
        self, worst: Sequence[FailingEndpoint], known_since: Millis, *, whole: bool
    ) -> Overview:
        """Return the overview.

        Args:
            worst: The endpoints that are named.
            known_since: From when on everything is known.
            whole: Whether the window that was asked for begins no earlier.
        """
        steps = tuple(self._found.values())
        counts = Counts()
        for each in steps:
            counts.include(each.counts)
        return Overview(
            steps,
            max(self._steps.since, known_since),
            self._steps.until,
            self._steps.step,
            counts,
            total_of(each.attempts for each in steps),
            tuple(worst),
            whole,
        )
