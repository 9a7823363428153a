"""A long number in a file's pattern is the number that was written, in a filter and in a grant."""

import pytest

from hookstream.adapters.definition_files.json_text import read_document
from hookstream.adapters.definition_files.yaml_text import read_documents
from hookstream.adapters.tables.rows import read_partner, write_partner
from hookstream.core.matching.directory import Directory
from hookstream.core.matching.pattern import parse
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.subscription import Grant, Partner

LONG = "1234567890123456789"
"""A long whose schema has `"json": "string"`: text in the body."""


def pattern_of(text: str, *, json: bool) -> JsonObject:
    if json:
        value = read_document(text).value
    else:
        [document] = read_documents(text)
        value = document.value
    assert isinstance(value, dict)
    return value


def granted(pattern: JsonObject, value: Json) -> bool:
    """Evaluate a grant that was read from its row, as a worker does."""
    partner = Partner("acme", "Acme", Grant(("a.b",), ("*",), pattern))
    directory = Directory()
    directory.put_partner(read_partner("acme", write_partner(partner)))
    found = directory.granted(
        directory.partners["acme"], "a.b", "live", 5, lambda: {"data": {"n": value}}
    )
    assert isinstance(found, bool)
    return found


@pytest.mark.parametrize("json", [True, False])
@pytest.mark.case("long-integers-in-patterns")
@pytest.mark.parametrize(
    ("operator", "expected"),
    [("=", True), (">=", True), ("<=", True), ("<", False), (">", False)],
)
def test_a_long_integer_is_compared_with_itself(operator: str, expected: bool, json: bool) -> None:  # noqa: FBT001
    text = f'{{"data": {{"n": [{{"numeric": ["{operator}", {LONG}]}}]}}}}'
    pattern = pattern_of(text, json=json)
    assert (parse(pattern).matches({"data": {"n": LONG}}), granted(pattern, LONG)) == (
        expected,
        expected,
    )


@pytest.mark.parametrize("json", [True, False])
@pytest.mark.case("long-decimals-in-patterns")
@pytest.mark.parametrize(
    ("clause", "value", "expected"),
    [
        ('["=", 12345678.123456789012]', "12345678.123456789012", True),
        ('[">=", 0.100000000000000001]', "0.100000000000000000", False),
        ('["<", 0.100000000000000001]', "0.100000000000000000", True),
    ],
)
def test_a_long_decimal_is_compared_with_all_its_digits(
    clause: str, value: str, *, expected: bool, json: bool
) -> None:
    pattern = pattern_of(f'{{"data": {{"n": [{{"numeric": {clause}}}]}}}}', json=json)
    assert (parse(pattern).matches({"data": {"n": value}}), granted(pattern, value)) == (
        expected,
        expected,
    )


@pytest.mark.case("float")
@pytest.mark.parametrize("clause", ["0.7", '{"numeric": [">=", 0.7]}', '{"numeric": ["=", 0.7]}'])
def test_a_float_that_shows_a_tenth_is_matched_by_it(clause: str) -> None:
    pattern = pattern_of(f'{{"data": {{"n": [{clause}]}}}}', json=True)
    assert parse(pattern).matches({"data": {"n": 0.7}})
