"""What may be published, and how it would affect existing records and partners."""

from tests.doubles.schemas import event_schema, field

from hookstream.adapters.avro.published import fingerprint_of
from hookstream.core.catalog.publication import (
    DeclaredSchema,
    Finding,
    KnownSchema,
    Novelty,
    Publication,
    PublicationPlan,
    plan_publication,
)
from hookstream.core.model.json import Json, JsonObject

A = field("a", "int")
B = field("b", "int", default=0)
PRICE: Json = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
FINER: Json = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 4}


def declared(tree: JsonObject, *, own: bool = False) -> DeclaredSchema:
    event_type, version = str(tree["eventType"]), tree["eventVersion"]
    assert isinstance(version, int)
    where = f"{event_type}/v{version}.avsc"
    return DeclaredSchema(where, event_type, version, fingerprint_of(tree), tree, own)


def published(tree: JsonObject, number: int = 1) -> KnownSchema:
    new = declared(tree)
    return KnownSchema(new.event_type, new.version, new.fingerprint, number, tree)


def planned(
    trees: list[JsonObject], there: list[KnownSchema], *, pinned: bool = True
) -> PublicationPlan:
    return plan_publication([declared(tree) for tree in trees], there, lambda _t, _v: pinned)


def problems(trees: list[JsonObject], there: list[KnownSchema]) -> list[str]:
    return [finding.what for finding in planned(trees, there).problems]


def test_a_new_type_is_its_first_revision() -> None:
    tree = event_schema(A)
    assert planned([tree], []) == PublicationPlan(
        (Publication(declared(tree), 1, Novelty.EVENT_TYPE),), 0, (), ()
    )


def test_what_was_published_is_not_published_again() -> None:
    tree = event_schema(A)
    assert planned([tree], [published(tree)]) == PublicationPlan((), 1, (), ())


def test_a_compatible_change_is_the_next_revision() -> None:
    tree = event_schema(A, B)
    assert planned([tree], [published(event_schema(A), 3)]) == PublicationPlan(
        (Publication(declared(tree), 4, Novelty.REVISION),), 0, (), ()
    )


def test_documentation_alone_is_a_revision_too() -> None:
    """It replaces the row of the same fingerprint: console and docs show the newest words."""
    tree = event_schema({**A, "doc": "A better word."})
    assert planned([tree], [published(event_schema(A))]) == PublicationPlan(
        (Publication(declared(tree), 2, Novelty.DOCUMENTATION),), 0, (), ()
    )


def test_a_new_version_is_its_own_first_revision() -> None:
    tree = event_schema(A, B, version=2)
    assert planned([tree], [published(event_schema(A))]) == PublicationPlan(
        (Publication(declared(tree), 1, Novelty.VERSION),), 0, (), ()
    )


def test_a_field_without_a_default_breaks_a_version() -> None:
    """Records written before have nothing for it."""
    assert problems([event_schema(A, field("b", "int"))], [published(event_schema(A))]) != []


def test_a_field_that_goes_breaks_a_version() -> None:
    assert problems([event_schema(A)], [published(event_schema(A, B))]) == [
        "data.b: nothing carries this field any more, which needs a new version (against revision 1 of v1)"
    ]


def test_a_field_that_would_look_different_in_the_body_breaks_a_version() -> None:
    """Avro reads it without an error; a partner's code would not."""
    old, new = event_schema(field("n", "long")), event_schema(field("n", "long", json="string"), B)
    assert problems([new], [published(old)]) == [
        (
            "data.n: a number in the body would become a number as text, which needs a new version "
            "(against revision 1 of v1)"
        )
    ]


def test_every_revision_counts_not_only_the_last() -> None:
    """Records of the first revision are replayed like any other."""
    there = [
        published(event_schema(A, B), 1),
        published(event_schema(A, B, field("c", "int", default=0)), 2),
    ]
    found = problems([event_schema(A, field("c", "int", default=0))], there)
    assert found == [
        "data.b: nothing carries this field any more, which needs a new version (against revision 1 of v1)",
        "data.b: nothing carries this field any more, which needs a new version (against revision 2 of v1)",
    ]


def test_a_changed_scale_has_the_same_fingerprint_and_is_refused() -> None:
    """Measured: 123.45 written before would be read as 1.2345 from then on."""
    found = problems(
        [event_schema(field("p", FINER))], [published(event_schema(field("p", PRICE)))]
    )
    assert len(found) == 1
    assert "records written before would be misread" in found[0]


def test_two_versions_with_one_fingerprint_are_refused() -> None:
    found = problems([event_schema(A), event_schema(A, version=2)], [])
    assert found == [
        (
            "its fingerprint is that of thing.done v1: records of the two could not be distinguished;"
            " give a new version a field of its own"
        )
    ]


def test_a_new_version_must_carry_what_a_pinned_one_needs() -> None:
    """A partner on version 1 must not receive a default that was not intended."""
    tree = event_schema(field("c", "int"), version=2)
    plan = planned([tree], [published(event_schema(A, B))])
    assert [finding.what for finding in plan.problems] == [
        "v2 cannot be delivered as v1: data.a: nothing carries this field any more",
        "v2 cannot be delivered as v1: data.b: nothing carries this field any more",
    ]


def test_without_pinned_subscriptions_it_is_a_note() -> None:
    tree = event_schema(B, version=2)
    plan = planned([tree], [published(event_schema(A, B))], pinned=False)
    assert (plan.problems, plan.notes) == (
        (),
        (
            Finding(
                "thing.done/v2.avsc",
                "v2 cannot be delivered as v1: data.a: nothing carries this field any more",
            ),
        ),
    )


def test_a_published_schema_does_not_prevent_publishing_others() -> None:
    there = [published(event_schema(A)), published(event_schema(field("z", "int"), version=2))]
    other = event_schema(A, B, event_type="other.thing", name="OtherThing")
    assert problems([other], there) == []


def test_a_hostile_schema_is_examined_no_further() -> None:
    tree = event_schema(field("holes", {"type": "array", "items": "null"}))
    broken = DeclaredSchema("x.avsc", "thing.done", 1, "", tree)
    plan = plan_publication([broken], [], lambda _t, _v: True)
    assert [finding.where for finding in plan.problems] == ["x.avsc"]
    assert plan.publications == ()


def test_lint_applies_to_events_and_not_to_our_own_records() -> None:
    bare = event_schema({"name": "a", "type": "int"})
    strict = plan_publication([declared(bare)], [], lambda _t, _v: True)
    own = plan_publication([declared(bare, own=True)], [], lambda _t, _v: True)
    assert (len(strict.problems), own.problems) == (1, ())


def test_two_types_cannot_share_a_name() -> None:
    found = problems([event_schema(A), event_schema(A, B, event_type="other.thing")], [])
    assert found != []
