"""Mappings that would make a record's event ambiguous, or its id another, are refused."""

from dataclasses import replace

from tests.doubles.foreign import shipped
from tests.doubles.schemas import event_schema, field

from hookstream.adapters.avro.published import fingerprint_of
from hookstream.core.catalog.mapped_schema import event_schema as mapped
from hookstream.core.catalog.mapping_plan import (
    DeclaredMapping,
    MappingChange,
    MappingPlan,
    plan_mappings,
)
from hookstream.core.catalog.publication import DeclaredSchema, KnownSchema
from hookstream.core.model.json import JsonObject
from hookstream.core.model.mapping import ConstantSource, FieldSource, HeaderSource, Mapping

ORDERS = Mapping(
    "orders",
    ("shop.orders",),
    "order.shipped",
    (1,),
    entity_id=FieldSource(("orderNumber",)),
    environment=ConstantSource("production"),
    event_id=FieldSource(("meta", "id")),
    record="com.shop.OrderShipped",
)
STAGING = replace(
    ORDERS, name="staging", topics=("staging.orders",), environment=ConstantSource("staging")
)


def declared(mapping: Mapping, *schemas: JsonObject) -> DeclaredMapping:
    where = f"mappings/{mapping.name}.yaml"
    trees = [mapped(tree, mapping, at) for at, tree in enumerate(schemas or (shipped(),), 1)]
    return DeclaredMapping(
        where,
        mapping,
        tuple(
            DeclaredSchema(where, mapping.event_type, at, fingerprint_of(tree), tree, mapped=True)
            for at, tree in enumerate(trees, 1)
        ),
    )


def known(tree: JsonObject) -> KnownSchema:
    return KnownSchema(str(tree["eventType"]), 1, fingerprint_of(tree), 1, tree)


def planned(
    *mappings: Mapping, published: tuple[Mapping, ...] = (), schemas: tuple[KnownSchema, ...] = ()
) -> MappingPlan:
    return plan_mappings([declared(each) for each in mappings], published, [], schemas)


def problems(
    *mappings: Mapping, published: tuple[Mapping, ...] = (), schemas: tuple[KnownSchema, ...] = ()
) -> list[str]:
    return [
        each.what for each in planned(*mappings, published=published, schemas=schemas).problems
    ]


def test_a_new_mapping_and_a_changed_one_are_written_with_their_revision() -> None:
    assert planned(ORDERS) == MappingPlan((MappingChange(ORDERS, None),))
    assert planned(ORDERS, published=(ORDERS,)) == MappingPlan(unchanged=1)
    before = replace(ORDERS, revision=3, environment=HeaderSource("env"))
    (change,) = planned(ORDERS, published=(before,)).changes
    assert change == MappingChange(replace(ORDERS, revision=4), before)
    assert change.differences == ("environment: header env → constant 'production'",)


def test_one_record_of_two_environments_is_mapped_by_two_mappings() -> None:
    assert problems(ORDERS, STAGING) == []
    assert problems(STAGING, published=(ORDERS,)) == []


def test_two_mappings_of_one_record_are_refused() -> None:
    wide = replace(STAGING, topics=("*.orders",))
    (why,) = problems(ORDERS, wide)
    assert why == (
        "record com.shop.OrderShipped: such a record may also have the mapping orders, which is for"
        " record com.shop.OrderShipped on shop.orders: name topics that only one of them has"
    )
    (published,) = problems(wide, published=(ORDERS,))
    assert "the mapping orders (published)" in published
    assert published.endswith("or remove it with --remove-mapping orders")
    by_subject = replace(ORDERS, name="other", record=None, subject="shop.orders-value")
    assert len(problems(ORDERS, by_subject)) == 1
    elsewhere = replace(by_subject, topics=("other",), subject="other-value")
    assert problems(ORDERS, elsewhere) == []


def test_the_source_of_event_ids_never_changes() -> None:
    """With another, every event would be delivered again under a second webhook-id."""
    other = replace(ORDERS, event_id=HeaderSource("id"))
    there = (known(mapped(shipped(), ORDERS, 1)),)
    expected = (
        'event_id: order.shipped has its ids from {"field": "meta.id"}, as it was published, and'
        ' not from {"header": "id"}: every event would be delivered again under another id. Keep'
        " the source, or map to a new event type"
    )
    assert problems(other, published=(ORDERS,), schemas=there) == [expected]
    assert problems(other, schemas=there) == [expected]  # the mapping was removed meanwhile
    assert problems(replace(other, event_type="order.sent"), published=(), schemas=there) == []
    (beside,) = problems(ORDERS, replace(STAGING, event_id=None))
    assert 'as mappings/orders.yaml has it, and not from {"position": true}' in beside


def test_a_type_of_our_own_schemas_is_not_mapped() -> None:
    ours = known(event_schema(field("a", "int"), event_type="order.shipped"))
    (why,) = problems(ORDERS, schemas=(ours,))
    assert why.startswith("event type order.shipped is published as one that needs no mapping")


def test_a_type_has_one_declaration_and_a_version_one_schema() -> None:
    beside = DeclaredSchema("order.shipped/v1.avsc", "order.shipped", 1, "", {})
    found = plan_mappings([declared(ORDERS)], [], [beside], []).problems
    (twice,) = (each.what for each in found)
    assert twice.startswith("event type order.shipped is also declared by order.shipped/v1.avsc")
    longer = shipped(field("more", "int"))
    found = plan_mappings([declared(ORDERS), declared(STAGING, longer)], [], [], []).problems
    assert [each.what for each in found] == [
        "order.shipped v1 has another schema in mappings/orders.yaml: a version has one"
    ]


def test_an_event_id_by_position_is_noted() -> None:
    (note,) = planned(replace(ORDERS, event_id=None)).notes
    assert "partners see two events" in note.what


def test_a_source_that_published_revisions_lack_is_noted() -> None:
    there = (known(mapped(shipped(), ORDERS, 1)),)
    other = replace(ORDERS, entity_id=FieldSource(("parcel",)))
    (note,) = planned(other, published=(ORDERS,), schemas=there).notes
    assert note.what == (
        "entity_id: com.shop.OrderShipped has no field parcel in revision 1 of v1, which was"
        " published: its records would wait, and retries of them be dead-lettered"
    )
