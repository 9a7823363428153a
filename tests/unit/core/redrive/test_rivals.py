"""A command begins no job beside another over its topic; rows that are not needed are removed."""

from dataclasses import replace

import pytest

from hookstream.core.jobs.job import KEPT, REDRIVE, Job, JobState
from hookstream.core.model.json import JsonObject
from hookstream.core.redrive.marks import (
    Mark,
    OffsetRange,
    RedriveSource,
    barrier,
    barrier_key,
)
from hookstream.core.redrive.purge import PurgeRequest
from hookstream.core.redrive.rivals import refuse_rival, removable, rival, rival_words
from hookstream.errors import Conflict

NOW = 1_795_000_000_000
DEAD = RedriveSource.DEAD_LETTERS


def redrive(job_id: str, source: RedriveSource = DEAD, asked_at: int = NOW) -> Job:
    asked: JsonObject = {"topic": source.value, "selector": {}, "ends": {}}
    return Job(job_id, REDRIVE, asked, asked_at, total=9, done=4)


def purge(job_id: str, source: RedriveSource = DEAD, asked_at: int = NOW) -> Job:
    return PurgeRequest(source, {}, {}, "ada@ops", "by mail").job(job_id, asked_at, 9)


def rows(*jobs: Job) -> dict[str, bytes]:
    return {job.id: job.encode() for job in jobs}


@pytest.mark.parametrize("other", [redrive("other"), purge("other")])
def test_a_running_job_over_the_same_topic_is_a_rival(other: Job) -> None:
    """Two jobs that read the marks at the same time would both find a dead letter open."""
    found = rival(rows(other, redrive("mine")), "mine", DEAD)
    assert found == other


def test_ended_jobs_and_jobs_over_the_other_topic_are_no_rivals() -> None:
    others = [
        redrive("ended").ended(JobState.CANCELLED),
        purge("failed").ended(JobState.FAILED, "-"),
        purge("elsewhere", RedriveSource.UNDECODABLE),
        Job("replay", "replay", {"topic": DEAD.value}, NOW),
    ]
    assert rival(rows(*others), "mine", DEAD) is None


def test_a_rival_is_named_with_the_remedy() -> None:
    words = rival_words(replace(purge("p"), done=4), DEAD)
    assert words.startswith("p is already purging dead-letters (4 of 9 done)")
    assert "hookstream jobs cancel p" in words
    assert "r is already redriving" in rival_words(redrive("r"), DEAD)


def test_while_a_rival_runs_no_other_job_begins_and_its_own_goes_on() -> None:
    table = rows(redrive("running"))
    with pytest.raises(Conflict, match="running is already redriving dead-letters"):
        refuse_rival(table, DEAD)
    refuse_rival(table, DEAD, "running")
    refuse_rival(table, RedriveSource.UNDECODABLE)


def test_rows_are_removed_when_nothing_needs_them_any_more() -> None:
    """A failed purge may be continued, and one whose row cannot be read may be running."""
    old = NOW - KEPT - 1
    mark = Mark("gone", DEAD, 0, (OffsetRange(1, 6),))
    table = rows(
        redrive("old", asked_at=old).ended(JobState.DONE),
        redrive("old-running", asked_at=old),
        redrive("young").ended(JobState.DONE),
        purge("purging"),
        purge("failed").ended(JobState.FAILED, "-"),
        purge("cancelled").ended(JobState.CANCELLED, "-"),
    )
    table |= {mark.key: mark.encode(), "unreadable": b"{"}
    for job_id in ("purging", "failed", "cancelled", "gone", "unreadable"):
        table[barrier_key(job_id)] = barrier()
    found = removable(table, {(DEAD, 0): 7}, {}, NOW)
    assert found == ["gone/0/1", "old", barrier_key("cancelled"), barrier_key("gone")]
    assert removable(table, {(DEAD, 0): 6}, {}, NOW)[0] == "old"


def test_a_mark_stays_while_its_job_may_resolve_more_with_it() -> None:
    """It grows under the same key: whoever removes what it read before removes what was added since."""
    marks = [
        Mark(job_id, DEAD, 0, (OffsetRange(at, at),))
        for at, job_id in enumerate(("running", "failed", "unreadable", "done", "gone"))
    ]
    table = rows(
        redrive("running"),
        redrive("failed").ended(JobState.FAILED, "-"),
        redrive("done").ended(JobState.DONE),
    )
    table |= {mark.key: mark.encode() for mark in marks} | {"unreadable": b"{"}
    assert removable(table, {(DEAD, 0): 9}, {}, NOW) == ["done/0/3", "gone/0/4"]
