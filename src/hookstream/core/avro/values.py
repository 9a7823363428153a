"""Renders single Avro values as plain JSON, one rule per type, including logical types.

Values come as fastavro decodes them with logical types left raw: a timestamp is an int, a decimal
is bytes. Source: Apache Avro 1.12, "Logical Types".

An event may have 50,000 values, so rendering one avoids needless allocations: the text of a day is
cached, digits of times are looked up.
"""

import binascii
import datetime as dt
import struct
from collections.abc import Callable
from functools import lru_cache
from types import NoneType
from typing import Final, NamedTuple, TypeAlias, cast

from hookstream.core.avro.nodes import Enum, Fixed, Leaf, Logical
from hookstream.core.model.json import Json
from hookstream.core.model.parts import Misfit
from hookstream.core.model.single import shortest

Render: TypeAlias = Callable[[object], Json]
Range: TypeAlias = tuple[int, int]

LARGEST_EXACT = 2**53 - 1
"""Beyond it, a reader that parses numbers as doubles reads another number (RFC 8259, section 6)."""

EXACT: Range = (-LARGEST_EXACT, LARGEST_EXACT)
_INT: Range = (-(2**31), 2**31 - 1)

_FIRST_DAY = dt.date(1970, 1, 1).toordinal()
_KEPT_DAYS: Final = 1_000
_DAY_SECONDS: Final = 86_400
_DIGITS: Final = tuple(f"{number:03d}" for number in range(1_000))
_MINUTES: Final = tuple(f"{hour:02d}:{minute:02d}" for hour in range(24) for minute in range(60))
_SECONDS: Final = tuple(f":{second:02d}." for second in range(60))
_FEW_PLACES: Final = 4
_LONG: Final = 500
"""Number of digits from which a decimal's text is composed from those of its halves."""
_from_bytes = int.from_bytes


class NotRenderable(Misfit):
    """Raised if plain JSON cannot represent a value, or a schema cannot be rendered."""


class Rendering(NamedTuple):
    """How the values of one type are rendered, and how decoded values of it look."""

    render: Render
    shape: type
    """The Python type of decoded values; unused for a union, which never nests in another."""
    name: str | None = None
    """The full name of a named type."""
    bounds: Range | None = None
    """If given, `render` only passes values within this range through and refuses others."""
    nullable: "Rendering | None" = None
    """For a union: the rendering of its non-null values, if a single one suffices."""


def same(value: object) -> Json:
    """Return a value unchanged that is already plain JSON."""
    return cast("Json", value)


def out_of_range(bounds: Range) -> str:
    """Return why a number outside the bounds is refused."""
    if bounds == EXACT:
        return 'lies beyond ±(2^53-1); "json": "string" in its schema would write it as text'
    return f"lies outside {bounds[0]} to {bounds[1]}"


def leaf(node: Leaf) -> Rendering:
    """Return the rendering of a type without parts, including its logical type."""
    if isinstance(node, Enum):
        return Rendering(same, str, node.name)
    if isinstance(node, Fixed):
        return Rendering(_bytes_render(node.logical), bytes, node.name)
    if node.kind == "bytes":
        return Rendering(_bytes_render(node.logical), bytes)
    if node.logical is not None and node.kind in ("int", "long"):
        return Rendering(_TIMES[node.logical.name], int)
    if node.kind == "long" and node.as_text:
        return Rendering(_digits, int)
    return _PLAIN[node.kind]


def _bytes_render(logical: Logical | None) -> Render:
    if logical is None:
        return _base64
    if logical.name == "decimal":
        return _decimal_render(logical.precision, logical.scale)
    return _uuid if logical.name == "uuid" else _duration


def _millis(whole: Callable[[int], str], end: str = "") -> Render:
    def render(value: object) -> str:
        second, rest = divmod(_int(value), 1_000)
        return f"{whole(second)}{_DIGITS[rest]}{end}"

    return render


def _micros(whole: Callable[[int], str], end: str = "") -> Callable[[object], str]:
    def render(value: object) -> str:
        second, rest = divmod(_int(value), 1_000_000)
        return f"{whole(second)}{_DIGITS[rest // 1_000]}{_DIGITS[rest % 1_000]}{end}"

    return render


def _nanos(whole: Callable[[int], str], end: str = "") -> Render:
    to_micros = _micros(whole)

    def render(value: object) -> str:
        micros, rest = divmod(_int(value), 1_000)
        return f"{to_micros(micros)}{_DIGITS[rest]}{end}"

    return render


def _date(value: object) -> str:
    return _day(_int(value))


