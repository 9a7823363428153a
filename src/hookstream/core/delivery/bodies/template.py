r"""A template is a JSON document of a subscription, in which paths stand for values of the event.

Its texts may hold paths over the `standard` body, `<$.data.order_number>`. A text that is one path
becomes the value, with its JSON type; where the value is absent, null. Within text, a text stands as
it is, a number or boolean as JSON, and null and what is absent are empty; an object or a list has no
text. `<$.data.name|slack>` escapes a text for Slack's markup, `\<$.` is the text `<$.` itself, and
`{"secret": NAME}` is the value of a secret.

A template is compiled to a flat sequence of parts: rendering does not recurse, and counts each byte
before it makes the body.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.number import NotANumber, checked, number_text
from hookstream.core.model.outcome import RefusalReason, Refused
from hookstream.core.model.parts import joined
from hookstream.core.model.suggestion import did_you_mean
from hookstream.errors import InputRefused

MAX_BYTES = 64 * 1024
"""The longest template, as JSON text without spaces."""
MAX_PATHS = 200
"""The most paths of a template, each counted where it stands."""
MAX_DEPTH = 32
"""How deep objects and lists of a template may be nested."""
MAX_NAMES = 32
"""The most names of one path."""

_SHOWN = 60
"""The most characters of a template's text that a message quotes."""

_OPENING = "<$."
_REST = re.compile(r"([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)(?:\|([A-Za-z_]*))?>")
_SECRET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
SECRET_NAME_FORM = "letters, digits, `.`, `_`, `-`, 60 at most"  # noqa: S105
_SECRET = "secret"  # noqa: S105  the key that names one

Encode: TypeAlias = Callable[[Json], bytes]
"""Returns the JSON text of a value as UTF-8 bytes, numbers exact."""
Reveal: TypeAlias = Callable[[str], str | None]
"""Returns the value of a secret by its name, None if there is none."""


class TemplateRefused(InputRefused):
    """Raised when a document is no template; the message names the path and the reason."""

    def __init__(self, path: str, reason: str) -> None:
        """Take the path in the document, empty for its top, and the reason."""
        super().__init__(f"template at {path or 'its top'}: {reason}")
        self.path = path
        self.reason = reason


