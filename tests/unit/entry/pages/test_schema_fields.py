"""The fields of bodies and their differences, as tables show them."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hookstream.entry.pages.schema_fields import (
    MOST_FIELDS,
    FieldLine,
    differences,
    fields_of,
)

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["id", "data"],
    "properties": {
        "id": {"type": "string", "format": "uuid", "description": "Its id."},
        "kind": {"enum": ["a", "b"]},
        "version": {"const": 2},
        "data": {"$ref": "#/$defs/Data"},
    },
    "$defs": {
        "Data": {
            "type": "object",
            "required": ["lines"],
            "properties": {
                "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}},
                "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/Data"}]},
            },
        },
        "Line": {"type": "object", "properties": {"price": {"type": ["null", "number"]}}},
    },
}


def test_each_field_has_its_path_its_type_and_whether_it_is_required() -> None:
    assert fields_of(SCHEMA) == [
        FieldLine("id", "string, uuid", required=True, about="Its id."),
        FieldLine("kind", "one of a, b", required=False, about=""),
        FieldLine("version", "always 2", required=False, about=""),
        FieldLine("data", "object", required=True, about=""),
        FieldLine("data.lines", "array of object", required=True, about=""),
        FieldLine("data.lines[].price", "null or number", required=False, about=""),
        FieldLine("data.next", "null or object", required=False, about=""),
    ]


def test_a_type_within_itself_is_listed_once() -> None:
    paths = [line.path for line in fields_of(SCHEMA)]
    assert "data.next.next" not in paths


def test_a_schema_with_more_fields_than_are_listed_is_cut() -> None:
    wide = {"properties": {f"f{each}": {"type": "string"} for each in range(3 * MOST_FIELDS)}}
    assert len(fields_of(wide)) == MOST_FIELDS


def test_types_that_name_each_other_many_times_are_listed_within_the_bound() -> None:
    defs = {
        f"T{each}": {"properties": {name: {"$ref": f"#/$defs/T{each + 1}"} for name in ("a", "b")}}
        for each in range(60)
    }
    assert len(fields_of({"$ref": "#/$defs/T0", "$defs": defs})) == MOST_FIELDS


LINES = st.lists(
    st.builds(
        FieldLine,
        st.sampled_from("abcdefgh"),
        st.sampled_from(["string", "number"]),
        st.booleans(),
        st.sampled_from(["", "text"]),
    ),
    unique_by=lambda line: line.path,
)


@given(LINES, LINES)
def test_what_differs_is_what_is_in_one_alone_or_of_another_type(
    before: list[FieldLine], after: list[FieldLine]
) -> None:
    def compared(lines: list[FieldLine]) -> set[tuple[str, str, bool]]:
        return {(line.path, line.kind, line.required) for line in lines}

    apart = {path for path, _, _ in compared(before) ^ compared(after)}
    found = differences(before, after)
    assert sorted(each.path for each in found) == sorted(apart)
    old, new = ({line.path for line in lines} for lines in (before, after))
    assert {each.path for each in found if each.what == "added"} == new - old
    assert {each.path for each in found if each.what == "removed"} == old - new
