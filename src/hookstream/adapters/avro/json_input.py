"""What people and programs hand in becomes Avro values, strictly: nothing is rounded or guessed.

A schema is compiled once into a function that takes plain JSON, as events are delivered (decimals
and times as text, bytes as base64), and Python's own types (`Decimal`, aware `datetime`, `date`,
`time`, `UUID`, `bytes`) alike. It makes values with logical types left raw, as
`PublishedSchema.encode` takes them, and names the path of whatever it refuses.
"""

from collections.abc import Callable, Mapping
from typing import cast

from hookstream.adapters.avro import scalars
from hookstream.adapters.avro.fit import FILLED, Fit, Gathered, Take, Unfit, glimpse
from hookstream.adapters.avro.published import PublishedSchema
from hookstream.adapters.avro.unions import Branch, UnionTake, branch_names
from hookstream.adapters.exact_json import path_part
from hookstream.core.avro.nodes import Array, AvroSchema, Enum, Fixed, Primitive, RecordNode, Union
from hookstream.core.catalog.filling import Defaults, NoValue
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.suggestion import did_you_mean
from hookstream.errors import EventRefused

MAX_NAME = 100
"""Characters of an unknown name that are shown."""


def compile_input(schema: PublishedSchema) -> Callable[[object], dict[str, object]]:
    """Return the function that takes whole records of a schema over.

    The function raises `EventRefused` with every problem and its path, `avro_fit.MAX_PROBLEMS` at most.
    """
    compiler = InputCompiler(cast("JsonObject", schema.full["__named_schemas"]), schema.nodes)
    take = compiler.compile(cast("Json", schema.full))

    def record(value: object) -> dict[str, object]:
        try:
            return cast("dict[str, object]", take(value, Fit()))
        except Unfit as refused:
            raise EventRefused(refused.problems) from None
        except RecursionError:
            raise EventRefused(["the event is nested too deep"]) from None

    return record


class InputCompiler:
    """Compiles the types of one schema; names stand for what `named` says."""

    def __init__(self, named: JsonObject, nodes: AvroSchema) -> None:
        """Take the schema's named types by their full names, and the schema as typed nodes."""
        self._named = named
        self._nodes = nodes
        self._defaults = Defaults(nodes, self._tag)
        self._known: dict[str, Take] = {}

    def compile(self, schema: Json, *, text: bool = False) -> Take:
        """Return the function that takes values of a type.

        Args:
            schema: The type.
            text: Its field says `"json": "string"`.
        """
        if isinstance(schema, list):
            return self.union(schema, text=text)
        if isinstance(schema, dict):
            return self._complex(schema, text=text)
        name = str(schema)
        if name in scalars.PRIMITIVES:
            return scalars.primitive({"type": name}, text=text)
        if name not in self._known:
            self._known[name] = self.compile(self._named[name])
        return self._known[name]

    def union(self, branches: list[Json], *, text: bool) -> UnionTake:
        """Return what takes the values of a union."""
        named = branch_names(branches, self._named)
        return UnionTake(
            [
                Branch(names.avro, names, self.compile(branch, text=text))
                for branch, names in zip(branches, named, strict=True)
                if names.avro != "null"
            ],
            nullable=any(names.avro == "null" for names in named),
        )

    def _complex(self, schema: JsonObject, *, text: bool) -> Take:
        match schema["type"]:
            case "record" | "error":
                return self._record(schema)
            case "array":
                return _array(self.compile(schema["items"], text=text))
            case "map":
                return _map(self.compile(schema["values"], text=text))
            case "enum":
                return scalars.enum(cast("list[str]", schema["symbols"]))
            case "fixed":
                return scalars.fixed(schema)
            case str(name) if name in scalars.PRIMITIVES:
                return scalars.primitive(schema, text=text)
            case inner:
                return self.compile(inner, text=text)

    def _record(self, schema: JsonObject) -> Take:
        name = str(schema["name"])
        fields = {
            str(field["name"]): self.compile(field["type"], text=field.get("json") == "string")
            for field in cast("list[JsonObject]", schema["fields"])
        }
        defaults: dict[str, object] = {}
        missing: dict[str, str] = {}
        for field in cast("RecordNode", self._nodes.named[name]).fields:
            if not field.has_default:
                missing[field.name] = "is missing"
                continue
            try:
                defaults[field.name] = self._defaults.filling(field).make()
            except NoValue as why:
                missing[field.name] = f"is missing, and its default {why}"
        return _record(fields, defaults, missing)

    def _tag(self, union: Union, number: int, value: object) -> object:
        """Return a default of a union as fastavro's writer takes it."""
        branch = self._nodes.resolve(union.branches[number])
        match branch:
            case RecordNode(name=name) | Enum(name=name) | Fixed(name=name) | Primitive(kind=name):
                return value if name == "null" else (name, value)
            case _:
                return ("array" if isinstance(branch, Array) else "map", value)


def _record(
    fields: Mapping[str, Take], defaults: Mapping[str, object], missing: Mapping[str, str]
) -> Take:
    """Return the function that takes records.

    Args:
        fields: What takes each field.
        defaults: What fills a field that is not given.
        missing: What is wrong where one of the other fields is not given.
    """

    def take(value: object, fit: Fit) -> object:
        if not isinstance(value, Mapping):
            raise Unfit(f"{glimpse(value)} is not an object")
        problems = Gathered()
        taken = {**defaults}
        for name, given in value.items():
            try:
                taken[name] = (fields.get(name) or _stranger(name, fields))(given, fit)
            except Unfit as problem:
                problems.add(problem.within(path_part(str(name)[:MAX_NAME])))
        for name, why in missing.items():
            if name not in value:
                problems.add(Unfit(why).within(name))
        problems.end()
        if len(value) < len(fields):
            fit.note(FILLED)
        return taken

    return take


def _stranger(name: object, fields: Mapping[str, Take]) -> Take:
    """Return the function that takes no value of a field that does not exist."""
    meant = did_you_mean(name, fields) if isinstance(name, str) else ""

    def take(value: object, fit: Fit) -> object:
        del value, fit
        raise Unfit(f"there is no such field{meant}")

    return take


def _array(item: Take) -> Take:
    def take(value: object, fit: Fit) -> object:
        if not isinstance(value, list | tuple):
            raise Unfit(f"{glimpse(value)} is not an array")
        taken: list[object] = []
        problems = Gathered()
        for at, element in enumerate(value):
            try:
                taken.append(item(element, fit))
            except Unfit as problem:
                problems.add(problem.within(f"[{at}]"))
        problems.end()
        return taken

    return take


def _map(item: Take) -> Take:
    def take(value: object, fit: Fit) -> object:
        if not isinstance(value, Mapping):
            raise Unfit(f"{glimpse(value)} is not an object")
        taken: dict[str, object] = {}
        problems = Gathered()
        for key, element in value.items():
            try:
                taken[cast("str", scalars.text(key, fit))] = item(element, fit)
            except Unfit as problem:
                problems.add(problem.within(f"[{ascii(key)[:40]}]"))
        problems.end()
        return taken

    return take
