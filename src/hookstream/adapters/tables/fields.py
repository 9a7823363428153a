"""Fields of a row's JSON, each of the type that it must have; unknown ones are not looked at."""

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TypeVar

import orjson

from hookstream.adapters.json_bytes import json_bytes
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.number import NotANumber, number_text, read_number
from hookstream.errors import ConfigurationError

FORMAT = 1
"""The format of a value that every release reads as this one does."""
EXACT_FORMAT = 2
"""The format of a value with a number that releases before would round: they read no such value, so
that none of them matches by another number than was meant."""
_READ_IN_FULL = frozenset({FORMAT, EXACT_FORMAT})

_MAY_BE_ROUNDED = re.compile(rb"[0-9][.eE][0-9+-]|[0-9]{16}")
"""Some number in it may be none that the quick reader keeps."""
_MAY_BE_A_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

_Value = TypeVar("_Value")


class EnvelopeUnreadable(ConfigurationError):
    """Raised when not even a row's envelope can be read: nobody can tell what the row wants."""


class FieldUnreadable(Exception):
    """Raised among these modules when a value does not say what it should, naming the field."""


def row_of(key: str, value: bytes) -> Mapping[str, object]:
    """Return a row's JSON object.

    Raises:
        EnvelopeUnreadable: The value is not a JSON object with a whole `format`.
    """
    try:
        # The quick reader rounds, and it refuses what is beyond all doubles.
        row = _exactly(value) if _MAY_BE_ROUNDED.search(value) else orjson.loads(value)
    except json.JSONDecodeError as why:
        raise EnvelopeUnreadable(f"row {key!r} is not JSON: {why.msg}") from None
    except UnicodeError:
        raise EnvelopeUnreadable(f"row {key!r} is not JSON: it is no UTF-8") from None
    except RecursionError:
        raise EnvelopeUnreadable(f"row {key!r} is not JSON: nested too deep") from None
    except NotANumber as why:
        raise EnvelopeUnreadable(f"row {key!r} holds a number that {why}") from None
    if not isinstance(row, dict) or not isinstance(row.get("format"), int):
        raise EnvelopeUnreadable(f"row {key!r} is not an object with a whole `format`")
    return row


def _exactly(value: bytes) -> object:
    row: object = json.loads(
        value.decode(),
        parse_float=read_number,
        parse_int=read_number,
        parse_constant=read_number,
    )
    if _MAY_BE_A_SURROGATE.search(value):
        json.dumps(row, ensure_ascii=False, default=number_text).encode()
    return row


def encoded(row: Mapping[str, object]) -> bytes:
    """Return a row's JSON, each number as its text, under the format that says who may read it.

    Args:
        row: The row without its `format`.
    """
    written = FORMAT if _any_double_holds(row) else EXACT_FORMAT
    return json_bytes({"format": written, **row})


def _any_double_holds(value: object) -> bool:
    """Return whether no number in a document is one that a double would round."""
    match value:
        case Decimal():
            return False
        case Mapping():
            return all(map(_any_double_holds, value.values()))
        case list() | tuple():
            return all(map(_any_double_holds, value))
        case _:
            return True


def check_format(row: Mapping[str, object]) -> None:
    """Refuse what a newer release wrote in a format of its own."""
    if row["format"] not in _READ_IN_FULL:
        raise FieldUnreadable(f"its format is {row['format']!r}: a newer release wrote it")


def check_id(row: Mapping[str, object], key: str) -> None:
    """Refuse a value that stands under the key of another."""
    if text(row, "id") != key:
        raise FieldUnreadable(f"its value is that of {row['id']!r}")


def text(row: Mapping[str, object], field: str) -> str:
    """Return a field that must be a text."""
    found = row.get(field)
    if not isinstance(found, str):
        raise FieldUnreadable(f"`{field}` is not a text")
    return found


def integer(row: Mapping[str, object], field: str) -> int:
    """Return a field that must be a whole number."""
    found = row.get(field)
    if not isinstance(found, int) or isinstance(found, bool):
        raise FieldUnreadable(f"`{field}` is not a whole number")
    return found


def items(row: Mapping[str, object], field: str) -> list[object]:
    """Return a field that must be a list."""
    found = row.get(field)
    if not isinstance(found, list):
        raise FieldUnreadable(f"`{field}` is not a list")
    return found


def texts(row: Mapping[str, object], field: str) -> tuple[str, ...]:
    """Return a field that must be a list of texts."""
    found = items(row, field)
    all_texts = tuple(each for each in found if isinstance(each, str))
    if len(all_texts) != len(found):
        raise FieldUnreadable(f"`{field}` holds something that is not a text")
    return all_texts


def section(row: Mapping[str, object], field: str) -> dict[str, object]:
    """Return a field that must be an object."""
    found = row.get(field)
    if not isinstance(found, dict):
        raise FieldUnreadable(f"`{field}` is not an object")
    return found


def sections(row: Mapping[str, object], field: str) -> list[dict[str, object]]:
    """Return a field that must be a list of objects."""
    found = items(row, field)
    all_objects = [each for each in found if isinstance(each, dict)]
    if len(all_objects) != len(found):
        raise FieldUnreadable(f"`{field}` holds something that is not an object")
    return all_objects


def pattern(row: Mapping[str, object]) -> JsonObject | None:
    """Return the field `pattern`: an event pattern, or none."""
    found: Json = row.get("pattern")  # type: ignore[assignment]  # orjson made it: it is JSON
    if found is not None and not isinstance(found, dict):
        raise FieldUnreadable("`pattern` is not an object")
    return found


def parsed(row: Mapping[str, object], field: str, parse: Callable[[str], _Value]) -> _Value:
    """Return a text field as what it means: `parse` raises ValueError where it means nothing."""
    try:
        return parse(text(row, field))
    except ValueError as why:
        raise FieldUnreadable(f"`{field}`: {why}") from None
