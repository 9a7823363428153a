"""A redrive redrives each dead letter once, however often its process dies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.redriving import ProcessDied, Shop, StepsOf, Stopwatch

from hookstream.core.model.record import OutgoingRecord, Record
from hookstream.core.model.topics import Topics
from hookstream.core.redrive.job import KEPT, JobState, RedriveJob, read_job
from hookstream.core.redrive.marks import Mark, Position, RedriveSource, read_ledger
from hookstream.core.redrive.revive import Unredrivable
from hookstream.errors import Conflict, InputRefused
from hookstream.pipeline import redrive as redriving
from hookstream.pipeline.redrive import (
    STEP_RECORDS,
    Redriving,
    Result,
    cancel,
    find_job,
)

TOPICS = Topics()
NOW = 1_795_000_000_000
DOOR = TOPICS.tier(0)


def dead_letter(partition: int, offset: int, value: bytes | None = b"v") -> Record:
    return Record(TOPICS.dead_letters, partition, offset, NOW, b"crm", value, ())


def shop(*dead_letters: Record) -> Shop:
    return Shop(TOPICS.jobs, list(dead_letters))


def job(job_id: str = "night", **ends: int) -> RedriveJob:
    return RedriveJob(
        job_id,
        RedriveSource.DEAD_LETTERS,
        {},
        NOW,
        {int(p[1:]): end for p, end in ends.items()},
        total=9,
    )


def revive(dead: Record) -> OutgoingRecord | Unredrivable:
    position = Position(dead.partition, dead.offset)
    if dead.value is None:
        return Unredrivable(position, "its origin is gone")
    return OutgoingRecord(DOOR, str(position).encode(), dead.value)


def run(
    at: Shop,
    asked: RedriveJob,
    *,
    dies_at: int | None = None,
    rate: float | None = None,
    watch: Stopwatch | None = None,
) -> Result:
    clock = watch or Stopwatch()
    return Redriving(
        TOPICS,
        at,
        StepsOf(at, dies_at),
        clock,
        clock.sleep,
        asked,
        lambda record: record.key == b"crm",
        revive,
        lambda _: None,
        rate,
    ).run()


def keys(at: Shop) -> list[str]:
    return [(record.key or b"").decode() for record in at.door]


def test_open_dead_letters_are_redriven_and_resolved_in_the_same_step() -> None:
    at = shop(dead_letter(0, 1), dead_letter(0, 4), dead_letter(2, 0))
    result = run(at, job(p0=5, p2=1))
    assert keys(at) == ["0@1", "0@4", "2@0"]
    ended = job(p0=5, p2=1).progressed(3).ended(JobState.DONE)
    assert result == Result(ended)
    assert read_job("night", at.table["night"]) == ended
    assert at.table["night/0/1"] == Mark("night", RedriveSource.DEAD_LETTERS, 0, (1, 4)).encode()


def test_a_redrive_ignores_dead_letters_newer_than_its_request() -> None:
    """A redriven dead letter that fails again would feed the same job for ever."""
    at = shop(dead_letter(0, 1), dead_letter(0, 5))
    run(at, job(p0=5))
    assert keys(at) == ["0@1"]


def test_a_resolved_dead_letter_is_skipped() -> None:
    at = shop(dead_letter(0, 1), dead_letter(0, 2))
    run(at, job("first", p0=2))
    run(at, job("second", p0=3))
    assert keys(at) == ["0@1", "0@2"]


def test_dead_letters_that_were_not_selected_stay_open() -> None:
    other = dead_letter(0, 2)
    other.key = b"shop"
    at = shop(dead_letter(0, 1), other)
    run(at, job(p0=3))
    assert read_ledger(at.table)[0].is_open(RedriveSource.DEAD_LETTERS, Position(0, 2))


def test_a_dead_letter_that_cannot_be_redriven_stays_open_with_a_reason() -> None:
    at = shop(dead_letter(0, 1, None), dead_letter(0, 2))
    result = run(at, job(p0=3))
    assert (result.unredrivable, result.examples, keys(at)) == (
        1,
        [Unredrivable(Position(0, 1), "its origin is gone")],
        ["0@2"],
    )
    assert read_ledger(at.table)[0].is_open(RedriveSource.DEAD_LETTERS, Position(0, 1))


def test_one_dead_letter_that_is_too_large_does_not_fail_its_step() -> None:
    at = shop(dead_letter(0, 1), dead_letter(0, 2, b"huge"), dead_letter(0, 3))
    at.too_large = {b"huge"}
    result = run(at, job(p0=4))
    why = "hookstream.retry.0s refused it: it is too large for the topic"
    assert (keys(at), result.examples) == (["0@1", "0@3"], [Unredrivable(Position(0, 2), why)])


def test_a_step_has_a_bounded_number_of_dead_letters() -> None:
    at = shop(*(dead_letter(0, offset) for offset in range(STEP_RECORDS + 1)))
    steps = StepsOf(at)
    watch = Stopwatch()
    done: list[int] = []
    Redriving(
        TOPICS, at, steps, watch, watch.sleep, job(p0=9_999), lambda _: True, revive, done.append
    ).run()
    assert done == [STEP_RECORDS, 1]


def test_large_dead_letters_make_smaller_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redriving, "STEP_BYTES", 10)
    at = shop(*(dead_letter(0, offset, b"123456") for offset in range(5)))
    done: list[int] = []
    watch = Stopwatch()
    steps = StepsOf(at)
    Redriving(
        TOPICS, at, steps, watch, watch.sleep, job(p0=5), lambda _: True, revive, done.append
    ).run()
    assert done == [2, 2, 1]


def test_a_rate_is_kept_over_the_whole_redrive() -> None:
    at = shop(*(dead_letter(0, offset) for offset in range(25)))
    watch = Stopwatch()
    run(at, job(p0=25), rate=10, watch=watch)
    assert (len(at.door), watch.slept) == (25, [1.0, 1.0])


def test_a_second_job_steps_back_while_one_is_at_work() -> None:
    at = shop(dead_letter(0, 1))
    at.table["first"] = job("first", p0=1).encode()
    with pytest.raises(Conflict, match="first is already redriving"):
        run(at, job("second", p0=2))
    stepped_back = job("second", p0=2).ended(JobState.CANCELLED)
    assert (at.door, read_job("second", at.table["second"])) == ([], stepped_back)


def test_a_job_that_was_taken_up_again_keeps_its_claim_when_it_meets_another() -> None:
    at = shop(dead_letter(0, 1))
    at.table["first"] = job("first", p0=1).encode()
    resumed = job("second", p0=2).progressed(1)
    with pytest.raises(Conflict):
        run(at, resumed)
    assert read_job("second", at.table["second"]) == resumed


def test_nothing_is_redriven_while_a_mark_cannot_be_read() -> None:
    at = shop(dead_letter(0, 1))
    at.table["old/0/1"] = b"{"
    with pytest.raises(InputRefused, match="what is open is not known"):
        run(at, job(p0=2))
    assert at.door == []


def test_rows_that_are_not_needed_are_removed_at_the_end() -> None:
    at = shop(dead_letter(0, 7))
    old = RedriveJob("old", RedriveSource.DEAD_LETTERS, {}, NOW - KEPT - 1, state=JobState.DONE)
    at.table |= {
        "old": old.encode(),
        "old/0/1": Mark("old", RedriveSource.DEAD_LETTERS, 0, (1,)).encode(),
    }
    at.log_starts = {(RedriveSource.DEAD_LETTERS, 0): 7}
    run(at, job(p0=8))
    assert sorted(at.table) == ["night", "night/0/7"]


def test_a_cancelled_job_leaves_the_rest_open() -> None:
    at = shop(dead_letter(0, 1))
    at.table["night"] = job(p0=2).encode()
    cancel(StepsOf(at), TOPICS, find_job(at.table, "night", RedriveSource.DEAD_LETTERS))
    assert read_job("night", at.table["night"]) == job(p0=2).ended(JobState.CANCELLED)


def test_only_a_running_job_over_the_same_topic_can_be_taken_up_again() -> None:
    rows = {
        "done": job("done").ended(JobState.DONE).encode(),
        "bad": b'{"kind":"redrive"}',
        "runs": job("runs").encode(),
    }
    assert find_job(rows, "runs", RedriveSource.DEAD_LETTERS) == job("runs")
    for job_id, why in (
        ("done", "job done is done"),
        ("bad", "cannot be read"),
        ("none", "there is no job none over dead-letters; running jobs: runs"),
    ):
        with pytest.raises(InputRefused, match=why):
            find_job(rows, job_id, RedriveSource.DEAD_LETTERS)


@given(
    positions=st.sets(st.tuples(st.integers(0, 2), st.integers(0, 20)), max_size=30),
    deaths=st.lists(st.integers(1, 5), max_size=6),
    rate=st.sampled_from([1.0, 2.0, 7.0]),
)
def test_every_open_dead_letter_is_redriven_exactly_once_wherever_the_process_dies(
    positions: set[tuple[int, int]], deaths: list[int], rate: float
) -> None:
    """The law of a redrive: steps are whole, so a run continues where the last one ended."""
    at = shop(*(dead_letter(*position) for position in sorted(positions)))
    asked = job(p0=21, p1=21, p2=21)
    at.table["night"] = asked.encode()
    for dies_at in deaths:
        row = read_job("night", at.table["night"])
        assert isinstance(row, RedriveJob)
        if row.state is not JobState.RUNNING:
            break
        try:
            run(at, row, dies_at=dies_at, rate=rate)
        except ProcessDied:
            continue
    row = read_job("night", at.table["night"])
    assert isinstance(row, RedriveJob)
    if row.state is JobState.RUNNING:
        run(at, row)
    assert sorted(keys(at)) == sorted(f"{partition}@{offset}" for partition, offset in positions)
    ended = read_job("night", at.table["night"])
    assert isinstance(ended, RedriveJob)
    assert (ended.done, ended.state) == (len(positions), JobState.DONE)
