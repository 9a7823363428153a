"""A job's row is all that a second process needs to continue."""

import json

from hookstream.core.redrive.job import (
    KEPT,
    JobState,
    RedriveJob,
    forgotten,
    jobs_of,
    read_job,
    rival,
)
from hookstream.core.redrive.marks import Mark, RedriveSource, RowProblem

NOW = 1_795_000_000_000


def job(
    job_id: str = "j", source: RedriveSource = RedriveSource.DEAD_LETTERS, asked_at: int = NOW
) -> RedriveJob:
    return RedriveJob(job_id, source, {"reasons": ["expired"]}, asked_at, {0: 10, 2: 0}, total=7)


def test_a_job_reads_back_as_it_was_written() -> None:
    asked = job().progressed(5).ended(JobState.DONE)
    assert read_job("j", asked.encode()) == asked


def test_a_jobs_row_is_the_documented_json() -> None:
    assert json.loads(job().encode()) == {
        "format": 1,
        "revision": 1,
        "kind": "redrive",
        "topic": "dead-letters",
        "selector": {"reasons": ["expired"]},
        "asked_at": "2026-11-18T11:06:40.000Z",
        "ends": {"0": 10, "2": 0},
        "total": 7,
        "done": 0,
        "state": "running",
    }


def test_progress_counts_dead_letters_and_revisions() -> None:
    assert (job().progressed(3).done, job().progressed(3).revision) == (3, 2)


def test_rows_of_marks_and_of_other_kinds_are_left_alone() -> None:
    mark = Mark("j", RedriveSource.DEAD_LETTERS, 0, (1,))
    rows = {mark.key: mark.encode(), "r": b'{"format":1,"kind":"replay"}', "j": job().encode()}
    assert jobs_of(rows) == ([job()], [])


def test_an_unreadable_row_is_reported_with_its_reason() -> None:
    whole = json.loads(job().encode())
    broken = (b"{", b"[]", b'{"kind":"redrive","format":2}')
    changes: list[dict[str, object]] = [
        {"state": "?"},
        {"total": "7"},
        {"ends": []},
        {"asked_at": "noon"},
    ]
    changed = [json.dumps(whole | change).encode() for change in changes]
    for value in (*broken, *changed):
        assert isinstance(read_job("j", value), RowProblem)


def test_a_running_job_over_the_same_topic_is_a_rival() -> None:
    """Two jobs that read the marks at the same time would both find a dead letter open."""
    rows = {"other": job("other").encode(), "mine": job("mine").encode()}
    assert rival(rows, job("mine")) == job("other")


def test_ended_jobs_and_jobs_over_the_other_topic_are_no_rivals() -> None:
    ended, elsewhere = job("a").ended(JobState.CANCELLED), job("b", RedriveSource.UNDECODABLE)
    assert rival({"a": ended.encode(), "b": elsewhere.encode()}, job("mine")) is None


def test_only_ended_jobs_are_forgotten() -> None:
    """A running one has what `--resume` needs, however old it is."""
    old = NOW - KEPT - 1
    rows = {
        "ended": job("ended", asked_at=old).ended(JobState.DONE).encode(),
        "running": job("running", asked_at=old).encode(),
        "young": job("young").ended(JobState.DONE).encode(),
    }
    assert forgotten(rows, now=NOW) == ["ended"]
