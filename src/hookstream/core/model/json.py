"""JSON values, as a type and as text."""

import json
from decimal import Decimal
from typing import TypeAlias

from hookstream.core.model.number import key_of_number, number_text

Json: TypeAlias = "str | int | float | Decimal | bool | list[Json] | dict[str, Json] | None"
"""A Decimal is only used for a number that is not the shortest text of any double (`core.model.number`)."""
JsonObject: TypeAlias = dict[str, Json]
Paths: TypeAlias = frozenset[tuple[str, ...]]
"""Places in an object: names from the outside in. An array on the way stands for each of its elements."""


def json_text(value: Json) -> str:
    """Return JSON text on one line. Parsing it yields the same value, every number included."""
    match value:
        case dict():
            inner = ", ".join(
                f"{json.dumps(name, ensure_ascii=False)}: {json_text(each)}"
                for name, each in value.items()
            )
            return "{" + inner + "}"
        case list():
            return "[" + ", ".join(map(json_text, value)) + "]"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float() | Decimal():
            return number_text(value)


def compared(value: Json) -> object:
    """Return a key for comparing documents: equal only for equal documents.

    Python's own equality treats `True` as 1, and a long Decimal as equal to the nearest double if
    it is that double's binary value.
    """
    match value:
        case dict():
            return {name: compared(each) for name, each in value.items()}
        case list():
            return [compared(each) for each in value]
        case bool():
            return ("literal", value)
        case int() | float() | Decimal():
            return ("number", key_of_number(value))
        case _:
            return value
