"""What a pattern means, and what is refused instead of being ignored."""

import time

import pytest

from hookstream.core.matching.pattern import PatternRefused, parse
from hookstream.core.model.json import Json, JsonObject

BODY: JsonObject = {
    "type": "pricing.completed",
    "version": 1,
    "environment": "live",
    "data": {
        "customer": "ACME",
        "pages": 48,
        "price": "12.50",
        "weight": 0.1,
        "rush": True,
        "note": None,
        "tags": ["book", "offset"],
        "none": [],
        "lines": [
            {"sku": "a", "quantity": 1, "finish": {"kind": "matte"}},
            {"sku": "b", "quantity": 2},
        ],
        "grid": [[1, 2], [3, [4]]],
    },
}


def matches(path: str, *alternatives: Json) -> bool:
    """Return whether the body matches when one field of its data is tested."""
    return parse({"data": {path: [*alternatives]}}).matches(BODY)


@pytest.mark.parametrize(
    ("path", "alternative", "expected"),
    [
        ("customer", "ACME", True),
        ("customer", "acme", False),
        ("pages", 48, True),
        ("pages", 48.0, True),
        ("pages", "48", False),
        ("weight", 0.1, True),
        ("rush", True, True),
        ("rush", 1, False),
        ("note", None, True),
        ("missing", None, False),
        ("customer", {"prefix": "AC"}, True),
        ("customer", {"prefix": "ac"}, False),
        ("customer", {"prefix": {"equals-ignore-case": "ac"}}, True),
        ("customer", {"suffix": "ME"}, True),
        ("customer", {"suffix": {"equals-ignore-case": "me"}}, True),
        ("pages", {"suffix": "8"}, False),
        ("customer", {"equals-ignore-case": "acme"}, True),
        ("pages", {"equals-ignore-case": "48"}, False),
        ("customer", {"wildcard": "A*E"}, True),
        ("customer", {"wildcard": "A*A*E"}, False),
        ("customer", {"wildcard": "*C*M*"}, True),
        ("customer", {"wildcard": "ACME"}, True),
        ("customer", {"wildcard": "A*ACME"}, False),
        ("customer", {"anything-but": "ACME"}, False),
        ("customer", {"anything-but": ["OTHER"]}, True),
        ("missing", {"anything-but": "ACME"}, False),
        ("pages", {"anything-but": [1, 48]}, False),
        ("rush", {"anything-but": [1]}, True),
        ("tags", {"anything-but": "book"}, True),
        ("pages", {"numeric": [">", 47, "<=", 48]}, True),
        ("pages", {"numeric": [">", 48]}, False),
        ("pages", {"numeric": ["<", 48]}, False),
        ("rush", {"numeric": ["=", 1]}, False),
        ("note", {"numeric": [">=", 0]}, False),
        ("customer", {"exists": True}, True),
        ("note", {"exists": True}, True),
        ("missing", {"exists": True}, False),
        ("missing", {"exists": False}, True),
        ("note", {"exists": False}, False),
        ("lines", {"exists": True}, False),
        ("lines", {"exists": False}, True),
        ("none", {"exists": False}, True),
        ("tags", "offset", True),
        ("tags", "digital", False),
        ("grid", 4, True),
        ("customer", {"cidr": "10.0.0.0/8"}, False),
    ],
)
def test_an_operator_is_true_as_documented(path: str, alternative: Json, expected: bool) -> None:  # noqa: FBT001
    assert matches(path, alternative) is expected


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ([">", 12], True),
        (["=", 12.5], True),
        (["<", 12.5], False),
        ([">=", 12.5], True),
        (["<=", 12.49], False),
        ([">", 12.499999999, "<", 12.500000001], True),
    ],
)
def test_a_decimal_is_compared_by_its_value(
    bounds: list[Json],
    expected: bool,  # noqa: FBT001
) -> None:
    """In the body it is text, so that no reader rounds it; a filter on money must still work."""
    assert matches("price", {"numeric": bounds}) is expected


@pytest.mark.parametrize(
    ("price", "expected"),
    [("9007199254740993", True), ("9007199254740992", False), ("9007199254740992.00001", True)],
)
def test_a_decimal_is_compared_with_all_its_digits(price: str, expected: bool) -> None:  # noqa: FBT001
    """As doubles, the three are one number."""
    pattern = parse({"price": [{"numeric": [">", 9007199254740992]}]})
    assert pattern.matches({"price": price}) is expected


