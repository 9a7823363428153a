"""The schema book has every published revision, and never uses an unsafe one."""

import gc
from weakref import ref

import orjson
import pytest
from tests.doubles.schemas import EVENT_TYPES, event_schema, field, printprice

from hookstream.adapters.avro.published import fingerprint_of, own_schemas, schema_row
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.model.event import Identified, Revision, Undecodable
from hookstream.core.model.json import Json, JsonObject
from hookstream.errors import InputRefused

ONE = event_schema(field("a", "int"))
ONE_MORE = event_schema(field("a", "int"), field("b", "int", default=0))
TWO = event_schema(field("b", "string"), version=2)


def wire(revision: Revision) -> bytes:
    return bytes.fromhex(revision.fingerprint)


def test_a_published_schema_is_found_by_its_fingerprint() -> None:
    book = SchemaBook()
    revision = book.publish(ONE)
    assert book.named(wire(revision)) == Identified(revision, 10)


def test_a_fingerprint_is_that_of_the_specification() -> None:
    """The Avro specification's own example: the fingerprint of `"int"` is 7275d51a3f395c8f."""
    assert schema_row(ONE, 1)[0] == f"thing.done/1/{SchemaBook().publish(ONE).fingerprint}"
    assert (
        bytes.fromhex(fingerprint_of({"type": "int"})) == bytes.fromhex("7275d51a3f395c8f")[::-1]
    )


def test_an_unpublished_fingerprint_has_no_schema() -> None:
    assert SchemaBook().named(b"12345678") is None


def test_the_highest_revision_is_what_payloads_of_a_version_look_like() -> None:
    book = SchemaBook()
    book.publish(ONE_MORE, 2)
    book.publish(ONE, 1)
    reader = book.reader("thing.done", 1)
    assert reader is not None
    assert reader.tree == ONE_MORE


def test_every_revision_stays_readable() -> None:
    """Records written years ago are replayed: a newer revision must not displace an older one."""
    book = SchemaBook()
    first, second = book.publish(ONE, 1), book.publish(ONE_MORE, 2)
    assert [book.named(wire(r)) for r in (first, second)] == [
        Identified(first, 10),
        Identified(second, 10),
    ]


def test_the_newest_version_is_known_whatever_the_order_of_rows() -> None:
    book = SchemaBook([TWO, ONE])
    assert (
        book.latest("thing.done"),
        book.latest("never.heard"),
        book.versions("thing.done"),
    ) == (
        2,
        0,
        [1, 2],
    )


def test_a_row_that_is_removed_is_forgotten() -> None:
    book = SchemaBook([ONE])
    revision = book.publish(TWO)
    key, _ = schema_row(TWO, 1)
    assert book.put(key, None) is None
    assert (book.latest("thing.done"), book.named(wire(revision))) == (1, None)


def test_what_is_prepared_of_a_row_is_shared_by_all_books_that_have_it() -> None:
    one, other = SchemaBook([ONE]), SchemaBook([ONE])
    revision = Revision("thing.done", 1, fingerprint_of(ONE))
    assert one.schema(revision) is other.schema(revision) is not None
    key, _ = schema_row(ONE, 1)
    one.put(key, None)
    assert (one.schema(revision), other.reader("thing.done", 1)) == (None, other.schema(revision))


def test_nothing_is_kept_of_a_row_that_no_book_has() -> None:
    book = SchemaBook([event_schema(field("of_one_book", "int"))])
    prepared = ref(next(iter(book)))
    book = SchemaBook([TWO])
    gc.collect()
    assert prepared() is None
    assert [each.tree for each in book] == [TWO]


def test_a_row_that_another_book_has_is_checked_against_its_key() -> None:
    book, (_, value) = SchemaBook([ONE]), schema_row(ONE, 1)
    other = SchemaBook()
    key = f"thing.done/2/{fingerprint_of(ONE)}"
    assert other.put(key, value) == (
        f"schemas row {key!r}: its schema is thing.done/1/{fingerprint_of(ONE)}"
    )
    assert ([*other], [each.tree for each in book]) == ([], [ONE])


