"""An index that leads nowhere is never read as a symbol or a branch that was not written."""

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tests import avro_oracle as oracle
from tests.avro_oracle import Schema
from tests.properties.test_schema_evolution import record
from tests.thing_events import HEAD, event_schema

from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.model.event import Identified, Undecodable
from hookstream.core.model.json import Json
from hookstream.core.model.record import Record

COLOUR = {"type": "enum", "name": "n.Colour", "symbols": ["RED", "GREEN"]}
FIELDS = [
    ("enum", COLOUR),
    ("branch", ["n.Colour", "null"]),
    ("items", {"type": "array", "items": ["null", "n.Colour"]}),
]
OLDER = event_schema(record(*FIELDS), 1)
NEWER = event_schema(record(*FIELDS, ("more", "int", 7)), 2)
PLACES = {"enum": 0, "branch": 0, "named": 0, "item": 1, "last": 0}
"""The indexes of a record, in order: each is read where it is 0 or 1."""


def data_at(version: int, places: dict[str, int]) -> Json:
    """Return the data of an older record with these indexes at a version; None: undecodable."""
    book = SchemaBook([OLDER, NEWER])
    codec = AvroCodec(book)
    [older] = [each for each in book if each.tree == OLDER]
    enum, branch, named, item, last = (
        oracle.encode(Schema("long"), "long", place) for place in places.values()
    )
    nothing = {"enum": "RED", "branch": (1, None), "items": []}
    head = oracle.encode(Schema(OLDER), OLDER, {**HEAD, "data": nothing})[:-3]
    value = older.prefix + head + enum + branch + named + b"\x02" + item + last + b"\x00"
    framed = Record("t", 0, 0, 0, None, value, ())
    identified = codec.identify(framed)
    assert isinstance(identified, Identified)
    event = codec.decode(identified, framed)
    if isinstance(event, Undecodable):
        assert event.reason == "malformed"
        return None
    document = codec.document(event, version)
    assert isinstance(document, dict)
    return document["data"]


@given(
    place=st.integers(-(2**63), 2**63 - 1) | st.integers(-9_000, 9_000) | st.integers(-70, 70),
    where=st.sampled_from(list(PLACES)),
    version=st.sampled_from([1, 2]),
)
@example(place=-1, where="enum", version=1)
@example(place=-1, where="last", version=2)
@example(place=-65, where="branch", version=1)
@example(place=-66, where="item", version=2)
def test_an_index_that_leads_nowhere_is_malformed(place: int, where: str, version: int) -> None:
    assume(place not in (0, 1))
    assert data_at(version, PLACES | {where: place}) is None


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("symbol", [0, 1])
def test_an_index_that_leads_somewhere_is_read(symbol: int, version: int) -> None:
    places = PLACES | {"enum": symbol, "named": symbol, "last": symbol}
    name = ["RED", "GREEN"][symbol]
    more = {"more": 7} if version == 2 else {}
    assert data_at(version, places) == {"enum": name, "branch": name, "items": [name]} | more
