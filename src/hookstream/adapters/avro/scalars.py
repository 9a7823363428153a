"""Converts single values of simple Avro types from JSON or Python without loss, or refuses them.

A value is `KEPT` if its delivered form equals the input; `core.avro.values` renders the delivered
form, here as for deliveries.
"""

import base64
import binascii
import re
import uuid
from collections.abc import Callable, Sequence
from typing import TypeAlias, cast

from hookstream.adapters.avro.fit import ALIKE, Fit, Take, Unfit, glimpse
from hookstream.adapters.avro.numbers import decimal, double, single, whole
from hookstream.adapters.avro.times import date, duration, instant, time_of_day
from hookstream.core.avro import values
from hookstream.core.avro.nodes import Enum, Fixed, Leaf, Logical, Primitive
from hookstream.core.avro.values import NotRenderable, Render

_Raw: TypeAlias = Callable[[object], object]

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DIGITS = re.compile(r"0|-?[1-9][0-9]{0,18}")


def leaf(node: Leaf) -> Take:
    """Return the function that converts values of a type, by its logical type if it has one."""
    if isinstance(node, Enum):
        return _enum(node.symbols)
    raw = _raw(node)
    if raw is not None:
        return _shown(raw, values.leaf(node).render)
    assert isinstance(node, Primitive)  # noqa: S101  # bytes of a fixed type are always shown
    return _PLAIN[node.kind]


def _raw(node: Primitive | Fixed) -> _Raw | None:
    """Return the converter for types whose delivered form differs from the stored one, or None."""
    size = node.size if isinstance(node, Fixed) else None
    match node.logical:
        case Logical(name="decimal", precision=precision, scale=scale):
            return decimal(precision, scale, size)
        case Logical(name="uuid"):
            return _uuid if size is None else _uuid_bytes
        case Logical(name=name):
            return _LOGICAL[name]
        case None if size is not None:
            return _sized(size)
        case None:
            assert isinstance(node, Primitive)  # noqa: S101  # a fixed type has a size
            if node.kind == "bytes":
                return _bytes
            return _long_text if node.kind == "long" and node.as_text else None


def _only(accepts: Callable[[object], bool], why: str) -> Take:
    """Return a converter that passes accepted values on unchanged."""

    def take(value: object, fit: Fit) -> object:
        del fit
        if not accepts(value):
            raise Unfit(f"{glimpse(value)} {why}")
        return value

    return take


def _enum(symbols: Sequence[str]) -> Take:
    known = frozenset(symbols)
    return _only(
        lambda value: isinstance(value, str) and value in known,
        f"is none of {', '.join(symbols)[:200]}",
    )


def text(value: object, fit: Fit) -> object:
    """Accept text that UTF-8 can encode."""
    del fit
    if not isinstance(value, str):
        raise Unfit(f"{glimpse(value)} is not text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unfit(f"{glimpse(value)} contains half a surrogate pair") from None
    return value


def _shown(take: _Raw, render: Render) -> Take:
    """Return a converter that also notes whether a value would be delivered as given."""

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
        return _sized(16)(value)
    return uuid.UUID(str(_uuid(value))).bytes


_PLAIN: dict[str, Take] = {
    "null": _only(lambda value: value is None, "is not null"),
    "boolean": _only(lambda value: isinstance(value, bool), "is not true or false"),
    "int": whole(31, "an int"),
    "long": _long,
    "float": single,
    "double": double,
    "string": text,
}
_LOGICAL: dict[str, _Raw] = {
    "date": date,
    "time-millis": time_of_day(1_000),
    "time-micros": time_of_day(1),
    "timestamp-millis": instant(1_000_000, local=False),
    "timestamp-micros": instant(1_000, local=False),
    "timestamp-nanos": instant(1, local=False),
    "local-timestamp-millis": instant(1_000_000, local=True),
    "local-timestamp-micros": instant(1_000, local=True),
    "local-timestamp-nanos": instant(1, local=True),
    "duration": duration,
}
