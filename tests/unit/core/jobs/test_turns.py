"""Jobs over one dead-letter topic wait for one at work, then for those that were asked for before them."""

from dataclasses import replace

import pytest

from hookstream.core.jobs import turns
from hookstream.core.jobs.book import JobBook
from hookstream.core.jobs.job import PURGE, REDRIVE, Job, JobState
from hookstream.core.jobs.lease import HELD_FOR, STALLED_AFTER, handed_back, held
from hookstream.core.jobs.row_problem import RowProblem
from hookstream.core.model.json import Json, JsonObject

NOW = 1_795_000_000_000


def job(job_id: str, kind: str = REDRIVE, topic: str = "dead-letters", asked_at: int = NOW) -> Job:
    asked: JsonObject = {"topic": topic, "selector": {}, "ends": {}}
    return handed_back(Job(job_id, kind, asked, asked_at), NOW)


def working(job_: Job) -> Job:
    return held(job_, "a process", NOW - 9 * HELD_FOR)


def test_a_job_is_at_work_while_its_row_has_a_holder_whenever_its_lease_was_over() -> None:
    found = {
        "handed back": job("a"),
        "held": working(job("a")),
        "before leases": replace(job("a"), held_until=None),
        "failed": replace(working(job("a")), state=JobState.FAILED),
        "cancelled": working(job("a")).ended(JobState.CANCELLED, "by kim"),
    }
    at_work = [name for name, each in found.items() if turns.is_at_work(each)]
    assert at_work == ["held", "before leases"]


@pytest.mark.parametrize(
    "other",
    [job("b", topic="undecodable"), Job("b", "replay", {"topic": "dead-letters"}, NOW)],
    ids=["another topic", "another kind"],
)
def test_jobs_over_another_topic_or_of_another_kind_take_no_turns_with_it(other: Job) -> None:
    jobs = [job("c"), working(other)]
    assert turns.JobLine(jobs).ahead(jobs[0]) is None
    assert turns.at_work_beside(jobs, working(jobs[0])) is None
    assert turns.JobLine([working(job("c")), other]).ahead(other) is None


def test_whoever_claimed_a_job_looks_for_others_at_work_alone() -> None:
    mine, waits = working(job("b")), job("a")
    assert turns.at_work_beside([mine, waits], mine) is None
    purge = working(job("c", PURGE))
    assert turns.at_work_beside([mine, waits, purge], mine) == purge


def test_a_job_that_nobody_holds_waits_for_one_at_work_and_then_for_older_ones() -> None:
    first, second, third = (job(name, asked_at=NOW + at) for at, name in enumerate("cba"))
    assert [
        turns.JobLine([third, second, first]).ahead(each) for each in (first, second, third)
    ] == [
        None,
        first,
        first,
    ]
    at_work = working(third)
    assert [
        turns.JobLine([first, second, at_work]).ahead(each) for each in (first, second, at_work)
    ] == [
        at_work,
        at_work,
        None,
    ]


def test_of_jobs_that_were_asked_for_at_one_instant_the_id_decides() -> None:
    jobs = [job("b"), job("a")]
    assert [turns.JobLine(jobs).ahead(each) for each in jobs] == [jobs[1], None]


def test_a_command_claims_again_once_the_other_ended_or_an_older_one_left_its_turn() -> None:
    older, younger, left = job("a"), job("b"), turns.OVERTAKE_AFTER
    for other in (None, RowProblem("a", "?"), older.ended(JobState.DONE)):
        assert turns.may_claim_again(younger, other, 0.0)
    assert not turns.may_claim_again(older, working(younger), 9 * left)
    assert turns.may_claim_again(older, younger, 0.0)
    assert [turns.may_claim_again(younger, older, each) for each in (0.0, left)] == [False, True]


def test_a_job_that_waits_is_not_stalled_but_the_one_for_which_it_waits_may_be() -> None:
    book, later = JobBook(), NOW + STALLED_AFTER
    for each in (working(job("b")), job("a"), job("c")):
        book.put(each.id, each.encode(), NOW)
    assert [each.id for each in book.stalled(later)] == ["b"]
    book.put("b", None, NOW)
    assert [each.id for each in book.stalled(later)] == ["a"]


class CountedAsked(dict[str, Json]):
    """What was asked of a job, and how often that was looked at."""

    looks = 0

    def get(self, key: str, default: Json = None) -> Json:  # type: ignore[override]
        """Return a value."""
        self.looks += 1
        return super().get(key, default)


def test_each_job_is_looked_at_a_few_times_however_many_wait() -> None:
    """Workers count stalled jobs on their event loop, and a script may redrive letters one by one."""
    book, asked = JobBook(), CountedAsked(topic="dead-letters", selector={}, ends={})
    for number in range(200):
        waits = replace(job(f"j{number:03}", asked_at=NOW + number), asked=asked)
        book.running[waits.id] = waits
    assert [each.id for each in book.stalled(NOW + STALLED_AFTER)] == ["j000"]
    assert asked.looks <= 4 * 200


def test_what_a_job_waits_for_is_said_with_the_remedies() -> None:
    words = turns.words(working(job("p", PURGE, "undecodable")))
    assert words.startswith("for its turn: p is purging undecodable.")
    assert "hookstream jobs resume p" in words
    assert words.endswith("hookstream jobs cancel p")
