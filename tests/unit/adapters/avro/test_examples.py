"""Examples of fields are checked before they are published, and stand in the sample."""

from pathlib import Path

import orjson
import pytest
from tests.doubles.schemas import event_schema, field, printprice

from hookstream.adapters.avro.examples import example_problems
from hookstream.adapters.avro.files import own_declared, read_schema_files
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.avro.reader import read_schema
from hookstream.core.catalog.publication import KnownSchema, Novelty, plan_publication
from hookstream.core.model.json import Json
from hookstream.entry.admin.schema_documents import SchemaDocuments

DECIMAL: Json = {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}


def problems(kind: Json, *examples: Json) -> list[str]:
    return list(
        example_problems(read_schema(event_schema(field("x", kind, examples=[*examples]))))
    )


@pytest.mark.parametrize(
    ("kind", "example"),
    [
        (DECIMAL, "12.50"),
        ({"type": "long", "json": "string"}, "9007199254740993"),
        ("bytes", "TQ=="),
        ("double", 0.5),
        (["null", "string"], None),
        ({"type": "array", "items": DECIMAL}, ["1.00", "2.00"]),
        ({"type": "enum", "name": "t.E", "symbols": ["A"]}, "A"),
    ],
)
def test_an_example_is_the_value_that_a_body_holds(kind: Json, example: Json) -> None:
    assert problems(kind, example) == []


@pytest.mark.parametrize(
    ("kind", "example", "why"),
    [
        (DECIMAL, "12.5", "is not written as it would be delivered"),
        (DECIMAL, 12.5, "is a binary fraction"),
        ("long", 2**53, "lies beyond"),
        ("string", 5, "is not text"),
        ({"type": "int", "logicalType": "date"}, "tomorrow", "is not a date"),
        ({"type": "enum", "name": "t.E", "symbols": ["A"]}, "B", "is none of A"),
    ],
)
def test_an_example_of_another_form_is_a_problem(kind: Json, example: Json, why: str) -> None:
    [found] = problems(kind, example)
    assert found.startswith("tests.ThingDoneData.x: its example ")
    assert why in found


@pytest.mark.parametrize("examples", [[], "A", {}, 5])
def test_examples_are_a_list(examples: Json) -> None:
    schema = read_schema(event_schema(field("x", "string", examples=examples)))
    assert len(list(example_problems(schema))) == 1


def test_an_example_of_the_envelope_is_one_that_an_event_may_have() -> None:
    tree = event_schema(field("x", "int"))
    fields = tree["fields"]
    assert isinstance(fields, list)
    assert isinstance(fields[2], dict)
    fields[2]["examples"] = ["", "job-1"]
    [found] = example_problems(read_schema(tree))
    assert found.startswith("tests.ThingDone.entity_id: its example entity_id is ''")


def test_a_file_with_a_wrong_example_is_a_problem(tmp_path: Path) -> None:
    folder = tmp_path / "thing.done"
    folder.mkdir()
    tree = event_schema(field("x", "int", examples=["1"]))
    (folder / "v1.avsc").write_bytes(orjson.dumps(tree))
    [problem] = read_schema_files(tmp_path).problems
    assert problem.where == "thing.done/v1.avsc"


def test_our_own_schemas_have_no_wrong_example() -> None:
    found = [*(why for each in own_declared() for why in example_problems(read_schema(each.tree)))]
    assert found == []


def test_the_first_example_is_the_value_in_the_sample() -> None:
    tree = event_schema(
        field("money", DECIMAL, examples=["7.00", "8.00"]),
        field("note", ["null", "string"], examples=[None]),
    )
    body = SchemaDocuments(SchemaBook([tree])).sample("thing.done", 1, "standard")
    assert body["data"] == {"money": "7.00", "note": None}


def test_an_example_that_was_published_wrong_is_passed_over() -> None:
    """A row of the table may come from elsewhere than `schemas apply`."""
    tree = event_schema(field("count", "int", examples=["x", 7]))
    body = SchemaDocuments(SchemaBook([tree])).sample("thing.done", 1, "standard")
    assert body["data"] == {"count": 7}


def test_examples_are_documentation_and_may_be_added_to_a_published_version() -> None:
    [schema] = [each for each in own_declared() if each.event_type == "log.gap"]
    tree = printprice("order.generated")
    bare = orjson.loads(orjson.dumps(tree))
    for each in bare["fields"]:
        each.pop("examples", None)
    assert bare != tree
    book = SchemaBook([tree])
    [published] = [*book]
    known = KnownSchema("order.generated", 1, published.revision.fingerprint, 1, bare)
    declared = type(schema)("v1.avsc", "order.generated", 1, known.fingerprint, tree)
    plan = plan_publication([declared], [known], lambda _type, _version: True)
    assert plan.problems == ()
    assert [each.novelty for each in plan.publications] == [Novelty.DOCUMENTATION]
