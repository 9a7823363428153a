"""A command says how its job ended, and by its exit code whether all was done that was asked."""

from dataclasses import replace
from io import StringIO

import click
import pytest

from hookstream.core.jobs.job import Job, JobState
from hookstream.core.jobs.lease import handed_back, held
from hookstream.core.jobs.row_problem import RowProblem
from hookstream.core.jobs.turns import JobLine
from hookstream.core.model.json import Json, JsonObject
from hookstream.entry.admin.job_listing import JobListing, status_of
from hookstream.entry.cli.context import Context
from hookstream.entry.cli.job_view import (
    FINDINGS,
    job_document,
    require_finished,
    show_job,
    show_jobs,
    working,
)
from hookstream.entry.cli.terminal import Terminal
from hookstream.errors import Conflict
from hookstream.pipeline.job_kind import RunEnd, RunResult

NOW = 1_795_000_000_000
JOB = replace(
    Job("redrive-1", "redrive", {"topic": "dead-letters"}, NOW, total=1_200, done=500), rate=50.0
)
LATE = NOW + 3_600_000


@pytest.fixture
def context() -> Context:
    context = Context(None, {}, {})
    for name in ("out", "err"):
        terminal = Terminal(file=StringIO(), width=200, markup=False, emoji=False)
        object.__setattr__(context, name, terminal)
    return context


def said(context: Context) -> str:
    return "".join(
        each.file.getvalue()
        for each in (context.out, context.err)
        if isinstance(each.file, StringIO)
    )


def test_a_job_that_did_all_ends_well(context: Context) -> None:
    require_finished(context, RunResult(RunEnd.ENDED, JOB.ended(JobState.DONE)))
    assert said(context) == ""


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (RunResult(RunEnd.STOPPED, JOB), "not finished: 500 of 1,200 done"),
        (RunResult(RunEnd.STOPPED, JOB), "hookstream jobs resume redrive-1"),
        (RunResult(RunEnd.LOST, JOB), "hookstream jobs show redrive-1"),
        (RunResult(RunEnd.HELD, JOB), "hookstream jobs show redrive-1"),
        (
            RunResult(RunEnd.ENDED, JOB.ended(JobState.INCOMPLETE, "retention took 7")),
            "redrive-1 is incomplete: retention took 7",
        ),
        (
            RunResult(RunEnd.ENDED, JOB.ended(JobState.CANCELLED, "cancelled by kim@desk")),
            "cancelled by kim@desk",
        ),
        (
            RunResult(RunEnd.ENDED, JOB.ended(JobState.FAILED, "a row")),
            "hookstream jobs resume redrive-1",
        ),
    ],
)
def test_what_is_not_done_is_said_with_exit_code_one(
    context: Context, result: RunResult, words: str
) -> None:
    with pytest.raises(click.exceptions.Exit) as ended:
        require_finished(context, result)
    assert (ended.value.exit_code, words in said(context)) == (FINDINGS, True)


def test_what_made_a_job_fail_is_raised_with_how_to_go_on(context: Context) -> None:
    failed = JOB.ended(JobState.FAILED, "another one works")
    with pytest.raises(Conflict, match="another one works"):
        require_finished(context, RunResult(RunEnd.ENDED, failed, Conflict("another one works")))
    assert "hookstream jobs resume redrive-1" in said(context)


def test_jobs_are_listed_with_their_holders_and_stalled_ones_with_the_remedy(
    context: Context,
) -> None:
    listing = JobListing(
        [
            status_of(held(JOB, "host:7:ab", LATE), LATE),
            status_of(replace(handed_back(JOB, LATE), id="redrive-2"), LATE),
            status_of(replace(held(JOB, "host:8:cd", NOW), id="redrive-3"), LATE),
            status_of(replace(JOB, id="redrive-4").ended(JobState.DONE), LATE),
        ],
        [RowProblem("redrive-5", "it is not JSON")],
    )
    show_jobs(context, listing)
    lines = {line.split()[0]: line for line in said(context).splitlines() if line}
    assert "running" in lines["redrive-1"]
    assert "host:7:ab" in lines["redrive-1"]
    assert "without a holder" in lines["redrive-2"]
    assert "stalled" in lines["redrive-3"]
    assert "host:8:cd" not in lines["redrive-3"]
    assert "done" in lines["redrive-4"]
    assert "No executor works on redrive-3. To continue: hookstream jobs resume redrive-3" in said(
        context
    )
    assert "unreadable: redrive-5: it is not JSON" in said(context)


def test_no_job_is_said_in_words(context: Context) -> None:
    show_jobs(context, JobListing())
    assert said(context) == "No job is known\n"


