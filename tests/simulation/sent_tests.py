"""The tests of endpoints in a story, by an independent model: what each may come to.

A test is a delivery of its own, to which the same checks apply: its `Pair` names its event, and its job,
which has the same name, behind the subscription.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.expectation import (
    LAG,
    Event,
    Expectation,
    Owed,
    Pair,
    SubscriptionStatus,
    is_test,
    of_run,
)

from hookstream.core.model.hold import ALL, HoldKind
from hookstream.core.model.instant import MINUTE, Millis

TESTED = "a test is attempted once at most, is kept nowhere, and ends with its cause"

AT_ONCE = 8
"""How many tests a process may have in flight, each of another subscription."""

EARLIER: Millis = 1_000
"""By how much the clock of a process may differ from the brokers'."""


@dataclass(eq=False)
class SentTest:
    """One test."""

    event: Event
    """Its event, which is in no event topic."""
    status: SubscriptionStatus

    @property
    def pair(self) -> Pair:
        return of_run(self.event.id, self.status.wish.id, self.event.id)

    def owed(self, event: Event) -> Owed:
        """Return whether it may be attempted: what stops it may come at any time."""
        return Owed.MAY if event is self.event else Owed.NEVER


@dataclass(eq=False)
class SentTests:
    """Every test of a story."""

    expected: Expectation
    blame: Callable[[str, str], None]
    ever_held: set[tuple[HoldKind, str]] = field(default_factory=set)
    """Whatever was held at some time."""
    by_pair: dict[Pair, SentTest] = field(default_factory=dict)

    def add(self, test: SentTest) -> None:
        """Note a test before it is sent."""
        self.by_pair[test.pair] = test
        self.expected.tests[test.event.id] = test.event
        self.expected.runs[test.pair[1]] = test

    def sent(
        self, pairs: Iterable[Pair], made: Mapping[Pair, int], again: Mapping[Pair, int]
    ) -> None:
        """Check the deliveries of a request.

        Args:
            pairs: They.
            made: How many requests each was in, with this one.
            again: How often the record of each was taken once more.
        """
        found = list(pairs)
        tests = [pair for pair in found if is_test(pair)]
        if tests and len(found) > 1:
            self.blame(TESTED, f"{tests[0][0]} is in a request with others")
        for pair in tests:
            if made[pair] > 1 + again[pair]:
                self.blame(TESTED, f"{pair[0]} is attempted {made[pair]} times")

    def ended(self, pair: Pair, entry: Mapping[str, Any], now: Millis) -> None:
        """Check the audit record of a test."""
        outcome, disposition, reason = entry["outcome"], entry["disposition"], entry["reason"]
        right = "complete" if outcome == "delivered" else "cancel"
        if disposition != right:
            self.blame(TESTED, f"{pair[0]} is {disposition} after {outcome}")
        elif outcome is None and not self._has_cause(self.by_pair[pair], reason, now):
            self.blame(TESTED, f"{pair[0]} is not attempted as {reason}")

    def _has_cause(self, test: SentTest, reason: str | None, now: Millis) -> bool:
        status, event = test.status, test.event
        unread = now < status.written + LAG + EARLIER
        if status.deleted_at is not None:
            return True
        match reason:
            case None:
                # By the row of an earlier life of its id.
                return unread
            case "held":
                who = (HoldKind.ENDPOINT, status.wish.id)
                held = {who, (HoldKind.EVENT_TYPE, event.type), (HoldKind.PARTNER, "acme")}
                return not self.ever_held.isdisjoint({*held, (HoldKind.EVERYTHING, ALL)})
            case "disabled":
                return bool(status.disablings)
            case "subscription_absent":
                return bool(status.absences) or unread
            case "not_granted":
                return event.type in status.grants.taken
            case "expired":
                return now >= event.timestamp + MINUTE - EARLIER
            case _:
                return False