def _day(number: int) -> str:
    try:
        return dt.date.fromordinal(_FIRST_DAY + number).isoformat()
    except (ValueError, OverflowError):
        raise NotRenderable("", "lies outside the years 1 to 9999") from None


_kept_day = lru_cache(_KEPT_DAYS)(_day)


def _moment(second: int) -> str:
    day, second = divmod(second, _DAY_SECONDS)
    return f"{_kept_day(day)}T{_MINUTES[second // 60]}{_SECONDS[second % 60]}"


def _clock(second: int) -> str:
    if not 0 <= second < _DAY_SECONDS:
        raise NotRenderable("", "is no time of a day")
    return _MINUTES[second // 60] + _SECONDS[second % 60]


def _bounded(bounds: Range) -> Rendering:
    lowest, highest = bounds

    def render(value: object) -> Json:
        number = _int(value)
        if not lowest <= number <= highest:
            raise NotRenderable("", out_of_range(bounds))
        return number

    return Rendering(render, int, bounds=bounds)


def _digits(value: object) -> str:
    return str(_int(value))


def _finite(value: object) -> float:
    if not isinstance(value, float):
        # fastavro fills in a double's default as the schema has it, which may be a whole number.
        return float(_int(value))
    if value - value != 0:
        raise NotRenderable("", f"is {value}, which JSON cannot represent")
    return value


def single(value: object) -> float:
    """Return a 32-bit float as the number of its shortest text."""
    number = value if type(value) is float and value - value == 0 else _finite(value)
    try:
        return shortest(number)
    except OverflowError:
        # A default taken from the schema: no encoded float is larger.
        raise NotRenderable("", "does not fit into a float") from None


def _base64(value: object) -> str:
    return binascii.b2a_base64(_bytes(value), newline=False).decode()


def _uuid(value: object) -> str:
    digits = _bytes(value).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _duration(value: object) -> str:
    months, days, millis = struct.unpack("<III", _bytes(value))
    return f"P{months}M{days}DT{millis // 1000}.{millis % 1000:03d}S"


def _decimal_render(precision: int, scale: int) -> Render:
    beyond: int = 10**precision
    one: int = 10**scale
    # Most decimals have few digits after the point: then those are looked up.
    ends = _ends(scale) if scale <= _FEW_PLACES and precision < _LONG else None
    text = str if precision < _LONG else _long_text(precision)

    def render(value: object) -> Json:
        if not isinstance(value, bytes):
            raise NotRenderable("", "is not bytes")
        unscaled = _from_bytes(value, "big", signed=True)
        if ends is not None and 0 <= unscaled < beyond:
            return f"{unscaled // one}{ends[unscaled % one]}"
        if not -beyond < unscaled < beyond:
            raise NotRenderable("", f"has more than the {precision} digits of its precision")
        digits = text(abs(unscaled)).zfill(scale + 1)
        whole = f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits
        return f"-{whole}" if unscaled < 0 else whole

    return render


@lru_cache
def _ends(scale: int) -> tuple[str, ...]:
    """Return the texts of all fractions of `scale` digits, each with its point."""
    return tuple(f".{rest:0{scale}d}" for rest in range(10**scale)) if scale else ("",)


def _long_text(precision: int) -> Callable[[int], str]:
    """Return a formatter of whole numbers with so many digits; Python's own takes quadratic time."""
    half = precision // 2
    beyond: int = 10**half
    below = str if half < _LONG else _long_text(half)
    above = str if half < _LONG else _long_text(precision - half)

    def text(number: int) -> str:
        if number < beyond:
            return below(number)
        high, low = divmod(number, beyond)
        return above(high) + below(low).zfill(half)

    return text


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise NotRenderable("", "is not a whole number")
    return value


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise NotRenderable("", "is not bytes")
    return value


_PLAIN: Final = {
    "null": Rendering(same, NoneType),
    "boolean": Rendering(same, bool),
    "int": _bounded(_INT),
    "long": _bounded(EXACT),
    "float": Rendering(single, float),
    "double": Rendering(_finite, float),
    "string": Rendering(same, str),
}
timestamp_micros: Final = _micros(_moment, "Z")
"""Returns microseconds since the epoch as RFC 3339 UTC with all six digits."""

_TIMES: Final[dict[str, Render]] = {
    "date": _date,
    "time-millis": _millis(_clock),
    "time-micros": _micros(_clock),
    "timestamp-millis": _millis(_moment, "Z"),
    "timestamp-micros": timestamp_micros,
    "timestamp-nanos": _nanos(_moment, "Z"),
    "local-timestamp-millis": _millis(_moment),
    "local-timestamp-micros": _micros(_moment),
    "local-timestamp-nanos": _nanos(_moment),
}
