"""Compiles one alternative of a pattern's leaf, an operator and its operand, into a test of a value.

The operators are those of Amazon EventBridge event patterns. Each is fully validated when it is
parsed, and refused with a reason if it could not do what its writer meant. A compiled test is
total: it returns a result for any JSON value.

One deviation: the body writes decimals as text, so `numeric` reads text in the form of a decimal
number as that number. EventBridge never treats text as a number.
"""

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeAlias, TypeVar, cast

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
T = TypeVar("T")
AnyOf: TypeAlias = Callable[[Sequence[T]], Test]
"""Builds a single test for several alternatives of one operator from their operands."""
Kind: TypeAlias = str
"""`string`, `decimal` (text in the form of a number), `number`, `boolean` or `null`."""

ANY_KIND: Final[frozenset[Kind]] = frozenset({"string", "decimal", "number", "boolean", "null"})
TEXT: Final[frozenset[Kind]] = frozenset({"string", "decimal"})
NUMBER: Final[frozenset[Kind]] = frozenset({"number"})

_ADDRESS_LENGTH = 64
_BYTES: Final = {str(byte): byte for byte in range(256)}
_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class ClauseRefused(ValueError):
    """Raised inside the parser for an alternative that is not valid; the message is the reason."""


@dataclass(slots=True, frozen=True)
class Exactly:
    """Index key of a clause that requires equality: equal keys mean equal JSON values."""

    key: str | tuple[str, Scalar | Key]


@dataclass(slots=True, frozen=True)
class StartsWith:
    """Index key of a clause that requires a prefix."""

    text: str


@dataclass(slots=True, frozen=True)
class Clause:
    """One alternative of a leaf. It matches a field if its test passes for any of the field's values."""

    any_of: AnyOf[object]
    """The operator's combiner: alternatives with the same one share a single test."""
    operand: object
    kinds: frozenset[Kind]
    """The kinds of value that it can match."""
    text: str
    """The clause as JSON for messages, truncated."""
    filed: Exactly | StartsWith | None = None
    """The key to index it under, if the test is exactly an equality or a prefix."""
    absent: bool = False
    """True for `{"exists": false}`: it matches if the field has no value at all."""
    tests: int = 1
    """The most comparisons that its test makes for one value."""


def test_of(clauses: Sequence[Clause]) -> Test:
    """Return a test that passes if any of the alternatives matches a value.

    For most operators, any number of alternatives costs one look-up per value.
    """
    operands: dict[AnyOf[object], list[object]] = {}
    for clause in clauses:
        operands.setdefault(clause.any_of, []).append(clause.operand)
    return _any_test([any_of(alike) for any_of, alike in operands.items()])


def key_of(value: Scalar) -> str | tuple[str, Scalar | Key]:
    """Return a value's key in a set: numbers compare by value, `true` and `1` differ."""
    kind = type(value)
    # Most numbers are their own key: this saves a call on the path of an event.
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
    """Return a document as JSON text for a message, at most 80 characters."""
    try:
        text = json_text(document)
    except (TypeError, ValueError, RecursionError):
        text = type(document).__name__
    return text if len(text) <= 80 else text[:79] + "…"  # noqa: PLR2004


