"""Encodes documents as JSON for output, each number as its text."""

import orjson

from hookstream.adapters.exact_json import parse_exact
from hookstream.adapters.json_bytes import json_bytes
from hookstream.core.model.json import Json, json_text
from hookstream.errors import InputRefused


def encoded(document: Json, *, indent: bool = False) -> bytes:
    """Return a document as UTF-8 JSON.

    A document with a whole number beyond 64 bits, or a text with half a character, is written on one
    line in any case.
    """
    try:
        return json_bytes(document, orjson.OPT_INDENT_2 if indent else 0)
    except TypeError:
        return json_text(document).encode("utf-8", "surrogatepass")


def indented(body: bytes) -> str | None:
    """Return JSON text indented, its numbers unchanged; None if it is not JSON."""
    try:
        return json_bytes(parse_exact(body), orjson.OPT_INDENT_2).decode()
    except (InputRefused, TypeError):
        # A number that only its text keeps raises a TypeError, too.
        return None
