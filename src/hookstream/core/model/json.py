"""What plain JSON can hold, as a type and as text."""

import json
from decimal import Decimal
from typing import TypeAlias

from hookstream.core.model.number import key_of_number, number_text

Json: TypeAlias = "str | int | float | Decimal | bool | list[Json] | dict[str, Json] | None"
"""A Decimal stands only for a number that no double is the shortest text of (`core.model.number`)."""
JsonObject: TypeAlias = dict[str, Json]


def json_text(value: Json) -> str:
    """Return JSON text on one line; reading it gives the value again, each number as it was."""
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
    """Return what stands for a document in a comparison: equal only for the same document.

    Python's own equality takes `true` for 1, and a long decimal for the double that is nearest to
    it where the decimal is the double's binary value.
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
