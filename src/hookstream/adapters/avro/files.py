"""Finds schema files at `<event type>/v<N>.avsc`, reads them, and collects all problems.

A file that may be meant as a schema but is none is a problem; others are named in a note.
"""

import codecs
import json
import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import orjson

from hookstream.adapters.avro.examples import example_problems
from hookstream.adapters.avro.published import declared, fingerprint_of, own_schemas
from hookstream.adapters.file_tree import files_below, listed, shown
from hookstream.core.avro.reader import read_schema
from hookstream.core.catalog.publication import DeclaredSchema, Finding
from hookstream.core.catalog.safety import hostile
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.number import NotANumber, read_number
from hookstream.errors import ConfigurationError, InputRefused

MAX_FILE_BYTES = 256 * 1024
MAX_FILES = 10_000

_NAME = re.compile(r"v([1-9][0-9]{0,3})\.avsc")


@dataclass(slots=True, frozen=True)
class SchemaFiles:
    """The schemas that a folder declares."""

    schemas: tuple[DeclaredSchema, ...]
    problems: tuple[Finding, ...]
    notes: tuple[Finding, ...] = ()
    """Files that are ignored, since they cannot be meant as schemas."""


def read_schema_files(folder: Path) -> SchemaFiles:
    """Read every schema below a folder, in the order of their paths.

    Raises:
        ConfigurationError: The folder cannot be read, or contains no schema or too many files.
    """
    schemas: list[DeclaredSchema] = []
    problems: list[Finding] = []
    notes: list[Finding] = []
    listed(folder)
    for found in files_below(folder, most=MAX_FILES):
        where = shown(found.path.relative_to(folder))
        if found.problem:
            problems.append(Finding(where, found.problem))
        elif not _may_be_meant(found.path):
            notes.append(Finding(where, "is not read: it is no schema"))
        else:
            try:
                schema = _read(found.path, folder, where)
                schemas.append(schema)
                problems += [Finding(where, why) for why in _example_problems(schema)]
            except InputRefused as problem:
                problems.append(Finding(where, str(problem)))
    if not schemas and not problems:
        raise ConfigurationError(f"{shown(folder)} contains no schemas (<event type>/v<N>.avsc)")
    return SchemaFiles(tuple(schemas), tuple(problems), tuple(notes))


def _example_problems(schema: DeclaredSchema) -> list[str]:
    if not schema.fingerprint:
        return []
    return list(example_problems(read_schema(schema.tree)))


def _may_be_meant(file: Path) -> bool:
    """Return whether a file may be meant as a schema, whatever its name."""
    name = file.name.lower()
    return ".avsc" in name or name.endswith(".json") or re.match(r"v[0-9]", name) is not None


def own_declared() -> list[DeclaredSchema]:
    """Return the schemas of hookstream's own records, to be published."""
    return [
        _declared(tree, f"hookstream: {tree['eventType']}", own=True) for tree in own_schemas()
    ]


def _read(file: Path, folder: Path, where: str) -> DeclaredSchema:
    named = _NAME.fullmatch(file.name)
    if named is None or file.parent.parent != folder:
        raise InputRefused("is not where a schema must be: <event type>/v<N>.avsc")
    tree = _tree(file)
    schema = _declared(tree, where)
    if (schema.event_type, schema.version) != (file.parent.name, int(named[1])):
        raise InputRefused(
            f"declares {schema.event_type} v{schema.version}, but its path is that of"
            f" {file.parent.name} v{named[1]}"
        )
    return schema


def _tree(file: Path) -> JsonObject:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as failed:
        raise InputRefused(f"cannot be read: {failed.strerror or failed}") from failed
    if len(content) > MAX_FILE_BYTES:
        raise InputRefused(f"is larger than {MAX_FILE_BYTES} bytes")
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        tree: JsonObject = orjson.loads(content)
        json.loads(
            content, object_pairs_hook=_without_doubles, parse_float=_exact, parse_int=_exact
        )
    except (ValueError, RecursionError) as problem:
        raise InputRefused(f"is not JSON: {problem}") from None
    return tree


def _without_doubles(pairs: list[tuple[str, Json]]) -> None:
    """Refuse a duplicate name in an object: readers differ in which of the values they use."""
    names: set[str] = set()
    for name, _ in pairs:
        if name in names:
            raise InputRefused(f"the name {name[:100]!r} appears twice in one object")
        names.add(name)


def _exact(text: str) -> None:
    """Refuse a number that would change when the schema's row is written and read."""
    try:
        rounded = isinstance(read_number(text), Decimal)
    except NotANumber as why:
        raise InputRefused(f"the number {text[:40]} {why}") from None
    if rounded:
        raise InputRefused(f"the number {text[:40]} is none that fits into 64 bits")


def _declared(tree: JsonObject, where: str, *, own: bool = False) -> DeclaredSchema:
    event_type, version = declared(tree)
    # A library must not walk an unsafe schema, not even for its fingerprint.
    fingerprint = "" if hostile(tree) else fingerprint_of(tree)
    return DeclaredSchema(where, event_type, version, fingerprint, tree, own)
