"""A file may say since when its subscription gets events; only a creation reads it."""

from dataclasses import replace

import pytest
from tests.unit.core.planning.test_definition import (
    LEAST,
    RULES,
    problems,
    refuse,
    secret_key,
)
from tests.unit.core.planning.test_plan import (
    ACME,
    ACME_FILE,
    GRANT,
    MEANS,
    NOW,
    OLD,
    ORDERS,
    ORDERS_FILE,
    SLOW,
    planned,
)

from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.json import Json
from hookstream.core.model.subscription import Gap, HeldGrant, Subscription, SubscriptionState
from hookstream.core.planning.changes import Create, Unchanged, Update
from hookstream.core.planning.declared import EARLIEST_START, DeclaredSubscription
from hookstream.core.planning.definition import read_subscription

PAST = NOW - 5_000
EARLY = replace(ORDERS_FILE, start_from=PAST)


@pytest.mark.parametrize(
    ("written", "start"),
    [
        ("earliest", EARLIEST_START),
        ("2026-11-23T00:00:00Z", 1_795_392_000_000),
        ("2026-11-23T01:00:00+01:00", 1_795_392_000_000),
        (None, None),
    ],
)
def test_a_start_is_a_time_or_earliest(written: Json, start: int | None) -> None:
    found = read_subscription({**LEAST, "start_from": written}, RULES, secret_key, refuse)
    assert found.start_from == start


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("latest", "must be a time such as 2026-11-23T00:00:00Z, or earliest: "),
        ("2026-11-23", "must be a time such as 2026-11-23T00:00:00Z, or earliest: "),
        ("2026-11-23T00:00:00", "must be a time such as 2026-11-23T00:00:00Z, or earliest: "),
        (17, "must be a time such as 2026-11-23T00:00:00Z, or earliest, not the number 17"),
        ("1969-12-31T23:59:59Z", "'1969-12-31T23:59:59Z' is before 1970: for all, write earliest"),
    ],
)
def test_another_start_is_refused_with_what_it_may_be(written: Json, why: str) -> None:
    [(path, found)] = problems({**LEAST, "start_from": written})
    assert path == "start_from"
    assert found.startswith(why)


@pytest.mark.parametrize("before", [None, replace(OLD, state=SubscriptionState.DELETED)])
def test_a_subscription_that_is_created_starts_where_its_file_says(
    before: Subscription | None,
) -> None:
    partner = replace(ACME, history=(HeldGrant(GRANT, PAST),))
    made = planned(EARLY, partners=[partner], subscriptions=[] if before is None else [before])
    [change] = made.changes
    assert isinstance(change, Create)
    assert (change.start_from, change.before, made.problems, made.notes) == (PAST, before, (), ())


def test_a_start_in_the_future_is_refused() -> None:
    for start in (NOW, NOW + 1):
        [problem] = planned(replace(EARLY, start_from=start)).problems
        assert (problem.subject, problem.path) == ("subscription orders", "start_from")
        assert problem.why.startswith(f"{to_rfc3339(start)} is in the future")


def test_one_that_exists_ignores_its_start_and_says_so_where_it_changes() -> None:
    gaps = (Gap(PAST, NOW, "started", "job-1"), Gap(NOW + 1, NOW + 2, "paused", "job-2"))
    present = replace(OLD, gaps=gaps)
    same = planned(EARLY, subscriptions=[present])
    assert (same.changes, same.notes) == ((Unchanged(present),), ())
    made = planned(replace(EARLY, row=SLOW), subscriptions=[present])
    [change] = made.changes
    assert isinstance(change, Update)
    # What fills its gaps stays in the row.
    assert (change.after.gaps, change.after.active_from) == (gaps, 500)  # type: ignore[union-attr]
    [note] = made.notes
    assert note.startswith(
        "subscription orders: start_from is read when a subscription is created"
    )


def test_what_its_partner_was_not_granted_then_is_noted() -> None:
    [_, change] = planned(ACME_FILE, EARLY, partners=()).changes
    assert isinstance(change, Create)
    [note] = planned(ACME_FILE, EARLY, partners=()).notes
    assert f"partner acme was granted nothing before {to_rfc3339(MEANS.takes_effect)}" in note


def test_a_file_without_a_start_starts_with_the_present() -> None:
    assert planned(ORDERS_FILE).changes == (Create(ORDERS),)
    assert DeclaredSubscription(ORDERS, ()).start_from is None
