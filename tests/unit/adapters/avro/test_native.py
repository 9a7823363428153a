"""What the native accelerator reads, and what it leaves to Python. Without it, there is nothing to test."""

import sys
import threading
import time
from typing import Any

import orjson
import pytest
from tests.avro_oracle import Schema, encode
from tests.doubles.excerpts import excerpt
from tests.drawn_records import long
from tests.native_parity import PYTHON, Answer, answer
from tests.thing_events import HEAD, TYPE, event_schema

from hookstream.adapters.avro.accelerator import implementation
from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.native import NativeFields
from hookstream.adapters.avro.published import schema_row
from hookstream.adapters.avro.registered import Foreign
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.catalog.mapped_schema import event_schema as mapped_schema
from hookstream.core.model.event import Event, Identified, Revision
from hookstream.core.model.mapping import FieldSource, HeaderSource, Mapping, TimeUnit
from hookstream.core.model.outcome import Refused
from hookstream.core.model.record import Record
from hookstream.pipeline.work import Bodies

NATIVE = implementation()


def tree_of(kind: Any, **attributes: Any) -> Any:  # noqa: ANN401
    field = {"name": "f", "type": kind, **attributes}
    return event_schema({"type": "record", "name": "n.Data", "fields": [field]}, 1)


def record_of(tree: Any, datum: Any, **head: object) -> Record:  # noqa: ANN401
    [schema] = list(SchemaBook([tree]))
    body = encode(Schema(tree), tree, {**HEAD, **head, "data": {"f": datum}})
    return Record("t", 0, 0, 0, None, schema.prefix + body, ())


def event_of(codec: AvroCodec, record: Record) -> Event:
    identified = codec.identify(record)
    assert isinstance(identified, Identified)
    event = codec.decode(identified, record)
    assert isinstance(event, Event)
    return event


def read_by(tree: Any, datum: Any, **head: object) -> str:  # noqa: ANN401
    """Return what reads a record, and let both read it."""
    record = record_of(tree, datum, **head)
    native, python = (AvroCodec(SchemaBook([tree]), reads_by=each) for each in (NATIVE, PYTHON))
    paths = frozenset({("data", "f"), ("data", "f", "k")})
    assert answer(native, record, paths) == answer(python, record, paths)
    event = event_of(native, record)
    return "native" if isinstance(event.fields, NativeFields) else "python"


def data_of(*fields: Any) -> Any:  # noqa: ANN401
    """Return a record of fields: name, type, and other attributes, which may be left out."""
    made = [{"name": each[0], "type": each[1], **dict(*each[2:])} for each in fields]
    return {"type": "record", "name": "n.Data", "fields": made}


LOGICAL_TIME = {"type": "long", "logicalType": "timestamp-millis"}


def decimal(precision: int) -> Any:  # noqa: ANN401
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": 2}


