"""A single Avro value becomes plain JSON by the one rule of its schema, logical types included.

Values come as fastavro decodes them with logical types left raw: a timestamp is an int, a decimal
is bytes. A logical type that its own specification calls invalid (a decimal without precision, a
uuid on an int) is ignored, as Avro demands. Source: Apache Avro 1.12, "Logical Types".
"""

import binascii
import datetime as dt
import math
import struct
from collections.abc import Callable
from typing import NamedTuple, TypeAlias, cast

from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.parts import Misfit
from hookstream.core.model.single import shortest

Render: TypeAlias = Callable[[object], Json]
Range: TypeAlias = tuple[int, int]

LARGEST_EXACT = 2**53 - 1
"""Beyond it, a reader that takes numbers for doubles reads another number (RFC 8259, section 6)."""

EXACT: Range = (-LARGEST_EXACT, LARGEST_EXACT)
_INT: Range = (-(2**31), 2**31 - 1)

_MAX_PRECISION = 4000
"""Digits of a decimal; CPython refuses to write more than 4,300."""

_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - naive on purpose: all arithmetic is in UTC
_FIRST_DAY = dt.date(1970, 1, 1).toordinal()
_DAY_MICROS = 86_400_000_000
_DIGITS_A_BIT = math.log10(2)
_MAX_FIXED = 2**31 - 1
UUID_BYTES = 16
DURATION_BYTES = 12

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


class NotRenderable(Misfit):
    """Raised where plain JSON cannot hold a value, or a schema cannot be rendered."""


class Rendering(NamedTuple):
    """How the values of one schema are rendered, and how decoded values of it look."""

    render: Render
    shape: str
    """null, boolean, int, float, bytes, text, list or dict."""
    name: str | None = None
    """The full name of a named type."""
    bounds: Range | None = None
    """Where the value is handed through if it lies within: the whole rule of `render`."""


def same(value: object) -> Json:
    """Hand a value through that is plain JSON already."""
    return cast("Json", value)


def out_of_range(bounds: Range) -> str:
    """Return why a number outside the bounds is refused."""
    if bounds == EXACT:
        return 'lies beyond ±(2^53-1); "json": "string" in its schema would write it as text'
    return f"lies outside {bounds[0]} to {bounds[1]}"


def primitive(schema: JsonObject, *, text: bool) -> Rendering:
    """Return the rendering of a primitive type, with the logical type that may stand on it.

    Args:
        schema: The schema as an object.
        text: Its longs are written as strings, whatever their values.
    """
    kind, logical = schema["type"], _logical_type(schema)
    match kind:
        case "int":
            return Rendering(_INTS[logical], "int") if logical in _INTS else _INT_RENDERING
        case "long" if logical in _LONGS:
            return Rendering(_LONGS[logical], "int")
        case "long":
            return Rendering(_digits, "int") if text else _LONG_RENDERING
        case "float":
            return Rendering(single, "float")
        case "double":
            return Rendering(_finite, "float")
        case "bytes":
            digits = decimal_digits(schema)
            return Rendering(_base64 if digits is None else _decimal_render(*digits), "bytes")
        case "null" | "boolean":
            return Rendering(same, str(kind))
        case _:
            return Rendering(same, "text")


def fixed(schema: JsonObject, name: str) -> Rendering:
    """Return the rendering of a fixed type."""
    size, logical = schema.get("size"), _logical_type(schema)
    if type(size) is not int or not 0 <= size <= _MAX_FIXED:
        raise NotRenderable("", f"is of the fixed type {name} without a possible size")
    digits = decimal_digits(schema)
    if logical == "uuid" and size == UUID_BYTES:
        return Rendering(_uuid, "bytes", name)
    if logical == "duration" and size == DURATION_BYTES:
        return Rendering(_duration, "bytes", name)
    return Rendering(_base64 if digits is None else _decimal_render(*digits), "bytes", name)


def timestamp_micros(value: object) -> str:
    """Return microseconds since the epoch as RFC 3339 UTC with all six digits."""
    return _datetime(_int(value), "microseconds") + "Z"


def _timestamp_millis(value: object) -> str:
    return _datetime(_int(value) * 1000, "milliseconds") + "Z"


def _timestamp_nanos(value: object) -> str:
    micros, rest = divmod(_int(value), 1000)
    return f"{_datetime(micros, 'microseconds')}{rest:03d}Z"


def _local_millis(value: object) -> str:
    return _datetime(_int(value) * 1000, "milliseconds")


def _local_micros(value: object) -> str:
    return _datetime(_int(value), "microseconds")


