"""One value of one simple Avro type, taken over from JSON or Python without loss, or refused."""

import base64
import binascii
import datetime as dt
import decimal
import math
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Self, cast

from hookstream.core.model.json import Json
from hookstream.errors import HookstreamError

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})

_INT = (-(2**31), 2**31 - 1)
_LONG = (-(2**63), 2**63 - 1)
_SAFE = 2**53 - 1
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FIRST_DAY = dt.date(1970, 1, 1)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK = re.compile(r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?")
_MOMENT = re.compile(rf"{_DAY.pattern}T{_CLOCK.pattern}(Z|[+-][0-9]{{2}}:[0-9]{{2}})?")
_EXACT = decimal.Context(prec=400, traps=[decimal.InvalidOperation, decimal.Inexact])
_MICROSECOND = dt.timedelta(microseconds=1)


class Unfit(HookstreamError):
    """Raised for a value that does not fit its type; carries where it stands."""

    def __init__(self, why: str) -> None:
        """Start with why; the path is added on the way out."""
        super().__init__(why)
        self._why = why
        self._path = ""

    def within(self, part: str) -> Self:
        """Return itself, one step further out."""
        joint = "." if self._path and not self._path.startswith("[") else ""
        self._path = f"{part}{joint}{self._path}"
        return self

    def __str__(self) -> str:
        """Return path and reason."""
        return f"{self._path}: {self._why}" if self._path else self._why


def glimpse(value: object) -> str:
    """Return a value's beginning for a message, plain ASCII."""
    return ascii(value)[:60]


def primitive(schema: Mapping[str, Json]) -> Callable[[object], object]:
    """Return the function that takes values of a primitive type, by its logical type if it has one."""
    logical = _LOGICAL.get((str(schema["type"]), str(schema.get("logicalType"))))
    if logical is not None:
        return logical
    match schema["type"], schema.get("logicalType"):
        case "bytes", "decimal":
            return _decimal(schema, None)
        case "long", _ if schema.get("json") == "string":
            return _long_text
        case _:
            return _PLAIN[str(schema["type"])]


def enum(symbols: Sequence[str]) -> Callable[[object], object]:
    """Return the function that takes a symbol."""

    def take(value: object) -> object:
        if value not in symbols:
            raise Unfit(f"{glimpse(value)} is none of {', '.join(symbols)[:200]}")
        return value

    return take


def fixed(schema: Mapping[str, Json]) -> Callable[[object], object]:
    """Return the function that takes exactly `size` bytes, or a decimal where it is one."""
    size = cast("int", schema["size"])
    if schema.get("logicalType") == "decimal":
        return _decimal(schema, size)

    def take(value: object) -> object:
        taken = cast("bytes", _bytes(value))
        if len(taken) != size:
            raise Unfit(f"has {len(taken)} bytes and must have {size}")
        return taken

    return take


def text(value: object) -> object:
    """Take text that UTF-8 can hold."""
    if not isinstance(value, str):
        raise Unfit(f"{glimpse(value)} is not text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unfit(f"{glimpse(value)} holds half a surrogate pair") from None
    return value


def _null(value: object) -> object:
    if value is not None:
        raise Unfit(f"{glimpse(value)} is not null")
    return None


def _boolean(value: object) -> object:
    if not isinstance(value, bool):
        raise Unfit(f"{glimpse(value)} is not true or false")
    return value


def _whole(bounds: tuple[int, int], kind: str) -> Callable[[object], object]:
    def take(value: object) -> object:
        if type(value) is not int:
            raise Unfit(f"{glimpse(value)} is not a whole number")
        if not bounds[0] <= value <= bounds[1]:
            raise Unfit(f"{glimpse(value)} does not fit into {kind}")
        return value

    return take


_long = _whole(_LONG, "a long")


def _long_text(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}", value):
        return _long(int(value))
    return _long(value)


def _number(value: object) -> object:
    if type(value) not in (int, float):
        raise Unfit(f"{glimpse(value)} is not a number")
    try:
        number = float(cast("float", value))
    except OverflowError:
        raise Unfit(f"{glimpse(value)} does not fit into a double") from None
    if not math.isfinite(number):
        raise Unfit(f"{glimpse(value)} is not finite, which JSON cannot say")
    return number


def _single(value: object) -> object:
    number = cast("float", _number(value))
    if abs(number) > 3.4028234663852886e38:  # noqa: PLR2004  # the largest 32-bit float
        raise Unfit(f"{glimpse(value)} does not fit into a float")
    return number


def _bytes(value: object) -> object:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise Unfit(f"{glimpse(value)} is not base64 text")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise Unfit(f"{glimpse(value)} is not base64 text") from None


def _uuid(value: object) -> object:
    if isinstance(value, uuid.UUID):
        return str(value)
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise Unfit(f"{glimpse(value)} is not a UUID such as 7d5f6d9e-6f2e-4b8e-9d53-6d7f2f1a4c11")
    return value


def _decimal(schema: Mapping[str, Json], size: int | None) -> Callable[[object], object]:
    precision, scale = cast("int", schema["precision"]), cast("int", schema.get("scale", 0))

    def take(value: object) -> object:
        number = _exact(value)
        try:
            unscaled = int(_EXACT.to_integral_exact(number.scaleb(scale, _EXACT)))
        except decimal.DecimalException:
            raise Unfit(f"{glimpse(value)} has more than {scale} digits after the point") from None
        if abs(unscaled) >= 10**precision:
            raise Unfit(f"{glimpse(value)} has more than {precision} digits in all")
        length = size if size is not None else unscaled.bit_length() // 8 + 1
        return unscaled.to_bytes(length, "big", signed=True)

    return take


def _exact(value: object) -> decimal.Decimal:
    if isinstance(value, float):
        raise Unfit(f"{glimpse(value)} is a binary fraction: write the decimal as text")
    if isinstance(value, bool) or not isinstance(value, str | int | decimal.Decimal):
        raise Unfit(f"{glimpse(value)} is not a decimal")
    if isinstance(value, str) and not re.fullmatch(r"-?[0-9]{1,80}(\.[0-9]{1,80})?", value):
        raise Unfit(f"{glimpse(value)} is not a decimal such as 12.50")
    number = decimal.Decimal(value)
    if not number.is_finite() or abs(number.adjusted()) > 100:  # noqa: PLR2004  # far beyond money
        raise Unfit(f"{glimpse(value)} is not a decimal of bearable size")
    return number


def _date(value: object) -> object:
    # A datetime is a date to Python; its time would be lost.
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return (value - _FIRST_DAY).days
    text_of_day = value if isinstance(value, str) and _DAY.fullmatch(value) else ""
    try:
        return (dt.date.fromisoformat(text_of_day) - _FIRST_DAY).days
    except ValueError:
        raise Unfit(f"{glimpse(value)} is not a date such as 2026-11-24") from None


def _instant(unit: int, *, local: bool) -> Callable[[object], object]:
    """Take an instant as whole units of `unit` microseconds since 1970; finer digits are refused."""
    form = "2026-11-24T08:15:30.250" + ("" if local else "Z")

    def take(value: object) -> object:
        moment = value
        if isinstance(value, str):
            try:
                moment = dt.datetime.fromisoformat(value) if _MOMENT.fullmatch(value) else None
            except ValueError:
                moment = None
        if not isinstance(moment, dt.datetime) or (moment.tzinfo is None) != local:
            raise Unfit(f"{glimpse(value)} is not a time such as {form}")
        since = (moment.replace(tzinfo=dt.UTC) if local else moment) - _EPOCH
        return _units(since // _MICROSECOND, unit, value)

    return take


def _time_of_day(unit: int) -> Callable[[object], object]:
    def take(value: object) -> object:
        clock = value
        if isinstance(value, str):
            try:
                clock = dt.time.fromisoformat(value) if _CLOCK.fullmatch(value) else None
            except ValueError:
                clock = None
        if not isinstance(clock, dt.time) or clock.tzinfo is not None:
            raise Unfit(f"{glimpse(value)} is not a time of day such as 08:15:30.250")
        seconds = clock.hour * 3600 + clock.minute * 60 + clock.second
        return _units(seconds * 1_000_000 + clock.microsecond, unit, value)

    return take


def _units(micros: int, unit: int, value: object) -> int:
    if micros % unit:
        raise Unfit(f"{glimpse(value)} is finer than a millisecond")
    return micros // unit


_PLAIN: dict[str, Callable[[object], object]] = {
    "null": _null,
    "boolean": _boolean,
    "int": _whole(_INT, "an int"),
    "long": _long,
    "float": _single,
    "double": _number,
    "bytes": _bytes,
    "string": text,
}
_LOGICAL: dict[tuple[str, str], Callable[[object], object]] = {
    ("string", "uuid"): _uuid,
    ("int", "date"): _date,
    ("int", "time-millis"): _time_of_day(1_000),
    ("long", "time-micros"): _time_of_day(1),
    ("long", "timestamp-millis"): _instant(1_000, local=False),
    ("long", "timestamp-micros"): _instant(1, local=False),
    ("long", "local-timestamp-millis"): _instant(1_000, local=True),
    ("long", "local-timestamp-micros"): _instant(1, local=True),
}
