"""A pattern that no event could match is reported when it is written."""

import pytest

from hookstream.core.matching.checking import check
from hookstream.core.matching.shape import Node, Shape, shape_of
from hookstream.core.model.json import Json, JsonObject

DECIMAL: JsonObject = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}
STAGE: JsonObject = {"type": "enum", "name": "Stage", "symbols": ["prepress", "press", "bindery"]}


def field(name: str, kind: Json, **more: Json) -> JsonObject:
    return {"name": name, "type": kind, **more}


def record(name: str, *fields: Json) -> JsonObject:
    return {"type": "record", "name": name, "fields": list(fields)}


def shape(event_type: str, *data: Json) -> Shape:
    return shape_of(event_type, 2, record("Event", field("data", record("Data", *data))))


LINE = record("Line", field("sku", "string"), field("price", ["null", DECIMAL]))
JOB = shape(
    "job.done",
    field("stage", STAGE),
    field("pages", "int"),
    field("total", DECIMAL),
    field("number", "long", json="string"),
    field("rush", "boolean"),
    field("note", ["null", "string"]),
    field("due", {"type": "int", "logicalType": "date"}),
    field("lines", {"type": "array", "items": LINE}),
    field("first", ["null", "Line"]),
    field("labels", {"type": "map", "values": "string"}),
    field("code", ["int", "string"]),
    field("next", ["null", STAGE | {"name": "Next", "symbols": ["ship"]}, "Stage"]),
)
FAILED = shape("job.failed", field("reason", "string"), field("pages", "string"))


@pytest.mark.parametrize(
    "data",
    [
        {"stage": ["press", {"prefix": "pre"}, {"anything-but": "press"}]},
        {"pages": [48, {"numeric": [">", 1]}, {"anything-but": [1, 2]}]},
        {"total": [{"numeric": [">", 100]}, "12.50"]},
        {"number": [{"numeric": ["=", 7]}, "7"]},
        {"rush": [True]},
        {"note": [None, "x", {"exists": True}]},
        {"due": [{"prefix": "2026-"}]},
        {"lines": {"sku": ["a", {"exists": False}], "price": [{"numeric": ["<", 5]}, None]}},
        {"first": {"sku": [{"exists": False}]}},
        {"labels": {"any key": ["x", {"exists": False}]}},
        {"code": [1, "x"]},
        {"next": ["ship", "press"]},
        {"$or": [{"stage": ["press"]}, {"rush": [False]}]},
    ],
)
def test_a_pattern_that_can_match_has_no_problem(data: JsonObject) -> None:
    assert check({"data": data, "type": ["job.done"], "version": [2]}, [JOB]) == []


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        (
            {"data": {"stag": ["press"]}},
            (
                "pattern at data.stag: no event type asked for has it (job.done v2); data has code, "
                "due, first, labels, lines, next and 6 more"
            ),
        ),
        (
            {"data": {"stage": {"name": ["press"]}}},
            (
                "pattern at data.stage.name: no event type asked for has it (job.done v2); "
                "data.stage has no fields"
            ),
        ),
        (
            {"entity": ["x"]},
            (
                "pattern at entity: no event type asked for has it (job.done v2); its top has data, "
                "entity_id, environment, id, timestamp, type and 1 more"
            ),
        ),
        ({"data": {"lines": ["a"]}}, "pattern at data.lines: it is an object: name a field in it"),
        ({"data": {"pages": ["48"]}}, 'pattern at data.pages: "48" cannot match: it is number'),
        ({"data": {"rush": ["yes"]}}, 'pattern at data.rush: "yes" cannot match: it is boolean'),
        ({"data": {"note": [1]}}, "pattern at data.note: 1 cannot match: it is null or text"),
        ({"data": {"pages": [None]}}, "pattern at data.pages: null cannot match: it is number"),
        (
            {"data": {"due": [{"numeric": [">", 1]}]}},
            'pattern at data.due: {"numeric": [">", 1]} cannot match: it is text',
        ),
        (
            {"data": {"pages": [{"anything-but": "x"}]}},
            'pattern at data.pages: {"anything-but": "x"} cannot match: it is number',
        ),
        (
            {"data": {"total": [12.5]}},
            (
                "pattern at data.total: 12.5 cannot match: it is a decimal, which is text in the "
                "body; numeric compares it as a number"
            ),
        ),
        (
            {"data": {"total": ["12.5"]}},
            (
                'pattern at data.total: "12.5" cannot match: a decimal is written with 2 digits '
                "after the point; use numeric"
            ),
        ),
        (
            {"data": {"stage": ["Press"]}},
            'pattern at data.stage: "Press" is none of bindery, prepress, press',
        ),
        (
            {"data": {"stage": [{"prefix": "x"}]}},
            'pattern at data.stage: {"prefix": "x"} can match none of bindery, prepress, press',
        ),
        ({"type": ["job.failed"]}, 'pattern at type: "job.failed" is none of job.done'),
        ({"version": [1]}, "pattern at version: 1 cannot match: it is always 2"),
        (
            {"data": {"pages": [{"exists": False}]}},
            'pattern at data.pages: {"exists": false} cannot match: every event has it',
        ),
        ({"data": {"pages": []}}, "pattern at data.pages: an empty list matches nothing"),
    ],
)
def test_what_no_event_can_match_is_named(pattern: JsonObject, problem: str) -> None:
    """Its owner would wait for events in vain."""
    assert check(pattern, [JOB]) == [problem]


