"""Finds schema files at `<event type>/v<N>.avsc` and mappings, reads them, and collects all problems.

A file that may be meant as a schema but is not one is a problem; others are named in a note.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from hookstream.adapters.avro.examples import example_problems
from hookstream.adapters.avro.mapping_files import FOLDER, read_mapping_files
from hookstream.adapters.avro.published import declared, fingerprint_of, own_schemas
from hookstream.adapters.avro.schema_text import read_tree
from hookstream.adapters.file_tree import DISK, FileTree, shown
from hookstream.core.avro.reader import read_schema
from hookstream.core.catalog.mapping_plan import DeclaredMapping
from hookstream.core.catalog.publication import DeclaredSchema, Finding
from hookstream.core.catalog.safety import hostile
from hookstream.core.model.json import JsonObject
from hookstream.errors import ConfigurationError, InputRefused

MAX_FILES = 10_000

_NAME = re.compile(r"v([1-9][0-9]{0,3})\.avsc")


@dataclass(slots=True, frozen=True)
class SchemaFiles:
    """The schemas and mappings that a folder declares."""

    schemas: tuple[DeclaredSchema, ...]
    """The schemas of event types, without those of mappings."""
    problems: tuple[Finding, ...]
    notes: tuple[Finding, ...] = ()
    """Files that are ignored, since they cannot be meant as schemas."""
    mappings: tuple[DeclaredMapping, ...] = ()

    @property
    def published(self) -> tuple[DeclaredSchema, ...]:
        """All schemas to publish, including those of mappings, each version of a type once."""
        mapped = {
            (schema.event_type, schema.version): schema
            for mapping in reversed(self.mappings)
            for schema in reversed(mapping.schemas)
        }
        return (*self.schemas, *reversed(mapped.values()))


def read_schema_files(folder: Path, tree: FileTree = DISK) -> SchemaFiles:
    """Read every schema below a folder of a tree, in the order of their paths.

    Raises:
        ConfigurationError: The folder cannot be read, or contains no schema or too many files.
    """
    schemas: list[DeclaredSchema] = []
    problems: list[Finding] = []
    notes: list[Finding] = []
    mapped = read_mapping_files(folder, tree) if FOLDER in tree.listed(folder) else None
    for found in tree.files_below(folder, most=MAX_FILES):
        if mapped is not None and found.path.is_relative_to(folder / FOLDER):
            continue
        where = shown(found.path.relative_to(folder))
        if found.problem:
            problems.append(Finding(where, found.problem))
        elif not _may_be_meant(found.path):
            notes.append(Finding(where, "is not read: it is not a schema"))
        else:
            try:
                schema = _read(found.path, folder, where, tree)
                schemas.append(schema)
                problems += [Finding(where, why) for why in _example_problems(schema)]
            except InputRefused as problem:
                problems.append(Finding(where, str(problem)))
    if mapped is not None:
        problems += mapped.problems
        notes += mapped.notes
    mappings = () if mapped is None else mapped.mappings
    if not schemas and not problems and not mappings:
        raise ConfigurationError(f"{shown(folder)} contains no schemas (<event type>/v<N>.avsc)")
    return SchemaFiles(tuple(schemas), tuple(problems), tuple(notes), mappings)


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


def _read(file: Path, folder: Path, where: str, tree: FileTree) -> DeclaredSchema:
    named = _NAME.fullmatch(file.name)
    if named is None or file.parent.parent != folder:
        raise InputRefused("is not where a schema must be: <event type>/v<N>.avsc")
    schema = _declared(read_tree(file, tree), where)
    if (schema.event_type, schema.version) != (file.parent.name, int(named[1])):
        raise InputRefused(
            f"declares {schema.event_type} v{schema.version}, but its path is that of"
            f" {file.parent.name} v{named[1]}"
        )
    return schema


def _declared(tree: JsonObject, where: str, *, own: bool = False) -> DeclaredSchema:
    event_type, version = declared(tree)
    # The library must not process an unsafe schema, not even for its fingerprint.
    fingerprint = "" if hostile(tree) else fingerprint_of(tree)
    return DeclaredSchema(where, event_type, version, fingerprint, tree, own)
