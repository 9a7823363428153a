"""Converts JSON or Python values to Avro values, strictly: nothing is rounded or guessed.

A schema is compiled once into a function that accepts both plain JSON as events are delivered
(decimals and times as text, bytes as base64), and Python's own types (`Decimal`, aware `datetime`,
`date`, `time`, `UUID`, `bytes`). It returns values with logical types left raw, as
`PublishedSchema.encode` takes them, and reports the path of each refused value.
"""

from collections.abc import Callable, Mapping
from typing import cast

from hookstream.adapters.avro import scalars
from hookstream.adapters.avro.fit import FILLED, Fit, Gathered, Take, Unfit, glimpse
from hookstream.adapters.avro.published import PublishedSchema
from hookstream.adapters.avro.unions import Branch, UnionTake, branch_names
from hookstream.adapters.exact_json import path_part
from hookstream.core.avro.nodes import (
    Array,
    AvroSchema,
    Leaf,
    Map,
    RecordNode,
    SchemaCompiler,
    Union,
    type_name,
)
from hookstream.core.catalog.filling import Defaults, NoValue
from hookstream.core.model.suggestion import did_you_mean
from hookstream.errors import EventRefused

MAX_NAME = 100
"""Characters of an unknown name that are shown."""


def compile_input(schema: PublishedSchema) -> Callable[[object], dict[str, object]]:
    """Return the function that converts whole records of a schema.

    The function raises `EventRefused` with every problem and its path, `avro_fit.MAX_PROBLEMS` at most.
    """
    take = InputCompiler(schema.nodes).make(schema.nodes.root)

    def record(value: object) -> dict[str, object]:
        try:
            return cast("dict[str, object]", take(value, Fit()))
        except Unfit as refused:
            raise EventRefused(refused.problems) from None
        except RecursionError:
            raise EventRefused(["the event is nested too deep"]) from None

    return record


class InputCompiler(SchemaCompiler[Take]):
    """Compiles the functions that convert values of a schema's types."""

    def __init__(self, schema: AvroSchema) -> None:
        """Take the schema."""
        super().__init__(schema)
        self._defaults = Defaults(schema, self._tag)

    def leaf(self, node: Leaf) -> Take:
        """Return the converter of a type without parts."""
        return scalars.leaf(node)

    def array(self, node: Array) -> Take:
        """Return the converter of arrays."""
        return _array(self.make(node.items))

    def map(self, node: Map) -> Take:
        """Return the converter of maps."""
        return _map(self.make(node.values))

    def union(self, node: Union) -> UnionTake:
        """Return the converter of a union."""
        names = branch_names([self.schema.resolve(branch) for branch in node.branches])
        return UnionTake(
            [
                Branch(name, self.make(branch))
                for branch, name in zip(node.branches, names, strict=True)
                if name.avro != "null"
            ],
            nullable=any(name.avro == "null" for name in names),
        )

    def record(self, node: RecordNode) -> Take:
        """Return the converter of records."""
        fields = {field.name: self.make(field.type) for field in node.fields}
        defaults: dict[str, object] = {}
        missing: dict[str, str] = {}
        for field in node.fields:
            if not field.has_default:
                missing[field.name] = "is missing"
                continue
            try:
                defaults[field.name] = self._defaults.filling(field).make()
            except NoValue as why:
                missing[field.name] = f"is missing, and its default {why}"
        return _record(fields, defaults, missing)

    def _tag(self, union: Union, number: int, value: object) -> object:
        """Return a union's default in the form of fastavro's writer."""
        name = type_name(union.branches[number])
        return value if name == "null" else (name, value)


def _record(
    fields: Mapping[str, Take], defaults: Mapping[str, object], missing: Mapping[str, str]
) -> Take:
    """Return the function that converts records.

    Args:
        fields: The converter of each field.
        defaults: The defaults of missing fields.
        missing: The problem to report for each other missing field.
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
    """Return a function that refuses any value, for a field that does not exist."""
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
