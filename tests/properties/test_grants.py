"""What two grants have in common allows exactly what both allow."""

from hypothesis import given
from hypothesis import strategies as st
from tests import strategies

from hookstream.core.matching.pattern import parse
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.subscription import Grant, Partner, covers
from hookstream.core.planning.grants import both, common, regranted

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
    partner = Partner("acme", "Acme", Grant(("order.*",), ("live",)))
    wider = Grant(("order.*", "pricing.*"), ("live",))
    assert regranted(partner, wider, 9_000) == Partner(
        "acme", "Acme", wider, 9_000, Grant(("order.*",), ("live",))
    )


def test_a_narrower_grant_applies_at_once_to_the_past_too() -> None:
    wide = Grant(("*",), ("*",))
    narrow = Grant(("order.*",), ("live",))
    partner = Partner("acme", "Acme", wide, 5_000, Grant(("pricing.*", "order.a"), ("live",)))
    assert regranted(partner, narrow, 9_000) == Partner(
        "acme", "Acme", narrow, 5_000, Grant(("order.a",), ("live",))
    )


def test_a_grant_that_is_neither_wider_nor_narrower_removes_at_once_and_adds_later() -> None:
    partner = Partner("acme", "Acme", Grant(("order.*", "pricing.*"), ("live",)))
    grant = Grant(("order.*", "routing.*"), ("live",))
    assert regranted(partner, grant, 9_000).previous_grant == Grant(("order.*",), ("live",))


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
