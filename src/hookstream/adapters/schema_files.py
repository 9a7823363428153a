"""Schema files are found where they must be, `<event type>/v<N>.avsc`, and read with every problem."""

import re
from dataclasses import dataclass
from pathlib import Path

import orjson

from hookstream.adapters.avro_parsing import declared, fingerprint_of, own_schemas
from hookstream.core.catalog.hostility import hostile
from hookstream.core.catalog.publication import DeclaredSchema, Finding
from hookstream.core.model.json import JsonObject
from hookstream.errors import ConfigurationError, InputRefused

MAX_FILE_BYTES = 256 * 1024
MAX_FILES = 10_000

_NAME = re.compile(r"v([1-9][0-9]{0,3})\.avsc")


@dataclass(slots=True, frozen=True)
class SchemaFiles:
    """What a folder declares."""

    schemas: tuple[DeclaredSchema, ...]
    problems: tuple[Finding, ...]


def read_schema_files(folder: Path) -> SchemaFiles:
    """Read every `.avsc` file below a folder, in the order of their names.

    Raises:
        ConfigurationError: The folder does not exist, or holds no schema or too many.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is not a folder")
    files = sorted(folder.rglob("*.avsc"))
    if not files:
        raise ConfigurationError(f"{folder} holds no schemas (<event type>/v<N>.avsc)")
    if len(files) > MAX_FILES:
        raise ConfigurationError(f"{folder} holds {len(files)} schemas; at most {MAX_FILES} fit")
    schemas: list[DeclaredSchema] = []
    problems: list[Finding] = []
    for file in files:
        where = str(file.relative_to(folder))
        try:
            schemas.append(_read(file, folder, where))
        except InputRefused as problem:
            problems.append(Finding(where, str(problem)))
    return SchemaFiles(tuple(schemas), tuple(problems))


def own_declared() -> list[DeclaredSchema]:
    """Return the schemas of hookstream's own records as something to publish."""
    return [
        _declared(tree, f"hookstream: {tree['eventType']}", own=True) for tree in own_schemas()
    ]


def _read(file: Path, folder: Path, where: str) -> DeclaredSchema:
    named = _NAME.fullmatch(file.name)
    if named is None or file.parent.parent != folder:
        raise InputRefused("is not where a schema must be: <event type>/v<N>.avsc")
    if file.stat().st_size > MAX_FILE_BYTES:
        raise InputRefused(f"is larger than {MAX_FILE_BYTES} bytes")
    try:
        tree = orjson.loads(file.read_bytes())
    except ValueError as problem:
        raise InputRefused(f"is not JSON: {problem}") from None
    schema = _declared(tree, where)
    if (schema.event_type, schema.version) != (file.parent.name, int(named[1])):
        raise InputRefused(
            f"says that it is {schema.event_type} v{schema.version}, and stands where"
            f" {file.parent.name} v{named[1]} must be"
        )
    return schema


def _declared(tree: JsonObject, where: str, *, own: bool = False) -> DeclaredSchema:
    event_type, version = declared(tree)
    # What is hostile may not be walked by a library, not even for its fingerprint.
    fingerprint = "" if hostile(tree) else fingerprint_of(tree)
    return DeclaredSchema(where, event_type, version, fingerprint, tree, own)
