"""Failure groups under drawn looks and acts: nothing changes twice, and sets of deliveries count what is in them."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.failing import NOW, OWNERS, QUIET

from hookstream.adapters.tables.failure_group_rows import (
    failure_group_key,
    read_failure_group,
    write_failure_group,
)
from hookstream.core.failures.book import FailureBook, Looked, due
from hookstream.core.failures.distinct import MOST_HASHES, Distinct
from hookstream.core.failures.groups import (
    Act,
    Actor,
    ActRefused,
    Errors,
    FailureGroup,
    GroupState,
    SeenErrors,
    after_act,
    group_id,
)
from hookstream.core.model.instant import DAY, HOUR
from hookstream.core.statistics.errors import Fingerprint

HASHES = st.sets(st.integers(0, 2**64 - 1), max_size=600)
TIMES = st.integers(NOW - 3 * DAY, NOW + HOUR)
ERRORS = st.builds(
    lambda owner, status, text: Errors(owner[1], Fingerprint(owner[0], "failed", status, text)),
    st.sampled_from([*OWNERS.items(), ("gone", "acme"), ("shop", "rival")]),
    st.sampled_from([None, 500, 503]),
    st.sampled_from(["", "timed out", "refused", 'it said "no"']),
)
SEEN = st.builds(
    lambda times, count: SeenErrors(
        count, min(times), max(times), "as it was", "msg_a", Distinct()
    ),
    st.tuples(TIMES, TIMES),
    st.integers(1, 1_000),
)
LOOKS = st.builds(
    Looked,
    st.integers(NOW - 3 * DAY, NOW),
    st.just(NOW),
    st.dictionaries(ERRORS, SEEN, max_size=12),
    st.dictionaries(st.sampled_from([*OWNERS]), TIMES),
)
# Exactly what `str.isprintable` takes: as a filter it refused nine of ten texts.
NAMES = st.text(
    st.characters(exclude_categories=["C", "Z"], include_characters=" "), min_size=1, max_size=20
)
GROUPS = st.builds(
    lambda errors, **more: FailureGroup(
        group_id(errors), errors.partner_id, *errors.fingerprint, **more
    ),
    ERRORS,
    state=st.sampled_from(GroupState),
    opened=TIMES,
    changed=TIMES,
    first_seen=TIMES,
    last_seen=TIMES,
    actor=st.sampled_from(Actor),
    by=NAMES,
    note=NAMES,
    revision=st.integers(1, 10**6),
)


@given(HASHES, HASHES)
def test_a_union_is_that_of_all_its_things_in_any_order(one: set[int], other: set[int]) -> None:
    joined = Distinct.of(one).joined(Distinct.of(other))
    assert joined == Distinct.of(other).joined(Distinct.of(one)) == Distinct.of(one | other)
    assert joined.joined(joined) == joined
    assert Distinct.read(joined.stored()) == joined
    apart = Distinct.of(one).stored(), Distinct.of(other).stored()
    assert Distinct.read(*apart) == joined
    assert Distinct.union(map(Distinct.read, apart)) == joined
    assert Distinct.union([Distinct.of(one), Distinct.read(apart[1]), Distinct()]) == joined
    if len(one | other) < MOST_HASHES:
        assert (joined.count, joined.is_exact) == (len(one | other), True)


@given(st.integers(MOST_HASHES, 200_000))
def test_many_different_things_are_counted_nearly(count: int) -> None:
    # Spread evenly: what good hashes are on average.
    found = Distinct.of(range(0, 2**64, 2**64 // count))
    assert not found.is_exact
    assert abs(found.count - count) <= count / 25 + 1


@given(GROUPS)
def test_a_group_is_read_as_it_was_written(group: FailureGroup) -> None:
    assert read_failure_group(failure_group_key(group.id), write_failure_group(group)) == group


def written(book: FailureBook, look: Looked, now: int, most: int = 100) -> int:
    found = due(book, look, OWNERS, now, QUIET, most)
    for group in found.changed:
        book.put(group.id, group)
    return len(found.changed)


@given(
    st.lists(st.tuples(LOOKS, st.integers(0, DAY)), min_size=1, max_size=6), st.integers(1, 100)
)
def test_of_several_that_look_at_the_same_one_changes_it_and_each_change_is_one_revision(
    looks: list[tuple[Looked, int]], most: int
) -> None:
    book, now = FailureBook(), NOW
    for look, later in looks:
        now += later
        before = {group.id: group for group in book.groups()}
        rounds = 0
        while written(book, look, now, most):
            rounds += 1
            assert rounds <= 40
        assert due(book, look, OWNERS, now, QUIET).changed == []
        for group in book.groups():
            known = before.get(group.id)
            if known is not None and known != group:
                assert group.revision == known.revision + 1
                assert group.last_seen >= known.last_seen
                assert group.opened == known.opened


@given(GROUPS, st.sampled_from(Act), NAMES, NAMES)
def test_an_act_is_refused_or_says_who_did_it(
    group: FailureGroup, act: Act, by: str, note: str
) -> None:
    found = after_act(group, act, Actor.OPERATOR, by, note, NOW)
    if isinstance(found, ActRefused):
        assert (act is Act.REOPEN) != (group.state is GroupState.RESOLVED)
        return
    assert (found.actor, found.by, found.note) == (Actor.OPERATOR, by, note)
    assert replace(
        found,
        state=group.state,
        changed=group.changed,
        actor=group.actor,
        by=group.by,
        note=group.note,
        revision=group.revision,
    ) == replace(group, last_seen=found.last_seen)