def number(value: Json, what: str) -> Number:
    """Return a valid operand: a finite number, at most 100 digits, an exponent within ±400.

    Raises:
        ClauseRefused: The value is not such a number; the message begins with `what`.
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
        return _clause(_equal_texts, wanted, TEXT, text, Exactly(wanted))
    if value is None or isinstance(value, bool):
        kind = "null" if value is None else "boolean"
        return _clause(_literals, value, frozenset({kind}), text, Exactly(key_of(value)))
    key = key_of_number(number(value, "a value"))
    return _clause(_equal_numbers, key, NUMBER, text, Exactly(("number", key)))


def _clause(
    any_of: AnyOf[T],
    operand: T,
    kinds: frozenset[Kind],
    text: str,
    filed: Exactly | StartsWith | None = None,
    *,
    absent: bool = False,
    tests: int = 1,
) -> Clause:
    """Return a clause whose test is compiled from its operand alone."""
    return Clause(cast("AnyOf[object]", any_of), operand, kinds, text, filed, absent, tests)


# Tests of a value against all alternatives of one operator.


def _any_test(tests: Sequence[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]
    return lambda v: any(test(v) for test in tests)


def _equal_texts(texts: Sequence[str]) -> Test:
    known = frozenset(texts)
    return lambda v: type(v) is str and v in known


def _literals(values: Sequence[bool | None]) -> Test:
    return lambda v: any(v is value for value in values)


def _equal_numbers(keys: Sequence[Key]) -> Test:
    known = frozenset(keys)

    def test(value: Json) -> bool:
        kind = type(value)
        # Most numbers are their own key.
        if kind is int or (kind is float and -EXACT < value < EXACT):  # type: ignore[operator]
            return value in known
        return (kind is float or kind is Decimal) and key_of_number(value) in known  # type: ignore[arg-type]

    return test


def _prefixes(texts: Sequence[str]) -> Test:
    starts = tuple(texts)
    return lambda v: type(v) is str and v.startswith(starts)


def _suffixes(texts: Sequence[str]) -> Test:
    ends = tuple(texts)
    return lambda v: type(v) is str and v.endswith(ends)


def _folded(by_text: Callable[[Sequence[str]], Test]) -> Callable[[Sequence[str]], Test]:
    """Return the case-insensitive form of a test builder."""

    def any_of(texts: Sequence[str]) -> Test:
        test = by_text([text.casefold() for text in texts])
        return lambda v: type(v) is str and test(v.casefold())

    return any_of


_folded_texts, _folded_prefixes, _folded_suffixes = map(
    _folded, (_equal_texts, _prefixes, _suffixes)
)


# Parsers of the operators' operands.


def _prefix(operand: Json, text: str) -> Clause:
    if isinstance(operand, dict):
        return _clause(_folded_prefixes, _ignoring_case(operand, "prefix"), TEXT, text)
    start = _string(operand, "prefix")
    return _clause(_prefixes, start, TEXT, text, StartsWith(start))


def _suffix(operand: Json, text: str) -> Clause:
    if isinstance(operand, dict):
        return _clause(_folded_suffixes, _ignoring_case(operand, "suffix"), TEXT, text)
    return _clause(_suffixes, _string(operand, "suffix"), TEXT, text)


def _ignoring_case(operand: dict[str, Json], of: str) -> str:
    if list(operand) != ["equals-ignore-case"]:
        raise ClauseRefused(f'{of} takes text or {{"equals-ignore-case": text}}')
    return _string(operand["equals-ignore-case"], f"equals-ignore-case in {of}")


def _equals_ignore_case(operand: Json, text: str) -> Clause:
    return _clause(_folded_texts, _string(operand, "equals-ignore-case"), TEXT, text)


def _wildcard(operand: Json, text: str) -> Clause:
    return _clause(_any_test, _wildcard_test(_string(operand, "wildcard")), TEXT, text)


def _wildcard_test(glob: str) -> Test:
    """Return the test of a glob: it searches the pieces in order, at a cost linear in the value."""
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
        # Placing each piece leftmost leaves the most room for those that follow.
        at, end = len(first), len(value) - len(last)
        for piece in middle:
            found = value.find(piece, at, end) if at <= end else -1
            if found < 0:
                return False
            at = found + len(piece)
        return at <= end

    return test


def _pieces(glob: str) -> list[str]:
    r"""Split a glob at its stars; `\*` and `\\` are a literal star and backslash."""
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
            raise ClauseRefused("numeric has a range that contains no number")
    return _clause(range_test, (low, high), frozenset({"number", "decimal"}), text)


def _bounds(parts: Sequence[Json]) -> tuple[Bound | None, Bound | None]:
    """Return the lower and the upper bound; None for one that is not given."""
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

    return _clause(_blocks, network, frozenset({"string"}), text)


def _blocks(networks: Sequence[_Network]) -> Test:
    """Return a test that passes for text that is an address in one of the blocks."""
    # Network prefixes by IP version and number of host bits.
    known: dict[int, dict[int, set[int]]] = {4: {}, 6: {}}
    for network in networks:
        shift = network.max_prefixlen - network.prefixlen
        block = int(network.network_address) >> shift
        known[network.version].setdefault(shift, set()).add(block)
    of_four, of_six = tuple(known[4].items()), tuple(known[6].items())

    def test(value: Json) -> bool:
        if type(value) is not str or len(value) > _ADDRESS_LENGTH:
            return False
        among, read = (of_six, _six) if ":" in value else (of_four, _four)
        try:
            address = read(value) if among else 0
        except (ValueError, KeyError):
            return False
        for shift, blocks in among:  # noqa: SIM110  a generator costs more than the rest
            if address >> shift in blocks:
                return True
        return False

    return test


def _four(text: str) -> int:
    a, b, c, d = text.split(".")
    return _BYTES[a] << 24 | _BYTES[b] << 16 | _BYTES[c] << 8 | _BYTES[d]


def _six(text: str) -> int:
    return int(ipaddress.IPv6Address(text))


def _exists(operand: Json, text: str) -> Clause:
    if operand is True:
        return _clause(_any_test, lambda _: True, ANY_KIND, text)
    if operand is False:
        return _clause(_any_test, lambda _: False, ANY_KIND, text, absent=True)
    raise ClauseRefused("exists takes true or false")


def _anything_but(operand: Json, text: str) -> Clause:
    kinds, tests = TEXT, 1
    if isinstance(operand, dict):
        excluded = _excluded_texts(operand)
        test, tests = test_of(excluded), len(excluded)
    else:
        values = operand if isinstance(operand, list) else [operand]
        what = "a value of anything-but"
        _check_count(values)
        if all(isinstance(value, str) for value in values):
            test = _equal_texts([_string(value, what) for value in values])
        elif any(isinstance(value, str) for value in values):
            raise ClauseRefused("anything-but takes all text or all numbers, not both")
        else:
            test = _equal_numbers([key_of_number(number(value, what)) for value in values])
            kinds = NUMBER
    return _clause(_any_test, lambda v: not test(v), kinds, text, tests=tests)


def _excluded_texts(operand: dict[str, Json]) -> list[Clause]:
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
    return [_READERS[operator](value, "") for value in values]


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
"""Every operator that a pattern may use, except `$or`."""
