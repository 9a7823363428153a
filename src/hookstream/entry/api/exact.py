"""Converts a request's JSON to plain values: doubles as floats, other numbers exact, and valid texts."""

from collections.abc import Iterator
from typing import Final, cast

from hookstream.adapters.exact_json import Numeral, path_part
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.number import NotANumber, read_number, whole_as_int
from hookstream.core.model.parts import joined
from hookstream.entry.api.problems import ProblemKind, RequestRefused

_INT64: Final = 1 << 63


def plain(exact: dict[str, object]) -> JsonObject:
    r"""Return what `parse_exact` returned, with its numbers as definitions have them.

    Raises:
        RequestRefused: A number is not one, or a text has a lone surrogate (`\ud800`), which no table, topic or
            answer can have.
    """
    try:
        return cast("JsonObject", _plain(exact))
    except UnicodeEncodeError:
        raise RequestRefused(
            ProblemKind.MALFORMED,
            "a text has half of a surrogate pair, which is not a character",
            field=next(_halves(exact), ""),
        ) from None


def _plain(value: object) -> Json:
    if type(value) is int and -_INT64 <= value < _INT64:
        # As `read_number` says of its text, which takes ten times as long.
        return value
    match value:
        case dict():
            return {_text(name): _plain(each) for name, each in value.items()}
        case list():
            return [_plain(each) for each in value]
        case str():
            return _text(value)
        case Numeral(text):
            return _number(text)
        case int() if not isinstance(value, bool):
            return _number(str(value))
        case _:
            return cast("Json", value)


def _number(text: str) -> Json:
    try:
        return whole_as_int(read_number(text))
    except NotANumber as why:
        raise RequestRefused(ProblemKind.MALFORMED, f"a number {why}") from None


def _text(text: str) -> str:
    """Return a text.

    Raises:
        UnicodeEncodeError: It has a lone surrogate.
    """
    if not text.isascii():
        text.encode()
    return text


def _halves(value: object, path: str = "") -> Iterator[str]:
    """Yield the paths of texts with lone surrogates, and of the fields that such a text names."""
    match value:
        case dict():
            for name, each in value.items():
                at = joined(path, path_part(name))
                yield from _halves(name, at)
                yield from _halves(each, at)
        case list():
            for number, each in enumerate(value):
                yield from _halves(each, f"{path}[{number}]")
        case str():
            try:
                _text(value)
            except UnicodeEncodeError:
                yield path
        case _:
            pass
