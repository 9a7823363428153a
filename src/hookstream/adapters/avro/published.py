"""Prepares a schema once: its name, its fingerprint, and its parsed forms to read, write and render.

Everything here requires schemas that `core.catalog.safety` accepts: trees of bounded depth and
size.
"""

import io
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TypeAlias, cast

import orjson
from fastavro import schemaless_writer
from fastavro.schema import fingerprint, parse_schema
from fastavro.schema import to_parsing_canonical_form as canonical_form

from hookstream.adapters.avro.scan import Walk, compile_walk
from hookstream.core.avro.nodes import (
    SINGLE,
    Array,
    AvroSchema,
    AvroType,
    Enum,
    Fixed,
    Leaf,
    Map,
    Primitive,
    RecordNode,
    Reference,
    SchemaCompiler,
    Union,
    branch_key,
    type_name,
)
from hookstream.core.avro.reader import read_schema
from hookstream.core.avro.render import NotRenderable, needs_branch_names
from hookstream.core.catalog.growth import Growth, growth
from hookstream.core.catalog.lint import EVENT_TYPE, MAX_VERSION
from hookstream.core.catalog.mapped_envelope import MappedEnvelope
from hookstream.core.model.event import Revision
from hookstream.core.model.framing import SINGLE_OBJECT
from hookstream.core.model.json import Json, JsonObject
from hookstream.errors import InputRefused

ROW_FORMAT = 1

ParsedSchema: TypeAlias = dict[str, object]
"""A schema in the form of fastavro's reader and writer: parsed once, without logical types."""


class _BranchList(list[object]):
    """The branches of a union, each accessible by its own index only.

    fastavro lets a negative index count from the end, and reads a branch that was never written. Its
    compiled form adds the length before the look-up, so this length is 0.
    """

    __slots__ = ()

    def __len__(self) -> int:
        return 0


@dataclass(slots=True, frozen=True, eq=False, weakref_slot=True)
class PublishedSchema:
    """One schema, prepared for use. Each is equal only to itself."""

    revision: Revision
    number: int
    """Revision number within the version, ascending; the highest is the version's reader."""
    tree: JsonObject
    """As it was published, logical types and documentation included."""
    parsed: ParsedSchema
    """For writing."""
    guarded: ParsedSchema
    """For reading untrusted records: an invalid index of a union or an enum fails, and a `float`
    whose union has a `double` too is read as the fixed type `core.avro.nodes.SINGLE`."""
    tagged: ParsedSchema
    """For reading records to be resolved to another revision: each branch of a union except null is
    read as a record of one field, its `branch_key`, so that the written branch is known."""
    nodes: AvroSchema
    """The schema as typed nodes."""
    growth: Growth
    """The bound on the values of a record, by its size."""
    walk: Walk
    """Counts the values of a record without decoding them."""
    prefix: bytes
    """The bytes before the body of a record in single-object encoding."""
    branch_names: bool
    """Whether decoded values must name the branches of their unions to be distinguishable."""
    data: AvroSchema | None
    """The type of the event's `data`; None if it has none."""
    envelope: MappedEnvelope | None = None
    """Reads the envelope of a mapped record, whose bytes are only `data`; None: it is in the record.
    Then `parsed`, `guarded`, `tagged`, `growth` and `walk` are those of `data`, and `tree` and `nodes`
    those of the event."""

    def encode(self, fields: Mapping[str, object]) -> bytes:
        """Return a record's single-object encoding.

        Args:
            fields: The record, its logical types raw (a timestamp is an int, a decimal bytes).

        Raises:
            ValueError: A value does not fit its type; the library's message barely names the place.
            TypeError: As ValueError.
        """
        body = io.BytesIO()
        body.write(self.prefix)
        schemaless_writer(body, self.parsed, fields)
        return body.getvalue()


