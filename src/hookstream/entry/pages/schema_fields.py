"""Lists the fields of a body from its JSON Schema, and the differences between two versions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hookstream.core.model.json import Json

MOST_FIELDS = 2_000
"""The most fields that are listed."""
_DEEPEST = 32
_REF = "#/$defs/"
_ITEMS = "[]"


@dataclass(slots=True, frozen=True)
class FieldLine:
    """One field."""

    path: str
    """Its names from the body on, separated by dots; `[]` is each element of an array."""
    kind: str
    """Its type in words: `string, uuid`, `array`, `null or number`."""
    required: bool
    about: str
    """The description in its schema; empty: none."""


@dataclass(slots=True, frozen=True)
class ChangedField:
    """One field that differs between two versions."""

    path: str
    before: FieldLine | None
    after: FieldLine | None

    @property
    def what(self) -> str:
        """`added`, `removed` or `changed`."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"


def fields_of(schema: Mapping[str, Any]) -> list[FieldLine]:
    """Return the fields of the bodies that a JSON Schema (2020-12) describes, in its order.

    Args:
        schema: As hookstream writes it: types by `$ref` to its own `$defs`. A type within itself is listed once.
    """
    found = []
    for line in _fields(schema, schema.get("$defs", {}), "", ()):
        found.append(line)
        if len(found) == MOST_FIELDS:
            break
    return found


def differences(before: Sequence[FieldLine], after: Sequence[FieldLine]) -> list[ChangedField]:
    """Return the fields that differ in path, type or `required`: first removed and changed ones, then new ones."""
    old, new = ({line.path: line for line in lines} for lines in (before, after))
    found = [
        ChangedField(path, line, new.get(path))
        for path, line in old.items()
        if path not in new or _compared(line) != _compared(new[path])
    ]
    return found + [
        ChangedField(path, None, line) for path, line in new.items() if path not in old
    ]


def _compared(line: FieldLine) -> tuple[str, bool]:
    return line.kind, line.required


def _fields(
    node: Mapping[str, Any], defs: Mapping[str, Any], path: str, within: tuple[str, ...]
) -> Iterator[FieldLine]:
    node, within = _resolved(node, defs, within)
    if len(within) > _DEEPEST:
        return
    required = node.get("required", ())
    for name, schema in node.get("properties", {}).items():
        at = f"{path}.{name}" if path else name
        yield _line(at, schema, defs, required=name in required)
        yield from _inside(schema, defs, at, within)


def _inside(
    schema: Mapping[str, Any], defs: Mapping[str, Any], path: str, within: tuple[str, ...]
) -> Iterator[FieldLine]:
    name = _named(schema)
    if name in within:
        return
    target, deeper = _resolved(schema, defs, within)
    if len(deeper) > _DEEPEST:
        return
    if "items" in target:
        yield from _inside(target["items"], defs, path + _ITEMS, (*deeper, path))
    elif "properties" in target:
        yield from _fields(schema, defs, path, (*within, path))
    for branch in _branches(target):
        yield from _inside(branch, defs, path, (*deeper, path))


def _resolved(
    node: Mapping[str, Any], defs: Mapping[str, Any], within: tuple[str, ...]
) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    name = _named(node)
    if name is None or name not in defs:
        return node, within
    return defs[name], (*within, name)


def _named(node: Mapping[str, Any]) -> str | None:
    ref = node.get("$ref")
    return ref.removeprefix(_REF) if isinstance(ref, str) else None


def _branches(node: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = node.get("anyOf") or node.get("oneOf") or ()
    return found


def _line(
    path: str, schema: Mapping[str, Any], defs: Mapping[str, Any], *, required: bool
) -> FieldLine:
    return FieldLine(path, _kind(schema, defs, 0), required, str(schema.get("description", "")))


def _kind(schema: Mapping[str, Any], defs: Mapping[str, Any], depth: int) -> str:
    target, _ = _resolved(schema, defs, ())
    if "const" in target:
        return f"always {_text(target['const'])}"
    if "enum" in target:
        return "one of " + ", ".join(_text(each) for each in target["enum"])
    if (branches := _branches(target)) and depth < _DEEPEST:
        return " or ".join(dict.fromkeys(_kind(each, defs, depth + 1) for each in branches))
    kind = target.get("type", "any value")
    words = list(kind) if isinstance(kind, list) else [str(kind)]
    text = " or ".join(words)
    if "format" in target:
        text += f", {target['format']}"
    if "items" in target and depth < _DEEPEST:
        text += f" of {_kind(target['items'], defs, depth + 1)}"
    return text


def _text(value: Json) -> str:
    return value if isinstance(value, str) else str(value)