def test_one_job_is_shown_with_counts_notes_and_reason(context: Context) -> None:
    job = replace(JOB, counts={"unredrivable": 3}, asked_by="ann@desk").noted(NOW, "3 stay open")
    show_job(context, status_of(job.ended(JobState.FAILED, "a mark is unreadable"), LATE))
    for words in (
        "redrive-1: failed",
        "ann@desk",
        "500 of 1,200",
        "unredrivable",
        "50 a second",
        "3 stay open",
    ):
        assert words in said(context)
    assert "a mark is unreadable" in said(context)
    assert "hookstream jobs resume redrive-1" in said(context)


def test_a_failed_job_does_not_continue_automatically(context: Context) -> None:
    show_job(context, status_of(JOB.ended(JobState.FAILED, "a mark is unreadable"), LATE))
    assert "no process 'hookstream jobs run' continues it automatically" in said(context)


def test_one_job_is_shown_with_what_was_asked_in_a_bounded_length(context: Context) -> None:
    crm: list[Json] = ["crm"] * 500
    asked: JsonObject = {
        "selector": {"subscriptions": crm},
        "why": "sent by mail",
        "ends": {"3": 17},
    }
    show_job(context, status_of(replace(JOB, asked={**JOB.asked, **asked}), LATE))
    shown = said(context)
    assert "sent by mail" in shown
    assert '{"subscriptions": ["crm", "crm"' in shown
    assert "characters: --json has all" in shown
    assert "17" not in shown
    assert len(shown) < 2_000


def test_a_jobs_document_has_its_lease() -> None:
    document = job_document(status_of(held(JOB, "host:7:ab", NOW), NOW))
    assert document == {
        "id": "redrive-1",
        "kind": "redrive",
        "asked": {"topic": "dead-letters"},
        "asked_at": "2026-11-18T11:06:40.000Z",
        "asked_by": "",
        "state": "running",
        "reason": "",
        "done": 500,
        "total": 1_200,
        "counts": {},
        "rate": 50.0,
        "revision": 2,
        "holder": "host:7:ab",
        "held_until": "2026-11-18T11:07:10.000Z",
        "held": True,
        "stalled": False,
        "waits": False,
        "waits_for": None,
        "notes": [],
    }


def test_a_job_that_waits_for_its_turn_says_for_which_and_how_to_end_that(
    context: Context,
) -> None:
    first, later = held(replace(JOB, id="first"), "host:7:ab", NOW), handed_back(JOB, NOW)
    listing = JobListing(
        [status_of(each, LATE, JobLine((first, later))) for each in (first, later)]
    )
    show_jobs(context, listing)
    assert "No executor works on first." in said(context)
    assert "redrive-1  │" not in said(context)
    status = listing.jobs[1]
    assert (status.is_stalled, status.waits, status.waits_for) == (False, True, "first")
    show_job(context, status)
    assert "redrive-1: waits for first" in said(context)
    remedy = "If no executor works on first: hookstream jobs resume first, or hookstream jobs cancel first"
    assert f"redrive-1 continues automatically when it is its turn. {remedy}" in said(context)
    hidden = replace(status, waits_for=None)
    show_job(context, hidden)
    assert "redrive-1: waits for another job" in said(context)


def test_why_a_job_waits_is_said_once_a_minute_though_it_moves(context: Context) -> None:
    with working(context, "Redriving", JOB) as watch:
        for _ in range(3):
            watch.waiting(JOB, "the window is full")
            watch.progress(JOB)
        watch.waiting(JOB, "the subscription is paused")
    assert said(context).count("redrive-1 waits: the window is full") == 1
    assert said(context).count("redrive-1 waits: the subscription is paused") == 1


def test_what_is_noted_is_said_at_once_and_only_once(context: Context) -> None:
    known = JOB.noted(NOW, "before")
    with working(context, "Redriving", known) as watch:
        for now in (known, known.noted(NOW, "retention took some"), known.noted(NOW, "later")):
            watch.progress(now)
            watch.progress(now)
    assert said(context).splitlines() == ["retention took some", "later"]


def test_what_was_asked_for_is_shown_without_what_only_programs_read(context: Context) -> None:
    asked: JsonObject = {
        "subscription": "crm",
        "event_types": ["a", "b"],
        "as_granted_today": True,
        "other": False,
        "ends": {"0": 1},
    }
    show_job(context, status_of(replace(JOB, kind="replay", asked=asked), NOW))
    lines = said(context).splitlines()
    assert [" ".join(line.split()) for line in lines[3:7]] == [
        "subscription crm",
        "event_types a, b",
        "as_granted_today yes",
        "done 500 of 1,200",
    ]
