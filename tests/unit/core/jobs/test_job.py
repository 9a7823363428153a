"""A job's row is all that another process needs to continue it."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.jobs.book import JobBook
from hookstream.core.jobs.job import (
    KEPT,
    LARGEST_ASKED,
    MOST_NOTES,
    Job,
    JobState,
    Note,
    first_row,
    forgotten,
    jobs_of,
    read_job,
)
from hookstream.core.jobs.lease import HELD_FOR, STALLED_AFTER, held
from hookstream.core.jobs.row_problem import RowProblem
from hookstream.core.redrive.job import RedriveRequest
from hookstream.core.redrive.marks import Mark, OffsetRange, RedriveSource
from hookstream.errors import InputRefused

NOW = 1_795_000_000_000
REPLAY = Job("replay-1", "replay", {"subscription": "crm"}, NOW, total=9)
REDRIVE = RedriveRequest(RedriveSource.DEAD_LETTERS, {"reasons": ["expired"]}, {0: 10, 2: 0}).job(
    "redrive-1", NOW, 7
)


def texts() -> st.SearchStrategy[str]:
    return st.text(max_size=300)


jobs = st.builds(
    Job,
    id=st.just("j"),
    kind=st.sampled_from(["replay", "purge", "later"]),
    asked=st.dictionaries(texts(), st.integers() | texts() | st.none(), max_size=3),
    asked_at=st.integers(0, NOW),
    total=st.integers(0),
    done=st.integers(0),
    state=st.sampled_from(JobState),
    revision=st.integers(1),
    holder=texts(),
    held_until=st.none() | st.integers(0, NOW),
    rate=st.none() | st.floats(0.01, 1e6),
    counts=st.dictionaries(texts(), st.integers(), max_size=3),
    reached=st.dictionaries(texts(), st.lists(st.integers()), max_size=3),
    notes=st.lists(st.builds(Note, st.integers(0, NOW), texts()), max_size=MOST_NOTES).map(tuple),
    reason=texts(),
)


@given(jobs)
def test_a_job_reads_back_as_it_was_written(job: Job) -> None:
    assert read_job("j", job.encode()) == job


def test_a_row_without_what_came_with_leases_is_as_earlier_releases_wrote_it() -> None:
    assert json.loads(REDRIVE.encode()) == {
        "format": 1,
        "revision": 1,
        "kind": "redrive",
        "topic": "dead-letters",
        "selector": {"reasons": ["expired"]},
        "ends": {"0": 10, "2": 0},
        "asked_at": "2026-11-18T11:06:40.000Z",
        "total": 7,
        "done": 0,
        "state": "running",
    }


def test_a_row_of_another_kind_is_the_documented_json() -> None:
    job = replace(held(REPLAY, "host:7:ab", NOW), rate=50.0, counts={"not_granted": 2})
    assert json.loads(job.noted(NOW, "filter changed").encode()) == {
        "format": 1,
        "revision": 2,
        "kind": "replay",
        "asked": {"subscription": "crm"},
        "asked_at": "2026-11-18T11:06:40.000Z",
        "total": 9,
        "done": 0,
        "state": "running",
        "holder": "host:7:ab",
        "held_until": "2026-11-18T11:07:10.000Z",
        "rate": 50.0,
        "counts": {"not_granted": 2},
        "notes": [{"at": "2026-11-18T11:06:40.000Z", "text": "filter changed"}],
    }


def test_a_job_keeps_its_newest_notes() -> None:
    job = REPLAY
    for number in range(MOST_NOTES + 3):
        job = job.noted(NOW, str(number))
    assert [note.text for note in job.notes] == [str(n) for n in range(3, MOST_NOTES + 3)]


def test_what_ended_for_a_reason_that_may_pass_can_be_continued() -> None:
    assert [state for state in JobState if state.is_resumable] == [
        JobState.RUNNING,
        JobState.FAILED,
    ]


def test_marks_are_left_alone_and_jobs_are_the_oldest_first() -> None:
    mark = Mark("j", RedriveSource.DEAD_LETTERS, 0, (OffsetRange(1, 1),))
    young = replace(REPLAY, id="a", asked_at=NOW + 1)
    rows = {mark.key: mark.encode(), "a": young.encode(), "replay-1": REPLAY.encode()}
    assert jobs_of(rows) == ([REPLAY, young], [])


@pytest.mark.parametrize(
    "change",
    [
        {"state": "?"},
        {"format": 2},
        {"kind": 7},
        {"kind": None},
        {"asked": []},
        {"total": "7"},
        {"asked_at": "noon"},
        {"held_until": 7},
        {"rate": 0},
        {"rate": -1},
        {"rate": "fast"},
        {"rate": 10**400},
        {"counts": {"a": "b"}},
        {"reached": None},
    ],
)
def test_an_unreadable_row_is_reported_with_its_reason(change: dict[str, Any]) -> None:
    row = json.loads(REPLAY.encode()) | change
    assert isinstance(read_job("replay-1", json.dumps(row).encode()), RowProblem)


def test_what_is_no_json_object_is_reported() -> None:
    for value in (b"{", b"[]", b"7", b'{"kind":"redrive","format":1}'):
        assert isinstance(read_job("j", value), RowProblem)


def test_notes_and_reasons_that_are_damaged_stop_no_job() -> None:
    notes: list[object] = [7, {"at": "noon", "text": "x"}, {"at": "2026-11-18T11:06:40Z"}]
    row = json.loads(REPLAY.encode()) | {"notes": notes, "reason": 7}
    assert read_job("replay-1", json.dumps(row).encode()) == REPLAY


def test_only_ended_jobs_are_forgotten() -> None:
    """A running one has what another executor needs, however old it is."""
    old = replace(REPLAY, asked_at=NOW - KEPT - 1)
    rows = {
        "ended": replace(old, id="ended").ended(JobState.DONE).encode(),
        "running": replace(old, id="running").encode(),
        "young": replace(REPLAY, id="young").ended(JobState.FAILED, "x").encode(),
    }
    assert forgotten(rows, now=NOW) == ["ended"]


def test_a_book_has_running_jobs_and_says_which_are_stalled() -> None:
    book, mark = JobBook(), Mark("j", RedriveSource.DEAD_LETTERS, 0, (OffsetRange(1, 1),))
    running = held(REPLAY, "a", NOW)
    book.put(mark.key, mark.encode(), NOW)
    book.put("replay-1", running.encode(), NOW)
    book.put("done", replace(REPLAY, id="done").ended(JobState.DONE).encode(), NOW)
    later = NOW + HELD_FOR + STALLED_AFTER
    assert book.running == {"replay-1": running}
    assert (book.stalled(later - 1), book.stalled(later)) == ([], [running])
    book.put("replay-1", None, NOW)
    assert book.gauges(later) == {"hookstream_jobs_running": 0, "hookstream_jobs_stalled": 0}


def test_a_row_of_a_job_that_cannot_be_read_counts_as_stalled() -> None:
    """It may be running, and no executor can continue it."""
    book = JobBook()
    book.put("replay-1", b"{", NOW)
    assert book.gauges(NOW)["hookstream_jobs_stalled"] == 1
    book.put("replay-1", REPLAY.ended(JobState.DONE).encode(), NOW)
    assert book.gauges(NOW)["hookstream_jobs_stalled"] == 0


def test_a_job_of_which_more_is_asked_than_is_kept_is_refused_with_both_figures() -> None:
    large = replace(REPLAY, asked={"subscription": "c" * LARGEST_ASKED})
    assert first_row(REPLAY) == REPLAY.encode()
    with pytest.raises(
        InputRefused, match=r"replay-1 takes 196,\d+ bytes, and at most 196,608 are"
    ):
        first_row(large)
