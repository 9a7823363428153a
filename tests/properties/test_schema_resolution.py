"""What is called compatible can be read by the decoder that hookstream uses."""

import io

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.utils import generate_one
from hypothesis import assume, given
from hypothesis import strategies as st

from hookstream.core.catalog.compatibility import incompatibilities
from hookstream.core.model.json import Json, JsonObject

_PLAIN = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"]
_DEFAULTS: JsonObject = {"int": 1, "long": 2, "double": 0.5, "string": "x", "null": None}

# Each strategy is made once: a new one is examined before it draws.
_SHAPES = st.sampled_from(["plain", "plain", "union", "array", "map", "enum", "record"])
_NAMES = st.sampled_from(_PLAIN)
_BRANCHES = st.lists(_NAMES, min_size=1, max_size=3, unique=True)
_SYMBOLS = st.lists(st.sampled_from("ABC"), min_size=1, unique=True)
_FIELDS = st.lists(st.sampled_from("abcd"), max_size=3, unique=True)
_ALIASES = st.sampled_from("abcdx")
_QUARTERS = st.integers(0, 3)


@st.composite
def kinds(draw: st.DrawFn, depth: int = 2) -> Json:
    """Return a type made of few names, so that two of them meet often."""
    shape = draw(_SHAPES)
    if shape == "plain" or depth == 0:
        return draw(_NAMES)
    match shape:
        case "union":
            names = draw(_BRANCHES)
            branches: list[Json] = [*names]
            return branches
        case "array":
            return {"type": "array", "items": draw(KINDS[depth - 1])}
        case "map":
            return {"type": "map", "values": draw(KINDS[depth - 1])}
        case "enum":
            return draw(enums(f"n.E{depth}"))
        case _:
            return draw(records(f"n.R{depth}", depth - 1))


@st.composite
def enums(draw: st.DrawFn, name: str) -> Json:
    symbols = draw(_SYMBOLS)
    enum: JsonObject = {"type": "enum", "name": name, "symbols": [*symbols]}
    if draw(st.booleans()):
        enum["default"] = symbols[0]
    return enum


@st.composite
def records(draw: st.DrawFn, name: str = "n.Root", depth: int = 2) -> JsonObject:
    """Return a record; a named type is defined in one place only."""
    fields: list[Json] = []
    for field_name in draw(_FIELDS):
        kind = draw(KINDS[0 if fields else depth])
        field: JsonObject = {"name": field_name, "type": kind}
        if isinstance(kind, str) and kind in _DEFAULTS and draw(st.booleans()):
            field["default"] = _DEFAULTS[kind]
        if draw(_QUARTERS) == 0:
            field["aliases"] = [draw(_ALIASES)]
        fields.append(field)
    return {"type": "record", "name": name, "fields": fields}


KINDS = [kinds(depth=depth) for depth in range(3)]


@given(records(), records())
def test_every_record_of_a_compatible_writer_is_read(
    writer: JsonObject, reader: JsonObject
) -> None:
    assume(incompatibilities(writer, reader) == [])
    written, read = parse_schema(writer), parse_schema(reader)
    body = io.BytesIO()
    schemaless_writer(body, written, generate_one(written))
    size = body.tell()
    body.seek(0)
    schemaless_reader(body, written, read)
    assert body.tell() == size


@given(records())
def test_every_schema_reads_its_own_records(schema: JsonObject) -> None:
    assert incompatibilities(schema, schema) == [] or "aliases" in str(schema)
