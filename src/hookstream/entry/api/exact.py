"""The JSON of a request as plain values: numbers of doubles as floats, all others exact."""

from typing import cast

from hookstream.adapters.exact_json import Numeral
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.number import NotANumber, read_number, whole_as_int
from hookstream.entry.api.problems import ProblemKind, RequestRefused


def plain(exact: dict[str, object]) -> JsonObject:
    """Return what `parse_exact` returned, with its numbers as definitions have them.

    Raises:
        RequestRefused: A number is none.
    """
    return cast("JsonObject", _plain(exact))


def _plain(value: object) -> Json:
    match value:
        case dict():
            return {name: _plain(each) for name, each in value.items()}
        case list():
            return [_plain(each) for each in value]
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