def slack_text(text: str) -> str:
    """Return a text as Slack shows it literally: it can neither mention anyone nor hide a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


FILTERS: Mapping[str, Callable[[str], str]] = {"slack": slack_text}
"""What a path may name after `|`, with its effect on a text."""


@dataclass(slots=True, frozen=True)
class Placeholder:
    """A path in a template, replaced by the value that the event has there."""

    path: tuple[str, ...]
    """The names from the top of the `standard` body."""
    place: str
    """Where it stands in the template: `blocks[0].text`."""
    alone: bool
    """Whether it is the whole text, so that the value keeps its JSON type."""
    filter: str | None = None

    @property
    def needs_text(self) -> bool:
        """Whether the value may be neither an object nor a list."""
        return not self.alone or self.filter is not None

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"{_OPENING}{'.'.join(self.path)}{f'|{self.filter}' if self.filter else ''}>"


@dataclass(slots=True, frozen=True)
class NamedSecret:
    """A place that holds the value of a secret, as text."""

    name: str
    place: str


Part: TypeAlias = bytes | Placeholder | NamedSecret


@dataclass(slots=True, frozen=True)
class Template:
    """A compiled template."""

    parts: tuple[Part, ...] = field(repr=False)

    @property
    def placeholders(self) -> tuple[Placeholder, ...]:
        """Every path, in the order of the document."""
        return tuple(part for part in self.parts if isinstance(part, Placeholder))

    @property
    def secrets(self) -> frozenset[str]:
        """The names of the secrets in it."""
        return frozenset(part.name for part in self.parts if isinstance(part, NamedSecret))

    def render(
        self, document: JsonObject, encode: Encode, reveal: Reveal, most: int
    ) -> bytes | Refused:
        """Return the body of an event, or why there is none.

        Args:
            document: The `standard` body.
            encode: Writes values.
            reveal: Gives the secrets.
            most: The largest body in bytes. Rendering ends where it is exceeded.
        """
        made: list[bytes] = []
        size = 0
        for part in self.parts:
            piece = part if isinstance(part, bytes) else _value(part, document, encode, reveal)
            if isinstance(piece, Refused):
                return piece
            size += len(piece)
            if size > most:
                detail = f"the template makes more than {most} bytes, the most that are sent"
                return Refused(RefusalReason.BODY_TOO_LARGE, detail)
            made.append(piece)
        return b"".join(made)


def compile_template(document: Json) -> Template:
    """Return a template, ready to be rendered.

    Args:
        document: Plain JSON. It may share parts: each is counted wherever it stands.

    Raises:
        TemplateRefused: It is no object or list, exceeds a bound, or has a path, filter or secret
            that is not well-formed.
    """
    if not isinstance(document, dict | list):
        raise TemplateRefused("", "must be a mapping or a list")
    compiler = _Compiler()
    compiler.add(document, "", MAX_DEPTH)
    return compiler.finished()


def secrets_in(document: Json) -> frozenset[str] | tuple[str, str]:
    """Return the names of the secrets in a template, or the place and reason if it is not one."""
    try:
        return compile_template(document).secrets
    except TemplateRefused as refused:
        return refused.path, refused.reason


class _Compiler:
    """Appends the parts of a document, counting them."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._literal: list[bytes] = []
        self._size = 0
        self._paths = 0

    def finished(self) -> Template:
        self._close_literal()
        return Template(tuple(self._parts))

    def add(self, value: Json, place: str, depth: int) -> None:
        """Append a value; `depth` is how many levels more it may have."""
        if isinstance(value, dict | list) and not depth:
            raise TemplateRefused(place, f"is nested more than {MAX_DEPTH} deep")
        if isinstance(value, dict):
            if list(value) == [_SECRET]:
                self._secret(value[_SECRET], joined(place, _SECRET))
            else:
                self._object(value, place, depth)
        elif isinstance(value, list):
            self._list(value, place, depth)
        elif isinstance(value, str):
            self._text(value, place)
        else:
            self._literal_value(value, place)

    def _literal_value(self, value: bool | float | Decimal | None, place: str) -> None:  # noqa: FBT001  JSON
        if value is None or isinstance(value, bool):
            self._append(json.dumps(value), place)
            return
        try:
            self._append(number_text(checked(value)), place)
        except NotANumber as why:
            raise TemplateRefused(place, str(why)) from None

    def _list(self, value: list[Json], place: str, depth: int) -> None:
        self._append("[", place)
        for index, item in enumerate(value):
            if index:
                self._append(",", place)
            self.add(item, f"{place}[{index}]", depth - 1)
        self._append("]", place)

    def _object(self, value: JsonObject, place: str, depth: int) -> None:
        self._append("{", place)
        for index, (name, item) in enumerate(value.items()):
            below = joined(place, _quoted(name))
            if _OPENING in name:
                raise TemplateRefused(below, "is a key: only values may hold paths")
            self._append(f"{',' if index else ''}{_json(name)}:", below)
            self.add(item, below, depth - 1)
        self._append("}", place)

    def _secret(self, name: Json, place: str) -> None:
        if not isinstance(name, str) or _SECRET_NAME.fullmatch(name) is None:
            raise TemplateRefused(place, f"must be the name of a secret: {SECRET_NAME_FORM}")
        self._part(NamedSecret(name, place), len(_json(name)), place)

    def _text(self, text: str, place: str) -> None:
        pieces = _pieces(text, place)
        if len(pieces) == 1 and isinstance(pieces[0], Placeholder):
            self._placeholder(pieces[0])
            return
        self._append('"', place)
        for piece in pieces:
            if isinstance(piece, Placeholder):
                self._placeholder(piece)
            else:
                self._append(_json(piece)[1:-1], place)
        self._append('"', place)

    def _placeholder(self, placeholder: Placeholder) -> None:
        place = placeholder.place
        self._paths += 1
        if self._paths > MAX_PATHS:
            raise TemplateRefused(place, f"is path {self._paths}; at most {MAX_PATHS} are taken")
        self._part(placeholder, len(str(placeholder)), place)

    def _part(self, part: Part, size: int, place: str) -> None:
        self._count(size, place)
        self._close_literal()
        self._parts.append(part)

    def _append(self, text: str, place: str) -> None:
        """Append JSON text as it is."""
        try:
            encoded = text.encode()
        except UnicodeEncodeError:
            raise TemplateRefused(
                place, "has half of a surrogate pair, which is no text"
            ) from None
        self._count(len(encoded), place)
        self._literal.append(encoded)

    def _count(self, size: int, place: str) -> None:
        self._size += size
        if self._size > MAX_BYTES:
            raise TemplateRefused(place, f"lies beyond the template's first {MAX_BYTES} bytes")

    def _close_literal(self) -> None:
        if self._literal:
            self._parts.append(b"".join(self._literal))
            self._literal.clear()


