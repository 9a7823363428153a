"""Reads the JSON of one schema file strictly: bounded, without duplicate names or inexact numbers."""

import codecs
import json
from decimal import Decimal
from pathlib import Path

import orjson

from hookstream.adapters.file_tree import DISK, FileTree
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.number import NotANumber, read_number
from hookstream.errors import InputRefused

MAX_FILE_BYTES = 256 * 1024


def read_tree(file: Path, tree: FileTree = DISK) -> JsonObject:
    """Return the JSON of a schema file of a tree.

    Raises:
        InputRefused: It cannot be read, is too large, or is not JSON that its row can repeat exactly.
    """
    try:
        content = tree.read(file, MAX_FILE_BYTES + 1)
    except OSError as failed:
        raise InputRefused(f"cannot be read: {failed.strerror or failed}") from failed
    if len(content) > MAX_FILE_BYTES:
        raise InputRefused(f"is larger than {MAX_FILE_BYTES} bytes")
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        document: JsonObject = orjson.loads(content)
        json.loads(
            content, object_pairs_hook=_without_doubles, parse_float=_exact, parse_int=_exact
        )
    except (ValueError, RecursionError) as problem:
        raise InputRefused(f"is not JSON: {problem}") from None
    return document


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
        raise InputRefused(f"the number {text[:40]} does not fit into 64 bits")
