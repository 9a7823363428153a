"""Parses YAML text into plain JSON values with their line numbers.

Only a JSON-compatible subset is supported: YAML 1.2's core words for null, booleans and numbers,
and everything else as text, so that `on`, `12:30` and `2026-01-01` stay as written. Anchors,
aliases and tags are refused: they can expand without bound, or run code. The text is parsed event by
event with a bounded depth, since the composer of the C library crashes on deep nesting.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from hookstream.core.model.json import Json
from hookstream.core.model.number import NotANumber, read_number, whole_as_int
from hookstream.core.planning.reading import shortened

MAX_DEPTH = 50

_NOT_ONLY_TEXT = frozenset("~nNtTfF.+-0123456789")
"""The first characters of words that may be more than text: most are text, and are not parsed."""
_NULL = re.compile(r"~|null|Null|NULL|\Z")
_BOOL = re.compile(r"(true|True|TRUE)|(false|False|FALSE)")
_NUMBER = re.compile(r"-?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_PADDED = re.compile(r"(\+(\.[0-9]+|[0-9]+(\.[0-9]*)?)|[-+]?0[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class FileRefused(Exception):
    """Raised when a file has no valid documents; `line` counts from 1 and is 0 if unknown."""

    def __init__(self, why: str, line: int = 0) -> None:
        super().__init__(why)
        self.why = why
        self.line = line


@dataclass(slots=True)
class Document:
    """One YAML document."""

    value: Json
    lines: dict[str, int] = field(default_factory=dict)
    """Line numbers from 1 by path (`endpoint.signing_secrets[0].env`; empty for the document)."""

    def line(self, path: str) -> int:
        """Return the line of a path, or of its nearest ancestor if it is missing."""
        while path not in self.lines and path:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path, 1)


def read_documents(text: str) -> Iterator[Document]:
    """Yield the documents of a text one by one, except empty ones.

    Raises:
        FileRefused: The text is not YAML, or not in the supported subset.
    """
    try:
        # Not `yaml.parse`, which requests each event twice.
        take = yaml.CSafeLoader(text).get_event
        while (event := take()) is not None:
            if isinstance(event, yaml.DocumentStartEvent):
                document = Document(None)
                document.value = _YamlReading(take, document.lines).node(take(), "", 0)
                if document.value is not None:
                    yield document
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        raise FileRefused(f"is not YAML: {error.problem or error.context}", line) from error
    except yaml.YAMLError as error:
        why = "is not YAML: it contains a character that YAML does not allow"
        raise FileRefused(why, 1) from error


class _YamlReading:
    """Turns one document's events into values."""

    def __init__(self, take: Callable[[], Any], lines: dict[str, int]) -> None:
        self._take = take
        self._lines = lines

    def node(self, event: Any, path: str, depth: int) -> Json:  # noqa: ANN401  one that begins a node
        line = _line(event)
        self._lines.setdefault(path, line)
        if event.anchor is not None:
            raise FileRefused("anchors and aliases are not supported: write it out", line)
        if event.tag is not None:
            raise FileRefused("tags (words that begin with !) are not supported", line)
        if depth > MAX_DEPTH:
            raise FileRefused(f"is nested more than {MAX_DEPTH} deep", line)
        if isinstance(event, yaml.ScalarEvent):
            plain: bool = event.implicit[0]
            return _scalar(event.value, line) if plain else str(event.value)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path, depth)
        return self._mapping(path, depth)

    def _sequence(self, path: str, depth: int) -> list[Json]:
        found: list[Json] = []
        while not isinstance(event := self._take(), yaml.SequenceEndEvent):
            found.append(self.node(event, f"{path}[{len(found)}]", depth + 1))
        return found

    def _mapping(self, path: str, depth: int) -> dict[str, Json]:
        found: dict[str, Json] = {}
        while not isinstance(event := self._take(), yaml.MappingEndEvent):
            line = _line(event)
            name = self.node(event, f"{path}?", depth + 1)
            if not isinstance(name, str):
                raise FileRefused("a field's name must be text: quote it", line)
            if name in found:
                raise FileRefused(f"the field {name[:100]!r} appears twice", line)
            inner = f"{path}.{name}" if path else name
            # The line of a field is that of its name, even if its value begins below.
            self._lines[inner] = line
            found[name] = self.node(self._take(), inner, depth + 1)
        return found


def _line(event: yaml.Event) -> int:
    mark = event.start_mark
    return 1 if mark is None else mark.line + 1


def _scalar(text: str, line: int) -> Json:
    try:
        return scalar(text)
    except NotANumber as why:
        raise FileRefused(f"{shortened(text)} {why}", line) from None


def scalar(text: str) -> Json:
    """Return the value of an unquoted YAML word; JSON's words have the same values.

    Raises:
        NotANumber: It looks like a number but cannot be written back unchanged: leading zeros, an
            infinity, too many digits.
    """
    if text and text[0] not in _NOT_ONLY_TEXT:
        return text
    if _NULL.fullmatch(text):
        return None
    if found := _BOOL.fullmatch(text):
        return found[1] is not None
    if _PADDED.fullmatch(text):
        raise NotANumber("begins with a zero or a plus: quote it if text is meant")
    if _NO_NUMBER.fullmatch(text):
        raise NotANumber("is not a number that JSON can represent: quote it if text is meant")
    if not _NUMBER.fullmatch(text):
        return text
    try:
        return whole_as_int(read_number(text))
    except NotANumber as why:
        raise NotANumber(f"{why}: quote it if text is meant") from None