def _pieces(text: str, place: str) -> list[str | Placeholder]:
    """Return a text's literal parts and paths, in order."""
    pieces: list[str | Placeholder] = []
    literal: list[str] = []
    start = 0
    while (at := text.find(_OPENING, start)) >= 0:
        before = text[start:at]
        plain = before.rstrip("\\")
        slashes = len(before) - len(plain)
        # Right before a path a backslash escapes the next character, and nowhere else.
        literal += [plain, "\\" * (slashes // 2)]
        if slashes % 2:
            literal.append(_OPENING)
            start = at + len(_OPENING)
            continue
        if any(literal):
            pieces.append("".join(literal))
        literal.clear()
        placeholder, start = _placeholder(text, at, place)
        pieces.append(placeholder)
    literal.append(text[start:])
    if any(literal):
        pieces.append("".join(literal))
    if len(pieces) > 1:
        return [_within_text(each) if isinstance(each, Placeholder) else each for each in pieces]
    return pieces


def _within_text(placeholder: Placeholder) -> Placeholder:
    return Placeholder(placeholder.path, placeholder.place, alone=False, filter=placeholder.filter)


def _placeholder(text: str, at: int, place: str) -> tuple[Placeholder, int]:
    """Return the path that begins at a position, and the position after it."""
    found = _REST.match(text, at + len(_OPENING))
    if found is None:
        shown = _quoted(text[at:])
        why = f"{shown} is no path such as <$.data.name>; \\<$. is the text itself"
        raise TemplateRefused(place, why)
    names, named = tuple(found[1].split(".")), found[2]
    if len(names) > MAX_NAMES:
        raise TemplateRefused(
            place, f"a path has {len(names)} names; at most {MAX_NAMES} are taken"
        )
    if named is not None and named not in FILTERS:
        why = f"there is no filter {_quoted(named)}{did_you_mean(named, FILTERS)}"
        raise TemplateRefused(place, f"{why}; known are {', '.join(sorted(FILTERS))}")
    return Placeholder(names, place, alone=True, filter=named), found.end()


def _value(
    part: Placeholder | NamedSecret, document: JsonObject, encode: Encode, reveal: Reveal
) -> bytes | Refused:
    if isinstance(part, Placeholder):
        return _rendered(part, _value_at(document, part.path), encode)
    secret = reveal(part.name)
    return _no_secret(part.name, part.place) if secret is None else encode(secret)


def _value_at(document: JsonObject, path: tuple[str, ...]) -> Json:
    """Return the value at a path; None where it is absent."""
    value: Json = document
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _rendered(placeholder: Placeholder, value: Json, encode: Encode) -> bytes | Refused:
    if placeholder.needs_text and isinstance(value, dict | list):
        kind = "an object" if isinstance(value, dict) else "a list"
        detail = f"template at {placeholder.place}: {placeholder} is {kind}, which has no text"
        return Refused(RefusalReason.NOT_RENDERABLE, detail)
    if placeholder.filter is not None and isinstance(value, str):
        value = FILTERS[placeholder.filter](value)
    if placeholder.alone:
        return encode(value)
    if value is None:
        return b""
    return encode(value)[1:-1] if isinstance(value, str) else encode(value)


def _no_secret(name: str, place: str) -> Refused:
    detail = f"template at {place}: the subscription has no secret {_quoted(name)}"
    return Refused(RefusalReason.NOT_RENDERABLE, detail)


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _quoted(text: str) -> str:
    """Return the beginning of a text for a message, without control characters."""
    shown = text[:_SHOWN]
    return shown if shown.isprintable() else shown.encode("unicode_escape").decode()
