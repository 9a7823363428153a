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


@pytest.mark.parametrize("change", [{"ends": []}, {"ends": {"x": 1}}, {"topic": "?"}])
def test_a_request_that_cannot_be_read_is_reported(change: dict[str, object]) -> None:
    row = json.dumps(json.loads(job().encode()) | change).encode()
    redrives, problems = redrives_of({"j": row})
    assert (redrives, [type(problem) for problem in problems]) == ([], [RowProblem])


def test_jobs_of_other_kinds_are_left_alone() -> None:
    other = Job("r", "replay", {}, NOW)
    rows = {"r": other.encode(), "j": job().encode()}
    assert [found for found, _ in redrives_of(rows)[0]] == [job()]
