"""A timeline has all that is known of a delivery, each thing once, a cause before what it caused."""

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.lives import DEATH, FIRST, LAST, REDRIVEN
from tests.unit.core.audit.test_run_states import DELIVERED, DELIVERY, WAITS

from hookstream.core.audit.copies import merged
from hookstream.core.audit.entry import AuditEntry
from hookstream.core.audit.history import DeadLettered, Purge
from hookstream.core.audit.timeline import LifeStep, StepKind, ended_at, timeline
from hookstream.core.jobs.job import Job
from hookstream.core.model.delivery import DeferReason

ORIGIN = "t-3@40"


def kinds_of(*steps: LifeStep) -> list[tuple[str, int]]:
    return [(step.kind.value, step.at) for step in steps]


def test_a_delivery_that_completes_at_its_second_attempt_is_shown_from_its_event_to_its_end() -> (
    None
):
    assert timeline((DELIVERED, FIRST), (), (), {}) == (
        LifeStep(StepKind.PUBLISHED, 991, ORIGIN, None),
        LifeStep(StepKind.ATTEMPT, 1_000, ORIGIN, None, reason="status", attempt=FIRST),
        LifeStep(StepKind.WAIT, 1_000, ORIGIN, None, reason="retry", until=6_000),
        LifeStep(StepKind.ATTEMPT, 6_000, ORIGIN, None, attempt=DELIVERED),
        LifeStep(StepKind.COMPLETED, 6_000, ORIGIN, None),
    )


def test_the_wait_of_now_is_the_one_that_the_last_attempt_announced() -> None:
    steps = timeline((FIRST,), (), (WAITS,), {})
    assert kinds_of(*steps) == [
        ("published", 991),
        ("matched", 995),
        ("attempt", 1_000),
        ("wait", 1_000),
    ]
    assert steps[-1] == LifeStep(
        StepKind.WAIT,
        1_000,
        ORIGIN,
        None,
        reason="retry",
        place="retry.5s-2@17",
        until=6_000,
        is_now=True,
        tier="retry.5s",
    )


def test_a_deferral_after_a_retry_was_due_is_a_wait_of_its_own() -> None:
    full = replace(
        DELIVERY,
        deferred_reason=DeferReason.LANE_FULL,
        deferred_since=6_050,
        due_at=9_000,
        deferrals=2,
    )
    steps = timeline((FIRST,), (), (replace(WAITS, delivery=full, at=7_000),), {})
    waits = [step for step in steps if step.kind is StepKind.WAIT]
    assert [(step.at, step.until, step.reason, step.is_now) for step in waits] == [
        (1_000, 6_000, "retry", False),
        (6_050, 9_000, "lane_full", True),
    ]
    assert waits[1].deferrals == 2


def test_a_wait_that_only_hopped_to_another_tier_is_one_wait() -> None:
    hopped = replace(DELIVERY, deferred_reason=DeferReason.NOT_DUE, deferred_since=1_500)
    steps = timeline((FIRST,), (), (replace(WAITS, delivery=hopped, at=1_500),), {})
    assert [(step.at, step.tier) for step in steps if step.kind is StepKind.WAIT] == [
        (1_000, "retry.5s")
    ]


def test_a_dead_letter_and_what_a_job_made_of_it_follow_the_last_attempt() -> None:
    again = replace(FIRST, attempt=3, started_at=9_500, disposition="complete", trigger="redrive")
    last, redriven = replace(LAST, next_due_at=None), replace(REDRIVEN, origin=ORIGIN)
    steps = timeline((FIRST, last, again), (redriven,), (), {})
    assert kinds_of(*steps[3:]) == [
        ("attempt", 6_000),
        ("dead-lettered", 6_010),
        ("redriven", 9_000),
        ("attempt", 9_500),
        ("completed", 9_500),
    ]


def test_a_redrive_says_who_asked_for_it_as_far_as_its_job_is_known() -> None:
    job = Job("job", "redrive", {}, 9_000, asked_by="ada@ops")
    by = [timeline((), (REDRIVEN,), (), jobs)[-1].by for jobs in ({"job": job}, {})]
    assert by == ["ada@ops", ""]


def test_a_purge_says_who_and_why() -> None:
    purged = replace(DEATH, purge=Purge(9_000, "purge-1", "3@7", "ada@ops", "sent by mail"))
    steps = timeline((), (purged,), (), {})
    assert steps[-1] == LifeStep(
        StepKind.PURGED,
        9_000,
        "",
        "purge-1",
        detail="sent by mail",
        place="3@7",
        by="ada@ops",
    )


def test_an_end_whose_letter_is_gone_is_shown_all_the_same() -> None:
    given_up = replace(LAST, next_due_at=None, reason="attempts_exhausted")
    steps = timeline((given_up,), (), (), {})
    assert steps[-1] == LifeStep(
        StepKind.DEAD_LETTERED, 6_000, ORIGIN, None, reason="attempts_exhausted", attempts=2
    )
    there = timeline((given_up,), (replace(DEATH, origin=ORIGIN),), (), {})
    assert kinds_of(*there)[-1] == ("dead-lettered", 6_010)
    assert len(there) == len(steps)


