"""What people and programs hand in becomes Avro values, strictly: nothing is rounded or guessed.

A schema is compiled once into a function that takes plain JSON, as events are delivered (decimals
and times as text, bytes as base64), and Python's own types (`Decimal`, aware `datetime`, `date`,
`time`, `UUID`, `bytes`) alike. It makes values with logical types left raw, as
`PublishedSchema.encode` takes them, and names the path of whatever it refuses.
"""

import difflib
from collections.abc import Callable, Mapping
from typing import TypeAlias, cast

from hookstream.adapters import avro_scalars as scalars
from hookstream.adapters.avro_parsing import PublishedSchema
from hookstream.core.model.json import Json
from hookstream.errors import InputRefused

Take: TypeAlias = Callable[[object], object]
"""Takes a value over as Avro has it; raises `Unfit`."""

_Schema: TypeAlias = dict[str, Json]


def compile_input(schema: PublishedSchema) -> Callable[[object], dict[str, object]]:
    """Return the function that takes whole records of a schema over.

    The function raises `InputRefused` with the path of the first value that does not fit.
    """
    take = _Compiler(cast("_Schema", schema.full["__named_schemas"])).compile(
        cast("Json", schema.full)
    )

    def record(value: object) -> dict[str, object]:
        try:
            return cast("dict[str, object]", take(value))
        except scalars.Unfit as problem:
            raise InputRefused(str(problem)) from None

    return record


class _Compiler:
    """Compiles the types of one schema; names stand for what `named` says."""

    def __init__(self, named: _Schema) -> None:
        self._named = named
        self._known: dict[str, Take] = {}

    def compile(self, schema: Json) -> Take:
        if isinstance(schema, list):
            return self._union(schema)
        if isinstance(schema, dict):
            return self._complex(schema)
        name = str(schema)
        if name in scalars.PRIMITIVES:
            return scalars.primitive({"type": name})
        if name not in self._known:
            self._known[name] = self.compile(self._named[name])
        return self._known[name]

    def _complex(self, schema: _Schema) -> Take:
        match schema["type"]:
            case "record" | "error":
                return self._record(schema)
            case "array":
                return _array(self.compile(schema["items"]))
            case "map":
                return _map(self.compile(schema["values"]))
            case "enum":
                return scalars.enum(cast("list[str]", schema["symbols"]))
            case "fixed":
                return scalars.fixed(schema)
            case str(name) if name in scalars.PRIMITIVES:
                return scalars.primitive(schema)
            case inner:
                return self.compile(inner)

    def _record(self, schema: _Schema) -> Take:
        fields: dict[str, Take] = {}
        defaults: dict[str, object] = {}
        for field in cast("list[_Schema]", schema["fields"]):
            name = str(field["name"])
            kind = field["type"]
            if field.get("json") == "string" and kind == "long":
                kind = {"type": "long", "json": "string"}
            fields[name] = self.compile(kind)
            if "default" in field:
                defaults[name] = self._default(kind, field["default"])
        return _record(fields, defaults)

    def _union(self, branches: list[Json]) -> Take:
        others = [branch for branch in branches if branch != "null"]
        takes = [(_branch_name(branch), self.compile(branch)) for branch in others]
        nullable = len(others) < len(branches)
        if len(takes) == 1:
            return _optional(takes[0][1]) if nullable else takes[0][1]
        return _one_of(takes, nullable=nullable)

    def _default(self, schema: Json, default: Json) -> object:
        """Return a field's default as a value: JSON has it with bytes as ISO-8859-1 text."""
        match schema:
            case [first, *_]:
                return self._default(first, default)
            case str(name) if name in self._named:
                return self._default(self._named[name], default)
            case "bytes" | {"type": "bytes" | "fixed"}:
                return str(default).encode("iso-8859-1")
            case {"type": "record", "fields": list(fields)} if isinstance(default, dict):
                return {
                    str(f["name"]): self._default(
                        f["type"], default.get(str(f["name"]), f.get("default"))
                    )
                    for f in fields
                    if isinstance(f, dict)
                }
            case {"type": "array", "items": items} if isinstance(default, list):
                return [self._default(items, item) for item in default]
            case {"type": "map", "values": values} if isinstance(default, dict):
                return {key: self._default(values, item) for key, item in default.items()}
            case _:
                return default


def _record(fields: Mapping[str, Take], defaults: Mapping[str, object]) -> Take:
    def take(value: object) -> object:
        if not isinstance(value, Mapping):
            raise scalars.Unfit(f"{scalars.glimpse(value)} is not an object")
        for name in value:
            if name not in fields:
                raise scalars.Unfit(f"there is no such field{_meant(name, fields)}").within(
                    str(name)
                )
        missing = [name for name in fields if name not in value and name not in defaults]
        if missing:
            raise scalars.Unfit("is missing").within(missing[0])
        taken = {**defaults}
        for name, given in value.items():
            try:
                taken[name] = fields[name](given)
            except scalars.Unfit as problem:
                raise problem.within(name) from None
        return taken

    return take


def _no_strangers(value: Mapping[object, object], fields: Mapping[str, Take]) -> None:
    for name in value:
        if name not in fields:
            problem = scalars.Unfit(f"there is no such field{_meant(name, fields)}")
            raise problem.within(ascii(name).strip("'")[:80])


def _meant(name: object, fields: Mapping[str, Take]) -> str:
    near = difflib.get_close_matches(str(name)[:80], fields, n=1)
    return f"; {near[0]} was meant?" if near else ""


def _array(item: Take) -> Take:
    def take(value: object) -> object:
        if not isinstance(value, list | tuple):
            raise scalars.Unfit(f"{scalars.glimpse(value)} is not an array")
        taken: list[object] = []
        try:
            for element in value:
                taken.append(item(element))  # noqa: PERF401  # its length is the failing index
        except scalars.Unfit as problem:
            raise problem.within(f"[{len(taken)}]") from None
        return taken

    return take


def _map(item: Take) -> Take:
    def take(value: object) -> object:
        if not isinstance(value, Mapping):
            raise scalars.Unfit(f"{scalars.glimpse(value)} is not an object")
        taken: dict[str, object] = {}
        for key, element in value.items():
            try:
                taken[cast("str", scalars.text(key))] = item(element)
            except scalars.Unfit as problem:
                raise problem.within(f"[{ascii(key)[:40]}]") from None
        return taken

    return take


def _optional(other: Take) -> Take:
    def take(value: object) -> object:
        return None if value is None else other(value)

    return take


def _one_of(branches: list[tuple[str, Take]], *, nullable: bool) -> Take:
    def take(value: object) -> object:
        if value is None and nullable:
            return None
        problems = []
        for name, branch in branches:
            try:
                # fastavro takes a pair as a value and the name of its branch.
                return (name, branch(value))
            except scalars.Unfit as problem:
                problems.append(f"as {name}: {problem}")
        raise scalars.Unfit("fits no branch of its union: " + "; ".join(problems))

    return take


def _branch_name(branch: Json) -> str:
    if isinstance(branch, dict):
        kind = str(branch["type"])
        return str(branch["name"]) if kind in ("record", "error", "enum", "fixed") else kind
    return str(branch)
