"""Encodes documents as JSON for output, each number as its text."""

from typing import Final

import orjson

from hookstream.adapters.exact_json import Numeral, parse_exact
from hookstream.adapters.json_bytes import json_bytes
from hookstream.core.model.json import Json, json_text
from hookstream.errors import InputRefused

_INDENTED: Final = orjson.OPT_INDENT_2 | orjson.OPT_PASSTHROUGH_DATACLASS


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
        return orjson.dumps(parse_exact(body), default=_number, option=_INDENTED).decode()
    except (InputRefused, TypeError):
        # A number that only its text keeps raises a TypeError, too.
        return None


def _number(value: object) -> orjson.Fragment:
    if isinstance(value, Numeral):
        return orjson.Fragment(value.text)
    raise TypeError(f"JSON holds no {type(value).__name__}")
