"""Parses JSON text into plain values with their line numbers, as `yaml_text` does for YAML.

Parsing is strict: duplicate fields, lone surrogates, `NaN` and trailing content are refused with
their line. Numbers are read as in YAML, so that a definition means the same in both.
"""

import json
import re

from hookstream.adapters.definition_files.yaml_text import (
    MAX_DEPTH,
    Document,
    FileRefused,
    scalar,
)
from hookstream.core.model.json import Json
from hookstream.core.model.number import NotANumber
from hookstream.core.planning.reading import shortened

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, Json] = {"null": None, "true": True, "false": False}


def read_document(text: str) -> Document:
    """Return the one document of a JSON text.

    Raises:
        FileRefused: The text is not JSON, or has a duplicate field.
    """
    return _JsonReading(text).document()


class _JsonReading:
    """Parses a text from left to right; `_at` is the current position."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._counted = 0
        self._lines: dict[str, int] = {}

    def document(self) -> Document:
        value = self._value("", 0)
        if self._peek():
            raise self._refused("is not JSON: something follows the document")
        return Document(value, self._lines)

    def _value(self, path: str, depth: int) -> Json:
        first = self._peek()
        self._lines.setdefault(path, self._here())
        if depth > MAX_DEPTH:
            raise self._refused(f"is nested more than {MAX_DEPTH} deep")
        match first:
            case "{":
                return self._object(path, depth)
            case "[":
                return self._array(path, depth)
            case '"':
                return self._string()
            case _:
                return self._scalar()

    def _object(self, path: str, depth: int) -> Json:
        self._at += 1
        found: dict[str, Json] = {}
        while self._more(found, "}"):
            if self._peek() != '"':
                raise self._refused(
                    "is not JSON: a field's name in double quotes is expected here"
                )
            line = self._here()
            name = self._string()
            if name in found:
                raise FileRefused(f"the field {name[:100]!r} appears twice", line)
            if self._peek() != ":":
                raise self._refused("is not JSON: a colon is expected here")
            self._at += 1
            inner = f"{path}.{name}" if path else name
            self._lines[inner] = line
            found[name] = self._value(inner, depth + 1)
        return found

    def _array(self, path: str, depth: int) -> Json:
        self._at += 1
        found: list[Json] = []
        while self._more(found, "]"):
            found.append(self._value(f"{path}[{len(found)}]", depth + 1))
        return found

    def _more(self, found: dict[str, Json] | list[Json], end: str) -> bool:
        """Skip a comma to the next member; return whether there is one."""
        first = self._peek()
        if first == end:
            self._at += 1
            return False
        if found:
            if first != ",":
                raise self._refused(f"is not JSON: a comma or {end} is expected here")
            self._at += 1
        return True

    def _string(self) -> str:
        try:
            # The next character is a double quote, so this can decode a string only.
            text, self._at = _DECODER.raw_decode(self._text, self._at)
        except json.JSONDecodeError as error:
            self._at = error.pos
            raise self._refused(f"is not JSON: {error.msg}") from error
        if not text.isascii() and any("\ud800" <= each <= "\udfff" for each in text):
            raise self._refused("contains half a surrogate pair, which is not a character")
        return str(text)

    def _scalar(self) -> Json:
        number = _NUMBER.match(self._text, self._at)
        if number is not None:
            try:
                value = scalar(number[0])
            except NotANumber as why:
                raise self._refused(f"{shortened(number[0])} {why}") from None
            self._at = number.end()
            return value
        for word, value in _WORDS.items():
            if self._text.startswith(word, self._at):
                self._at += len(word)
                return value
        raise self._refused("is not JSON: a value is expected here")

    def _peek(self) -> str:
        """Skip white space and return the next character; empty at the end."""
        space = _SPACE.match(self._text, self._at)
        self._at = self._at if space is None else space.end()
        return self._text[self._at : self._at + 1]

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _refused(self, why: str) -> FileRefused:
        return FileRefused(why, self._text.count("\n", 0, self._at) + 1)
