"""Reads one definition from one file, in the API's form."""

from pathlib import Path

from hookstream.adapters.definition_files.documents import documents_of
from hookstream.adapters.definition_files.yaml_text import FileRefused
from hookstream.core.model.json import JsonObject
from hookstream.errors import InputRefused


def read_definition(path: Path) -> JsonObject:
    """Return the definition in a YAML or JSON file, by its extension; nothing in it is checked yet.

    Raises:
        InputRefused: The file cannot be read, or does not have exactly one object.
    """
    try:
        documents = documents_of(path)
    except FileRefused as refused:
        at = f"{path}:{refused.line}" if refused.line else str(path)
        raise InputRefused(f"{at}: {refused.why}") from None
    if len(documents) != 1:
        raise InputRefused(f"{path}: it has {len(documents)} definitions; write exactly one")
    value = documents[0].value
    if not isinstance(value, dict):
        raise InputRefused(f"{path}: it is not a definition; write an object of its fields")
    return value
