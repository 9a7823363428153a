"""No record makes more values than are allowed, whatever its schema and its bytes."""

import os
import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests import avro_oracle as oracle
from tests.avro_oracle import Schema
from tests.conftest import ROOT
from tests.hostile_records import HOSTILE, bytes_of, codec_of, fields_of, many
from tests.properties.test_schema_evolution import Maker, in_order
from tests.thing_events import HEAD, event_schema

from hookstream.adapters.avro.accelerator import implementation
from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.published import published
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.avro.scan import holds_more
from hookstream.core.avro.reader import read_schema
from hookstream.core.catalog.promotion import ValueUnresolvable
from hookstream.core.catalog.resolution import resolution
from hookstream.core.model.event import Event, Identified, Undecodable
from hookstream.core.model.outcome import Refused
from hookstream.core.model.record import Record
from hookstream.errors import InputRefused


def values_in(datum: Any) -> int:  # noqa: ANN401
    """Count the values of a decoded record: fields, items, and values of maps."""
    if isinstance(datum, tuple):
        return values_in(datum[1])
    if isinstance(datum, dict):
        return len(datum) + sum(map(values_in, datum.values()))
    if isinstance(datum, list):
        return len(datum) + sum(map(values_in, datum))
    return 0


def plain(schema: Schema, node: Any, datum: Any) -> Any:  # noqa: ANN401
    """Return a datum without the numbers of its branches."""
    node = schema.of(node)
    match oracle.kind(node):
        case "union":
            return plain(schema, node[datum[0]], datum[1])
        case "array":
            return [plain(schema, node["items"], each) for each in datum]
        case "map":
            return {key: plain(schema, node["values"], each) for key, each in datum.items()}
        case "record":
            return {f["name"]: plain(schema, f["type"], datum[f["name"]]) for f in node["fields"]}
        case _:
            return datum


def drawn(seed: int) -> tuple[Any, Any, bytes]:
    """Return a schema, a datum of it, and its bytes."""
    maker = Maker(seed)
    tree = event_schema(in_order(maker.tree()), 1)
    schema = Schema(tree)
    datum = {**HEAD, "data": maker.datum(schema, tree["fields"][-1]["type"])}
    return tree, plain(schema, tree, datum), oracle.encode(schema, tree, datum)


@settings(max_examples=300)
@given(seed=st.integers(0, 2**32))
def test_a_walk_counts_what_decoding_makes_and_the_growth_bounds_it(seed: int) -> None:
    tree, datum, body = drawn(seed)
    try:
        schema = published(tree, 1)
    except InputRefused:
        return
    values = values_in(datum)
    assert not holds_more(schema.walk, body, 0, values)
    assert holds_more(schema.walk, body, 0, values - 1)
    assert values <= schema.growth.base + schema.growth.rate * len(body)


def long(number: int) -> bytes:
    return oracle.encode(Schema("long"), "long", number)


NOISE = st.binary(max_size=6) | st.sampled_from(
    [
        long(-(2**63)),
        long(-(2**63)) + long(0),
        long(2**62),
        long(-65),
        long(-66),
        b"\x80" * 10 + b"\x00",
        b"\x82" + b"\x80" * 10 + b"\x00",
        b"\xff" * 9 + b"\x7f",
        b"\x80" * 9 + b"\x02",
    ]
)


@settings(max_examples=300)
@given(seed=st.integers(0, 2**32), cut=st.integers(0, 200), noise=NOISE, most=st.integers(5, 30))
@example(seed=46390, cut=0, noise=b"", most=5)
def test_no_bytes_become_more_values_than_are_taken(
    seed: int, cut: int, noise: bytes, most: int
) -> None:
    """The walk and the decoder agree on a record's end, or it is undecodable."""
    tree, _, body = drawn(seed)
    at = cut % (len(body) + 1)
    for mangled in (body[:at] + noise + body[at + len(noise) :], body[:at] + noise + body[at:]):
        try:
            codec, prefix = codec_of(tree, max_values=most)
        except InputRefused:
            return
        framed = Record("t", 0, 0, 0, None, prefix + mangled, ())
        found = fields_of(codec, framed)
        assert isinstance(found, Undecodable) or values_in(found) <= most


@settings(max_examples=200)
@given(seed=st.integers(0, 2**32), cut=st.integers(0, 200), noise=NOISE, large=st.integers(5, 60))
def test_no_record_is_more_work_than_its_computed_load(
    seed: int, cut: int, noise: bytes, large: int
) -> None:
    tree, _, body = drawn(seed)
    at = cut % (len(body) + 1)
    try:
        codec, prefix = codec_of(tree)
    except InputRefused:
        return
    framed = Record("t", 0, 0, 0, None, prefix + body[:at] + noise + body[at:], ())
    named = codec.identify(framed)
    assert isinstance(named, Identified)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hookstream.adapters.avro.codec.LARGE", large)
        load = codec.load(named, framed)
    found = fields_of(codec, framed)
    assert isinstance(found, Undecodable) or values_in(found) <= load
    event = codec.decode(named, framed)
    if isinstance(event, Event):
        event.load = load
        assert values_in(dict(event.fields)) <= codec.counted(event) <= load


FIRST_FIELDS: dict[str, tuple[Any, bytes]] = {
    "a text of a length in eleven bytes": ("string", b"\x80" * 10 + b"\x00"),
    "a text of a length beyond 64 bits": ("string", b"\x80" * 9 + b"\x02"),
    "a map of a key's length in eleven bytes": (
        {"type": "map", "values": "boolean"},
        long(1) + b"\x80" * 10 + b"\x00" + b"\x01" + long(0),
    ),
    "a block of the least count": (
        {"type": "array", "items": "string"},
        long(-(2**63)) + long(0) + long(0),
    ),
    "a branch of a number in eleven bytes": (["null", "string"], b"\x80" * 10 + b"\x00"),
    "a branch before the first": (["null", "string"], long(-66)),
}


