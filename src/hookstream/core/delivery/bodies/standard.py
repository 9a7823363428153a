"""The `standard` body is the event's identity and, in full content, its data."""

from hookstream.core.model.json import JsonObject

MEDIA_TYPE = "application/json"

DATA = "data"
"""The last key of a body with full content, in every format."""


def identity(document: JsonObject) -> JsonObject:
    """Return the keys of a `standard` body before its data, in their order."""
    return {name: value for name, value in document.items() if name != DATA}