def test_every_problem_is_named() -> None:
    pattern: JsonObject = {"data": {"pages": ["x", 1], "$or": [{"a": [1]}, {"rush": [1]}]}}
    assert [problem.partition(":")[0] for problem in check(pattern, [JOB])] == [
        "pattern at data.pages",
        "pattern at data.a",
        "pattern at data.rush",
    ]


def test_a_path_that_one_of_the_types_has_is_known() -> None:
    """A subscription may request two types and filter by a field of only one of them."""
    pattern: JsonObject = {"data": {"reason": ["x"], "pages": [48, "48", {"exists": False}]}}
    assert check(pattern, [JOB, FAILED]) == [
        'pattern at data.pages: {"exists": false} cannot match: every event has it'
    ]


def test_what_one_type_lacks_is_absent_there() -> None:
    assert check({"data": {"stage": [{"exists": False}]}}, [JOB, FAILED]) == []


def test_without_shapes_only_the_pattern_itself_is_judged() -> None:
    assert (check({"anything": ["x"]}, []), check({"anything": []}, [])) == (
        [],
        ["pattern at anything: an empty list matches nothing"],
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("boolean", Node(frozenset({"boolean"}))),
        ("double", Node(frozenset({"number"}))),
        ("bytes", Node(frozenset({"string"}))),
        (DECIMAL, Node(frozenset({"decimal"}), scale=2)),
        ({"type": "fixed", "name": "F", "size": 4}, Node(frozenset({"string"}))),
        (
            {"type": "fixed", "name": "F", "size": 4} | DECIMAL | {"type": "fixed"},
            Node(frozenset({"string"})),
        ),
        (
            {
                "type": "fixed",
                "name": "F",
                "size": 8,
                "logicalType": "decimal",
                "precision": 9,
                "scale": 1,
            },
            Node(frozenset({"decimal"}), scale=1),
        ),
        ({"type": "long", "logicalType": "timestamp-micros"}, Node(frozenset({"string"}))),
        (["null", "int"], Node(frozenset({"null", "number"}))),
        (["int", DECIMAL], Node(frozenset({"number", "decimal"}), scale=2)),
        ({"type": "array", "items": "int"}, Node(frozenset({"number"}), certain=False)),
        (
            {"type": "map", "values": "int"},
            Node(values=Node(frozenset({"number"}), certain=False)),
        ),
        (
            ["null", record("A", field("x", "int")), record("B", field("x", "string"))],
            Node(
                frozenset({"null"}),
                fields={"x": Node(frozenset({"number", "string"}))},
                certain=False,
            ),
        ),
    ],
)
def test_a_type_has_the_shape_of_its_json(kind: Json, expected: Node) -> None:
    assert shape("a.b", field("x", kind)).at(("data", "x")) == expected


def test_the_shape_of_a_recursive_schema_has_an_end() -> None:
    """Such a schema is refused elsewhere; checking it must still not hang."""
    node = shape("a.b", field("next", ["null", "Data"])).at(("data", "next", "next"))
    assert node is None
