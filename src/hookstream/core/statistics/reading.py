"""Builds statistics: from counts that an index keeps, or from the log itself, record by record."""

import heapq
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from hookstream.core.audit.entry import AuditEntry
from hookstream.core.model.delivery import Delivery
from hookstream.core.model.instant import Millis
from hookstream.core.statistics.counts import (
    CountedRuns,
    LastAttempt,
    Statistics,
    steps_of,
    totals_of,
)
from hookstream.core.statistics.errors import (
    MOST_PATTERNS,
    OTHERS,
    ErrorPattern,
    Fingerprint,
    fingerprint_of,
)
from hookstream.core.statistics.life import (
    Ending,
    LifeKey,
    LifeState,
    is_test,
    key_of_entry,
    key_of_waiting,
    kind_of,
    minute_of,
    state_of_entry,
    state_of_skipped,
    state_of_waiting,
)

SkippedPlace: TypeAlias = tuple[str, int, int]
"""Topic, partition and offset of a record that an operator skipped."""

MOST_ERRORS = 20
"""How many patterns of errors are shown, the most frequent."""


@dataclass(slots=True)
class StatisticsBuilder:
    """Gathers what is counted, from one or several places that each have distinct runs and records."""

    since: Millis
    until: Millis
    step: Millis
    now: Millis = field(kw_only=True)
    """The present by the brokers' clock."""
    whole: bool = field(kw_only=True)
    """Whether all of the interval that was asked for is known."""
    _runs: list[CountedRuns] = field(default_factory=list)
    _errors: dict[Fingerprint, ErrorPattern] = field(default_factory=dict)
    _last: LastAttempt | None = None

    def add_runs(self, runs: Iterable[CountedRuns]) -> None:
        """Add counted runs, of distinct ones."""
        self._runs.extend(runs)

    def add_errors(self, errors: Iterable[ErrorPattern]) -> None:
        """Add patterns of errors, of distinct records."""
        for each in errors:
            known = self._errors.get(each.fingerprint)
            self._errors[each.fingerprint] = each if known is None else known.join(each)

    def add_last(self, last: LastAttempt | None) -> None:
        """Add the newest attempt of one of the places."""
        if last is not None and (self._last is None or _order(last) > _order(self._last)):
            self._last = last

    def statistics(self, most_errors: int = MOST_ERRORS) -> Statistics:
        """Return the statistics, with the most frequent patterns of errors."""
        steps = steps_of(self._runs, self.since, self.until, self.step, now=self.now)
        errors = heapq.nsmallest(
            most_errors,
            self._errors.values(),
            key=lambda each: (-each.count, -each.last_at, str(each.fingerprint)),
        )
        return Statistics(
            self.since, self.until, totals_of(steps), steps, self._last, tuple(errors), self.whole
        )


def _order(last: LastAttempt) -> tuple[Millis, str]:
    return last.at, last.delivery_id


class LogStatistics:
    """Statistics from records of the log, in any order. Memory grows with the runs that are met.

    Args:
        most_runs: How many runs are counted at most; of further ones nothing is, and `left_out` says so.
        skipped: Topic, partition and offset of the records that operators skipped.
    """

    def __init__(
        self, most_runs: int = 2_000_000, skipped: Collection[SkippedPlace] = frozenset()
    ) -> None:
        self._most = most_runs
        self._skipped = skipped
        self._waited: set[LifeKey] = set()
        """Runs of skipped events that went on in a tier."""
        self._runs: dict[LifeKey, tuple[LifeState, bool]] = {}
        self._errors: dict[Fingerprint, ErrorPattern] = {}
        self._of_subscription: dict[str, int] = {}
        self._last: LastAttempt | None = None
        self.left_out = 0
        """Records of runs that are not counted, since there were too many."""

    def entry(self, entry: AuditEntry) -> None:
        """Add an audit entry. One record is added once: errors are counted by records."""
        self._join(key_of_entry(entry), state_of_entry(entry), test=is_test(entry.trigger))
        if entry.outcome is not None:
            last = LastAttempt(entry.started_at, entry.outcome, entry.status, entry.delivery_id)
            if self._last is None or _order(last) > _order(self._last):
                self._last = last
        fingerprint = fingerprint_of(entry)
        if fingerprint is not None:
            self._error(fingerprint, entry)

    def waiting(self, delivery: Delivery, place: SkippedPlace) -> None:
        """Add the delivery of the tier record at a place, in the state in which it was written."""
        key, test = key_of_waiting(delivery), is_test(delivery.trigger.value)
        skipped = place in self._skipped
        state = state_of_skipped(delivery) if skipped else state_of_waiting(delivery)
        self._join(key, state, test=test)
        if not skipped and key.origin[:3] in self._skipped:
            self._waited.add(key)

    def into(self, builder: StatisticsBuilder) -> Statistics:
        """Return the statistics."""
        builder.add_runs(
            CountedRuns(
                minute_of(key.origin.timestamp),
                kind_of(state, key.job, test=test),
                self._ending(key, state),
                1,
                state.retries,
            )
            for key, (state, test) in self._runs.items()
        )
        builder.add_errors(self._errors.values())
        builder.add_last(self._last)
        return builder.statistics()

    def _ending(self, key: LifeKey, state: LifeState) -> Ending:
        """Return how a run has ended; a skip of its event counts where it did not go on in a tier."""
        ended_by_skip = (
            state.ending is Ending.OPEN
            and key.job is None
            and key.origin[:3] in self._skipped
            and key not in self._waited
        )
        return Ending.SKIPPED if ended_by_skip else state.ending

    def _join(self, key: LifeKey, state: LifeState, *, test: bool) -> None:
        known = self._runs.get(key)
        if known is None:
            if len(self._runs) >= self._most:
                self.left_out += 1
                return
            known = LifeState(), False
        self._runs[key] = known[0].join(state), known[1] or test

    def _error(self, fingerprint: Fingerprint, entry: AuditEntry) -> None:
        if fingerprint not in self._errors:
            subscription_id = fingerprint.subscription_id
            kept = self._of_subscription.get(subscription_id, 0)
            if kept >= MOST_PATTERNS:
                fingerprint = Fingerprint(subscription_id, "none", None, OTHERS)
            self._of_subscription[subscription_id] = kept + (fingerprint not in self._errors)
        at, example = entry.started_at, entry.error or entry.reason or ""
        found = ErrorPattern(fingerprint, 1, at, at, example, entry.delivery_id)
        known = self._errors.get(fingerprint)
        self._errors[fingerprint] = found if known is None else known.join(found)
