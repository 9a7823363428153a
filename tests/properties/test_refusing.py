"""The clause that is named is one that the body does not satisfy."""

from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.matching.pattern import parse
from hookstream.core.matching.refusing import Refusing, first_refusing
from hookstream.core.model.json import Json, JsonObject

values = st.sampled_from([1, 2, "x", None, True])
clauses = st.lists(
    values | st.sampled_from([{"exists": False}, {"exists": True}, {"prefix": "x"}]),
    min_size=1,
    max_size=2,
)
patterns = st.recursive(
    st.dictionaries(st.sampled_from(["a", "b", "c.a", "c.b"]), clauses, min_size=1, max_size=3),
    lambda inner: st.fixed_dictionaries(
        {}, optional={"a": clauses, "d": inner, "$or": st.lists(inner, min_size=2, max_size=3)}
    ).filter(bool),
    max_leaves=4,
)
bodies = st.recursive(
    values,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4)
    ),
    max_leaves=8,
).filter(lambda body: isinstance(body, dict))


@given(patterns, bodies)
def test_a_clause_is_named_exactly_where_the_pattern_does_not_match(
    pattern: JsonObject, body: JsonObject
) -> None:
    refusing = first_refusing(pattern, body)
    assert (refusing is None) == parse(pattern).matches(body)
    assert refusing is None or len(refusing.detail) < 2_000


def refused(pattern: JsonObject, body: JsonObject) -> Refusing:
    found = first_refusing(pattern, body)
    assert found is not None
    return found


def test_the_first_field_that_differs_is_named_with_its_value() -> None:
    pattern: JsonObject = {"data": {"currency": ["EUR"], "total": [{"numeric": [">", 10]}]}}
    body: JsonObject = {"data": {"currency": "EUR", "total": "9.50"}}
    assert refused(pattern, body) == Refusing(
        "data.total", 'data.total is "9.50"; the pattern asks for {"numeric": [">", 10]}'
    )


def test_a_field_that_is_absent_is_said_to_be() -> None:
    assert refused({"data.customer": ["c1", "c2"]}, {"data": {}}) == Refusing(
        "data.customer", 'data.customer is absent; the pattern asks for ["c1", "c2"]'
    )


def test_of_alternatives_each_says_why() -> None:
    pattern: JsonObject = {"data": {"$or": [{"a": [1]}, {"b": [2]}]}}
    assert refused(pattern, {"data": {"a": 3}}) == Refusing(
        "data",
        "$or: none of 2 alternatives holds (data.a is 3; the pattern asks for 1"
        " | data.b is absent; the pattern asks for 2)",
    )


def test_fields_that_hold_in_different_elements_are_named_together() -> None:
    pattern: JsonObject = {"data": {"items": {"a": [1], "b": [2]}}}
    items: list[Json] = [{"a": 1, "b": 1}, {"a": 2, "b": 2}]
    assert refused(pattern, {"data": {"items": items}}) == Refusing(
        "data.items",
        "no single element has all that is asked for: data.items.a, data.items.b",
    )