if NATIVE.module is not None:

    @pytest.mark.parametrize("code", range(0x20))
    def test_each_control_character_is_escaped_alike(code: int) -> None:
        assert read_by(tree_of("string"), f"a{chr(code)}b") == "native"

    @pytest.mark.parametrize(
        "bits",
        [
            0x0F7FFFFF,
            0x0F800000,
            0x6B000000,
            0x6C800000,
            0x00000001,
            0x7F7FFFFF,
            0x3F333333,
            0x80000000,
        ],
    )  # the lopsided powers of two of core.model.single, and the ends
    def test_floats_are_written_as_the_numbers_of_their_shortest_texts(bits: int) -> None:
        tree = tree_of({"type": "fixed", "name": "n.Four", "size": 4})
        raw = record_of(tree, bits.to_bytes(4, "little"))
        single = tree_of("float")
        [schema] = list(SchemaBook([single]))
        value = schema.prefix + (raw.value or b"")[len(schema.prefix) :]
        codecs = [AvroCodec(SchemaBook([single]), reads_by=each) for each in (NATIVE, PYTHON)]
        record = Record("t", 0, 0, 0, None, value, ())
        native, python = (answer(codec, record, frozenset({("data", "f")})) for codec in codecs)
        assert native == python

    @pytest.mark.parametrize(
        ("kind", "datum", "reader"),
        [
            (
                decimal(38),
                b"\x4b\x3b\x4c\xa8\x5a\x86\xc4\x7a\x09\x8a\x22\x3f\xff\xff\xff\xff",
                "native",
            ),
            (decimal(38), b"\xff" * 40 + b"\x85", "native"),
            (decimal(38), b"", "native"),
            (decimal(39), b"\x01", "python"),
            ({"type": "map", "values": "int"}, {str(n): n for n in range(20)}, "native"),
            (["null", "float", "double"], (1, 0.5), "native"),
        ],
    )
    def test_types_are_read_by(kind: Any, datum: Any, reader: str) -> None:  # noqa: ANN401
        assert read_by(tree_of(kind), datum) == reader

    @pytest.mark.parametrize("beyond", [2**53, -(2**53)])
    def test_what_cannot_be_rendered_is_left_to_python_with_its_reason(beyond: int) -> None:
        assert read_by(tree_of("long"), beyond) == "python"
        assert read_by(tree_of("long", json="string"), beyond) == "native"

    def test_ids_beyond_ascii_are_read_and_judged_by_pythons_idea_of_what_is_printable() -> None:
        assert read_by(tree_of("int"), 1, event_id="é", environment="Москва") == "native"

    def test_a_map_with_one_key_twice_is_left_to_python() -> None:
        """Which keeps the place of the first and the value of the last."""
        tree = tree_of({"type": "map", "values": "int"})
        record = record_of(tree, {})
        assert record.value is not None
        twice = Record("t", 0, 0, 0, None, record.value[:-1] + b"\x04\x02k\x02\x02k\x04\x00", ())
        codec = AvroCodec(SchemaBook([tree]))
        document = codec.document(event_of(codec, twice), 1)
        assert isinstance(document, dict)
        assert document["data"] == {"f": {"k": 2}}

    def test_an_event_is_rendered_by_the_row_of_now_if_its_schema_was_rewritten_meanwhile() -> (
        None
    ):
        """Only in what a fingerprint leaves out can it differ."""
        before, after = tree_of("long"), tree_of("long", json="string")
        book = SchemaBook([before])
        codec = AvroCodec(book)
        event = event_of(codec, record_of(before, 7))
        assert codec.body(event, 1) is not None
        book.put(*schema_row(after, 1))
        assert codec.body(event, 1) is None
        document = codec.document(event, 1)
        assert isinstance(document, dict)
        assert document["data"] == {"f": "7"}

    def test_other_threads_run_while_a_large_record_is_read() -> None:
        """With a switch interval of minutes, another thread runs only while the reader lets go of the GIL."""
        tree = tree_of({"type": "array", "items": "string"})
        codec = AvroCodec(SchemaBook([tree]), reads_by=NATIVE)
        record = record_of(tree, ["x" * 50] * 20_000)
        turns, ended, interval = [0], threading.Event(), sys.getswitchinterval()

        def count() -> None:
            while not ended.is_set():
                turns[0] += 1
                time.sleep(0)

        def turns_during_a_read() -> int:
            before = turns[0]
            assert codec.body(event_of(codec, record), 1) is not None
            return turns[0] - before

        counting = threading.Thread(target=count)
        sys.setswitchinterval(600)
        counting.start()
        try:
            # On a busy machine the other thread may be scheduled only after a while.
            until = time.monotonic() + 20
            while not (found := turns_during_a_read()) and time.monotonic() < until:
                pass
            assert found
        finally:
            sys.setswitchinterval(interval)
            ended.set()
            counting.join()

    def test_threads_that_read_at_once_each_get_their_own_records() -> None:
        tree = tree_of({"type": "array", "items": "string"})
        records = [record_of(tree, [f"{n}-{i}" for i in range(5_000)]) for n in range(4)]
        codec = AvroCodec(SchemaBook([tree]))
        found: dict[int, list[bytes | None]] = {}

        def read(number: int) -> None:
            found[number] = [codec.body(event_of(codec, records[number]), 1) for _ in range(10)]

        threads = [threading.Thread(target=read, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for number in range(4):
            [body] = {*found[number]}
            assert body is not None
            assert orjson.loads(body)["data"]["f"] == [f"{number}-{i}" for i in range(5_000)]

    def test_text_that_would_exceed_its_bound_is_left_to_python() -> None:
        """Control characters become six times as much: 18 MB here, where 16 MiB are made at most."""
        tree = tree_of("string")
        record = record_of(tree, "\x01" * 3_000_000)
        codec = AvroCodec(SchemaBook([tree]), max_record_bytes=1 << 24)
        assert codec.body(event_of(codec, record), 1) is None

    HEAD_TYPES: list[tuple[str, list[str], list[int]]] = [("string", [], []), ("long", [], [])]
    NAMES = ["event_id", "occurred_at", "entity_id", "environment", "data"]

    def program(
        kind: tuple[str, list[str], list[int]], part: tuple[str, list[str], list[int]]
    ) -> Any:  # noqa: ANN401
        """Compile what no published schema has: `kind` has the place 3 and its part the place 2."""
        assert NATIVE.module is not None
        data = ("record", ["f"], [3])
        types = [*HEAD_TYPES, part, kind, data, ("record", NAMES, [0, 1, 0, 0, 4])]
        return NATIVE.module.Program(types, (0, 1, 2, 3, 4), b"", 1_000)

    def test_five_bytes_do_not_become_twenty_million_items() -> None:
        """An array of nulls, whose schema is refused before its use, ends at the most values."""
        read = program(("array", [], [2]), ("null", [], [])).read
        head = b"\x02e\x00\x02x\x02p"
        assert read(head + b"\x02\x00", 0) is not None
        assert read(head + long(20_000_000) + b"\x00", 0) is None
        assert read(head + long(2**63 - 1) + b"\x00", 0) is None
        assert read(head + long(-(2**63)) + b"\x00\x00", 0) is None

    @pytest.mark.parametrize("place", [3, 4, 5, -1, 2**40])
    def test_no_type_can_contain_itself_or_one_that_follows(place: int) -> None:
        """So no record nests deeper than its schema, which is bounded."""
        with pytest.raises(ValueError, match="array"):
            program(("array", [], [place]), ("null", [], []))

    def test_types_are_nested_within_a_bound() -> None:
        assert NATIVE.module is not None
        types: list[tuple[str, list[str], list[int]]] = [("null", [], [])]
        types += [("array", [], [place]) for place in range(70)]
        with pytest.raises(ValueError, match="more than 64 levels"):
            NATIVE.module.Program(types, (0, 1, 2, 3, 4), b"", 1_000)

    @pytest.mark.parametrize("body_at", [0, 5, 10**6, 2**63])
    def test_no_place_is_beyond_the_bytes_of_a_record(body_at: int) -> None:
        assert program(("array", [], [2]), ("null", [], [])).read(b"\x02e", body_at) is None

    SECONDS = [*range(-62_135_596_801, 253_402_300_801, 31_556_952 * 7 + 12_345), -1, 0, 1]

    @pytest.mark.parametrize(
        ("kind", "numbers"),
        [
            (("int", "date"), [*range(-719_162, 2_932_897, 397), *range(-306, 60), 2_932_896]),
            (("int", "time-millis"), [0, 1, 999, 1_000, 59_999, 86_399_999]),
            (("long", "time-micros"), [0, 1, 999_999, 86_399_999_999]),
            (("long", "timestamp-millis"), [s * 1_000 + 7 for s in SECONDS[1:]]),
            (("long", "timestamp-micros"), [s * 1_000_000 + 999_999 for s in SECONDS[1:]]),
            (("long", "timestamp-nanos"), [-1, 1, -(2**63), 2**63 - 1, -1_500_000_001]),
            (("long", "local-timestamp-millis"), [-1, -999, -1_001, 951_782_400_000]),
            (("long", "local-timestamp-micros"), [-1, -999_999, -1_000_001]),
            (("long", "local-timestamp-nanos"), [-1, -(2**63) + 1, 2**63 - 2]),
        ],
    )
    def test_times_of_all_years_are_written_alike(
        kind: tuple[str, str], numbers: list[int]
    ) -> None:
        items = {"type": kind[0], "logicalType": kind[1]}
        assert read_by(tree_of({"type": "array", "items": items}), numbers) == "native"

    @pytest.mark.parametrize(
        ("name", "number"),
        [
            ("date", -719_163),
            ("date", 2_932_897),
            ("time-millis", -1),
            ("time-millis", 86_400_000),
        ],
    )
    def test_times_beyond_all_days_and_years_are_left_to_python(name: str, number: int) -> None:
        assert read_by(tree_of({"type": "int", "logicalType": name}), number) == "python"

    @pytest.mark.parametrize(
        ("bytes_of_it", "reader"),
        [
            (b"\xff" * 9 + b"\x01", "native"),
            (b"\x80" * 9 + b"\x01", "native"),
            (b"\x82\x00", "native"),
            (b"\x80" * 9 + b"\x02", "python"),
            (b"\xff" * 9 + b"\x03", "python"),
        ],
    )
    def test_a_number_has_64_bits(bytes_of_it: bytes, reader: str) -> None:
        tree = tree_of("long", json="string")
        sound = record_of(tree, 0).value
        assert sound is not None
        record = Record("t", 0, 0, 0, None, sound[:-1] + bytes_of_it, ())
        native, python = (
            AvroCodec(SchemaBook([tree]), reads_by=each) for each in (NATIVE, PYTHON)
        )
        assert answer(native, record, frozenset()) == answer(python, record, frozenset())
        identified = native.identify(record)
        assert isinstance(identified, Identified)
        event = native.decode(identified, record)
        is_native = isinstance(event, Event) and isinstance(event.fields, NativeFields)
        assert is_native == (reader == "native")

    @pytest.mark.parametrize("wider", ["float", "double"])
    @pytest.mark.parametrize(
        ("number", "is_kept"),
        [(7, True), (-(2**24), True), (2**53 + 1, False), (2**63 - 1, False)],
    )
    def test_a_number_that_a_pinned_version_would_round_is_refused_by_python(
        wider: str, number: int, *, is_kept: bool
    ) -> None:
        written, read = tree_of("long", json="string"), {**tree_of(wider), "eventVersion": 2}
        book = SchemaBook([written, read])
        record = record_of(written, number)
        native, python = (AvroCodec(book, reads_by=each) for each in (NATIVE, PYTHON))
        assert answer(native, record, frozenset()) == answer(python, record, frozenset())
        assert (native.body(event_of(native, record), 2) is not None) == is_kept

    def test_bodies_are_the_same_before_and_after_somebody_asked_for_one() -> None:
        """Until then, records are read without: all subscriptions may have another version."""
        tree = tree_of("string")
        codecs = [AvroCodec(SchemaBook([tree]), reads_by=each) for each in (NATIVE, PYTHON)]
        asked_later, first, second = [record_of(tree, text) for text in ("a", "b", "é")]
        early = [event_of(codec, asked_later) for codec in codecs]
        for record in (first, second, asked_later):
            native, python = (answer(codec, record, frozenset()) for codec in codecs)
            assert native == python
        bodies = [Bodies(codec, event) for codec, event in zip(codecs, early, strict=True)]
        assert bodies[0].standard(1) == bodies[1].standard(1)
        assert codecs[0].body(early[0], 1) is not None

    def test_what_filters_ask_for_is_picked_out_of_arrays_maps_unions_and_records() -> None:
        kinds = ["string", "int", "double", ["null", "string"], {"type": "map", "values": "long"}]
        fields = [{"name": f"g{number}", "type": kind} for number, kind in enumerate(kinds)]
        item = {"type": "record", "name": "n.Item", "fields": fields}
        tree = tree_of({"type": "array", "items": ["null", item]})
        one = {"g0": "a", "g1": 1, "g2": 0.5, "g3": (1, "x"), "g4": {"k": 7, "l": 8}}
        two = {"g0": "b", "g1": -1, "g2": 2.0, "g3": (0, None), "g4": {}}
        record = record_of(tree, [(1, one), (0, None), (1, two)])
        codec = AvroCodec(SchemaBook([tree]))
        event = event_of(codec, record)
        asked = [("g1",), ("g3",), ("g4", "l"), ("g9",)]
        part = codec.excerpt(event, 1, frozenset(("data", "f", *path) for path in asked))
        assert part is not None
        assert part["data"] == {
            "f": [{"g1": 1, "g3": "x", "g4": {"l": 8}}, None, {"g1": -1, "g3": None, "g4": {}}]
        }

    def pinned_part(written: Any, read: Any, datum: Any, *paths: str) -> Any:  # noqa: ANN401
        """Return what the accelerator picks at another version, which must be what Python's body has."""
        older, newer = event_schema(written, 1), event_schema(read, 2)
        book = SchemaBook([older, newer])
        writer = book.reader(TYPE, 1)
        assert writer is not None
        body = encode(Schema(older), older, {**HEAD, "data": datum})
        record = Record("t", 0, 0, 0, None, writer.prefix + body, ())
        asked = frozenset(("data", *path.split(".")) for path in paths)
        native, python = (AvroCodec(book, reads_by=each) for each in (NATIVE, PYTHON))
        part = native.excerpt(event_of(native, record), 2, asked)
        whole = python.document(event_of(python, record), 2)
        if part is None:
            assert isinstance(whole, Refused)
            return whole.reason
        assert isinstance(whole, dict)
        assert repr(excerpt(part, asked)) == repr(excerpt(whole, asked))
        return part["data"]

    def test_what_filters_ask_of_a_pinned_version_are_its_values_and_not_the_writers() -> None:
        status = {"type": "enum", "name": "n.S", "symbols": ["A", "Z"]}
        newer_status = {**status, "symbols": ["A", "B"], "default": "B"}
        item = {"type": "record", "name": "n.Item", "fields": [{"name": "g", "type": "int"}]}
        filled = {"name": "h", "type": ["null", "double"], "default": 3}
        newer_item = {**item, "fields": [filled, {"name": "g", "type": "double"}]}
        written = data_of(
            ("same", "string"),
            ("int", "int"),
            ("digits", "int"),
            ("single", "float"),
            ("text", "string"),
            ("status", status),
            ("items", {"type": "array", "items": ["null", item]}),
            ("old", "long"),
        )
        read = data_of(
            ("status", newer_status),
            ("items", {"type": "array", "items": ["null", newer_item]}),
            ("single", "double"),
            ("new", "long", {"aliases": ["old"]}),
            ("text", "bytes"),
            ("digits", "long", {"json": "string"}),
            ("int", ["null", "double"]),
            ("more", {"type": "map", "values": newer_item["name"]}, {"default": {"k": {"g": 1}}}),
            ("same", "string"),
        )
        datum = {
            "same": "s", "int": 7, "digits": -5, "single": 0.7, "text": "é", "status": "Z",
            "items": [(1, {"g": 2}), (0, None)], "old": 2**53 - 1,
        }  # fmt: skip
        everything = [each["name"] for each in read["fields"]]
        found = pinned_part(written, read, datum, "items.g", "items.h", "more.k", *everything)
        assert found == {
            "status": "B",
            "items": [{"h": 3.0, "g": 2.0}, None],
            "single": 0.7,
            "new": 2**53 - 1,
            "text": "w6k=",
            "digits": "-5",
            "int": 7.0,
            "more": {"k": {"h": 3.0, "g": 1.0}},
            "same": "s",
        }
        assert list(found) == everything
        assert pinned_part(written, read, datum, "int", "same") == {"int": 7.0, "same": "s"}
        assert pinned_part(written, read, datum, "same", "gone", "old") == {"same": "s"}
        assert pinned_part(written, read, datum, "items", "more") == {
            "items": [{}, None],
            "more": {"k": {"h": 3.0, "g": 1.0}},
        }

    @pytest.mark.parametrize("wider", ["float", "double"])
    def test_nothing_is_picked_of_a_pinned_version_where_an_unasked_number_would_be_rounded(
        wider: str,
    ) -> None:
        written = data_of(("a", "int"), ("b", "long", {"json": "string"}))
        read = data_of(("a", "int"), ("b", wider))
        assert pinned_part(written, read, {"a": 1, "b": 7}, "a") == {"a": 1}
        refused = pinned_part(written, read, {"a": 1, "b": 2**53 + 1}, "a")
        assert refused == "version_not_resolvable"

    def test_nothing_is_picked_where_defaults_would_fill_in_too_many_values() -> None:
        filled = {"name": "h", "type": {"type": "array", "items": "int"}, "default": [0] * 49}
        item = {"type": "record", "name": "n.Item", "fields": [{"name": "g", "type": "boolean"}]}
        newer = {**item, "fields": [*item["fields"], filled]}
        written, read = (
            data_of(("a", "int"), ("b", {"type": "array", "items": each}))
            for each in (item, newer)
        )
        few, many = ({"a": 1, "b": [{"g": True}] * count} for count in (500, 501))
        assert pinned_part(written, read, few, "a") == {"a": 1}
        assert pinned_part(written, read, many, "a") == "version_not_resolvable"

    UUID = {"type": "fixed", "name": "n.Uuid", "size": 16, "logicalType": "uuid"}
    PLACE = {"type": "enum", "name": "n.Place", "symbols": ["production", "test"]}

    def mapped(kind: Any, datum: Any, time: Any, moment: Any, **more: Any) -> tuple[str, Answer]:  # noqa: ANN401
        """Return what reads a record whose envelope is of two of its fields, and what both say of it."""
        inner = {"type": "record", "name": "n.Meta", "fields": [{"name": "id", "type": kind}]}
        tree = data_of(("meta", ["null", inner]), ("at", time), ("more", "long"))
        mapping = Mapping(
            "orders",
            ("t",),
            TYPE,
            (1,),
            entity_id=FieldSource(("meta", "id")),
            environment=HeaderSource("env"),
            occurred_at=FieldSource(("at",)),
            record="n.Data",
            **more,
        )
        book = SchemaBook([mapped_schema(tree, mapping, 1)])
        found = book.mapped.fit(mapping, Foreign("0" * 16, "n.Data", tree))
        assert isinstance(found, Revision)
        fields = {"meta": (1, {"id": datum}), "at": moment, "more": 7}
        value = bytes(5) + encode(Schema(tree), tree, fields)
        record = Record("t", 0, 0, 0, None, value, (("env", b"production"),))
        identified = Identified(found, 5, by_position=True)
        codecs = [AvroCodec(book, reads_by=each) for each in (NATIVE, PYTHON)]
        paths = frozenset({("data", "more")})
        native, python = (answer(each, record, paths, None, 1, identified) for each in codecs)
        assert native == python
        event = codecs[0].decode(identified, record, event_id="position")
        is_native = isinstance(event, Event) and isinstance(event.fields, NativeFields)
        return "native" if is_native else "python", native

    @pytest.mark.parametrize(
        ("kind", "datum", "entity_id"),
        [
            ("string", "é", "é"),
            ("int", -7, "-7"),
            ("long", 2**53 - 1, "9007199254740991"),
            (["null", "string"], (1, "a"), "a"),
            (["int", "string"], (0, 7), "7"),
            (PLACE, "test", "test"),
            (UUID, bytes(range(16)), "00010203-0405-0607-0809-0a0b0c0d0e0f"),
            (["string", UUID], (1, bytes(16)), "00000000-0000-0000-0000-000000000000"),
        ],
    )
    def test_a_mapped_record_is_read_natively_whatever_names_its_entity(
        kind: Any,  # noqa: ANN401
        datum: Any,  # noqa: ANN401
        entity_id: str,
    ) -> None:
        reader, said = mapped(kind, datum, LOGICAL_TIME, 1_764_072_000_123)
        assert reader == "native"
        assert f"'position', 1764072000123000, '{entity_id}', 'production'" in said.event
        assert said.part.endswith("'data': {'more': 7}}")

    @pytest.mark.parametrize(
        ("time", "moment", "unit"),
        [
            ({"type": "long", "logicalType": "timestamp-nanos"}, 1_764_072_000_123_456_789, None),
            ({"type": "long", "logicalType": "timestamp-micros"}, 1_764_072_000_123_456, None),
            ("string", "2025-11-25T12:00:00.123456Z", None),
            ("long", 1_764_072_000_123_456, TimeUnit.MICROS),
        ],
    )
    def test_a_mapped_record_is_read_natively_whatever_its_time_is(
        time: Any,  # noqa: ANN401
        moment: Any,  # noqa: ANN401
        unit: TimeUnit | None,
    ) -> None:
        reader, said = mapped("string", "a", time, moment, unit=unit)
        assert reader == "native"
        assert "1764072000123456" in said.event

    def test_a_mapped_record_without_what_its_envelope_needs_is_refused_in_the_same_words() -> (
        None
    ):
        _, said = mapped(["null", "string"], (0, None), LOGICAL_TIME, 0)
        assert "mapping orders: field meta.id: entity_id is missing" in said.event