def test_a_run_of_a_job_begins_when_it_was_asked_for_and_says_by_whom() -> None:
    job = Job("replay-7", "replay", {}, 19_000, asked_by="ada@ops")
    replayed = replace(DELIVERED, job_id="replay-7", trigger="replay", started_at=20_000)
    steps = timeline((FIRST, replayed), (), (), {"replay-7": job})
    assert steps[3:] == (
        LifeStep(StepKind.BEGAN, 19_000, ORIGIN, "replay-7", reason="replay", by="ada@ops"),
        LifeStep(StepKind.ATTEMPT, 20_000, ORIGIN, "replay-7", attempt=replayed),
        LifeStep(StepKind.COMPLETED, 20_000, ORIGIN, "replay-7"),
    )
    [began] = [step for step in timeline((replayed,), (), (), {}) if step.kind is StepKind.BEGAN]
    assert (began.at, began.reason, began.by) == (20_000, "replay", "")


def test_a_test_has_no_event_in_any_topic() -> None:
    test = replace(FIRST, job_id="test-1", trigger="test", disposition="cancel", next_due_at=None)
    assert kinds_of(*timeline((test,), (), (), {})) == [
        ("began", 1_000),
        ("attempt", 1_000),
        ("cancelled", 1_000),
    ]


def test_a_run_that_ended_without_an_attempt_is_shown_once() -> None:
    gone = replace(
        FIRST, outcome=None, status=None, disposition="cancel", reason=None, next_due_at=None
    )
    assert timeline((gone,), (), (), {})[1:] == (
        LifeStep(StepKind.ENDED, 1_000, ORIGIN, None, reason="cancel", attempt=gone),
    )


def test_copies_are_one_step_that_says_how_many_there_are() -> None:
    copy = replace(FIRST, started_at=1_400, worker="w-2")
    completed = replace(copy, disposition="complete", outcome="delivered", next_due_at=None)
    assert [(each.entry, each.copies) for each in merged((FIRST, copy))] == [(copy, 2)]
    assert [(each.entry, each.copies) for each in merged((completed, FIRST, copy))] == [
        (completed, 3)
    ]
    [attempt] = [
        step for step in timeline((FIRST, copy), (), (), {}) if step.kind is StepKind.ATTEMPT
    ]
    assert attempt.copies == 2


@pytest.mark.parametrize(
    "other",
    [
        {"attempt": 2},
        {"job_id": "replay-1"},
        {"trigger": "redrive"},
        {"outcome": None},
        {"origin": FIRST.origin._replace(offset=41)},
    ],
)
def test_what_differs_in_event_run_attempt_or_trigger_is_no_copy(other: dict[str, object]) -> None:
    assert len(merged((FIRST, replace(FIRST, **other)))) == 2  # type: ignore[arg-type]


def test_two_events_of_one_id_are_shown_in_one_order_each_with_its_place() -> None:
    later = replace(
        DELIVERED,
        origin=FIRST.origin._replace(offset=41, timestamp=3_000),
        attempt=1,
        started_at=3_100,
    )
    steps = timeline((FIRST, later), (), (), {})
    assert [(step.kind.value, step.origin) for step in steps] == [
        ("published", ORIGIN),
        ("attempt", ORIGIN),
        ("wait", ORIGIN),
        ("published", "t-3@41"),
        ("attempt", "t-3@41"),
        ("completed", "t-3@41"),
    ]


def test_an_event_stands_in_front_though_a_clock_that_is_ahead_stamped_it() -> None:
    ahead = replace(FIRST, origin=FIRST.origin._replace(timestamp=1_700))
    assert kinds_of(*timeline((ahead,), (), (), {}))[0] == ("published", 1_700)


ENTRIES = st.builds(
    lambda attempt, at, took, what, job, offset: replace(
        FIRST,
        attempt=attempt,
        started_at=at,
        duration_us=took,
        disposition=what[0],
        outcome=what[1],
        next_due_at=what[2],
        job_id=job,
        origin=FIRST.origin._replace(offset=offset),
    ),
    st.integers(1, 3),
    st.integers(900, 2_000),
    st.integers(0, 3_000_000),
    st.sampled_from(
        [
            ("retry", "failed", 9_000),
            ("complete", "delivered", None),
            ("cancel", None, None),
            ("dead_letter", "failed", None),
            ("defer", "throttled", 9_000),
        ]
    ),
    st.sampled_from([None, "replay-1"]),
    st.sampled_from([40, 41]),
)


@given(st.lists(ENTRIES, max_size=5), st.booleans(), st.booleans())
def test_a_timeline_has_each_attempt_and_letter_once_behind_its_event(
    entries: list[AuditEntry],
    dead: bool,  # noqa: FBT001  drawn
    waits: bool,  # noqa: FBT001  drawn
) -> None:
    deaths: tuple[DeadLettered, ...] = (replace(DEATH, origin=ORIGIN),) if dead else ()
    steps = timeline(entries, deaths, (WAITS,) if waits else (), {})
    attempts = [each.attempt for each in steps if each.attempt is not None]
    assert sorted(map(repr, attempts)) == sorted(repr(each.entry) for each in merged(entries))
    assert sum(step.is_now for step in steps) == waits
    assert sum(step.place == "3@7" for step in steps) == dead
    for origin in {step.origin for step in steps}:
        kinds = [step.kind for step in steps if step.origin == origin]
        assert StepKind.PUBLISHED not in kinds or kinds[0] is StepKind.PUBLISHED
    for number, step in enumerate(steps):
        if step.kind is StepKind.COMPLETED:
            entry = next(
                each.attempt
                for each in steps[:number]
                if each.attempt is not None and each.attempt.disposition == "complete"
            )
            assert ended_at(entry) <= step.at


def test_the_order_in_which_topics_are_read_changes_nothing() -> None:
    entries = (FIRST, DELIVERED, replace(LAST, job_id="replay-1", started_at=8_000))
    seen_once = {timeline(order, (DEATH,), (), {}) for order in permutations(entries)}
    assert len(seen_once) == 1
