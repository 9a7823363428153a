"""One executor holds a job at a time, by the brokers' clock; who may claim it is a pure rule."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hookstream.core.jobs.job import Job, JobState
from hookstream.core.jobs.lease import (
    HELD_FOR,
    STALLED_AFTER,
    UNCHANGED_FOR,
    handed_back,
    held,
    is_held,
    is_left,
    is_over,
    is_unheld,
    may_claim,
    renew_every,
)

NOW = 1_795_000_000_000
JOB = Job("redrive-1", "redrive", {}, NOW)


def test_a_claim_lasts_thirty_seconds_and_is_a_new_revision() -> None:
    claimed = held(JOB, "a", NOW)
    assert (claimed.holder, claimed.held_until, claimed.revision) == ("a", NOW + 30_000, 2)


def test_a_holder_renews_three_times_in_a_lease() -> None:
    assert renew_every(HELD_FOR) == 10.0


@pytest.mark.parametrize(("after", "free"), [(0, False), (29_999, False), (30_000, True)])
def test_another_executor_may_claim_only_past_the_lease(after: int, *, free: bool) -> None:
    claimed = held(JOB, "a", NOW)
    assert may_claim(claimed, "b", NOW + after) is free
    assert is_held(claimed, NOW + after) is not free
    assert is_over(claimed, NOW + after) is free


def test_a_holder_may_open_another_writer_of_its_own() -> None:
    assert may_claim(held(JOB, "a", NOW), "a", NOW + 1)


def test_a_job_that_was_handed_back_is_free_at_once() -> None:
    back = handed_back(held(JOB, "a", NOW), NOW + 5)
    assert (back.holder, may_claim(back, "b", NOW + 5)) == ("", True)


@pytest.mark.parametrize("state", [each for each in JobState if each is not JobState.RUNNING])
def test_a_job_that_has_ended_is_neither_held_nor_claimed_nor_unheld(state: JobState) -> None:
    ended = held(JOB, "a", NOW).ended(state)
    late = NOW + 10 * STALLED_AFTER
    assert not is_held(ended, NOW)
    assert not may_claim(ended, "a", late, 2 * UNCHANGED_FOR)
    assert not is_unheld(ended, late)


def test_a_clock_that_was_set_back_holds_a_job_for_a_minute_at_most() -> None:
    """The broker's clock was an hour ahead when the row was written."""
    claimed = held(JOB, "a", NOW + 3_600_000)
    assert not may_claim(claimed, "b", NOW, UNCHANGED_FOR - 1)
    assert may_claim(claimed, "b", NOW, UNCHANGED_FOR)


def test_a_job_is_unheld_a_minute_after_its_lease() -> None:
    claimed = held(JOB, "a", NOW)
    assert not is_unheld(claimed, NOW + HELD_FOR + STALLED_AFTER - 1)
    assert is_unheld(claimed, NOW + HELD_FOR + STALLED_AFTER)


def test_a_row_without_a_lease_says_only_that_its_writer_lived_then() -> None:
    row = replace(JOB, written_at=NOW)
    assert is_left(row)
    assert not may_claim(row, "b", NOW + HELD_FOR - 1)
    assert may_claim(row, "b", NOW + HELD_FOR)
    assert is_unheld(row, NOW + HELD_FOR + STALLED_AFTER)


@given(st.integers(0, 10**6), st.sampled_from(["", "a", "b"]), st.floats(0, 59))
def test_never_may_two_executors_claim_while_one_holds(
    after: int, holder: str, unchanged: float
) -> None:
    claimed = held(JOB, "holder", NOW)
    now = NOW + after
    if not is_over(claimed, now):
        assert not may_claim(claimed, holder, now, unchanged)


class LeasesAgainstANaiveModel(RuleBasedStateMachine):
    """Executors claim, renew, hand back and are fenced, while the brokers' clock runs and is stepped.

    The model keeps who holds the job and since when its row is unchanged; it has no rule of its own
    about ends of leases but that a holder writes only within 30 s of its last row by its own clock.
    """

    def __init__(self) -> None:
        super().__init__()
        self.real = 0
        """Milliseconds that have passed, which every executor's own clock shows."""
        self.skew = 0
        """What the brokers' clock is ahead of that."""
        self.row = handed_back(JOB, NOW)
        self.epoch = 0
        self.epochs: dict[str, int] = {}
        """The writer that each executor has open."""
        self.wrote: dict[str, tuple[int, int]] = {}
        """When each executor wrote last: real time, and the brokers' time as it knew it."""
        self.changed_at = 0
        self.writers_since: list[str] = []

    @property
    def now(self) -> int:
        return NOW + self.real + self.skew

    def write(self, who: str, row: Job) -> None:
        self.row, self.changed_at = row, self.real
        self.wrote[who] = (self.real, self.now)

    @rule(millis=st.integers(1, 40_000))
    def time_passes(self, millis: int) -> None:
        self.real += millis

    @rule(millis=st.integers(-3_600_000, 3_600_000))
    def the_brokers_clock_is_stepped(self, millis: int) -> None:
        self.skew += millis

    @rule(who=st.sampled_from("abc"))
    def claims(self, who: str) -> None:
        """It may: then it fences everybody, and only then writes."""
        unchanged = (self.real - self.changed_at) / 1000
        if not may_claim(self.row, who, self.now, unchanged):
            return
        if self.row.holder == who and self.epochs.get(who) != self.epoch:
            return  # It was fenced, knows it by now, and never claims by its own name again.
        self.epoch += 1
        self.epochs = {who: self.epoch}
        self.write(who, held(self.row, who, self.now))

    @rule(who=st.sampled_from("abc"))
    def writes_a_step(self, who: str) -> None:
        if who not in self.wrote or self.row.state is not JobState.RUNNING:
            return
        real, stamp = self.wrote[who]
        believed = stamp + self.real - real
        mine = replace(self.row, held_until=stamp + HELD_FOR) if self.epochs.get(who) else self.row
        if is_over(mine, believed) or self.epochs.get(who) != self.epoch:
            # Its lease is over by its own clock, or the broker refuses it.
            self.epochs.pop(who, None)
            return
        assert self.row.holder == who
        assert self.real - real < HELD_FOR
        self.write(who, held(self.row, who, self.now))

    @rule(who=st.sampled_from("abc"))
    def hands_back(self, who: str) -> None:
        if self.epochs.get(who) == self.epoch and self.row.holder == who:
            self.write(who, handed_back(self.row, self.now))
            del self.epochs[who]

    @invariant()
    def one_writer_is_open(self) -> None:
        assert sum(epoch == self.epoch for epoch in self.epochs.values()) <= 1

    @invariant()
    def a_dead_holder_keeps_nobody_waiting_for_more_than_a_minute(self) -> None:
        unchanged = (self.real - self.changed_at) / 1000
        if unchanged >= UNCHANGED_FOR:
            assert may_claim(self.row, "another", self.now, unchanged)


TestLeasesAgainstANaiveModel = LeasesAgainstANaiveModel.TestCase
