"""One value of one simple Avro type, taken over from JSON or Python without loss, or refused.

A value is kept where what would be delivered for it equals what was given: `core.delivery.values`
says what would be delivered, here as on the way out.
"""

import base64
import binascii
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, cast

from hookstream.adapters.avro.fit import ALIKE, Fit, Take, Unfit, glimpse
from hookstream.adapters.avro.numbers import decimal, double, single, whole
from hookstream.adapters.avro.times import date, duration, instant, time_of_day
from hookstream.core.avro import values
from hookstream.core.avro.values import NotRenderable, Render
from hookstream.core.model.json import Json

PRIMITIVES = values.PRIMITIVES

_Raw: TypeAlias = Callable[[object], object]

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DIGITS = re.compile(r"0|-?[1-9][0-9]{0,18}")


def primitive(schema: Mapping[str, Json], *, text: bool = False) -> Take:
    """Return the function that takes values of a primitive type, by its logical type if it has one.

    Args:
        schema: The schema as an object.
        text: Its longs are delivered as strings.
    """
    kind, tree = str(schema["type"]), dict(schema)
    text = text or schema.get("json") == "string"
    logical = _LOGICAL.get((kind, str(schema.get("logicalType"))))
    rendering = values.primitive(tree, text=text)
    if logical is not None:
        return _shown(logical, rendering.render)
    if kind == "bytes":
        digits = values.decimal_digits(tree)
        return _shown(_bytes if digits is None else decimal(*digits, None), rendering.render)
    if kind == "long" and text:
        return _shown(_long_text, rendering.render)
    return _PLAIN[kind]


def enum(symbols: Sequence[str]) -> Take:
    """Return the function that takes a symbol."""
    known = frozenset(symbols)

    def take(value: object, fit: Fit) -> object:
        del fit
        if not isinstance(value, str) or value not in known:
            raise Unfit(f"{glimpse(value)} is none of {', '.join(symbols)[:200]}")
        return value

    return take


def fixed(schema: Mapping[str, Json]) -> Take:
    """Return the function that takes exactly `size` bytes, or what its logical type says."""
    tree, size = dict(schema), cast("int", schema["size"])
    render = values.fixed(tree, str(schema.get("name"))).render
    digits = values.decimal_digits(tree)
    if digits is not None:
        return _shown(decimal(*digits, size), render)
    match schema.get("logicalType"), size:
        case "uuid", values.UUID_BYTES:
            return _shown(_uuid_bytes, render)
        case "duration", values.DURATION_BYTES:
            return _shown(duration, render)
        case _:
            return _shown(_sized(size), render)


def text(value: object, fit: Fit) -> object:
    """Take text that UTF-8 can hold."""
    del fit
    if not isinstance(value, str):
        raise Unfit(f"{glimpse(value)} is not text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unfit(f"{glimpse(value)} holds half a surrogate pair") from None
    return value


def _shown(take: _Raw, render: Render) -> Take:
    """Return a function that takes a value, and notes whether it would be delivered as given."""

    def taken(value: object, fit: Fit) -> object:
        raw = take(value)
        try:
            shown = render(raw)
        except NotRenderable as problem:
            raise Unfit(f"{glimpse(value)} {problem.why}") from None
        if type(shown) is not type(value) or shown != value:
            fit.note(ALIKE)
        return raw

    return taken


def _null(value: object, fit: Fit) -> object:
    del fit
    if value is not None:
        raise Unfit(f"{glimpse(value)} is not null")
    return None


def _boolean(value: object, fit: Fit) -> object:
    del fit
    if not isinstance(value, bool):
        raise Unfit(f"{glimpse(value)} is not true or false")
    return value


_long = whole(63, "a long")


def _long_text(value: object) -> object:
    if isinstance(value, str):
        if not _DIGITS.fullmatch(value):
            raise Unfit(f"{glimpse(value)} is not a whole number")
        return _long(int(value), Fit())
    return _long(value, Fit())


def _bytes(value: object) -> object:
    if isinstance(value, bytes):
        return value
    try:
        taken = base64.b64decode(value if isinstance(value, str) else "?", validate=True)
    except (binascii.Error, ValueError):
        raise Unfit(f"{glimpse(value)} is not base64 text") from None
    written = base64.b64encode(taken).decode()
    if written != value:
        raise Unfit(
            f"{glimpse(value)} is not base64 text: its last bits are lost, {written[-4:]!r} would be"
            " its end"
        )
    return taken


def _sized(size: int) -> _Raw:
    def take(value: object) -> object:
        taken = cast("bytes", _bytes(value))
        if len(taken) != size:
            raise Unfit(f"has {len(taken)} bytes and must have {size}")
        return taken

    return take


def _uuid(value: object) -> object:
    if isinstance(value, uuid.UUID):
        return str(value)
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise Unfit(f"{glimpse(value)} is not a UUID such as 7d5f6d9e-6f2e-4b8e-9d53-6d7f2f1a4c11")
    return value


def _uuid_bytes(value: object) -> object:
    if isinstance(value, bytes):
        return _sized(values.UUID_BYTES)(value)
    return uuid.UUID(str(_uuid(value))).bytes


_PLAIN: dict[str, Take] = {
    "null": _null,
    "boolean": _boolean,
    "int": whole(31, "an int"),
    "long": _long,
    "float": single,
    "double": double,
    "string": text,
}
_LOGICAL: dict[tuple[str, str], _Raw] = {
    ("string", "uuid"): _uuid,
    ("int", "date"): date,
    ("int", "time-millis"): time_of_day(1_000),
    ("long", "time-micros"): time_of_day(1),
    ("long", "timestamp-millis"): instant(1_000_000, local=False),
    ("long", "timestamp-micros"): instant(1_000, local=False),
    ("long", "timestamp-nanos"): instant(1, local=False),
    ("long", "local-timestamp-millis"): instant(1_000_000, local=True),
    ("long", "local-timestamp-micros"): instant(1_000, local=True),
    ("long", "local-timestamp-nanos"): instant(1, local=True),
}
