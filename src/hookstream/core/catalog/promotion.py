"""Promotes values of primitive types to wider ones; a value that would be rounded is refused.

Source: Apache Avro 1.12, "Schema Resolution".
"""

from collections.abc import Callable
from typing import Final, TypeAlias, cast

from hookstream.core.model.parts import Misfit
from hookstream.core.model.single import shortest

Step: TypeAlias = Callable[[object], object]
"""Converts a value of the writer's type to the reader's."""

_INT: Final = 1 << 31


class ValueUnresolvable(Misfit):
    """Raised if the reader's type cannot represent a value, although it can read the writer's type."""


def _int(value: object) -> object:
    """Check the range of an int: it is encoded as a long is, and a decoder checks no further."""
    if not -_INT <= cast("int", value) < _INT:
        raise ValueUnresolvable("", f"is {value}, which is no int")
    return value


def _int_to_float(value: object) -> object:
    return _to_float(_int(value))


def _int_to_double(value: object) -> object:
    return float(cast("int", _int(value)))


def _to_double(value: object) -> object:
    whole = cast("int", value)
    if int(float(whole)) != whole:
        raise ValueUnresolvable("", f"is {whole}, which a double would round")
    return float(whole)


def _to_float(value: object) -> object:
    whole = cast("int", value)
    # The shown text counts: 2^30 is a float, but its shortest text is 1073741800.
    if int(shortest(float(whole))) != whole:
        raise ValueUnresolvable("", f"is {whole}, which a float would round")
    return float(whole)


def _float_to_double(value: object) -> object:
    number = cast("float", value)
    # 0.7 stays 0.7: a double means its shortest text. The renderer refuses infinities.
    return shortest(number) if number - number == 0 else number


def _to_bytes(value: object) -> object:
    return cast("str", value).encode()


PROMOTED: Final[dict[tuple[str, str], Step]] = {
    ("int", "long"): _int,
    ("int", "float"): _int_to_float,
    ("int", "double"): _int_to_double,
    ("long", "float"): _to_float,
    ("long", "double"): _to_double,
    ("float", "double"): _float_to_double,
    ("string", "bytes"): _to_bytes,
}
"""By writer's type and reader's type."""

PROMOTIONS: Final = frozenset({*PROMOTED, ("bytes", "string")})
"""Those that Avro allows; bytes need not be text, so nothing converts them."""
