"""Endpoint health of several workers against one table, over any course of answers and restarts."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hookstream.core.model.instant import MINUTE, Millis
from hookstream.core.model.subscription import Failing
from hookstream.core.outcome.health import (
    ClearFailing,
    Finding,
    GiveUp,
    HealthBook,
    HealthRules,
    NoteFailing,
)

WORKERS = 2
RULES = HealthRules(disable_after=6 * MINUTE, enough=2)
workers = st.integers(0, WORKERS - 1)


class HealthOfManyWorkers(RuleBasedStateMachine):
    """Rows reach every worker before time moves on, as a table's do within a second."""

    def __init__(self) -> None:
        super().__init__()
        self.books = [HealthBook() for _ in range(WORKERS)]
        self.now: Millis = 1_764_000_000_000
        self.row: Failing | None = None
        """What the table contains."""
        self.unread: list[tuple[int, Failing | None]] = []
        self.attempts: list[tuple[Millis, bool]] = []
        """Every attempt: when, and whether it succeeded."""
        self.seen = [0] * WORKERS
        """Failures that each worker saw since it read of a success, or since it started."""
        self.written: dict[int, Millis] = {}
        self.given_up: set[tuple[int, Millis]] = set()
        """Which worker disabled after which failing period."""

    def write(self, row: Failing | None) -> None:
        self.row = row
        self.unread += [(worker, row) for worker in range(WORKERS)]

    @rule(worker=workers)
    def fail(self, worker: int) -> None:
        found = self.books[worker].failed("crm", self.now, RULES)
        self.attempts.append((self.now, False))
        self.seen[worker] += 1
        self.take(worker, found)

    @rule()
    def fail_for_minutes(self) -> None:
        """So that failing periods are often long enough."""
        for _ in range(3):
            for worker in range(WORKERS):
                self.fail(worker)
            self.pass_time(MINUTE)

    def take(self, worker: int, found: Finding | None) -> None:
        match found:
            case None:
                return
            case NoteFailing(failing):
                last = self.written.get(worker)
                assert last is None or self.now - last >= MINUTE
                self.written[worker] = self.now
                assert failing == Failing("crm", self.now)
                self.write(failing)
            case GiveUp(since, failures):
                assert self.now - since >= RULES.disable_after
                assert RULES.enough <= failures <= self.seen[worker]
                # Nothing but failures: no success between, but at the very moments of both ends.
                assert not any(ok and since < at < self.now for at, ok in self.attempts)
                assert (since, False) in self.attempts
                assert (worker, since) not in self.given_up
                self.given_up.add((worker, since))
            case ClearFailing():
                raise AssertionError("a failure clears nothing")

    @rule(worker=workers)
    def succeed(self, worker: int) -> None:
        knew = "crm" in self.books[worker].failing
        found = self.books[worker].succeeded("crm")
        self.attempts.append((self.now, True))
        self.seen[worker] = 0
        assert (found is not None) == knew
        if found is not None:
            self.write(None)

    @rule(worker=workers)
    def restart(self, worker: int) -> None:
        self.books[worker] = HealthBook()
        self.unread = [each for each in self.unread if each[0] != worker]
        if self.row is not None:
            self.books[worker].put(self.row)
        self.seen[worker] = 0
        self.given_up = {each for each in self.given_up if each[0] != worker}
        self.written.pop(worker, None)

    @rule(passed=st.sampled_from([1_000, MINUTE, 2 * MINUTE, 4 * MINUTE]))
    def pass_time(self, passed: Millis) -> None:
        self.follow()
        self.now += passed

    @rule()
    def follow(self) -> None:
        for worker, row in self.unread:
            if row is None:
                self.books[worker].drop("crm")
                self.seen[worker] = 0
            else:
                self.books[worker].put(row)
        self.unread.clear()

    @rule()
    def enable(self) -> None:
        """`subscriptions enable` clears both rows in one transaction."""
        self.follow()
        self.write(None)
        self.follow()

    @invariant()
    def the_table_says_that_it_fails_only_where_it_last_failed(self) -> None:
        """Once all rows are read: a success of a worker that knew of the mark leaves none."""
        if not self.unread and self.attempts and self.row is not None:
            last_at, _ = self.attempts[-1]
            later = [at for at, ok in self.attempts if ok and at > self.row.since]
            assert not later, (self.row, last_at)

    @invariant()
    def all_workers_know_what_the_table_says(self) -> None:
        if not self.unread:
            said = self.row is not None
            assert [("crm" in book.failing) for book in self.books] == [said] * WORKERS


TestHealthOfManyWorkers = HealthOfManyWorkers.TestCase
TestHealthOfManyWorkers.settings = settings(max_examples=200, stateful_step_count=40)
