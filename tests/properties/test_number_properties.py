"""Every operator of a pattern compares numbers as fractions do: in a filter, a grant and an index."""

import json
import struct
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from hookstream.core.matching.index import PatternIndex
from hookstream.core.matching.pattern import parse
from hookstream.core.model.json import Json, JsonObject, json_text
from hookstream.core.model.number import Number, number_text, read_number
from hookstream.core.model.single import shortest

EDGES = [2**24, 2**53, 2**63, 2**64, 10**19, 10**22, 10**23, 1234567890123456789]

near_edges = st.builds(
    lambda edge, off, sign: sign * (edge + off),
    st.sampled_from(EDGES),
    st.integers(-3, 3),
    st.sampled_from([1, -1]),
)
texts = st.one_of(
    near_edges.map(str),
    st.integers(-12, 12).map(str),
    st.builds(
        lambda whole, digits: f"{whole}.{digits}",
        st.sampled_from(["0", "-0", "12345678", "9007199254740993"]),
        st.text("0123456789", min_size=1, max_size=25),
    ),
    st.builds(
        lambda digits, power: f"{digits}e{power}",
        st.integers(-999, 999),
        st.integers(-390, 390),
    ),
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(lambda x: repr(shortest(x))),
    st.sampled_from(["0.7", "0.69999999999999999", "0.1", "0.1000000000000000055511151231257827"]),
)
"""Numbers as people write them in a pattern."""

doubles = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    texts.map(float).filter(lambda x: abs(x) < 1e300),
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(
        lambda x: shortest(struct.unpack("<f", struct.pack("<f", x))[0])
    ),
)
decimals = texts.map(lambda text: f"{Decimal(text):f}").filter(lambda text: len(text) < 90)
"""Decimals as a body shows them: text."""
values: st.SearchStrategy[Json] = st.one_of(
    st.integers(-(2**53) + 1, 2**53 - 1), near_edges, doubles, decimals
)
"""Numbers in a body."""


def fraction(value: Json) -> Fraction:
    """Return a number as the fraction of its text."""
    return Fraction(repr(value) if isinstance(value, float) else str(value))


def holds(pattern: JsonObject, value: Json) -> bool:
    """Evaluate a pattern and an index of it, which must agree."""
    parsed = parse(pattern)
    body: JsonObject = {"data": {"n": value}}
    index: PatternIndex[None] = PatternIndex()
    index.add("it", None, parsed)
    found = [each for each in index.candidates(body) if not each.matches or each.matches(body)]
    assert bool(found) == parsed.matches(body)
    return parsed.matches(body)


def asking(*clauses: Json) -> JsonObject:
    return {"data": {"n": [*clauses]}}


@given(text=texts, value=values)
def test_a_bound_of_a_range_is_compared_with_all_its_digits(text: str, value: Json) -> None:
    bound, wanted, given_ = read_number(text), Fraction(text), fraction(value)
    shown_types = {
        operator: holds(asking({"numeric": [operator, bound]}), value)
        for operator in ("=", "<", "<=", ">", ">=")
    }
    assert shown_types == {
        "=": given_ == wanted,
        "<": given_ < wanted,
        "<=": given_ <= wanted,
        ">": given_ > wanted,
        ">=": given_ >= wanted,
    }


@given(low=texts, high=texts, value=values)
def test_a_range_contains_what_lies_between_its_bounds(low: str, high: str, value: Json) -> None:
    assume(Fraction(low) < Fraction(high))
    pattern = asking({"numeric": [">", read_number(low), "<=", read_number(high)]})
    assert holds(pattern, value) == (Fraction(low) < fraction(value) <= Fraction(high))


numeric: st.SearchStrategy[Json] = st.one_of(
    texts.map(read_number),
    st.builds(
        lambda operator, text: {"numeric": [operator, read_number(text)]},
        st.sampled_from(["=", "<", "<=", ">", ">="]),
        texts,
    ),
    st.builds(
        lambda above, below, ends: {"numeric": [above, min(ends), below, max(ends)]},
        st.sampled_from([">", ">="]),
        st.sampled_from(["<", "<="]),
        st.lists(near_edges, min_size=2, max_size=2, unique=True),
    ),
)
"""Alternatives about numbers: equal ones, bounds and ranges that touch, overlap and are disjoint."""


@given(clauses=st.lists(numeric, min_size=2, max_size=12), value=values)
def test_alternatives_that_are_tested_together_match_if_one_of_them_does(
    clauses: list[Json], value: Json
) -> None:
    assert holds(asking(*clauses), value) == any(holds(asking(each), value) for each in clauses)


@given(ends=st.lists(st.tuples(near_edges, st.booleans()), min_size=2, max_size=8), value=values)
def test_of_ranges_that_touch_no_number_between_them_is_lost_or_gained(
    ends: list[tuple[int, bool]], value: Json
) -> None:
    """Each range begins where the one before it ended, with that number or without it."""
    ends = sorted(dict(ends).items())
    assume(len(ends) > 1)
    clauses: list[Json] = [
        {"numeric": [">=" if closed else ">", low, "<", high]}
        for (low, closed), (high, _) in pairwise(ends)
    ]
    at = fraction(value)
    lost = [low for low, closed in ends if not closed]
    assert holds(asking(*clauses), value) == (ends[0][0] <= at < ends[-1][0] and at not in lost)


@given(text=texts, value=values.filter(lambda value: not isinstance(value, str)))
def test_a_number_is_equal_to_itself_alone(text: str, value: Json) -> None:
    wanted = read_number(text)
    equal = fraction(value) == Fraction(text)
    assert holds(asking(wanted), value) == equal
    assert holds(asking({"anything-but": wanted}), value) != equal
    assert holds(asking({"anything-but": [wanted, 0.5]}), value) == (not equal and value != 0.5)


@given(text=texts)
def test_a_number_of_a_body_is_found_under_its_own_text(text: str) -> None:
    """A double that an event carries is matched by the text that a partner reads of it."""
    value = float(text)
    assume(abs(value) < 1e300)
    assert holds(asking(read_number(repr(value))), value)


@given(document=st.recursive(texts.map(read_number), lambda inner: st.lists(inner, max_size=3)))
def test_a_number_is_written_as_it_was_read(document: Json) -> None:
    def read(text: str) -> Json:
        return read_number(text)

    again = json.loads(json_text(document), parse_int=read, parse_float=read)
    assert again == document


@given(text=texts)
def test_a_text_and_its_number_are_one_value(text: str) -> None:
    number: Number = read_number(text)
    assert Fraction(number_text(number)) == Fraction(text)


@given(value=st.integers() | st.floats() | st.text() | st.none() | st.booleans())
def test_a_pattern_of_numbers_answers_for_any_value(value: Json) -> None:
    """Total: infinities, and integers of any length, are compared or not, and nothing raises."""
    for clause in (5, 10**30, read_number("0.1000000000000000000001")):
        holds(asking(clause), value)
        holds(asking({"anything-but": clause}), value)
        holds(asking({"numeric": [">=", clause]}), value)