def test_records_of_a_hostile_schema_are_named_and_never_decoded() -> None:
    """A few kilobytes of a self-referencing record end the process: fastavro's reader overflows."""
    node: Json = ["null", "tests.ThingDoneData"]
    tree = event_schema(field("next", node, default=None))
    key, value = schema_row(tree, 1)
    book = SchemaBook()
    problem = book.put(key, value)
    found = book.named(bytes.fromhex(key.rpartition("/")[2]))
    assert problem is not None
    assert isinstance(found, Undecodable)
    assert (found.reason, book.latest("thing.done")) == ("hostile_schema", 0)


def test_arrays_of_nothing_are_hostile() -> None:
    """Five bytes of an array of null become twenty million items."""
    tree = event_schema(field("holes", {"type": "array", "items": "null"}))
    with pytest.raises(InputRefused, match="must not be used"):
        SchemaBook().publish(tree)


def test_a_hostile_row_cannot_take_a_sound_schemas_place() -> None:
    book = SchemaBook()
    revision = book.publish(ONE)
    tree = event_schema(field("holes", {"type": "array", "items": "null"}))
    book.put(f"other.thing/1/{revision.fingerprint}", orjson.dumps(row(tree)))
    assert book.named(wire(revision)) == Identified(revision, 10)


def test_two_types_cannot_share_a_fingerprint() -> None:
    """The fingerprint omits attributes: a record's schema would be ambiguous."""
    book = SchemaBook([ONE])
    with pytest.raises(InputRefused, match=r"its fingerprint is that of thing\.done v1"):
        book.publish(event_schema(field("a", "int"), event_type="other.thing"))


def row(tree: JsonObject) -> JsonObject:
    return {"format": 1, "revision": 1, "schema": tree}


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("thing.done/1", b"{}", "the key is not type/version/fingerprint"),
        ("thing.done/1/0123456789abcdef", b"{", "not JSON"),
        ("thing.done/1/0123456789abcdef", b'{"format":2}', "not of a format that this release"),
        ("thing.done/1/0123456789abcdef", b'{"format":1}', "schema or revision is missing"),
        ("thing.done/1/0123456789abcdef", orjson.dumps(row(ONE)), "its schema is thing.done/1/"),
        (
            "thing.done/1/0123456789abcdef",
            orjson.dumps(row({**ONE, "fields": [{"name": "a", "type": "nope"}]})),
            "must not be used: a: 'tests.nope' is defined nowhere",
        ),
        (
            "thing.done/1/0123456789abcdef",
            orjson.dumps(row({**ONE, "eventType": "Thing"})),
            "eventType is not a dotted name",
        ),
        (
            "thing.done/1/0123456789abcdef",
            orjson.dumps(row({**ONE, "eventVersion": 0})),
            "eventVersion is not a whole number",
        ),
    ],
)
def test_a_wrong_or_unreadable_row_is_reported_and_ignored(
    key: str, value: bytes, why: str
) -> None:
    book = SchemaBook()
    problem = book.put(key, value)
    assert problem is not None
    assert why in problem
    assert list(book) == []
    assert not isinstance(book.named(bytes.fromhex("0123456789abcdef")), Identified)


@pytest.mark.parametrize("odd", [2**64, "\ud800"])
def test_a_schema_that_is_too_large_for_a_row_is_refused(odd: Json) -> None:
    with pytest.raises(InputRefused, match="the schema is not JSON"):
        SchemaBook([event_schema(field("a", "int", odd=odd))])


def test_the_platforms_and_our_own_schemas_live_in_one_book() -> None:
    book = SchemaBook([*own_schemas(), *(printprice(event_type) for event_type in EVENT_TYPES)])
    assert book.event_types() == sorted(
        [
            *EVENT_TYPES,
            "delivery.dead_lettered",
            "endpoint.disabled",
            "endpoint.recovered",
            "hold.changed",
            "hookstream.access",
            "hookstream.attempt",
            "log.event_id_conflict",
            "log.gap",
            "partition.skipped",
            "subscription.changed",
            "subscription.failures_changed",
        ]
    )
