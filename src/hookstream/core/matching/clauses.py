"""One alternative of a pattern's leaf: an operator and its operand, made into a test of one value.

The operators are those of Amazon EventBridge event patterns. Each is checked in full when it is
read and refused with a reason where it could not do what its writer meant; a test, once made, is
total: it answers for any JSON value.

One deviation: the body writes decimals as text, so `numeric` reads text in the form of a decimal
number as that number. EventBridge never takes text for a number.
"""

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, TypeAlias

from hookstream.core.matching.ranges import Bound, range_test
from hookstream.core.model.json import Json, json_text
from hookstream.core.model.number import (
    EXACT,
    Key,
    NotANumber,
    Number,
    checked,
    exact,
    key_of_number,
)

MAX_TEXT: Final = 1024
"""Characters of one operand: longer than any name, shorter than a document."""
MAX_OPERANDS: Final = 256
"""Values in one anything-but list."""
MAX_WILDCARDS: Final = 5
"""Stars in one wildcard: EventBridge refuses six as too complex."""

Scalar: TypeAlias = str | int | float | Decimal | bool | None
Test: TypeAlias = Callable[[Json], bool]
Kind: TypeAlias = str
"""`string`, `decimal` (text in the form of a number), `number`, `boolean` or `null`."""

ANY_KIND: Final[frozenset[Kind]] = frozenset({"string", "decimal", "number", "boolean", "null"})
TEXT: Final[frozenset[Kind]] = frozenset({"string", "decimal"})
NUMBER: Final[frozenset[Kind]] = frozenset({"number"})

_ADDRESS_LENGTH = 64


class ClauseRefused(ValueError):
    """Raised inside the parser for an alternative that is not valid; the message is the reason."""


@dataclass(slots=True, frozen=True)
class Exactly:
    """The value that a clause asks for, as it is filed: equal keys mean equal JSON values."""

    key: str | tuple[str, Scalar | Key]


@dataclass(slots=True, frozen=True)
class StartsWith:
    """The text that a clause asks a value to begin with, as it is filed."""

    text: str


@dataclass(slots=True, frozen=True)
class Clause:
    """One alternative of a leaf. It holds of a field if its test holds of any of its values."""

    test: Test
    kinds: frozenset[Kind]
    """The kinds of value that it speaks about."""
    text: str
    """It as JSON, cut short, for a person."""
    filed: Exactly | StartsWith | None = None
    """What an index may file it under, where the test is exactly that."""
    absent: bool = False
    """True for `{"exists": false}`: it holds where the field has no value at all."""
    tests: int = 1
    """How many comparisons its test makes of one value, at most."""


def key_of(value: Scalar) -> str | tuple[str, Scalar | Key]:
    """Return what stands for a value in a set: numbers by value, `true` and `1` apart."""
    kind = type(value)
    # Most numbers are their own key: no further call on the path of an event.
    if kind is int or (kind is float and -EXACT < value < EXACT):  # type: ignore[operator]
        return ("number", value)
    if isinstance(value, str):
        return value
    if value is None or kind is bool:
        return ("literal", value)
    return ("number", key_of_number(value))


def read_clause(document: Json) -> Clause:
    """Read one alternative: a literal, or an object of one operator.

    Raises:
        ClauseRefused: It is neither, or its operand is wrong.
    """
    text = shown(document)
    if isinstance(document, list):
        raise ClauseRefused("a list inside a list is no alternative")
    if not isinstance(document, dict):
        return _exact(document, text)
    if len(document) != 1:
        raise ClauseRefused("an alternative names exactly one operator")
    ((operator, operand),) = document.items()
    reader = _READERS.get(operator)
    if reader is None:
        known = ", ".join(sorted(OPERATORS))
        raise ClauseRefused(f"unknown operator {shown(operator)}; known are {known}")
    return reader(operand, text)


def shown(document: Json) -> str:
    """Return JSON text of a document for a message, at most 80 characters."""
    try:
        text = json_text(document)
    except (TypeError, ValueError, RecursionError):
        text = type(document).__name__
    return text if len(text) <= 80 else text[:79] + "…"  # noqa: PLR2004


