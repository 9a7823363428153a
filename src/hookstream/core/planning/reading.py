"""Strict parsing of definitions: each problem is reported with its path, unknown fields too."""

import re
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias, TypeVar

from hookstream.core.model.instant import Millis, format_duration, parse_duration
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.number import number_text
from hookstream.core.model.suggestion import did_you_mean

_Word = TypeVar("_Word", bound=StrEnum)
Report: TypeAlias = Callable[[str, str], None]
"""Takes the path of a problem and its description."""


class FieldReader:
    """One mapping of a definition, read field by field.

    Each method returns the field's value. If it is missing or wrong, the method reports that and
    returns a placeholder of the right type, so one pass finds all problems. A definition with
    reported problems is never used.

    Args:
        document: The parsed mapping.
        path: Its path, empty for the whole document.
        report: Called with each problem.
    """

    __slots__ = ("_document", "_known", "_path", "_report")

    def __init__(self, document: Json, path: str, report: Report) -> None:
        self._path = path
        self._report = report
        self._known: list[str] = []
        self._document: JsonObject = {}
        if isinstance(document, dict):
            self._document = document
        else:
            report(path, f"must be a mapping, not {described(document)}")

    def finish(self) -> None:
        """Report the fields that were not read, with the nearest known name."""
        for name in self._document:
            if name not in self._known:
                hint = did_you_mean(name, self._known)
                self._report(self.path(name), f"there is no such field{hint}")

    def path(self, field: str) -> str:
        """Return the path of a field, or of the mapping itself if the field is empty."""
        return f"{self._path}.{field}" if self._path and field else self._path or field

    def wrong(self, field: str, why: str) -> None:
        """Report a problem with a field."""
        self._report(self.path(field), why)

    def given(self, field: str) -> bool:
        """Return whether a field is present; `null` counts as absent."""
        self._known.append(field)
        return self._document.get(field) is not None

    def raw(self, field: str) -> Json:
        """Return a field as it was parsed; None if it is absent."""
        self._known.append(field)
        return self._document.get(field)

    def text(self, field: str, shape: re.Pattern[str], form: str, *, quoted: bool = True) -> str:
        """Return a required text that matches `shape` fully; `form` describes the shape in words.

        Problems quote what is there unless `quoted` is false: it may be secret material.
        """
        found = self.raw(field)
        if found is None:
            self.wrong(field, "is missing")
        elif not isinstance(found, str):
            instead = f", not {described(found)}" if quoted else ""
            self.wrong(field, f"must be text{instead}")
        elif shape.fullmatch(found) is None:
            self.wrong(field, f"{shortened(found)} is not {form}" if quoted else f"must be {form}")
        else:
            return found
        return ""

    def texts(
        self, field: str, shape: re.Pattern[str], form: str, *, least: int = 1, most: int
    ) -> tuple[str, ...]:
        """Return a required list of `least` to `most` distinct texts that all match a shape."""
        texts: list[str] = []
        for place, each in self.items(field, least=least, most=most):
            if not isinstance(each, str):
                self.wrong(place, f"must be text, not {described(each)}")
            elif shape.fullmatch(each) is None:
                self.wrong(place, f"{shortened(each)} is not {form}")
            elif each in texts:
                self.wrong(place, f"{each!r} is listed twice")
            else:
                texts.append(each)
        return tuple(texts)

    def items(self, field: str, *, least: int, most: int) -> list[tuple[str, Json]]:
        """Return the items of a required list of `least` to `most`, each with its path."""
        found = self.raw(field)
        if found is None:
            self.wrong(field, "is missing")
        elif not isinstance(found, list):
            self.wrong(field, f"must be a list, not {described(found)}")
        elif not least <= len(found) <= most:
            self.wrong(field, f"must have {least} to {most} items, not {len(found)}")
        else:
            return [(f"{field}[{index}]", each) for index, each in enumerate(found)]
        return []

    def section(self, field: str, *, required: bool = False, quoted: bool = True) -> "FieldReader":
        """Return a reader of a nested mapping; an empty one if it is absent. `quoted`: as for `text`."""
        found = self.raw(field)
        if found is None:
            if required:
                self.wrong(field, "is missing")
            return FieldReader({}, self.path(field), _silent if required else self._report)
        if not quoted and not isinstance(found, dict):
            self.wrong(field, "must be a mapping")
            return FieldReader({}, self.path(field), _silent)
        return FieldReader(found, self.path(field), self._report)

    def nested(self, place: str, found: Json) -> "FieldReader":
        """Return a reader of a value in a list or mapping; `place` is its path."""
        return FieldReader(found, self.path(place), self._report)

    def entries(self, field: str, *, most: int) -> JsonObject:
        """Return an optional mapping with arbitrary names, at most `most` of them."""
        found = self.raw(field)
        if found is None:
            return {}
        if not isinstance(found, dict):
            self.wrong(field, f"must be a mapping, not {described(found)}")
        elif len(found) > most:
            self.wrong(field, f"must have at most {most} entries, not {len(found)}")
        else:
            return found
        return {}

    def duration(self, field: str, default: Millis, *, least: Millis, most: Millis) -> Millis:
        """Return an optional duration between two bounds."""
        found = self.raw(field)
        return default if found is None else self.one_duration(field, found, least, most)

    def one_duration(self, place: str, found: Json, least: Millis, most: Millis) -> Millis:
        """Parse a duration; `place` is its path."""
        if not isinstance(found, str):
            self.wrong(place, f"must be a duration such as 5s, not {described(found)}")
            return least
        try:
            duration = parse_duration(found)
        except ValueError as why:
            self.wrong(place, str(why))
            return least
        if not least <= duration <= most:
            bounds = f"{format_duration(least)} to {format_duration(most)}"
            self.wrong(place, f"must be {bounds}, not {found}")
        return duration

    def whole(self, field: str, default: int, *, least: int, most: int) -> int:
        """Return an optional whole number between two bounds."""
        found = self.raw(field)
        return default if found is None else self.one_whole(field, found, least, most)

    def one_whole(self, place: str, found: Json, least: int, most: int) -> int:
        """Parse a whole number; `place` is its path."""
        if not isinstance(found, int) or isinstance(found, bool):
            self.wrong(place, f"must be a whole number, not {described(found)}")
            return least
        if not least <= found <= most:
            self.wrong(place, f"must be {least} to {most}, not {found}")
        return found

    def flag(self, field: str) -> bool:
        """Return an optional true or false; false if it is missing."""
        found = self.raw(field)
        if found is None or isinstance(found, bool):
            return bool(found)
        self.wrong(field, f"must be true or false, not {described(found)}")
        return False

    def rate(self, field: str, *, least: float, most: float) -> float | None:
        """Return an optional number between two bounds."""
        found = self.raw(field)
        if found is None:
            return None
        if not isinstance(found, int | float | Decimal) or isinstance(found, bool):
            self.wrong(field, f"must be a number, not {described(found)}")
            return None
        if isinstance(found, Decimal):
            self.wrong(field, f"must be a number of at most 15 digits, not {number_text(found)}")
            return None
        if not least <= found <= most:
            self.wrong(field, f"must be {least:g} to {most:g}, not {number_text(found)}")
        return float(found)

    def one_of(self, field: str, words: type[_Word], default: _Word) -> _Word:
        """Return an optional word."""
        found = self.raw(field)
        if found is None:
            return default
        if not isinstance(found, str) or found not in [*words]:
            self.wrong(field, f"must be {' or '.join(words)}, not {described(found)}")
            return default
        return words(found)


def described(found: Json) -> str:
    """Return a description of a value; short values that are not text are quoted."""
    match found:
        case None:
            return "nothing"
        case bool():
            return f"{str(found).lower()} (quote it, if text is meant)"
        case int() | float() | Decimal():
            return f"the number {number_text(found)} (quote it, if text is meant)"
        case str():
            return shortened(found)
        case list():
            return "a list"
        case dict():
            return "a mapping"


def shortened(text: str) -> str:
    """Return a text in quotes, truncated if it is long."""
    most = 60
    return repr(text if len(text) <= most else text[:most] + "…")


def _silent(_: str, __: str) -> None:
    """Report nothing: the section itself was already reported."""
