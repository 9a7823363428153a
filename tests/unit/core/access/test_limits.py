"""A partner asks for no more than its limits, and keeps what it had when they were lowered."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.access.limits import (
    LimitReason,
    is_id_of,
    job_problem,
    replayable_events,
    subscription_problems,
)
from hookstream.core.jobs.job import Job, JobState
from hookstream.core.model.instant import DAY, HOUR, SECOND
from hookstream.core.model.partner_limits import PartnerLimits
from hookstream.core.model.subscription import (
    Endpoint,
    Limits,
    Subscription,
    SubscriptionState,
    UnreadableSubscription,
)

NOON = 1_764_072_000_000
LIMITS = PartnerLimits(subscriptions=2, max_in_flight=64, weight=2, timeout=20 * SECOND)
JOB = Job("j", "replay", {"subscription": "acme.a"}, NOON - HOUR, total=100, done=10)


def subscription(
    name: str, in_flight: int = 32, weight: int = 1, timeout: int = 15
) -> Subscription:
    endpoint = Endpoint("https://acme.example", (), timeout=timeout * SECOND)
    limits = Limits(in_flight, None, weight)
    return Subscription(name, "acme", endpoint, ("*",), active_from=0, limits=limits)


A, B = subscription("acme.a"), subscription("acme.b")


def reasons(
    existing: list[Subscription | UnreadableSubscription],
    before: Subscription | None,
    after: Subscription,
    limits: PartnerLimits = LIMITS,
) -> list[tuple[str, str]]:
    return [
        (each.reason.value, each.field)
        for each in subscription_problems(limits, existing, before, after)
    ]


def test_what_is_within_all_limits_is_not_refused() -> None:
    assert reasons([], None, A) == []
    assert reasons([A], None, B) == []


def test_one_subscription_too_many_is_refused_and_a_deleted_one_does_not_count() -> None:
    third = subscription("acme.c", in_flight=1)
    gone = replace(B, state=SubscriptionState.DELETED)
    small = [replace(each, limits=Limits(1)) for each in (A, B)]
    assert reasons([*small], None, third) == [("too_many_subscriptions", "")]
    assert reasons([small[0], gone], None, third) == []
    # To write a deleted one again is to make one.
    assert reasons(
        [*small, replace(third, state=SubscriptionState.DELETED)],
        replace(third, state=SubscriptionState.DELETED),
        third,
    ) == [("too_many_subscriptions", "")]


def test_one_that_cannot_be_read_counts_as_one() -> None:
    unreadable = UnreadableSubscription("acme.x", "acme", ("*",), 0, (), "why")
    assert reasons([unreadable, replace(A, limits=Limits(1))], None, B) == [
        ("too_many_subscriptions", "")
    ]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (
            subscription("acme.b", in_flight=33),
            ("max_in_flight_exceeds_limit", "limits.max_in_flight"),
        ),
        (subscription("acme.b", weight=3), ("weight_exceeds_limit", "limits.weight")),
        (subscription("acme.b", timeout=21), ("timeout_exceeds_limit", "endpoint.timeout")),
        (subscription("b"), ("id_is_not_of_partner", "id")),
        (subscription("acme."), ("id_is_not_of_partner", "id")),
    ],
)
def test_what_exceeds_a_limit_is_refused_with_the_field_that_has_to_change(
    after: Subscription, expected: tuple[str, str]
) -> None:
    assert reasons([A], None, after) == [expected]


def test_a_partner_whose_limits_were_lowered_may_change_everything_else() -> None:
    lowered = PartnerLimits(subscriptions=0, max_in_flight=1, weight=1, timeout=SECOND)
    had = subscription("operators-id", in_flight=100, weight=5, timeout=30)
    existing: list[Subscription | UnreadableSubscription] = [had, A]
    assert reasons(existing, had, replace(had, event_types=("a.b",)), lowered) == []
    assert reasons(existing, had, replace(had, limits=Limits(99, None, 4)), lowered) == []
    more = replace(
        had, limits=Limits(101, None, 6), endpoint=replace(had.endpoint, timeout=31_000)
    )
    assert [reason for reason, _ in reasons(existing, had, more, lowered)] == [
        "max_in_flight_exceeds_limit",
        "weight_exceeds_limit",
        "timeout_exceeds_limit",
    ]


@given(st.lists(st.integers(1, 40), max_size=6), st.integers(1, 40), st.integers(1, 100))
def test_the_sum_that_is_allowed_is_never_above_the_limit(
    others: list[int], asked: int, limit: int
) -> None:
    existing: list[Subscription | UnreadableSubscription] = [
        subscription(f"acme.{number}", size) for number, size in enumerate(others)
    ]
    limits = PartnerLimits(max_in_flight=limit)
    refused = LimitReason.MAX_IN_FLIGHT in [
        each.reason
        for each in subscription_problems(limits, existing, None, subscription("acme.new", asked))
    ]
    assert refused == (sum(others) + asked > limit)


def test_no_partner_makes_an_id_of_another() -> None:
    assert is_id_of("acme", "acme.x1")
    assert not is_id_of("acme", "acme")
    assert not is_id_of("acme", "acme2.x1")
    # An id of `a.b` begins as one of `a` does; both belong to whoever made them first.
    assert is_id_of("a", "a.b.x1")


def test_a_job_too_many_is_refused_and_other_partners_jobs_do_not_count() -> None:
    limits = PartnerLimits(running_jobs=1)
    own = {"acme.a", "acme.b"}
    foreign = replace(JOB, id="f", asked={"subscription": "globex.a"})
    ended = replace(JOB, id="e", state=JobState.DONE)
    redrive = replace(JOB, kind="redrive", asked={"selector": {"subscriptions": ["acme.b"]}})
    of_all = replace(JOB, kind="redrive", asked={"selector": {}})
    assert job_problem(limits, [foreign, ended, of_all], own, NOON) is None
    for job in (JOB, redrive):
        problem = job_problem(limits, [job], own, NOON)
        assert problem is not None
        assert problem.reason is LimitReason.RUNNING_JOBS


def test_the_replayed_events_of_a_day_are_bounded() -> None:
    limits = PartnerLimits(running_jobs=5, replayed_events_a_day=200)
    own = {"acme.a"}
    # A running replay counts with its total, an ended one with what it did.
    ended = replace(JOB, id="e", state=JobState.CANCELLED, done=40)
    old = replace(JOB, id="o", state=JobState.DONE, done=1_000, asked_at=NOON - DAY)
    jobs = [JOB, ended, old]
    assert job_problem(limits, jobs, own, NOON, events=60) is None
    problem = job_problem(limits, jobs, own, NOON, events=61)
    assert problem is not None
    assert (problem.reason, "140 were" in problem.text) == (LimitReason.REPLAYED_EVENTS, True)
    assert job_problem(limits, jobs, own, NOON) is None


def test_a_running_replay_counts_with_all_that_it_may_have_however_old_it_is() -> None:
    limits = PartnerLimits(running_jobs=5, replayed_events_a_day=200)
    own = {"acme.a"}
    bounded = {**JOB.asked, "most_events": 150}
    running = replace(JOB, asked=bounded, total=0, done=3, asked_at=NOON - 2 * DAY)
    assert replayable_events(limits, [running], own, NOON) == 50
    ended = replace(running, state=JobState.INCOMPLETE, asked_at=NOON - 1)
    assert replayable_events(limits, [ended], own, NOON) == 197
    assert replayable_events(limits, [running, running, running], own, NOON) == 0