def test_a_tenth_is_a_tenth() -> None:
    """The double nearest to 0.1 is a little more than a tenth."""
    assert parse({"price": [{"numeric": ["=", 0.1]}]}).matches({"price": "0.10"})


@pytest.mark.parametrize(
    "text", ["1e3", "+5", " 5", "5.", ".5", "Infinity", "\u0665", "5\n", "9" * 101]
)
def test_text_that_no_decimal_has_is_no_number(text: str) -> None:
    assert not parse({"n": [{"numeric": [">=", 0]}]}).matches({"n": text})


@pytest.mark.parametrize(
    ("address", "expected"),
    [("10.1.2.3", True), ("11.0.0.1", False), ("::1", False), ("no address", False), (10, False)],
)
def test_an_address_is_in_a_block(address: Json, expected: bool) -> None:  # noqa: FBT001
    assert parse({"ip": [{"cidr": "10.0.0.0/8"}]}).matches({"ip": address}) is expected


def test_alternatives_are_ored_and_fields_are_anded() -> None:
    pattern = parse({"data": {"customer": ["X", {"prefix": "AC"}], "pages": [1, 48]}})
    assert pattern.matches(BODY)
    assert not parse({"data": {"customer": ["ACME"], "pages": [1]}}).matches(BODY)


def test_missing_and_excluded_values_can_be_matched_together() -> None:
    alternatives: list[Json] = [{"anything-but": "x"}, {"exists": False}]
    pattern = parse({"a": [*alternatives]})
    bodies: list[JsonObject] = [{"a": "y"}, {"a": "x"}, {}]
    assert [pattern.matches(body) for body in bodies] == [True, False, True]


def test_fields_of_one_object_come_from_one_element() -> None:
    """Quantity 2 of `a` was never ordered."""
    lines: list[JsonObject] = [
        {"sku": ["a"], "quantity": [1]},
        {"sku": ["a"], "quantity": [2]},
    ]
    found = [parse({"data": {"lines": line}}).matches(BODY) for line in lines]
    assert found == [True, False]


def test_a_field_that_one_element_lacks_is_not_absent() -> None:
    assert not parse({"data": {"lines": {"sku": [{"exists": False}]}}}).matches(BODY)
    assert not parse({"data": {"lines": {"finish": {"kind": [{"exists": False}]}}}}).matches(BODY)


def test_a_field_that_only_one_of_many_elements_has_is_looked_for_once() -> None:
    """Searched at each element, 16,000 of them blocked a worker for 40 seconds."""
    lines: list[Json] = [{"sku": "a"}, *({} for _ in range(16_000))]
    pattern = parse({"data": {"lines": {"sku": [{"exists": False}]}}})
    began = time.process_time()
    assert not pattern.matches({"data": {"lines": lines}})
    assert time.process_time() - began < 1


def test_or_matches_any_of_its_objects_and_everything_beside_it() -> None:
    either: list[Json] = [{"pages": [1]}, {"customer": ["ACME"]}]
    assert parse({"data": {"$or": either, "rush": [True]}}).matches(BODY)
    assert not parse({"data": {"$or": either, "rush": [False]}}).matches(BODY)


def test_or_may_be_nested_in_or() -> None:
    inner: list[Json] = [{"pages": [48]}, {"pages": [1]}]
    either: list[Json] = [{"customer": ["X"]}, {"$or": inner}]
    assert parse({"data": {"$or": either}}).matches(BODY)


def test_a_dotted_name_means_the_same_as_objects() -> None:
    pattern = parse({"data.lines.sku": ["b"], "data": {"lines": {"quantity": [2]}}})
    assert pattern.matches(BODY)
    assert not parse({"data.lines.sku": ["a"], "data.lines": {"quantity": [2]}}).matches(BODY)