def number(value: Json, what: str) -> Number:
    """Return a number that is taken: finite, at most 100 digits, an exponent within ±400.

    Raises:
        ClauseRefused: The value is none; the message begins with `what`.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ClauseRefused(f"{what} is a number, not {shown(value)}")
    try:
        return checked(value)
    except NotANumber as why:
        raise ClauseRefused(f"{what} {why}") from None


def _string(value: Json, what: str) -> str:
    if not isinstance(value, str):
        raise ClauseRefused(f"{what} is text, not {shown(value)}")
    if len(value) > MAX_TEXT:
        raise ClauseRefused(f"{what} is longer than {MAX_TEXT} characters")
    return value


def _exact(value: Scalar, text: str) -> Clause:
    if isinstance(value, str):
        wanted = _string(value, "a value")
        return Clause(lambda v: v == wanted, TEXT, text, Exactly(wanted))
    if value is None:
        return Clause(lambda v: v is None, frozenset({"null"}), text, Exactly(key_of(None)))
    if isinstance(value, bool):
        return Clause(lambda v: v is value, frozenset({"boolean"}), text, Exactly(key_of(value)))
    wanted_key = key_of_number(number(value, "a value"))
    return Clause(_number_test(wanted_key), NUMBER, text, Exactly(("number", wanted_key)))


def _number_test(wanted: Key) -> Test:
    if not isinstance(wanted, tuple) and -EXACT < wanted < EXACT:

        def is_small(value: Json) -> bool:
            kind = type(value)
            return (kind is int or kind is float) and value == wanted

        return is_small

    # A double whose text is the number that is asked for is the one that is nearest to it.
    nearest = None if isinstance(wanted, tuple) else float(Decimal(wanted))

    def test(value: Json) -> bool:
        kind = type(value)
        if kind is int:
            return value == wanted
        if kind is float and value != nearest:
            return False
        if kind is not float and kind is not Decimal:
            return False
        return key_of_number(value) == wanted  # type: ignore[arg-type]

    return test


def _prefix(operand: Json, text: str) -> Clause:
    if isinstance(operand, dict):
        start = _ignoring_case(operand, "prefix")
        return Clause(lambda v: type(v) is str and v.casefold().startswith(start), TEXT, text)
    start = _string(operand, "prefix")
    return Clause(lambda v: type(v) is str and v.startswith(start), TEXT, text, StartsWith(start))


def _suffix(operand: Json, text: str) -> Clause:
    if isinstance(operand, dict):
        end = _ignoring_case(operand, "suffix")
        return Clause(lambda v: type(v) is str and v.casefold().endswith(end), TEXT, text)
    end = _string(operand, "suffix")
    return Clause(lambda v: type(v) is str and v.endswith(end), TEXT, text)


def _ignoring_case(operand: dict[str, Json], of: str) -> str:
    if list(operand) != ["equals-ignore-case"]:
        raise ClauseRefused(f'{of} takes text or {{"equals-ignore-case": text}}')
    return _string(operand["equals-ignore-case"], f"equals-ignore-case in {of}").casefold()


def _equals_ignore_case(operand: Json, text: str) -> Clause:
    wanted = _string(operand, "equals-ignore-case").casefold()
    return Clause(lambda v: type(v) is str and v.casefold() == wanted, TEXT, text)


def _wildcard(operand: Json, text: str) -> Clause:
    return Clause(_wildcard_test(_string(operand, "wildcard")), TEXT, text)


def _wildcard_test(glob: str) -> Test:
    """Return the test of a glob: pieces of text in order, so its cost is linear in the value."""
    pieces = _pieces(glob)
    if len(pieces) - 1 > MAX_WILDCARDS:
        raise ClauseRefused(f"wildcard has more than {MAX_WILDCARDS} stars")
    if len(pieces) == 1:
        whole = pieces[0]
        return lambda v: v == whole
    first, *middle, last = pieces

    def test(value: Json) -> bool:
        if type(value) is not str or not value.startswith(first) or not value.endswith(last):
            return False
        # The leftmost place for each piece leaves the most room to those that follow.
        at, end = len(first), len(value) - len(last)
        for piece in middle:
            found = value.find(piece, at, end) if at <= end else -1
            if found < 0:
                return False
            at = found + len(piece)
        return at <= end

    return test


def _pieces(glob: str) -> list[str]:
    r"""Split a glob at its stars; `\*` and `\\` stand for the character itself."""
    pieces = [""]
    characters = iter(glob)
    star_before = False
    for character in characters:
        if character == "*":
            if star_before:
                raise ClauseRefused("wildcard has two stars in a row")
            pieces.append("")
            star_before = True
            continue
        star_before = False
        if character == "\\":
            character = next(characters, "")  # noqa: PLW2901
            if character not in ("*", "\\"):
                raise ClauseRefused(r"wildcard has a \ that is followed by neither * nor \ ")
        pieces[-1] += character
    return pieces


def _numeric(operand: Json, text: str) -> Clause:
    if not isinstance(operand, list):
        raise ClauseRefused('numeric takes a list such as [">", 0, "<=", 5]')
    low, high = _bounds(operand)
    if low is not None and high is not None:
        least, most = exact(low.at), exact(high.at)
        if least > most or (least == most and (low.is_open or high.is_open)):
            raise ClauseRefused("numeric has a range that holds no number")
    return Clause(range_test(low, high), frozenset({"number", "decimal"}), text)


def _bounds(parts: Sequence[Json]) -> tuple[Bound | None, Bound | None]:
    """Return the lower and the upper bound; None where one is not given."""
    shape = "numeric takes =, or > or >= and then perhaps < or <=, each with its number"
    if len(parts) not in (2, 4):
        raise ClauseRefused(shape)
    operators = parts[::2]
    numbers = [number(part, "a bound of numeric") for part in parts[1::2]]
    match operators:
        case ["="]:
            return Bound(numbers[0]), Bound(numbers[0])
        case [(">" | ">=") as above]:
            return Bound(numbers[0], above == ">"), None
        case [("<" | "<=") as below]:
            return None, Bound(numbers[0], below == "<")
        case [(">" | ">=") as above, ("<" | "<=") as below]:
            return Bound(numbers[0], above == ">"), Bound(numbers[1], below == "<")
        case _:
            raise ClauseRefused(shape)


def _cidr(operand: Json, text: str) -> Clause:
    block = _string(operand, "cidr")
    try:
        network = ipaddress.ip_network(block, strict=False)
    except ValueError:
        raise ClauseRefused(f"{shown(block)} is no block of addresses") from None

    def test(value: Json) -> bool:
        if type(value) is not str or len(value) > _ADDRESS_LENGTH:
            return False
        try:
            return ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return Clause(test, frozenset({"string"}), text)


def _exists(operand: Json, text: str) -> Clause:
    if operand is True:
        return Clause(lambda _: True, ANY_KIND, text)
    if operand is False:
        return Clause(lambda _: False, ANY_KIND, text, absent=True)
    raise ClauseRefused("exists takes true or false")


def _anything_but(operand: Json, text: str) -> Clause:
    if isinstance(operand, dict):
        excluded = _excluded_texts(operand)
        none_of = Clause(lambda v: not any(test(v) for test in excluded), TEXT, text)
        return replace(none_of, tests=len(excluded))
    values = operand if isinstance(operand, list) else [operand]
    _check_count(values)
    if all(isinstance(value, str) for value in values):
        texts = frozenset(_string(value, "a value of anything-but") for value in values)
        return Clause(lambda v: type(v) is not str or v not in texts, TEXT, text)
    if any(isinstance(value, str) for value in values):
        raise ClauseRefused("anything-but takes all text or all numbers, not both")
    numbers = frozenset(
        key_of_number(number(value, "a value of anything-but")) for value in values
    )

    def test(value: Json) -> bool:
        kind = type(value)
        if kind is not int and kind is not float and kind is not Decimal:
            return True
        return key_of_number(value) not in numbers  # type: ignore[arg-type]

    return Clause(test, NUMBER, text)


def _excluded_texts(operand: dict[str, Json]) -> list[Test]:
    if len(operand) != 1:
        raise ClauseRefused("anything-but takes exactly one operator")
    ((operator, inner),) = operand.items()
    if operator not in ("prefix", "suffix", "equals-ignore-case", "wildcard"):
        raise ClauseRefused(f"anything-but takes no operator {shown(operator)}")
    values = inner if isinstance(inner, list) else [inner]
    _check_count(values)
    for value in values:
        if _string(value, f"{operator} in anything-but") == "" and operator.endswith("fix"):
            raise ClauseRefused(f"an empty {operator} in anything-but would exclude all text")
    return [_READERS[operator](value, "").test for value in values]


def _check_count(values: Sequence[Json]) -> None:
    if not 1 <= len(values) <= MAX_OPERANDS:
        raise ClauseRefused(f"anything-but takes 1 to {MAX_OPERANDS} values")


_READERS: Final[dict[str, Callable[[Json, str], Clause]]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "equals-ignore-case": _equals_ignore_case,
    "wildcard": _wildcard,
    "anything-but": _anything_but,
    "numeric": _numeric,
    "cidr": _cidr,
    "exists": _exists,
}

OPERATORS: Final[frozenset[str]] = frozenset(_READERS)
"""Every operator that a pattern may use, `$or` aside."""