def declared(tree: Json) -> tuple[str, int]:
    """Return the event type and version that a schema declares.

    Raises:
        InputRefused: It is not a record schema, or its attributes are missing or of a wrong kind.
    """
    if not isinstance(tree, dict) or tree.get("type") != "record":
        raise InputRefused("the schema is not a record")
    event_type, version = tree.get("eventType"), tree.get("eventVersion")
    if not isinstance(event_type, str) or not EVENT_TYPE.fullmatch(event_type):
        raise InputRefused("eventType is not a dotted name such as pricing.completed")
    if type(version) is not int or not 0 < version <= MAX_VERSION:
        raise InputRefused("eventVersion is not a whole number from 1")
    return event_type, version


def fingerprint_of(tree: JsonObject) -> str:
    """Return a schema's CRC-64-AVRO fingerprint as 16 hex digits in wire order.

    Raises:
        InputRefused: It is not an Avro schema.
    """
    try:
        return str(fingerprint(canonical_form(tree), "CRC-64-AVRO"))
    except Exception as problem:  # a schema from outside: the library may raise anything
        raise _not_avro(problem) from problem


def published(tree: JsonObject, number: int, read: AvroSchema | None = None) -> PublishedSchema:
    """Prepare a schema for use. Only for schemas that `core.catalog.safety` accepts.

    Args:
        tree: The schema.
        number: Its revision number within its version, from 1.
        read: The result of `read_schema` for it; None: it was not read yet.

    Raises:
        InputRefused: It is not an Avro schema, or does not declare its event type and version.
    """
    event_type, version = declared(tree)
    revision = Revision(event_type, version, fingerprint_of(tree))
    nodes = read_schema(tree) if read is None else read
    parsed, guarded, tagged = body_forms(nodes)
    prefix = SINGLE_OBJECT + bytes.fromhex(revision.fingerprint)
    data = None if nodes.data is None else AvroSchema(nodes.data, nodes.named)
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
        branch_names=_branch_names(data),
        data=data,
    )


def body_forms(nodes: AvroSchema) -> tuple[ParsedSchema, ParsedSchema, ParsedSchema]:
    """Return a schema as `PublishedSchema.parsed`, `guarded` and `tagged`.

    Raises:
        InputRefused: It is not an Avro schema.
    """
    try:
        parsed, guarded, tagged = (kind(nodes).parsed() for kind in (_Written, _Guarded, _Tagged))
    except Exception as problem:  # a schema from outside, as above
        raise _not_avro(problem) from problem
    return parsed, guarded, tagged


