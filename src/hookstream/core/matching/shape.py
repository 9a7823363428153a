"""The possible JSON of the `standard` bodies of one event type and version, from its Avro schema."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from hookstream.core.avro.nodes import (
    Array,
    Enum,
    Fixed,
    Leaf,
    Map,
    Primitive,
    RecordNode,
    SchemaCompiler,
    Union,
)
from hookstream.core.avro.reader import read_schema
from hookstream.core.matching.clauses import Kind
from hookstream.core.model.json import JsonObject

_NUMBERS: Final = frozenset({"int", "long", "float", "double"})


@dataclass(slots=True, frozen=True)
class Node:
    """The possible values at one path. Arrays are transparent, as they are for patterns."""

    kinds: frozenset[Kind] = frozenset()
    """Kinds of the possible values; empty if there are only objects."""
    words: frozenset[str] | None = None
    """The only possible texts; None: any text."""
    numbers: frozenset[int] | None = None
    """The only possible numbers; None: any."""
    scale: int | None = None
    """Digits after the point of the decimals; None: they vary, or there are no decimals."""
    fields: "Mapping[str, Node] | None" = None
    """Fields of the possible objects; None: no objects."""
    values: "Node | None" = None
    """The values under any key, if this can be a map."""
    certain: bool = True
    """False: the value, or the object, may be absent."""


@dataclass(slots=True, frozen=True)
class Shape:
    """The bodies of one event type at one version."""

    event_type: str
    version: int
    root: Node = field(repr=False)

    def at(self, path: Sequence[str]) -> Node | None:
        """Return the node at a path, or None if no body has a value there."""
        node = self.root
        for name in path:
            below = (node.fields or {}).get(name, node.values)
            if below is None:
                return None
            node = below
        return node

    def always_has(self, path: Sequence[str]) -> bool:
        """Return whether every body has a value at a path."""
        nodes = [self.at(path[:length]) for length in range(len(path) + 1)]
        return all(node is not None and node.certain for node in nodes)


def shape_of(event_type: str, version: int, avro_schema: JsonObject) -> Shape:
    """Return the shape of the bodies of a published schema.

    The schema must have passed the checks of `core.catalog`: it is not recursive, for example.

    Raises:
        SchemaRefused: It is not a valid Avro schema.
    """
    schema = read_schema(avro_schema)
    text = Node(frozenset({"string"}))
    fields = {
        "type": replace(text, words=frozenset({event_type})),
        "version": Node(frozenset({"number"}), numbers=frozenset({version})),
        "timestamp": text,
        "id": text,
        "environment": text,
        "entity_id": text,
    }
    if schema.data is not None:
        fields["data"] = _Shaping(schema).make(schema.data)
    return Shape(event_type, version, Node(fields=fields))


class _Shaping(SchemaCompiler[Node]):
    """Compiles types to nodes."""

    def leaf(self, node: Leaf) -> Node:
        match node:
            case Primitive():
                return _primitive(node)
            case Fixed(logical=logical):
                return _bytes(logical.scale if logical and logical.name == "decimal" else None)
            case Enum(symbols=symbols):
                return Node(frozenset({"string"}), words=frozenset(symbols))

    def array(self, node: Array) -> Node:
        return replace(self.make(node.items), certain=False)

    def map(self, node: Map) -> Node:
        return Node(values=replace(self.make(node.values), certain=False))

    def union(self, node: Union) -> Node:
        return _merged([self.make(branch) for branch in node.branches])

    def record(self, node: RecordNode) -> Node:
        return Node(fields={field.name: self.make(field.type) for field in node.fields})

    def recursive(self, node: RecordNode) -> Node:
        """Return an empty node: `core.catalog` refuses recursive schemas before this."""
        del node
        return Node()


def _primitive(node: Primitive) -> Node:
    kind, logical = node.kind, node.logical
    if kind in ("null", "boolean"):
        return Node(frozenset({kind}))
    if logical is not None and logical.name == "decimal":
        return _bytes(logical.scale)
    if kind in _NUMBERS and logical is None:
        if kind != "long" or not node.as_text:
            return Node(frozenset({"number"}))
        # A long as text has the form of a decimal without a point.
        return _bytes(0)
    return Node(frozenset({"string"}))


def _bytes(scale: int | None) -> Node:
    if scale is None:
        return Node(frozenset({"string"}))
    return Node(frozenset({"decimal"}), scale=scale)


def _merged(nodes: list[Node]) -> Node:
    """Return one node for the values of any of several."""
    kinds: frozenset[Kind] = frozenset().union(*(node.kinds for node in nodes))
    texts = [node for node in nodes if "string" in node.kinds]
    decimals = {node.scale for node in nodes if "decimal" in node.kinds}
    objects = [node.fields for node in nodes if node.fields is not None]
    values = [node.values for node in nodes if node.values is not None]
    uncertain = not all(node.certain for node in nodes)
    return Node(
        kinds,
        words=_words(texts),
        scale=decimals.pop() if len(decimals) == 1 else None,
        fields=_merged_fields(objects) if objects else None,
        values=_merged(values) if values else None,
        certain=not uncertain and (len(nodes) == 1 or not objects),
    )


def _words(texts: list[Node]) -> frozenset[str] | None:
    words = [node.words for node in texts if node.words is not None]
    return frozenset().union(*words) if words and len(words) == len(texts) else None


def _merged_fields(objects: list[Mapping[str, Node]]) -> Mapping[str, Node]:
    found: dict[str, list[Node]] = {}
    for fields in objects:
        for name, node in fields.items():
            found.setdefault(name, []).append(node)
    return {name: _merged(nodes) for name, nodes in found.items()}
