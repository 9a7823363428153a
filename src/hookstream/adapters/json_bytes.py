"""Encodes documents as JSON, each number as its text, even if no double has that value."""

from decimal import Decimal

import orjson

from hookstream.adapters.exact_json import Numeral, parse_exact
from hookstream.core.model.number import number_text
from hookstream.errors import InputRefused


def json_bytes(document: object, option: int = 0) -> bytes:
    """Return a document as UTF-8 JSON.

    Args:
        document: Plain values, Decimals, and numbers that are still text (`Numeral`).
        option: Options of orjson.

    Raises:
        TypeError: It contains something else, or a whole number beyond 64 bits that is not a Decimal.
    """
    # Without the option orjson would write a Numeral as an object of its fields.
    option |= orjson.OPT_PASSTHROUGH_DATACLASS
    return orjson.dumps(document, default=_number, option=option)


def indented(body: bytes) -> str | None:
    """Return JSON text indented, its numbers unchanged; None if it is not JSON."""
    try:
        return json_bytes(parse_exact(body), orjson.OPT_INDENT_2).decode()
    except (InputRefused, TypeError):
        # A number that only its text keeps exactly raises a TypeError, too.
        return None


def _number(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(number_text(value))
    if isinstance(value, Numeral):
        return orjson.Fragment(value.text)
    raise TypeError(f"JSON has no {type(value).__name__}")
