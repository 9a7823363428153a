"""Avro by the specification, slow and plain: encodes a datum, and resolves one from a schema to another.

A datum of a union is a pair of the branch's number and its datum; all others are as fastavro has
them with logical types left raw. Schemas are JSON whose names are in full. Nothing here is shared
with the product. Source: Apache Avro 1.12, "Binary Encoding" and "Schema Resolution".
"""

import struct
from typing import Any

PLAIN = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")
_PROMOTED = {
    "int": ("long", "float", "double"),
    "long": ("float", "double"),
    "float": ("double",),
    "string": ("bytes",),
}


class Schema:
    """A schema with its named types."""

    def __init__(self, tree: Any) -> None:  # noqa: ANN401  JSON
        self.tree = tree
        self.named: dict[str, Any] = {}
        self._collect(tree)

    def _collect(self, node: Any) -> None:  # noqa: ANN401
        if isinstance(node, list):
            for branch in node:
                self._collect(branch)
        elif isinstance(node, dict):
            if "name" in node and node["type"] in ("record", "enum", "fixed"):
                self.named[node["name"]] = node
            for inner in ("items", "values", "type"):
                if isinstance(node.get(inner), list | dict):
                    self._collect(node[inner])
            for field in node.get("fields", ()):
                self._collect(field["type"])

    def of(self, node: Any) -> Any:  # noqa: ANN401
        """Return the type that a name refers to."""
        return self.named[node] if isinstance(node, str) and node not in PLAIN else node


def kind(node: Any) -> str:  # noqa: ANN401
    if isinstance(node, list):
        return "union"
    return node if isinstance(node, str) else kind(node["type"])


def encode(schema: Schema, node: Any, datum: Any) -> bytes:  # noqa: ANN401, C901, PLR0912
    node = schema.of(node)
    match kind(node):
        case "null":
            return b""
        case "boolean":
            return b"\x01" if datum else b"\x00"
        case "int" | "long":
            return _long(datum)
        case "float":
            return struct.pack("<f", datum)
        case "double":
            return struct.pack("<d", datum)
        case "bytes":
            return _long(len(datum)) + bytes(datum)
        case "string":
            text = str(datum).encode()
            return _long(len(text)) + text
        case "fixed":
            return bytes(datum)
        case "enum":
            return _long(int(node["symbols"].index(datum)))
        case "array":
            items = b"".join(encode(schema, node["items"], each) for each in datum)
            return (_long(len(datum)) + items if datum else b"") + b"\x00"
        case "map":
            pairs = b"".join(
                encode(schema, "string", key) + encode(schema, node["values"], each)
                for key, each in datum.items()
            )
            return (_long(len(datum)) + pairs if datum else b"") + b"\x00"
        case "union":
            number, inner = datum
            return _long(number) + encode(schema, node[number], inner)
        case _:
            return b"".join(
                encode(schema, field["type"], datum[field["name"]]) for field in node["fields"]
            )


def _long(value: int) -> bytes:
    rest = (value << 1) ^ (value >> 63)
    found = bytearray()
    while rest > 0x7F:
        found.append(rest & 0x7F | 0x80)
        rest >>= 7
    found.append(rest)
    return bytes(found)


class Unreadable(Exception):
    """The writer's datum does not match the reader's schema."""


def resolve(writer: Schema, reader: Schema, w: Any, r: Any, datum: Any) -> Any:  # noqa: ANN401, C901
    """Return a datum of the writer's as one of the reader's."""
    w, r = writer.of(w), reader.of(r)
    if kind(w) == "union":
        number, inner = datum
        return resolve(writer, reader, w[number], r, inner)
    if kind(r) == "union":
        number = _branch(reader, w, r)
        return number, resolve(writer, reader, w, r[number], datum)
    written, read = kind(w), kind(r)
    if written in PLAIN:
        return _promoted(written, read, datum)
    if written != read:
        raise Unreadable(f"{written} as {read}")
    match written:
        case "array":
            return [resolve(writer, reader, w["items"], r["items"], each) for each in datum]
        case "map":
            return {
                key: resolve(writer, reader, w["values"], r["values"], each)
                for key, each in datum.items()
            }
        case "enum":
            return datum if datum in r["symbols"] else r["default"]
        case "fixed":
            return datum
        case _:
            return _record(writer, reader, w, r, datum)


