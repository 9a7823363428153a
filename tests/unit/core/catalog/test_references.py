"""The types that a schema refers to are written out, each once, and read as they were meant."""

import pytest

from hookstream.core.avro.reader import MAX_NESTING, SchemaRefused, read_schema
from hookstream.core.catalog.references import closed
from hookstream.core.model.json import Json, JsonObject

MONEY: JsonObject = {
    "type": "record",
    "name": "Money",
    "namespace": "shop.common",
    "fields": [
        {"name": "amount", "type": "long"},
        {
            "name": "currency",
            "type": {"type": "enum", "name": "Currency", "symbols": ["EUR", "USD"]},
        },
    ],
}


def record(name: str, *types: Json, namespace: str = "shop") -> JsonObject:
    fields: list[Json] = [
        {"name": f"f{number}", "type": each} for number, each in enumerate(types)
    ]
    return {"type": "record", "name": name, "namespace": namespace, "fields": fields}


def test_a_schema_without_references_stays_as_it_is() -> None:
    assert closed(MONEY, []) == MONEY


def test_a_type_is_written_out_where_it_is_named_first_and_named_after_that() -> None:
    whole = closed(record("Order", "shop.common.Money", ["null", "shop.common.Money"]), [MONEY])
    assert whole == record("Order", MONEY, ["null", "shop.common.Money"])
    read_schema(whole)


def test_a_type_inside_a_reference_may_be_named_alone() -> None:
    whole = read_schema(closed(record("Order", "shop.common.Currency"), [MONEY]))
    assert whole.named.keys() == {"shop.Order", "shop.common.Currency"}


def test_a_type_inside_a_reference_may_be_named_before_the_reference() -> None:
    tree = record("Order", "shop.common.Currency", "shop.common.Money")
    whole = read_schema(closed(tree, [MONEY]))
    assert whole.named.keys() == {"shop.Order", "shop.common.Currency", "shop.common.Money"}


def test_a_name_without_a_dot_is_one_of_the_same_namespace() -> None:
    whole = read_schema(closed(record("Order", "Line"), [record("Line", "string")]))
    assert whole.named.keys() == {"shop.Order", "shop.Line"}


def test_a_reference_of_another_namespace_keeps_its_own() -> None:
    whole = closed(record("Order", "shop.common.Money"), [MONEY])
    assert read_schema(whole).named.keys() >= {"shop.common.Money", "shop.common.Currency"}


def test_references_of_references_are_written_out_whatever_their_order() -> None:
    price = record("Price", "shop.common.Money")
    for references in ([MONEY, price], [price, MONEY]):
        whole = read_schema(closed(record("Order", "Price"), references))
        assert whole.named.keys() == {
            "shop.Order",
            "shop.Price",
            "shop.common.Money",
            "shop.common.Currency",
        }


def test_names_within_arrays_maps_and_wrapped_types_are_written_out() -> None:
    tree = record(
        "Order",
        {"type": "array", "items": "shop.common.Money"},
        {"type": "map", "values": "shop.common.Currency"},
        {"type": {"type": "array", "items": {"type": "shop.common.Money"}}},
    )
    assert read_schema(closed(tree, [MONEY])).named.keys() == {
        "shop.Order",
        "shop.common.Money",
        "shop.common.Currency",
    }


def test_a_default_and_an_attribute_that_look_like_names_stay() -> None:
    tree: JsonObject = {
        "type": "record",
        "name": "Order",
        "namespace": "shop",
        "eventType": "Money",
        "fields": [{"name": "f", "type": "string", "default": "shop.common.Money"}],
    }
    assert closed(tree, [MONEY]) == tree


def test_a_type_that_is_defined_nowhere_is_for_the_reader_to_refuse() -> None:
    whole = closed(record("Order", "shop.Missing"), [MONEY])
    with pytest.raises(SchemaRefused, match=r"shop\.Missing"):
        read_schema(whole)


def test_a_chain_of_references_is_refused_at_the_bound_of_nesting() -> None:
    chain = [record(f"R{number}", f"R{number + 1}") for number in range(500)]
    with pytest.raises(SchemaRefused, match=f"deeper than {MAX_NESTING}"):
        closed(chain[0], chain[1:])


def test_a_schema_that_refers_to_itself_through_another_is_recursive() -> None:
    line = record("Line", "Order")
    assert read_schema(closed(record("Order", "Line"), [line])).loop == "shop.Order"


@pytest.mark.parametrize(
    "reference",
    [
        {"type": "record", "fields": []},
        {"type": "enum", "name": 7, "symbols": []},
        {"type": "record", "name": "A", "namespace": 7, "fields": []},
    ],
)
def test_a_malformed_reference_is_refused(reference: JsonObject) -> None:
    with pytest.raises(SchemaRefused):
        closed(record("Order", "string"), [reference])