@pytest.mark.parametrize("name", FIRST_FIELDS)
def test_no_empty_first_field_hides_the_size_of_what_follows(name: str) -> None:
    """The walk ended there, and the decoder continued: 5 KB became 5,000 values where 1,000 are taken."""
    kind, beginning = FIRST_FIELDS[name]
    xs = {"type": "array", "items": "boolean"}
    fields = [{"name": "first", "type": kind}, {"name": "xs", "type": xs}]
    tree = event_schema({"type": "record", "name": "n.Data", "fields": fields}, 1)
    codec, prefix = codec_of(tree, max_values=1_000)
    head = b"".join(
        oracle.encode(Schema(tree), each["type"], HEAD[each["name"]])
        for each in tree["fields"][:-1]
    )
    value = prefix + head + beginning + long(5_000) + b"\x01" * 5_000 + b"\x00"
    found = fields_of(codec, Record("t", 0, 0, 0, None, value, ()))
    assert isinstance(found, Undecodable)
    assert found.reason == "malformed"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_record_of_a_megabyte_that_would_become_gigabytes_is_refused_with_the_figure(
    name: str,
) -> None:
    """In a process with little memory, which an intermediate copy would end."""
    run(f"refuse({name!r})")


def run(call: str) -> None:
    """Call a function of `tests.hostile_records` in its own process."""
    code = f"from tests.hostile_records import *; {call}"
    done = subprocess.run(  # noqa: S603  our own code
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_as_many_values_as_are_taken_are_decoded_and_rendered() -> None:
    tree = many("boolean")
    codec, prefix = codec_of(tree, max_values=1_000)
    taken = 1_000 - len(tree["fields"]) - 1

    def decoded(items: int) -> Event | Undecodable:
        value = prefix + bytes_of(tree, items, b"\x01")
        record = Record("t", 0, 0, 0, None, value, ())
        identified = codec.identify(record)
        assert isinstance(identified, Identified)
        return codec.decode(identified, record)

    event = decoded(taken)
    assert isinstance(event, Event)
    document = codec.document(event, 1)
    assert isinstance(document, dict)
    assert document["data"] == {"xs": [True] * taken}
    assert isinstance(decoded(taken + 1), Undecodable)


SIXTY = {"name": "d", "type": {"type": "array", "items": "int"}, "default": [0] * 60}
WITHIN = {"type": "record", "name": "n.Within", "fields": [SIXTY]}


@pytest.mark.parametrize(
    "filled",
    [SIXTY, {"name": "w", "type": WITHIN, "default": {}}],
    ids=["written out", "by a default of a default"],
)
def test_defaults_fill_in_no_more_than_is_taken(filled: Any) -> None:  # noqa: ANN401
    """The check refuses such a pair; a row that was published before the check is still bounded."""
    item = {"type": "record", "name": "n.I", "fields": [{"name": "b", "type": "boolean"}]}
    older = many(item)
    newer = many({**item, "fields": [*item["fields"], filled]})
    newer = {**newer, "eventVersion": 2}
    book = SchemaBook([older, newer])
    codec = AvroCodec(book, max_values=10_000)
    prefix = next(each.prefix for each in book if each.tree == older)

    def document(items: int) -> Any:  # noqa: ANN401
        record = Record("t", 0, 0, 0, None, prefix + bytes_of(older, items, b"\x01"), ())
        identified = codec.identify(record)
        assert isinstance(identified, Identified)
        event = codec.decode(identified, record)
        assert isinstance(event, Event)
        return codec.document(event, 2)

    assert isinstance(document(100), dict)
    refused = document(1_000)
    assert isinstance(refused, Refused)
    assert "defaults would fill in more than 10,000 values" in refused.detail


def test_records_that_are_read_at_once_do_not_share_the_count_of_what_is_filled_in() -> None:
    """Two threads take turns within one record: each may fill in as much as one alone."""
    item = {"type": "record", "name": "n.I", "fields": [{"name": "b", "type": "boolean"}]}
    newer = {**item, "fields": [*item["fields"], SIXTY]}
    found = resolution(read_schema(many(item)), read_schema(many(newer)), branch_names=False)
    turns = threading.Barrier(2, timeout=60)

    class InTurns(dict[str, object]):
        """An item at which a thread waits for the other one."""

        def __getitem__(self, key: str) -> object:
            turns.wait()
            return super().__getitem__(key)

    def read(most: int) -> object:
        items = [InTurns(b=True) for _ in range(10)]
        try:
            return found.read({**HEAD, "data": {"xs": items}}, most)
        except ValueUnresolvable as refused:
            turns.abort()
            return str(refused)

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(read, (610, 610))
    assert first == second
    assert isinstance(first, dict)
    with pytest.raises(ValueUnresolvable, match="more than 609 values"):
        found.read({**HEAD, "data": {"xs": [{"b": True}] * 10}}, 609)


SHORTAGES = dict.fromkeys(
    [("python", "at once"), (implementation().name, "at once"), (implementation().name, "later")]
)
"""Who reads a record, and whether a body is made with it or once one is asked for: in Python all are made later."""


@pytest.mark.parametrize(
    ("name", "body"), [each for each in SHORTAGES if each != ("python", "later")]
)
def test_a_shortage_of_memory_does_not_count_as_the_records_fault(name: str, body: str) -> None:
    run(f"starve({name!r}, later={body == 'later'})")


def test_the_drawn_records_are_of_many_sizes() -> None:
    sizes = {len(drawn(random.Random(n).randrange(2**32))[2]) for n in range(50)}
    assert len(sizes) > 10
