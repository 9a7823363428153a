"""Documents become JSON bytes with each number as its text, also where it is that of no double."""

from decimal import Decimal

import orjson

from hookstream.core.model.number import number_text


def json_bytes(document: object, option: int = 0) -> bytes:
    """Return a document as UTF-8 JSON.

    Args:
        document: Plain values, and Decimals.
        option: Options of orjson.

    Raises:
        TypeError: It contains something else, or a whole number beyond 64 bits that is no Decimal.
    """
    return orjson.dumps(document, default=_number, option=option)


def _number(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(number_text(value))
    raise TypeError(f"JSON has no {type(value).__name__}")
