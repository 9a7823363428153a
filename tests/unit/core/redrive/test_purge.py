"""A purge's row says what is purged, by whom and why."""

import json
from dataclasses import replace

import pytest

from hookstream.core.jobs.job import Job, read_job
from hookstream.core.jobs.row_problem import RowProblem
from hookstream.core.model.json import JsonObject
from hookstream.core.redrive.marks import MAX_WHY, Purged, RedriveSource
from hookstream.core.redrive.purge import PurgeRequest, purge_of, purge_reason
from hookstream.errors import InputRefused

NOW = 1_795_000_000_000
REQUEST = PurgeRequest(
    RedriveSource.UNDECODABLE, {"reasons": ["tombstone"]}, {0: 10, 2: 0}, "ada@ops", "by mail"
)


def test_a_purge_reads_back_as_it_was_written() -> None:
    row = REQUEST.job("p", NOW, 7).encode()
    job = read_job("p", row)
    assert isinstance(job, Job)
    assert purge_of(job) == REQUEST
    assert json.loads(row)["asked"] == {
        "topic": "undecodable",
        "selector": {"reasons": ["tombstone"]},
        "ends": {"0": 10, "2": 0},
        "by": "ada@ops",
        "why": "by mail",
    }
    assert REQUEST.purged(NOW) == Purged("ada@ops", "by mail", NOW)


def test_a_purge_names_its_topic_by_id_where_that_is_known() -> None:
    named = replace(REQUEST, topic_id="7e" * 16)
    job = read_job("p", named.job("p", NOW, 7).encode())
    assert isinstance(job, Job)
    assert (purge_of(job), job.asked["topic_id"]) == (named, "7e" * 16)


def test_another_kind_is_no_purge_and_a_broken_one_is_a_problem() -> None:
    job = REQUEST.job("p", NOW, 7)
    assert purge_of(replace(job, kind="redrive")) is None
    changes: list[JsonObject] = [{"why": 7}, {"topic": "events"}, {"ends": []}, {"topic_id": 7}]
    for change in changes:
        broken = replace(job, asked={**job.asked, **change})
        assert isinstance(purge_of(broken), RowProblem)


def test_a_reason_is_one_bounded_line() -> None:
    assert purge_reason("  sent by mail ") == "sent by mail"
    for text in ("", "  ", "x" * (MAX_WHY + 1), "two\nlines", "\x1b[2J"):
        with pytest.raises(InputRefused, match="the reason of a purge"):
            purge_reason(text)
