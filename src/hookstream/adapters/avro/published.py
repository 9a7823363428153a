"""A schema is prepared once: named, fingerprinted, and parsed for reading, writing and rendering.

Everything here takes schemas that `core.catalog.hostility` has nothing against: trees of bounded
depth and size.
"""

import io
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TypeAlias, cast

import orjson
from fastavro import schemaless_writer
from fastavro.schema import fingerprint, parse_schema
from fastavro.schema import to_parsing_canonical_form as canonical_form

from hookstream.adapters.avro.scan import Walk, compile_walk
from hookstream.core.avro.nodes import SINGLE, SINGLE_VALUE, AvroSchema, branch_key
from hookstream.core.avro.reader import read_schema
from hookstream.core.avro.render import NotRenderable, needs_branch_names
from hookstream.core.catalog.growth import Growth, growth
from hookstream.core.model.event import Revision
from hookstream.core.model.json import Json, JsonObject
from hookstream.errors import InputRefused

SINGLE_OBJECT = b"\xc3\x01"
"""How Avro's single-object encoding begins; the schema's fingerprint follows in 8 bytes."""

BODY_AT = len(SINGLE_OBJECT) + 8

ROW_FORMAT = 1

ParsedSchema: TypeAlias = dict[str, object]
"""A schema as fastavro's reader and writer take it: parsed once, logical types left out."""

_EVENT_TYPE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+", re.ASCII)
_PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


class _Branches(list[object]):
    """The branches of a union, each found at its own place and at no other.

    fastavro takes a negative index for a place counted from the end, and reads a branch that nobody
    wrote. Its compiled form adds the length before it asks, so this length adds nothing.
    """

    __slots__ = ()

    def __len__(self) -> int:
        return 0


@dataclass(slots=True, frozen=True)
class PublishedSchema:
    """One schema that may be used."""

    revision: Revision
    number: int
    """Revisions of one version count up; the highest is the version's reader."""
    tree: JsonObject
    """As it was published, logical types and documentation included."""
    parsed: ParsedSchema
    """For writing, and for resolving between versions."""
    guarded: ParsedSchema
    """For reading what came from outside: a bad index of a union or an enum fails, and a `float`
    whose union has a `double` too comes as the record `core.delivery.unions.SINGLE`."""
    tagged: ParsedSchema
    """For reading what is resolved to another revision: each branch of a union but null comes as a
    record of one field, its `branch_key`, so that nobody has to guess which one was written."""
    nodes: AvroSchema
    """It as typed nodes."""
    growth: Growth
    """How many values a record of it can hold at most, by its size."""
    walk: Walk
    """Counts the values of a record without making them."""
    prefix: bytes
    """What stands before the body of a record in single-object encoding."""
    full: ParsedSchema
    """With logical types, every name in full: for taking values in."""
    branch_names: bool
    """Decoded values must name the branches of their unions, or they could not be told apart."""
    data: Json
    """The type of the event's `data`, complete in itself, names in full; None where it has none."""

    def encode(self, fields: Mapping[str, object]) -> bytes:
        """Return a record's single-object encoding.

        Args:
            fields: The record, its logical types raw (a timestamp is an int, a decimal bytes).

        Raises:
            ValueError: A value does not fit its type; the library's message says little of where.
            TypeError: Likewise.
        """
        body = io.BytesIO()
        body.write(self.prefix)
        schemaless_writer(body, self.parsed, fields)
        return body.getvalue()


def declared(tree: Json) -> tuple[str, int]:
    """Return the event type and version that a schema says it is of.

    Raises:
        InputRefused: It is no record schema, or its attributes are missing or of a wrong kind.
    """
    if not isinstance(tree, dict) or tree.get("type") != "record":
        raise InputRefused("the schema is not a record")
    event_type, version = tree.get("eventType"), tree.get("eventVersion")
    if not isinstance(event_type, str) or not _EVENT_TYPE.fullmatch(event_type):
        raise InputRefused("eventType is not a dotted name such as pricing.completed")
    if type(version) is not int or not 0 < version < 10_000:  # noqa: PLR2004  # a bound for ids
        raise InputRefused("eventVersion is not a whole number from 1")
    return event_type, version


def fingerprint_of(tree: JsonObject) -> str:
    """Return a schema's CRC-64-AVRO fingerprint as 16 hex digits in wire order.

    Raises:
        InputRefused: It is not an Avro schema.
    """
    try:
        return str(fingerprint(canonical_form(tree), "CRC-64-AVRO"))
    except Exception as problem:  # a schema from outside: the library raises what it stumbles over
        raise _not_avro(problem) from problem


