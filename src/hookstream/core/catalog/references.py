"""Writes out the types that a registry's schema refers to, so that the schema stands alone.

A registry keeps a schema's references beside it: a type that the text names and does not define is
defined by another subject's schema. A worker needs the whole schema, in one text, to decode with it
at every attempt.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from hookstream.core.avro.reader import MAX_NESTING, PRIMITIVES, SchemaRefused, check_size
from hookstream.core.model.json import Json, JsonObject

_NAMED: Final = frozenset({"record", "error", "enum", "fixed"})


class _Definition(NamedTuple):
    """The definition of a named type in a referenced schema."""

    tree: JsonObject
    namespace: str
    """That of the names in it."""


def closed(schema: Json, references: Sequence[Json]) -> Json:
    """Return a schema with the types of its references written out, each at its first use.

    Args:
        schema: The schema, untrusted.
        references: The schemas that it refers to, directly or through others, in any order.

    Raises:
        SchemaRefused: One of them is too large or malformed. That a type is defined nowhere is for
            whoever reads the result to refuse.
    """
    for each in (schema, *references):
        check_size(each)
    definitions: dict[str, _Definition] = {}
    for each in references:
        _collect(each, "", definitions)
    whole = _Closing(definitions).type(schema, "")
    check_size(whole)
    return whole


def _collect(tree: Json, namespace: str, found: dict[str, _Definition]) -> None:
    """Add the named types that are defined in a schema; the first definition of a name counts."""
    if isinstance(tree, list):
        for branch in tree:
            _collect(branch, namespace, found)
        return
    if not isinstance(tree, dict):
        return
    kind = tree.get("type")
    if isinstance(kind, str) and kind in _NAMED:
        name = _full_name(tree, namespace)
        namespace = _namespace(name)
        found.setdefault(name, _Definition(tree, namespace))
    for field in _fields(tree):
        _collect(field.get("type"), namespace, found)
    for inner in ("type", "items", "values"):
        _collect(tree.get(inner), namespace, found)


class _Closing:
    """Copies one schema; a type that is defined elsewhere is written out where it is first named.

    The copy may be larger than its sources: a chain of types that each use the one before twice is
    still written once for each name.
    """

    def __init__(self, definitions: Mapping[str, _Definition]) -> None:
        self._definitions = definitions
        self._defined: set[str] = set()
        self._depth = 0

    def type(self, tree: Json, namespace: str) -> Json:
        """Copy a type.

        Raises:
            SchemaRefused: Written out, the types are nested too deep.
        """
        if self._depth > MAX_NESTING:
            # Each reference is within the bound, and a chain of them need not be.
            raise SchemaRefused(
                f"with its references, it is nested deeper than {MAX_NESTING} levels"
            )
        self._depth += 1
        try:
            return self._copied(tree, namespace)
        finally:
            self._depth -= 1

    def _copied(self, tree: Json, namespace: str) -> Json:
        if isinstance(tree, str):
            return self._name(tree, namespace)
        if isinstance(tree, list):
            return [self.type(branch, namespace) for branch in tree]
        if not isinstance(tree, dict):
            return tree
        kind = tree.get("type")
        if isinstance(kind, str) and kind in _NAMED:
            return self._named(tree, namespace)
        copy: JsonObject = {**tree}
        for inner in ("type", "items", "values"):
            if inner in tree and not (inner == "type" and kind in ("array", "map")):
                copy[inner] = self.type(tree[inner], namespace)
        return copy

    def _named(self, tree: JsonObject, namespace: str) -> Json:
        name = _full_name(tree, namespace)
        if name in self._defined and name in self._definitions:
            # A reference's copy came first, of a type that this schema defines as well.
            return name
        self._defined.add(name)
        inner = _namespace(name)
        copy: JsonObject = {**tree}
        if "fields" in tree:
            copy["fields"] = [self._field(field, inner) for field in _list(tree["fields"])]
        return copy

    def _field(self, field: Json, namespace: str) -> Json:
        if not isinstance(field, dict) or "type" not in field:
            return field
        return {**field, "type": self.type(field["type"], namespace)}

    def _name(self, text: str, namespace: str) -> Json:
        if text in PRIMITIVES:
            return text
        name = text if "." in text or not namespace else f"{namespace}.{text}"
        definition = self._definitions.get(name)
        if definition is None or name in self._defined:
            return text if definition is None else name
        outside: JsonObject = {
            **definition.tree,
            "name": name.rpartition(".")[2],
            "namespace": definition.namespace,
        }
        return self._named(outside, definition.namespace)


def _fields(tree: JsonObject) -> list[JsonObject]:
    return [field for field in _list(tree.get("fields")) if isinstance(field, dict)]


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _full_name(tree: JsonObject, namespace: str) -> str:
    name = tree.get("name")
    if not isinstance(name, str):
        raise SchemaRefused("a named type of the schema has no name")
    own = tree.get("namespace", namespace)
    if not isinstance(own, str):
        raise SchemaRefused(f"the namespace of {name[:60]!r} is not text")
    return name if "." in name or not own else f"{own}.{name}"


def _namespace(full_name: str) -> str:
    return full_name.rpartition(".")[0]
