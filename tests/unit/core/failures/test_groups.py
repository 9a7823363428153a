"""A failure group is opened by what was seen, and moved by what is seen later and by people alone."""

from dataclasses import replace

import pytest
from tests.doubles.failing import NOW, QUIET, errors_of, group_of, seen_at

from hookstream.core.failures.groups import (
    Act,
    Actor,
    ActRefused,
    FailureGroup,
    GroupState,
    after_act,
    after_errors,
    after_its_subscription,
    after_quiet,
    group_id,
)
from hookstream.core.model.instant import HOUR, MINUTE

OPEN, ACKNOWLEDGED, RESOLVED, REOPENED = GroupState


def test_the_first_error_opens_a_group() -> None:
    found = after_errors(None, errors_of(status=503), seen_at(NOW - 9, NOW - 5), NOW)
    assert found == FailureGroup(
        group_id(errors_of(status=503)),
        "acme",
        "shop",
        "failed",
        503,
        "timed out",
        OPEN,
        opened=NOW,
        changed=NOW,
        first_seen=NOW - 9,
        last_seen=NOW - 5,
    )


def test_the_id_is_that_of_the_partner_and_all_that_errors_have_in_common() -> None:
    different = [
        errors_of(),
        errors_of(status=503),
        errors_of(text="refused"),
        errors_of(subscription="news"),
        errors_of(partner="rival"),
        errors_of(text='timed out","x'),
    ]
    assert len({group_id(each) for each in different}) == len(different)
    assert group_id(errors_of()) == "fg-5y242ejoqwpovqd75h7pz6jrau"


@pytest.mark.parametrize("state", [OPEN, ACKNOWLEDGED, REOPENED])
def test_further_errors_change_nothing_while_a_group_is_not_resolved(state: GroupState) -> None:
    assert after_errors(group_of(state=state), errors_of(), seen_at(NOW - 1), NOW) is None


def test_an_error_after_it_was_resolved_reopens_a_group_and_one_before_does_not() -> None:
    group = group_of(state=RESOLVED, changed=NOW - 10, revision=3)
    group = replace(group, actor=Actor.OPERATOR, by="token tok-1", note="mended")
    assert after_errors(group, errors_of(), seen_at(NOW - 99, NOW - 10), NOW) is None
    found = after_errors(group, errors_of(), seen_at(NOW - 99, NOW - 9), NOW)
    assert found == replace(
        group,
        state=REOPENED,
        changed=NOW,
        last_seen=NOW - 9,
        actor=Actor.ITSELF,
        by="",
        note="",
        revision=4,
    )


@pytest.mark.parametrize("state", [OPEN, ACKNOWLEDGED, REOPENED])
def test_a_group_resolves_by_itself_after_a_success_and_a_time_without_it(
    state: GroupState,
) -> None:
    last = NOW - QUIET
    group = group_of(state=state, last_seen=last - HOUR)
    found = after_quiet(group, last, last + MINUTE, NOW, QUIET)
    assert found == replace(group, state=RESOLVED, changed=NOW, last_seen=last, revision=2)
    assert after_quiet(group, last + 1, NOW, NOW, QUIET) is None, "it was seen too lately"
    assert after_quiet(group, last, last, NOW, QUIET) is None, "the success came before"
    assert after_quiet(group, last, None, NOW, QUIET) is None, "there was no success"


def test_what_the_row_says_of_the_last_error_counts_as_what_the_index_has() -> None:
    group = group_of(last_seen=NOW - HOUR)
    assert after_quiet(group, None, NOW, NOW, QUIET) is None
    assert after_quiet(replace(group, last_seen=NOW - QUIET), None, NOW, NOW, QUIET) is not None


def test_a_group_that_somebody_reopened_needs_a_success_and_a_time_from_then_on() -> None:
    group = group_of(state=REOPENED, changed=NOW - HOUR)
    assert after_quiet(group, None, NOW, NOW, QUIET) is None
    group = replace(group, changed=NOW - QUIET)
    assert after_quiet(group, None, NOW - QUIET, NOW, QUIET) is None
    assert after_quiet(group, None, NOW - QUIET + 1, NOW, QUIET) is not None


def test_a_resolved_group_does_not_resolve_again() -> None:
    group = group_of(state=RESOLVED)
    assert after_quiet(group, None, NOW, NOW, QUIET) is None
    assert after_its_subscription(group, NOW) is None


def test_the_groups_of_a_deleted_subscription_are_resolved_at_once() -> None:
    group = group_of(state=ACKNOWLEDGED, last_seen=NOW - 1)
    found = after_its_subscription(group, NOW)
    assert found == replace(group, state=RESOLVED, changed=NOW, revision=2)


@pytest.mark.parametrize(
    ("state", "act", "after"),
    [
        (OPEN, Act.ACKNOWLEDGE, ACKNOWLEDGED),
        (OPEN, Act.RESOLVE, RESOLVED),
        (OPEN, Act.REOPEN, None),
        (ACKNOWLEDGED, Act.ACKNOWLEDGE, ACKNOWLEDGED),
        (ACKNOWLEDGED, Act.RESOLVE, RESOLVED),
        (ACKNOWLEDGED, Act.REOPEN, None),
        (RESOLVED, Act.ACKNOWLEDGE, None),
        (RESOLVED, Act.RESOLVE, None),
        (RESOLVED, Act.REOPEN, REOPENED),
        (REOPENED, Act.ACKNOWLEDGE, ACKNOWLEDGED),
        (REOPENED, Act.RESOLVE, RESOLVED),
        (REOPENED, Act.REOPEN, None),
    ],
)
def test_people_move_a_group_as_its_state_allows(
    state: GroupState, act: Act, after: GroupState | None
) -> None:
    group = group_of(state=state, revision=5)
    found = after_act(group, act, Actor.PARTNER, "token tok-2", "we know", NOW)
    if after is None:
        assert isinstance(found, ActRefused)
        assert group.id in found.why
        return
    assert found == replace(
        group,
        state=after,
        changed=NOW,
        actor=Actor.PARTNER,
        by="token tok-2",
        note="we know",
        revision=6,
    )