def published(tree: JsonObject, number: int) -> PublishedSchema:
    """Prepare a schema for use. Only for schemas that `hostile` has nothing against.

    Raises:
        InputRefused: It is not an Avro schema, or does not say what it is a schema of.
    """
    event_type, version = declared(tree)
    revision = Revision(event_type, version, fingerprint_of(tree))
    try:
        full = _parsed(_copy(tree))
        _say_no_namespace(full)
        parsed = _parsed(_bare(_copy(tree)))
        readable = _bare(_copy(tree))
        _named_floats(readable, set())
        guarded = _parsed(readable)
        branches = _bare(cast("Json", full))
        _name_branches(branches, itertools.count())
        tagged = _parsed(branches)
    except Exception as problem:  # likewise
        raise _not_avro(problem) from problem
    nodes = read_schema(tree)
    _guard(guarded)
    _guard(tagged)
    prefix = SINGLE_OBJECT + bytes.fromhex(revision.fingerprint)
    data = _data_type(full)
    return PublishedSchema(
        revision=revision,
        number=number,
        tree=tree,
        parsed=parsed,
        guarded=guarded,
        tagged=tagged,
        nodes=nodes,
        growth=growth(nodes),
        walk=compile_walk(nodes),
        prefix=prefix,
        full=full,
        branch_names=_branch_names(data),
        data=data,
    )


def schema_row(tree: JsonObject, number: int) -> tuple[str, bytes]:
    """Return key and value of a schema's row in the schemas table.

    Args:
        tree: The schema.
        number: Its revision number within its version, from 1.

    Raises:
        InputRefused: It is not an Avro schema, does not say what it is a schema of, or holds what
            no JSON of ours does: a whole number beyond 64 bits, half a surrogate pair.
    """
    event_type, version = declared(tree)
    print_ = fingerprint_of(tree)
    row = {
        "format": ROW_FORMAT,
        "revision": number,
        "event_type": event_type,
        "event_version": version,
        "fingerprint": print_,
        "schema": tree,
    }
    try:
        return f"{event_type}/{version}/{print_}", orjson.dumps(row)
    except orjson.JSONEncodeError as problem:
        raise InputRefused(f"the schema is not JSON: {problem}") from None


def own_schemas() -> Sequence[JsonObject]:
    """Return the schemas of hookstream's own records and operations events."""
    folder = resources.files("hookstream") / "schemas"
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".avsc")), key=lambda f: f.name
    )
    return [orjson.loads(file.read_bytes()) for file in files]


def _not_avro(problem: Exception) -> InputRefused:
    return InputRefused(f"not an Avro schema: {type(problem).__name__}: {str(problem)[:200]}")


def _parsed(tree: Json) -> ParsedSchema:
    return cast("ParsedSchema", parse_schema(cast("dict[str, object]", tree)))


def _copy(tree: JsonObject) -> JsonObject:
    """Return a copy: fastavro adds to what it parses."""
    copied: JsonObject = orjson.loads(orjson.dumps(tree))
    return copied


_SINGLE_RECORD: JsonObject = {
    "type": "record",
    "name": SINGLE,
    "fields": [{"name": SINGLE_VALUE, "type": "float"}],
}

_KEPT = ("type", "name", "namespace", "aliases", "symbols", "size", "default")


