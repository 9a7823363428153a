"""Names the first clause of a pattern that a body does not satisfy, for a person.

It evaluates parts of the pattern one after another, in the order in which they were written: slow, and
never on the path of an event.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from hookstream.core.matching.pattern import Path, dotted, leaves_at, parse
from hookstream.core.model.json import Json, JsonObject, json_text

_OR: Final = "$or"
_MOST_TEXT: Final = 120
"""The most characters that are shown of a value or of a clause's alternatives."""
_MOST_ALTERNATIVES: Final = 3
"""The most alternatives of an `$or` that are shown."""

_Part: TypeAlias = tuple[Path, str, list[Json]]
"""Its path, its name (of a field, or `$or`), and its alternatives."""


@dataclass(slots=True, frozen=True)
class Refusing:
    """The clause that refuses the body."""

    path: str
    """The field, or the object that an `$or` or an array's element is asked for in."""
    detail: str
    """A sentence that begins with the field."""


def first_refusing(document: JsonObject, body: JsonObject) -> Refusing | None:
    """Return the first clause of a pattern that a body does not satisfy; None: it matches.

    Raises:
        PatternRefused: The document is no pattern.
    """
    if parse(document).matches(body):
        return None
    parts = list(_parts(document, ()))
    for path, name, alternatives in parts:
        # The only one was asked as the whole pattern.
        if len(parts) > 1 and parse(_alone(path, name, alternatives)).matches(body):
            continue
        if name == _OR:
            return Refusing(dotted(path), _no_alternative(path, alternatives, body))
        return Refusing(dotted((*path, name)), _of_field((*path, name), alternatives, body))
    # Each holds by itself, but in different elements of an array.
    fields = [dotted((*path, name)) for path, name, _ in parts if name != _OR]
    shared = _shared([path for path, _, _ in parts])
    wanted = ", ".join(fields) or dotted(shared)
    return Refusing(dotted(shared), f"no single element has all that is asked for: {_cut(wanted)}")


def _parts(document: JsonObject, path: Path) -> Iterator[_Part]:
    """Yield the fields and the `$or` groups, all of which must match."""
    for key, below in document.items():
        if key == _OR:
            if isinstance(below, list):
                yield path, _OR, below
            continue
        *parents, name = key.split(".")
        within = (*path, *parents)
        if isinstance(below, dict):
            yield from _parts(below, (*within, name))
        elif isinstance(below, list):
            yield within, name, below


def _alone(path: Path, name: str, alternatives: list[Json]) -> JsonObject:
    """Return the pattern that has this part only."""
    document: JsonObject = {name: alternatives}
    for parent in reversed(path):
        document = {parent: document}
    return document


def _of_field(path: Path, alternatives: list[Json], body: JsonObject) -> str:
    wanted = json_text(alternatives[0]) if len(alternatives) == 1 else json_text([*alternatives])
    asked = f"the pattern asks for {_cut(wanted)}"
    found = list(leaves_at(body, path))
    if not found:
        return f"{dotted(path)} is absent; {asked}"
    shown = json_text(found[0]) if len(found) == 1 else json_text([*found])
    return f"{dotted(path)} is {_cut(shown)}; {asked}"


def _no_alternative(path: Path, alternatives: list[Json], body: JsonObject) -> str:
    said = []
    for alternative in alternatives[:_MOST_ALTERNATIVES]:
        inner = alternative if isinstance(alternative, dict) else {}
        for parent in reversed(path):
            inner = {parent: inner}
        refusing = first_refusing(inner, body)
        said.append("it holds alone" if refusing is None else refusing.detail)
    more = len(alternatives) - len(said)
    rest = f"; and {more} more" if more else ""
    return f"{_OR}: none of {len(alternatives)} alternatives holds ({' | '.join(said)}{rest})"


def _shared(paths: list[Path]) -> Path:
    """Return the longest beginning of all paths."""
    shortest = min(paths, key=len)
    for length in range(len(shortest), 0, -1):
        if all(path[:length] == shortest[:length] for path in paths):
            return shortest[:length]
    return ()


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}..."