def schema_row(tree: JsonObject, number: int) -> tuple[str, bytes]:
    """Return key and value of a schema's row in the schemas table.

    Args:
        tree: The schema.
        number: Its revision number within its version, from 1.

    Raises:
        InputRefused: It is not an Avro schema, does not declare its event type and version, or has
            a whole number beyond 64 bits or half a surrogate pair.
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
    """Return the schemas of hookstream's own records and operations events: each version's newest revision."""
    return _schemas_of_package("schemas")


def earlier_own_schemas() -> Sequence[JsonObject]:
    """Return the revisions before the newest: their records stay readable, and some are still written."""
    return _schemas_of_package("schemas/earlier")


@cache
def prepared_own_schemas() -> Sequence[PublishedSchema]:
    """Return `own_schemas`, each prepared once per process, as the first revision of its version."""
    return tuple(published(tree, 1) for tree in own_schemas())


@cache
def prepared_earlier_schemas() -> Sequence[PublishedSchema]:
    """Return `earlier_own_schemas`, each prepared once per process."""
    return tuple(published(tree, 1) for tree in earlier_own_schemas())


def _schemas_of_package(path: str) -> Sequence[JsonObject]:
    return [orjson.loads(text) for text in _files_of_package(path)]


@cache
def _files_of_package(path: str) -> Sequence[bytes]:
    folder = resources.files("hookstream") / path
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".avsc")), key=lambda f: f.name
    )
    return tuple(file.read_bytes() for file in files)


def _not_avro(problem: Exception) -> InputRefused:
    return InputRefused(f"not an Avro schema: {type(problem).__name__}: {str(problem)[:200]}")


class _Written(SchemaCompiler[Json]):
    """Compiles a schema to fastavro's parsed form: full names, each type defined at its first use.

    Logical types are left out: decoding is twice as fast, and values stay raw.
    """

    guarded = False
    """Whether an invalid index of a union or an enum fails."""

    def parsed(self) -> ParsedSchema:
        written = cast("dict[str, object]", self.make(self.schema.root))
        parsed = cast("ParsedSchema", parse_schema(written))
        if self.guarded:
            _guard(parsed)
        return parsed

    def make(self, node: AvroType) -> Json:
        return node.name if isinstance(node, Reference) else super().make(node)

    def leaf(self, node: Leaf) -> Json:
        match node:
            case Primitive(kind=kind):
                return kind
            case Fixed(name=name, size=size):
                return _named("fixed", name, {"size": size})
            case Enum(name=name, symbols=symbols):
                return _named("enum", name, {"symbols": [*symbols]})

    def array(self, node: Array) -> Json:
        return {"type": "array", "items": self.make(node.items)}

    def map(self, node: Map) -> Json:
        return {"type": "map", "values": self.make(node.values)}

    def union(self, node: Union) -> Json:
        return [self.make(branch) for branch in node.branches]

    def record(self, node: RecordNode) -> Json:
        fields: list[Json] = [
            {"name": field.name, "type": self.make(field.type)} for field in node.fields
        ]
        return _named("record", node.name, {"fields": fields})


def _named(kind: str, name: str, parts: JsonObject) -> Json:
    # An empty namespace is explicit, since otherwise the name would inherit the enclosing one.
    namespace: JsonObject = {} if "." in name else {"namespace": ""}
    return {"type": kind, "name": name, **namespace, **parts}


class _Guarded(_Written):
    """Replaces a `float` in a union with a `double` by the fixed type `SINGLE`, which has the same bytes."""

    guarded = True
    _defined = False

    def union(self, node: Union) -> Json:
        kinds = [type_name(branch) for branch in node.branches]
        return [
            self._single() if kind == "float" and "double" in kinds else self.make(branch)
            for kind, branch in zip(kinds, node.branches, strict=True)
        ]

    def _single(self) -> Json:
        if self._defined:
            return SINGLE
        self._defined = True
        return _named("fixed", SINGLE, {"size": 4})


class _Tagged(_Written):
    """Wraps each branch except null in a record of one field, which has the same bytes.

    The record has no namespace, so that types without one keep none.
    """

    guarded = True

    def __init__(self, schema: AvroSchema) -> None:
        super().__init__(schema)
        self._numbers = itertools.count()

    def union(self, node: Union) -> Json:
        return [self._branch(at, branch) for at, branch in enumerate(node.branches)]

    def _branch(self, at: int, branch: AvroType) -> Json:
        written = self.make(branch)
        if written == "null":
            return written
        fields: list[Json] = [{"name": branch_key(at), "type": written}]
        return _named("record", f"hookstream_branch{next(self._numbers)}", {"fields": fields})


def _guard(schema: ParsedSchema) -> None:
    """Make invalid indices of unions and enums fail, changing the parsed schema in place."""
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
    """Return the branches of a union in the form that fastavro looks up.

    Each union has its own class, so that a look-up is that of a dict, not a Python call.
    """
    found = {"__slots__": (), "__getitem__": dict(enumerate(schema)).__getitem__}
    of_one_union: type[list[object]] = type("_BranchList", (_BranchList,), found)
    return of_one_union(schema)


def _branch_names(data: AvroSchema | None) -> bool:
    try:
        return data is not None and needs_branch_names(data)
    except NotRenderable:
        # It can still be decoded; each of its documents is refused with the reason.
        return False
