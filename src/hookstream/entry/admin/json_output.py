"""Encodes documents as JSON for output, each number as its text."""

import orjson

from hookstream.adapters.json_bytes import indented, json_bytes
from hookstream.core.model.json import Json, json_text

__all__ = ("encoded", "indented")


def encoded(document: Json, *, indent: bool = False) -> bytes:
    """Return a document as UTF-8 JSON.

    A document with a whole number beyond 64 bits, or a text with half a character, is written on one
    line in any case.
    """
    try:
        return json_bytes(document, orjson.OPT_INDENT_2 if indent else 0)
    except TypeError:
        return json_text(document).encode("utf-8", "surrogatepass")
