"""Holds registries' schemas from rows of the schemas table, each with the published schema that it equals.

A row is written once, by the first process that resolves the id, and then counts for all: records of one
id are read in the same way at every attempt, without the registry. A row that differs from the one that
was read before is refused.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import orjson

from hookstream.adapters.avro.published import declared, fingerprint_of
from hookstream.core.avro.nodes import Fixed, Primitive, walk
from hookstream.core.avro.reader import read_schema
from hookstream.core.catalog.mapped_schema import record_name
from hookstream.core.catalog.safety import hostile
from hookstream.core.model.event import (
    Revision,
    Undecodable,
    UndecodableReason,
    UnknownSchema,
)
from hookstream.core.model.json import JsonObject
from hookstream.core.model.registered import ROW_HEAD, RegisteredId
from hookstream.errors import InputRefused

ROW_FORMAT: Final = 1

_KEY = re.compile(
    rf"{ROW_HEAD}/([a-z][a-z0-9_]{{0,39}})"
    r"/(0|[1-9][0-9]{0,9}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})",
    re.ASCII,
)


class PublishedLookup(Protocol):
    """Finds a published schema by its fingerprint."""

    def __call__(self, fingerprint: str) -> tuple[Revision, JsonObject] | None:
        """Return its revision and its tree; None if there is none that can be used."""


@dataclass(slots=True, frozen=True)
class Foreign:
    """A schema that is not published: only a mapping turns its records into events."""

    schema: RegisteredId | str
    """Its id in a registry, or its fingerprint that a mapping names."""
    name: str
    """The record's full name."""
    tree: JsonObject


Meaning = Revision | Foreign | UnknownSchema | Undecodable


class RegisteredSchemas:
    """The rows of registries' schemas, by registry and id.

    Args:
        published: Looks up published schemas.
    """

    def __init__(self, published: PublishedLookup) -> None:
        self._published = published
        self._trees: dict[RegisteredId, JsonObject] = {}
        self._meanings: dict[RegisteredId, Meaning] = {}
        """The result for each; emptied when a schema is published."""

    def put(self, key: str, value: bytes | None) -> None:
        """Apply a row.

        Raises:
            InputRefused: It cannot be read, could harm the decoder, or differs from an earlier row.
        """
        schema = read_registered_key(key)
        if value is None:
            # hookstream itself never removes one.
            self._trees.pop(schema, None)
            self._meanings.pop(schema, None)
            return
        tree = _read_row(schema, value)
        known = self._trees.get(schema)
        if known is not None:
            if not same_schema(known, tree):
                raise InputRefused("it differs from the row that was read before, which stays")
            return
        harm = hostile(tree)
        if harm:
            self._meanings[schema] = _hostile(schema, harm[0])
            raise InputRefused(f"it must not be used: {harm[0]}")
        self._trees[schema] = tree
        # The refusal of a hostile row, if one came first.
        self._meanings.pop(schema, None)

    def meaning(self, schema: RegisteredId) -> Meaning | None:
        """Return the published or foreign schema of a registry's id; None: no row has it."""
        found = self._meanings.get(schema)
        if found is None:
            tree = self._trees.get(schema)
            if tree is None:
                return None
            found = self._meanings[schema] = self._meaning(schema, tree)
        return found

    def tree(self, schema: RegisteredId) -> JsonObject | None:
        """Return a schema as in its row."""
        return self._trees.get(schema)

    def forget_meanings(self) -> None:
        """Match every schema again, after a schema was published or removed."""
        self._meanings = {
            schema: meaning
            for schema, meaning in self._meanings.items()
            if schema not in self._trees
        }

    def __iter__(self) -> Iterator[RegisteredId]:
        """Yield every id that has a row."""
        return iter(sorted(self._trees))

    def _meaning(self, schema: RegisteredId, tree: JsonObject) -> Meaning:
        try:
            print_ = fingerprint_of(tree)
        except InputRefused as problem:
            return Undecodable(UndecodableReason.HOSTILE_SCHEMA, f"schema {schema}: {problem}")
        found = self._published(print_)
        if found is not None:
            revision, published = found
            if _logical(published) == _logical(tree):
                return revision
            return UnknownSchema(
                str(schema),
                f"has the fields of {revision.event_type} v{revision.event_version} with other"
                " logical types, so its values would be misread: register what is published"
                " (hookstream schemas register)",
            )
        try:
            event_type, version = declared(tree)
        except InputRefused:
            return Foreign(schema, record_name(tree), tree)
        return UnknownSchema(
            f"{event_type} v{version} ({print_}, {schema})",
            "is not published: run hookstream schemas apply",
        )


def registered_row(schema: RegisteredId, tree: JsonObject) -> bytes:
    """Return the value of a schema's row; its key is `RegisteredId.key`.

    Raises:
        InputRefused: It has a whole number beyond 64 bits or half a surrogate pair.
    """
    row = {
        "format": ROW_FORMAT,
        "registry": schema.registry,
        "id": schema.id,
        "schema": tree,
    }
    try:
        return orjson.dumps(row)
    except orjson.JSONEncodeError as problem:
        raise InputRefused(f"the schema is not JSON: {problem}") from None


def read_registered_key(key: str) -> RegisteredId:
    """Return what the row of a key holds.

    Raises:
        InputRefused: The key is not `registry/<name>/<id>`.
    """
    found = _KEY.fullmatch(key)
    if found is None:
        raise InputRefused("the key is not registry/name/id")
    return RegisteredId(found[1], found[2])


def same_schema(one: JsonObject, other: JsonObject) -> bool:
    """Return whether two schemas are equal, whatever the order of their keys."""
    return _sorted(one) == _sorted(other)


def _sorted(tree: JsonObject) -> bytes:
    # As text: to Python, a default of true equals one of 1.
    return orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)


def _read_row(schema: RegisteredId, value: bytes) -> JsonObject:
    try:
        row = orjson.loads(value)
    except ValueError as problem:
        raise InputRefused(f"not JSON ({problem})") from None
    if not isinstance(row, dict) or row.get("format") != ROW_FORMAT:
        raise InputRefused("not of a format that this release reads")
    tree = row.get("schema")
    if not isinstance(tree, dict) or tree.get("type") != "record":
        raise InputRefused("its schema is not a record")
    if (row.get("registry"), row.get("id")) != schema:
        raise InputRefused("its registry and id are not those of its key")
    return tree


def _hostile(schema: RegisteredId, why: str) -> Undecodable:
    return Undecodable(
        UndecodableReason.HOSTILE_SCHEMA, f"schema {schema} must not be used: {why}"
    )


def _logical(tree: JsonObject) -> list[tuple[str, object]]:
    """Return the logical types of a schema in order, since a fingerprint ignores them."""
    return [
        (at, node.logical)
        for at, node in walk(read_schema(tree).root)
        if isinstance(node, Primitive | Fixed)
    ]