def _branch(reader: Schema, w: Any, r: list[Any]) -> int:  # noqa: ANN401
    branches = [reader.of(branch) for branch in r]
    written = kind(w)
    for number, branch in enumerate(branches):
        if kind(branch) == written and _names_match(w, branch):
            return number
    for number, branch in enumerate(branches):
        if kind(branch) in _PROMOTED.get(written, ()):
            return number
    raise Unreadable(f"{written} is no branch")


def _names_match(w: Any, r: Any) -> bool:  # noqa: ANN401
    if not isinstance(w, dict) or "name" not in w:
        return True
    return w["name"] in (r["name"], *r.get("aliases", ()))


def _promoted(written: str, read: str, datum: Any) -> Any:  # noqa: ANN401
    if written == read:
        return datum
    if read not in _PROMOTED.get(written, ()):
        raise Unreadable(f"{written} as {read}")
    match read:
        case "long":
            return datum
        case "bytes":
            return datum.encode()
        case "double" if written == "float":
            return _shortest(datum)
        case _:
            # What is shown counts: a float of 2^30 is exact and has the shortest text of 1073741800.
            shown = _shortest(_as_single(datum)) if read == "float" else float(datum)
            if int(shown) != datum:
                raise Unreadable("it would be rounded")
            return float(datum)


def _shortest(single: float) -> float:
    """Return the number of the shortest text of a 32-bit float."""
    texts = (f"{single:.{digits}g}" for digits in range(1, 10))
    return next(float(text) for text in texts if _as_single(float(text)) == single)


def _as_single(number: float) -> float:
    single: float
    (single,) = struct.unpack("<f", struct.pack("<f", number))
    return single


def _record(writer: Schema, reader: Schema, w: Any, r: Any, datum: Any) -> Any:  # noqa: ANN401
    found = {}
    own = {field["name"] for field in r["fields"]}
    for field in r["fields"]:
        names = {field["name"], *(a for a in field.get("aliases", ()) if a not in own)}
        [*sources] = [source for source in w["fields"] if source["name"] in names]
        if sources:
            value = datum[sources[0]["name"]]
            found[field["name"]] = resolve(
                writer, reader, sources[0]["type"], field["type"], value
            )
        else:
            found[field["name"]] = default(reader, field["type"], field["default"])
    return found


def default(schema: Schema, node: Any, value: Any) -> Any:  # noqa: ANN401, C901
    """Return a default as a datum. Those of unions are of the first branch that takes them."""
    node = schema.of(node)
    match kind(node):
        case "union":
            for number, branch in enumerate(node):
                if _takes(kind(schema.of(branch)), value):
                    return number, default(schema, branch, value)
            raise Unreadable("no branch takes the default")
        case "bytes" | "fixed":
            return value.encode("latin-1")
        case "float" | "double":
            return float(value)
        case "array":
            return [default(schema, node["items"], each) for each in value]
        case "map":
            return {key: default(schema, node["values"], each) for key, each in value.items()}
        case "record":
            return {
                field["name"]: default(
                    schema, field["type"], value.get(field["name"], field.get("default"))
                )
                for field in node["fields"]
            }
        case _:
            return value


def _takes(kind_: str, value: Any) -> bool:  # noqa: ANN401
    match value:
        case None:
            return kind_ == "null"
        case bool():
            return kind_ == "boolean"
        case int():
            return kind_ in ("int", "long", "float", "double")
        case float():
            return kind_ in ("float", "double")
        case str():
            return kind_ in ("string", "bytes", "enum", "fixed")
        case list():
            return kind_ == "array"
        case _:
            return kind_ in ("map", "record")
