"""Encodes and decodes a row's value: a JSON object with a format; numbers are never rounded."""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal

import orjson

from hookstream.adapters.json_bytes import json_bytes
from hookstream.core.model.number import NotANumber, Number, number_text, read_number
from hookstream.core.model.row_fields import FieldUnreadable
from hookstream.errors import ConfigurationError

FORMAT = 1
"""The format of a value that every release reads in the same way."""
EXACT_FORMAT = 2
"""The format of a value with a number that earlier releases would round: they refuse this format, so
none of them matches by a number other than the intended one."""
IDENTITY_FORMAT = 3
"""The format of a subscription with fields that earlier releases would ignore: credentials, a private
authority, secret headers, another body. They refuse this format, so none of them sends a delivery
without credentials or in the wrong shape."""
PULL_FORMAT = 4
"""The format of a subscription without an endpoint. Earlier releases refuse it, and its envelope has no
event type: so none of them matches it, defers anything for it, or writes it without its types."""
_READ_IN_FULL = frozenset({FORMAT, EXACT_FORMAT, IDENTITY_FORMAT, PULL_FORMAT})

_DIGITS_OF_INT64 = 19
"""A whole number with fewer characters fits into 64 bits."""
_MAY_BE_A_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class EnvelopeUnreadable(ConfigurationError):
    """Raised when even a row's envelope is unreadable, so that its meaning is unknown."""


def row_of(key: str, value: bytes) -> Mapping[str, object]:
    """Return a row's JSON object.

    Raises:
        EnvelopeUnreadable: The value is not a JSON object with a whole `format`.
    """
    try:
        row = _parsed(value)
    except json.JSONDecodeError as why:
        raise EnvelopeUnreadable(f"row {key!r} is not JSON: {why.msg}") from None
    except UnicodeError:
        raise EnvelopeUnreadable(f"row {key!r} is not JSON: it is not UTF-8") from None
    except RecursionError:
        raise EnvelopeUnreadable(f"row {key!r} is not JSON: nested too deep") from None
    except NotANumber as why:
        raise EnvelopeUnreadable(f"row {key!r} contains a number that {why}") from None
    if not isinstance(row, dict) or not isinstance(row.get("format"), int):
        raise EnvelopeUnreadable(f"row {key!r} is not an object with a whole `format`")
    return row


def _parsed(value: bytes) -> object:
    with suppress(orjson.JSONDecodeError):
        # The fast parser rounds, and refuses numbers beyond the range of doubles.
        row: object = orjson.loads(value)
        if not _holds(row, _may_be_rounded):
            return row
    row = _EXACT.decode(value.decode())
    if _MAY_BE_A_SURROGATE.search(value):
        json.dumps(row, ensure_ascii=False, default=number_text).encode()
    return row


def _may_be_rounded(value: object) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and value >= 1 << 63)


def _whole(text: str) -> Number:
    return int(text) if len(text) < _DIGITS_OF_INT64 else read_number(text)


_EXACT = json.JSONDecoder(parse_float=read_number, parse_int=_whole, parse_constant=read_number)


def encoded(row: Mapping[str, object], least: int = FORMAT) -> bytes:
    """Return a row's JSON, each number as its text, in the lowest format that can hold it.

    Args:
        row: The row without its `format`.
        least: The lowest format whose releases know all of the row's fields.
    """
    written = EXACT_FORMAT if _holds(row, _is_exact) else FORMAT
    return json_bytes({"format": max(written, least), **row})


def _is_exact(value: object) -> bool:
    return isinstance(value, Decimal)


def _holds(document: object, sought: Callable[[object], bool]) -> bool:
    """Return whether a document contains, at any depth, a non-text value that `sought` accepts."""
    found = [document]
    for each in found:
        match each:
            case str():
                continue
            case dict():
                found.extend(each.values())
            case list() | tuple():
                found.extend(each)
            case _:
                if sought(each):
                    return True
    return False


def check_format(row: Mapping[str, object]) -> None:
    """Refuse a row in the format of a newer release."""
    if row["format"] not in _READ_IN_FULL:
        raise FieldUnreadable(f"its format is {row['format']!r}: a newer release wrote it")
