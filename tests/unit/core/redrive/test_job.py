"""A redrive's row has what was asked: a selection, and where the topic ended then."""

import json

import pytest

from hookstream.core.jobs.job import Job, read_job
from hookstream.core.jobs.row_problem import RowProblem
from hookstream.core.redrive.job import RedriveRequest, redrives_of, request_of
from hookstream.core.redrive.marks import RedriveSource

NOW = 1_795_000_000_000
DEAD_LETTERS = RedriveSource.DEAD_LETTERS


def job(job_id: str = "j", source: RedriveSource = DEAD_LETTERS) -> Job:
    return RedriveRequest(source, {"reasons": ["expired"]}, {0: 10, 2: 0}).job(job_id, NOW, 7)


def test_what_was_asked_reads_back_as_it_was_written() -> None:
    read = read_job("j", job().encode())
    assert read == job()
    assert request_of(job()) == RedriveRequest(
        DEAD_LETTERS, {"reasons": ["expired"]}, {0: 10, 2: 0}
    )


def test_the_id_of_the_topic_is_part_of_what_was_asked_where_it_is_known() -> None:
    asked = RedriveRequest(DEAD_LETTERS, {}, {0: 10}, "7e" * 16)
    row = asked.job("j", NOW, 7).encode()
    read = read_job("j", row)
    assert isinstance(read, Job)
    assert request_of(read) == asked
    assert json.loads(row)["topic_id"] == "7e" * 16
    assert "topic_id" not in json.loads(job().encode())


@pytest.mark.parametrize(
    "change",
    [{"ends": []}, {"ends": {"x": 1}}, {"topic": "?"}, {"topic_id": 7}, {"topic_id": None}],
)
def test_a_request_that_cannot_be_read_is_reported(change: dict[str, object]) -> None:
    row = json.dumps(json.loads(job().encode()) | change).encode()
    redrives, problems = redrives_of({"j": row})
    assert (redrives, [type(problem) for problem in problems]) == ([], [RowProblem])


def test_jobs_of_other_kinds_are_left_alone() -> None:
    other = Job("r", "replay", {}, NOW)
    rows = {"r": other.encode(), "j": job().encode()}
    assert [found for found, _ in redrives_of(rows)[0]] == [job()]