def _local_nanos(value: object) -> str:
    return _timestamp_nanos(value)[:-1]


def _datetime(micros: int, digits: str) -> str:
    try:
        return (_EPOCH + dt.timedelta(microseconds=micros)).isoformat("T", digits)
    except OverflowError:
        raise NotRenderable("", "lies outside the years 1 to 9999") from None


def _date(value: object) -> str:
    try:
        return dt.date.fromordinal(_FIRST_DAY + _int(value)).isoformat()
    except (ValueError, OverflowError):
        raise NotRenderable("", "lies outside the years 1 to 9999") from None


def _time_millis(value: object) -> str:
    return _time(_int(value) * 1000, "milliseconds")


def _time_micros(value: object) -> str:
    return _time(_int(value), "microseconds")


def _time(micros: int, digits: str) -> str:
    if not 0 <= micros < _DAY_MICROS:
        raise NotRenderable("", "is no time of a day")
    return (_EPOCH + dt.timedelta(microseconds=micros)).time().isoformat(digits)


def _bounded(bounds: Range) -> Render:
    lowest, highest = bounds

    def render(value: object) -> Json:
        number = _int(value)
        if not lowest <= number <= highest:
            raise NotRenderable("", out_of_range(bounds))
        return number

    return render


def _digits(value: object) -> str:
    return str(_int(value))


def _finite(value: object) -> float:
    if not isinstance(value, float):
        # fastavro fills a double's default in as it stands in the schema: there it may be whole.
        return float(_int(value))
    if not math.isfinite(value):
        raise NotRenderable("", f"is {value}, which JSON cannot hold")
    return value


def single(value: object) -> float:
    """Return a 32-bit float as the number that its shortest text says."""
    number = _finite(value)
    try:
        return shortest(number)
    except OverflowError:
        # A default as it stands in the schema: no float on the wire is larger.
        raise NotRenderable("", "does not fit into a float") from None


def _base64(value: object) -> str:
    return binascii.b2a_base64(_bytes(value), newline=False).decode()


def _uuid(value: object) -> str:
    digits = _bytes(value).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _duration(value: object) -> str:
    months, days, millis = struct.unpack("<III", _bytes(value))
    return f"P{months}M{days}DT{millis // 1000}.{millis % 1000:03d}S"


def _logical_type(schema: JsonObject) -> str:
    found = schema.get("logicalType")
    return found if isinstance(found, str) else ""


def decimal_digits(schema: JsonObject) -> tuple[int, int] | None:
    """Return precision and scale of bytes or a fixed type, or None where it is no valid decimal."""
    precision, scale = schema.get("precision"), schema.get("scale", 0)
    if _logical_type(schema) != "decimal":
        return None
    if type(precision) is not int or type(scale) is not int:
        return None
    most_digits, size = _MAX_PRECISION, schema.get("size")
    if schema["type"] == "fixed" and isinstance(size, int):
        most_digits = min(most_digits, int(_DIGITS_A_BIT * (8 * size - 1)) if size > 0 else 0)
    if not 0 <= scale <= precision or not 0 < precision <= most_digits:
        return None
    return precision, scale


def _decimal_render(precision: int, scale: int) -> Render:
    beyond: int = 10**precision
    one: int = 10**scale
    form = f"%d.%0{scale}d"

    def render(value: object) -> Json:
        if not isinstance(value, bytes):
            raise NotRenderable("", "is not bytes")
        unscaled = int.from_bytes(value, "big", signed=True)
        if not -beyond < unscaled < beyond:
            raise NotRenderable("", f"has more than the {precision} digits of its precision")
        if not scale:
            return str(unscaled)
        if unscaled < 0:
            return "-" + form % divmod(-unscaled, one)
        return form % divmod(unscaled, one)

    return render


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise NotRenderable("", "is not a whole number")
    return value


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise NotRenderable("", "is not bytes")
    return value


_INT_RENDERING = Rendering(_bounded(_INT), "int", bounds=_INT)
_LONG_RENDERING = Rendering(_bounded(EXACT), "int", bounds=EXACT)
_INTS: dict[Json, Render] = {"date": _date, "time-millis": _time_millis}
_LONGS: dict[Json, Render] = {
    "time-micros": _time_micros,
    "timestamp-millis": _timestamp_millis,
    "timestamp-micros": timestamp_micros,
    "timestamp-nanos": _timestamp_nanos,
    "local-timestamp-millis": _local_millis,
    "local-timestamp-micros": _local_micros,
    "local-timestamp-nanos": _local_nanos,
}
