"""Types of bodies, parameters and answers, and the scopes of their fields.

A field without a mark is for every caller that may use the route; `for_operators(...)` marks a field that partners
neither see nor set. OpenAPI shows the mark as `x-scope`.
"""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, TypeAlias, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from hookstream.core.access.scopes import Caller, Scope

_MARK = "x-scope"


class ApiInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The input of a request: an unknown field is refused."""


class ApiOutput(msgspec.Struct, frozen=True, kw_only=True):
    """The body of an answer."""


OPERATORS_SEE = Meta(extra_json_schema={_MARK: Scope.OPERATOR_READ.value})
"""Marks a field that only operators see."""
OPERATORS_SET = Meta(extra_json_schema={_MARK: Scope.OPERATOR_WRITE.value})
"""Marks a field that only operators set."""
OPERATORS_ASK = OPERATORS_SEE
"""Marks a filter that only operators give."""

Identifier: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
ShortText: TypeAlias = Annotated[str, Meta(max_length=200)]
Instant: TypeAlias = Annotated[str, Meta(max_length=40, extra_json_schema={"format": "date-time"})]
"""A time as RFC 3339; what reads it checks it."""
Duration: TypeAlias = Annotated[str, Meta(max_length=20, examples=["15s", "5m"])]


@cache
def masks(struct: type) -> Mapping[str, Scope]:
    """Return the paths of the fields of a type that need a scope of their own, and that scope.

    A path has the names of fields, with `[]` for the items of a list and `{}` for those of a mapping.
    """
    found: dict[str, Scope] = {}
    _collect(struct, "", found, ())
    return found


def _collect(kind: Any, path: str, into: dict[str, Scope], above: tuple[type, ...]) -> None:  # noqa: ANN401
    """Collect the marks of a type, and of the types within it."""
    origin = get_origin(kind)
    if origin is Annotated:
        inner, *metas = get_args(kind)
        for scope in filter(None, map(_marked, metas)):
            into[path] = scope
        _collect(inner, path, into, above)
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if kind not in above:
            _collect_fields(kind, path, into, above)
    else:
        suffix = {list: "[]", tuple: "[]", dict: "{}", Mapping: "{}"}.get(origin, "")
        for each in get_args(kind):
            _collect(each, path + suffix, into, above)


def _collect_fields(
    kind: type[msgspec.Struct], path: str, into: dict[str, Scope], above: tuple[type, ...]
) -> None:
    hints = get_type_hints(kind, include_extras=True)
    for field in msgspec.structs.fields(kind):
        inner = f"{path}.{field.encode_name}" if path else field.encode_name
        _collect(hints[field.name], inner, into, (*above, kind))


def _marked(meta: object) -> Scope | None:
    mark = (getattr(meta, "extra_json_schema", None) or {}).get(_MARK)
    return None if mark is None else Scope(mark)


def refused_field(struct: type, document: object, caller: Caller) -> str | None:
    """Return the first field of a document that its caller may not set; None: there is none."""
    for path, scope in masks(struct).items():
        if not caller.may(scope) and _has(document, _parts(path)):
            return path
    return None


def masked(document: object, struct: type, caller: Caller) -> object:
    """Return a document without the fields that its caller may not see; it is changed in place."""
    for path, scope in masks(struct).items():
        if not caller.may(scope):
            _drop(document, _parts(path))
    return document


def _parts(path: str) -> list[str]:
    return path.replace("[]", ".[]").replace("{}", ".{}").split(".")


def _has(document: object, parts: list[str]) -> bool:
    first, *rest = parts
    match document:
        case list() | tuple() if first == "[]":
            return any(_has(each, rest) for each in document)
        case dict() if first == "{}":
            return any(_has(each, rest) for each in document.values())
        case dict() if first in document:
            return not rest or _has(document[first], rest)
        case _:
            return False


def _drop(document: object, parts: list[str]) -> None:
    first, *rest = parts
    match document:
        case list() | tuple() if first == "[]":
            for each in document:
                _drop(each, rest)
        case dict() if first == "{}":
            for each in document.values():
                _drop(each, rest)
        case dict() if first in document:
            if rest:
                _drop(document[first], rest)
            else:
                del document[first]
        case _:
            pass
