"""`subscriptions show` claims of a gap only what its replay's job says."""

from dataclasses import replace

import pytest

from hookstream.core.jobs.job import JobState
from hookstream.core.model.subscription import Gap
from hookstream.core.planning.gap_fills import GapFill
from hookstream.core.replay.interval import Interval
from hookstream.core.replay.request import read_request
from hookstream.entry.admin.gap_jobs import job_of
from hookstream.entry.admin.gaps import gap_text

GAP = Gap(1_000, 5_000, "paused", "replay-1")
JOB = job_of("crm", GapFill("replay-1", 1_000, 5_000), 4_000, 7.0)
AGAIN = "hookstream replay start crm --from 1970-01-01T00:00:01.001Z --to 1970-01-01T00:00:05.001Z"


def test_the_job_of_a_gap_asks_for_exactly_the_gap_and_is_free_for_any_executor() -> None:
    request = read_request(JOB.asked)
    assert (request.subscription_id, request.interval) == ("crm", Interval(1_001, 5_001))
    assert request.fills_gap
    assert (JOB.id, JOB.holder, JOB.held_until, JOB.rate) == ("replay-1", "", 4_000, 7.0)


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (JobState.RUNNING, "replay-1 is filling it"),
        (JobState.DONE, "filled by replay-1"),
        (JobState.INCOMPLETE, "filled by replay-1"),
        (JobState.FAILED, "replay-1 failed to fill it: hookstream jobs resume replay-1"),
        (
            JobState.CANCELLED,
            f"replay-1 was cancelled, and did not send all of it: {AGAIN} sends it again",
        ),
    ],
)
def test_a_gap_is_as_filled_as_the_job_of_its_replay(state: JobState, text: str) -> None:
    assert gap_text("crm", GAP, {"replay-1": replace(JOB, state=state)}) == text


def test_a_gap_that_lost_records_says_so() -> None:
    lost = replace(GAP, incomplete=True)
    done = {"replay-1": replace(JOB, state=JobState.INCOMPLETE)}
    assert gap_text("crm", lost, done).endswith(", which may have lost some")


def test_a_gap_whose_job_is_forgotten_was_filled_by_it() -> None:
    assert gap_text("crm", GAP, {}) == "filled by replay-1"


def test_a_gap_that_no_replay_fills_names_the_command_that_sends_its_events() -> None:
    assert gap_text("crm", replace(GAP, filled_by=None), {}) == (
        f"no replay fills it: {AGAIN} sends its events"
    )
    assert gap_text("crm", replace(GAP, end=None, filled_by=None), {}) == "it is open"
