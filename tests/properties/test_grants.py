"""What two grants have in common allows exactly what both allow."""

from hypothesis import given
from hypothesis import strategies as st
from tests import strategies

from hookstream.core.matching.pattern import parse
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.subscription import Grant, HeldGrant, Partner, covers
from hookstream.core.planning.grants import both, common, first_granted, regranted

TYPES = ["pricing.completed", "pricing.started", "order.generated", "a.b.c", "a.b"]
clause_lists = st.sampled_from([[1], [2], [1, "x"], ["x", 2]])
clauses = st.fixed_dictionaries({}, optional=dict.fromkeys("abc", clause_lists))


def pattern_of(
    fields: dict[str, list[int | str]], others: list[dict[str, list[int | str]]]
) -> JsonObject:
    named: JsonObject = {name: list(values) for name, values in (fields or {"a": [1]}).items()}
    alternatives: list[Json] = [pattern_of(each, []) for each in others]
    return {**named, "$or": alternatives} if len(alternatives) > 1 else named


documents = st.builds(pattern_of, clauses, st.lists(clauses, max_size=3))
bodies = st.fixed_dictionaries({}, optional=dict.fromkeys("abc", st.sampled_from([1, 2, "x"])))

globs = st.lists(
    st.sampled_from(["*", "a.*", "a.b.*", "pricing.*", *TYPES]), min_size=1, max_size=4
).map(tuple)


@given(one=globs, other=globs, event_type=st.sampled_from(TYPES))
def test_common_event_types_are_those_of_both(
    one: tuple[str, ...], other: tuple[str, ...], event_type: str
) -> None:
    shared = common(Grant(one, ("*",)), Grant(other, ("*",))).event_types
    assert covers(shared, event_type) == (covers(one, event_type) and covers(other, event_type))


@given(one=documents, other=documents, body=bodies)
def test_two_patterns_joined_match_what_both_match(
    one: JsonObject, other: JsonObject, body: JsonObject
) -> None:
    matches = parse(one).matches(body) and parse(other).matches(body)
    assert parse(both(one, other)).matches(body) == matches


@given(grant=strategies.grants)
def test_a_grant_has_all_of_itself_in_common_with_itself(grant: Grant) -> None:
    assert common(grant, grant) == grant


def test_a_wider_grant_applies_only_to_later_records() -> None:
    """A partner must not receive what was appended before it was granted, however far the worker lags."""
    orders = Grant(("order.*",), ("live",))
    wider = Grant(("order.*", "pricing.*"), ("live",))
    history = HeldGrant(orders), HeldGrant(wider, 9_000)
    partner = Partner("acme", "Acme", orders)
    assert regranted(partner, wider, 7_000, 9_000) == Partner(
        "acme", "Acme", wider, 9_000, orders, history=history
    )


def test_a_narrower_grant_applies_at_once_to_the_past_too() -> None:
    wide, between = Grant(("*",), ("*",)), Grant(("pricing.*", "order.a"), ("live",))
    narrow = Grant(("order.*",), ("live",))
    history = HeldGrant(between), HeldGrant(wide, 5_000), HeldGrant(narrow, 7_000)
    partner = Partner("acme", "Acme", wide, 5_000, between)
    assert regranted(partner, narrow, 7_000, 9_000) == Partner(
        "acme", "Acme", narrow, 5_000, Grant(("order.a",), ("live",)), history=history
    )


def test_a_grant_that_is_neither_wider_nor_narrower_removes_at_once_and_adds_later() -> None:
    before = Grant(("order.*", "pricing.*"), ("live",))
    partner = Partner("acme", "Acme", before)
    grant, shared = Grant(("order.*", "routing.*"), ("live",)), Grant(("order.*",), ("live",))
    history = HeldGrant(before), HeldGrant(shared, 7_000), HeldGrant(grant, 9_000)
    assert regranted(partner, grant, 7_000, 9_000) == Partner(
        "acme", "Acme", grant, 9_000, shared, history=history
    )


def test_a_grant_that_is_as_it_was_adds_nothing_to_the_history() -> None:
    partner = first_granted(Partner("acme", "Acme", Grant(("order.*",), ("live",))), 5_000)
    assert regranted(partner, partner.grant, 7_000, 9_000) is partner


def test_a_grant_without_a_pattern_has_the_pattern_of_the_other_in_common() -> None:
    open_, narrow = Grant(("*",), ("*",)), Grant(("*",), ("*",), {"a": [1]})
    assert (common(open_, narrow), common(narrow, open_)) == (narrow, narrow)


def test_grants_of_two_patterns_have_both_in_common() -> None:
    one, other = Grant(("*",), ("*",), {"a": [1]}), Grant(("*",), ("*",), {"b": [2]})
    assert common(one, other).pattern == {"b": [2], "$or": [{"a": [1]}, {"a": [1]}]}


def test_patterns_are_joined_by_and() -> None:
    assert both({"a": [1]}, {"b": [2]}) == {"b": [2], "$or": [{"a": [1]}, {"a": [1]}]}


def test_a_pattern_joins_every_alternative_of_the_other() -> None:
    assert both({"a": [1]}, {"b": [2], "$or": [{"c": [3]}, {"d": [4]}]}) == {
        "b": [2],
        "$or": [
            {"c": [3], "$or": [{"a": [1]}, {"a": [1]}]},
            {"d": [4], "$or": [{"a": [1]}, {"a": [1]}]},
        ],
    }


def test_a_clock_that_went_back_behind_a_change_makes_the_next_one_wait_for_it() -> None:
    """A change that never held is forgotten, but not the instant that it was given."""
    narrow, wide = Grant(("order.*",), ("*",)), Grant(("*",), ("*",))
    partner = first_granted(Partner("acme", "Acme", narrow), 0)
    partner = regranted(partner, Grant(("routing.*",), ("*",)), 10_000, 12_000)
    assert regranted(partner, wide, 9_000, 11_000).history[-1] == HeldGrant(wide, 12_000)