def test_what_the_body_has_besides_is_ignored() -> None:
    assert parse({"type": ["pricing.completed"]}).matches(BODY)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({}, "pattern at its top: an empty object asks for nothing"),
        ({"a": {}}, "pattern at a: an empty object asks for nothing"),
        ({"a": []}, "pattern at a: an empty list matches nothing"),
        ({"a": "x"}, 'pattern at a: values must be in a list: ["x"]'),
        ({"a": [["x"]]}, "pattern at a: a list inside a list is no alternative"),
        (
            {"a": {"b": [{"regex": "x"}]}},
            (
                'pattern at a.b: unknown operator "regex"; known are anything-but, cidr, '
                "equals-ignore-case, exists, numeric, prefix, suffix, wildcard"
            ),
        ),
        (
            {"a": [{"prefix": "x", "suffix": "y"}]},
            "pattern at a: an alternative names exactly one operator",
        ),
        ({"a": [{"prefix": 1}]}, "pattern at a: prefix is text, not 1"),
        (
            {"a": [{"suffix": {"wildcard": "x"}}]},
            'pattern at a: suffix takes text or {"equals-ignore-case": text}',
        ),
        ({"a": [{"exists": "yes"}]}, "pattern at a: exists takes true or false"),
        ({"a": [{"wildcard": "a**"}]}, "pattern at a: wildcard has two stars in a row"),
        (
            {"a": [{"wildcard": "a\\b"}]},
            r"pattern at a: wildcard has a \ that is followed by neither * nor \ ",
        ),
        ({"a": [{"wildcard": "*1*2*3*4*5*"}]}, "pattern at a: wildcard has more than 5 stars"),
        (
            {"a": [{"numeric": [">", 5, "<", 5]}]},
            "pattern at a: numeric has a range that contains no number",
        ),
        (
            {"a": [{"numeric": [">", "5"]}]},
            'pattern at a: a bound of numeric is a number, not "5"',
        ),
        (
            {"a": [{"numeric": ["<", 5, ">", 1]}]},
            (
                "pattern at a: numeric takes =, or > or >= and then perhaps < or <=, each with "
                "its number"
            ),
        ),
        ({"a": [{"numeric": 5}]}, 'pattern at a: numeric takes a list such as [">", 0, "<=", 5]'),
        ({"a": [float("nan")]}, "pattern at a: a value is not finite"),
        ({"a": [int("9" * 101)]}, "pattern at a: a value has more than 100 digits"),
        (
            {"a": [{"anything-but": ["x", 1]}]},
            "pattern at a: anything-but takes all text or all numbers, not both",
        ),
        (
            {"a": [{"anything-but": {"numeric": ["=", 1]}}]},
            'pattern at a: anything-but takes no operator "numeric"',
        ),
        ({"a": [{"anything-but": []}]}, "pattern at a: anything-but takes 1 to 256 values"),
        ({"$or": [{"a": [1]}]}, "pattern at its top: $or takes a list of at least two objects"),
        (
            {"$or": [{"a": [1]}, {"prefix": ["x"]}]},
            "pattern at its top: $or[1] asks for a field that is named like an operator",
        ),
        ({"a": {"$or": [{"b": [1]}, 3]}}, "pattern at a: an object is needed, not 3"),
        (
            {"a": [1], "a.b": [2]},
            "pattern at a: the field is asked for as a value and as an object",
        ),
        ({"a": {"b": [1]}, "a.b": [2]}, "pattern at a.b: the field is asked for twice"),
        ({"a..b": [1]}, 'pattern at its top: "a..b" is not the name of a field'),
        ({"a": ["x" * 1025]}, "pattern at a: a value is longer than 1024 characters"),
        ({"a": [*range(501)]}, "pattern at a: the pattern has more than 500 alternatives"),
        (
            {
                "a": [
                    {"anything-but": {"suffix": [f"{n}-{m}" for m in range(251)]}}
                    for n in range(4)
                ]
            },
            "pattern at its top: it compares a value 1,004 times; at most 1,000 are taken",
        ),
    ],
)
def test_an_invalid_pattern_is_refused_with_path_and_reason(
    document: JsonObject, why: str
) -> None:
    """What was ignored would be an unrequested match."""
    with pytest.raises(PatternRefused) as refused:
        parse(document)
    assert str(refused.value) == why


@pytest.mark.parametrize("step", ["a", "$or"])
def test_a_pattern_is_only_so_deep(step: str) -> None:
    document: JsonObject = {"a": [1]}
    for _ in range(100_000):
        document = {step: [document, document]} if step == "$or" else {step: document}
    with pytest.raises(PatternRefused, match="deeper than 16 levels"):
        parse(document)


def test_a_body_is_matched_however_deep_it_is() -> None:
    """A filter must never end the process that evaluates it."""
    deep: Json = 7
    for _ in range(100_000):
        deep = [deep]
    assert parse({"a": [7]}).matches({"a": deep})


def test_a_star_that_is_escaped_is_a_star() -> None:
    pattern = parse({"a": [{"wildcard": "\\**\\\\"}]})
    bodies: list[JsonObject] = [{"a": "*x\\"}, {"a": "xx\\"}]
    assert [pattern.matches(body) for body in bodies] == [True, False]