def _bare(schema: Json) -> Json:
    """Return a schema without logical types: decoding is twice as fast, and values stay raw."""
    if isinstance(schema, list):
        return [_bare(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    kept: JsonObject = {name: schema[name] for name in _KEPT if name in schema}
    for inner in ("type", "items", "values"):
        if isinstance(schema.get(inner), dict | list):
            kept[inner] = _bare(schema[inner])
        elif inner in schema:
            kept[inner] = schema[inner]
    fields = schema.get("fields")
    if isinstance(fields, list):
        kept["fields"] = [_bare(field) for field in fields]
    return kept


def _named_floats(schema: object, defined: set[str]) -> None:
    """Give each `float` beside a `double` a name in place, in the order in which names are read."""
    if isinstance(schema, list):
        kinds = [_kind(branch) for branch in schema]
        for at, kind in enumerate(kinds):
            if kind == "float" and "double" in kinds:
                schema[at] = SINGLE if SINGLE in defined else _copy(_SINGLE_RECORD)
                defined.add(SINGLE)
            else:
                _named_floats(schema[at], defined)
    elif isinstance(schema, dict):
        for inner in ("type", "items", "values"):
            _named_floats(schema.get(inner), defined)
        for field in schema.get("fields", ()):
            _named_floats(field, defined)


def _say_no_namespace(schema: object) -> None:
    """Have types without a namespace say so, in place: fastavro leaves that out of full names.

    Otherwise, whoever reads the schema again takes them for types of the namespace around them.
    """
    if isinstance(schema, list):
        for branch in schema:
            _say_no_namespace(branch)
    elif isinstance(schema, dict):
        if "." not in schema.get("name", "."):
            schema["namespace"] = ""
        for inner in ("type", "items", "values"):
            _say_no_namespace(schema.get(inner))
        for field in schema.get("fields", ()):
            _say_no_namespace(field["type"])


def _name_branches(schema: object, numbers: Iterator[int]) -> None:
    """Make a record of one field of each branch but null, in place; it has the same bytes.

    Names must be in full: a record around a type would change the namespace of its short names. So
    it has none itself, for types without a namespace.
    """
    if isinstance(schema, list):
        for at, branch in enumerate(schema):
            _name_branches(branch, numbers)
            if _kind(branch) != "null":
                field = {"name": branch_key(at), "type": branch}
                name = f"hookstream_branch{next(numbers)}"
                schema[at] = {"type": "record", "name": name, "namespace": "", "fields": [field]}
    elif isinstance(schema, dict):
        for inner in ("type", "items", "values"):
            _name_branches(schema.get(inner), numbers)
        for field in schema.get("fields", ()):
            _name_branches(field, numbers)


def _kind(schema: object) -> object:
    while isinstance(schema, dict):
        schema = schema["type"]
    return schema


def _guard(schema: ParsedSchema) -> None:
    """Have the unions and enums of a parsed schema found at their own places alone, in place."""
    for inner in ("type", "items", "values"):
        _guard_at(schema, inner)
    for field in cast("list[ParsedSchema]", schema.get("fields", ())):
        _guard_at(field, "type")
    symbols = schema.get("symbols")
    if isinstance(symbols, list):
        schema["symbols"] = dict(enumerate(symbols))


def _guard_at(holder: ParsedSchema, name: str) -> None:
    schema = holder.get(name)
    if isinstance(schema, dict):
        _guard(schema)
    elif isinstance(schema, list):
        for branch in schema:
            if isinstance(branch, dict):
                _guard(branch)
        holder[name] = _branches(schema)


def _branches(schema: list[object]) -> list[object]:
    """Return the branches of a union as fastavro asks for them.

    A class for each union: so its look-up is that of a dict, and no call of a Python function.
    """
    found = {"__slots__": (), "__getitem__": dict(enumerate(schema)).__getitem__}
    of_one_union: type[list[object]] = type("_Branches", (_Branches,), found)
    return of_one_union(schema)


def _data_type(full: ParsedSchema) -> Json:
    """Return the type of the field `data` with every name that it uses defined within it."""
    fields = full["fields"]
    named = full["__named_schemas"]
    assert isinstance(fields, list)  # noqa: S101  # fastavro has just made it
    assert isinstance(named, dict)  # noqa: S101
    for field in fields:
        if field["name"] == "data":
            return _complete(field["type"], named, set())
    return None


def _branch_names(data: Json) -> bool:
    if data is None:
        return False
    try:
        return needs_branch_names(data)
    except NotRenderable:
        # It can be decoded all the same; every document of it is refused, and says why.
        return False


def _complete(schema: Json, named: dict[str, Json], seen: set[str]) -> Json:
    if isinstance(schema, list):
        return [_complete(branch, named, seen) for branch in schema]
    if isinstance(schema, dict):
        return _complete_object(schema, named, seen)
    if not isinstance(schema, str) or schema in _PRIMITIVES or schema in seen:
        return schema
    return _complete(named[schema], named, seen)


def _complete_object(schema: JsonObject, named: dict[str, Json], seen: set[str]) -> Json:
    if isinstance(schema.get("name"), str):
        seen.add(str(schema["name"]))
    complete: JsonObject = {**schema}
    for inner in ("items", "values"):
        if inner in schema:
            complete[inner] = _complete(schema[inner], named, seen)
    if isinstance(schema["type"], dict | list):
        complete["type"] = _complete(schema["type"], named, seen)
    fields = schema.get("fields")
    if isinstance(fields, list):
        complete["fields"] = [
            {**field, "type": _complete(field["type"], named, seen)}
            for field in fields
            if isinstance(field, dict)
        ]
    return complete
