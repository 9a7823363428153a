"""Checks the examples of a schema's fields, and encodes the sample that they form.

An example is valid if a body would contain exactly it: its delivered value equals the example.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from hookstream.adapters.avro.fit import KEPT, Fit, Take, Unfit, glimpse
from hookstream.adapters.avro.json_input import InputCompiler
from hookstream.adapters.avro.published import PublishedSchema
from hookstream.core.avro import values
from hookstream.core.avro.nodes import AvroSchema, FieldNode, Leaf, RecordNode
from hookstream.core.avro.values import NotRenderable
from hookstream.core.catalog.sample import sample
from hookstream.core.model.envelope import envelope_problems
from hookstream.core.model.json import Json

_ENVELOPE: Final[dict[str, object]] = {
    "event_id": "1",
    "occurred_at": 0,
    "entity_id": "1",
    "environment": "production",
    "data": {},
}
"""Any valid envelope."""


def example_problems(schema: AvroSchema) -> Iterator[str]:
    """Yield the problems of the examples in a schema, one sentence with its place each.

    Args:
        schema: The schema, safe by `core.catalog.safety`.
    """
    checked = _Checked(schema)
    for record in schema.named.values():
        if not isinstance(record, RecordNode):
            continue
        for field in record.fields:
            for why in checked.problems(field, envelope=record is schema.root):
                yield f"{record.name}.{field.name}: {why}"


def sample_record(schema: PublishedSchema) -> bytes:
    """Return the sample of an event type as a record in single-object encoding."""
    root = schema.nodes.root
    assert isinstance(root, RecordNode)  # noqa: S101  # no other schema declares an event type
    checked = _Checked(schema.nodes)
    envelope = {id(field) for field in root.fields}

    def valid(field: FieldNode) -> Sequence[object]:
        return checked.valid(field, envelope=id(field) in envelope)

    return schema.encode(sample(schema.nodes, valid))


class _Checked:
    """Converts the examples of one schema."""

    __slots__ = ("_input",)

    def __init__(self, schema: AvroSchema) -> None:
        self._input = _ExampleInput(schema)

    def problems(self, field: FieldNode, *, envelope: bool) -> Iterator[str]:
        if field.examples is None:
            return
        if not isinstance(field.examples, list) or not field.examples:
            yield "its examples are a list of at least one value, each as it is delivered"
            return
        for example in field.examples:
            try:
                self._taken(field, example, envelope=envelope)
            except Unfit as why:
                yield f"its example {why}"

    def valid(self, field: FieldNode, *, envelope: bool) -> Sequence[object]:
        found = []
        for example in field.examples if isinstance(field.examples, list) else ():
            try:
                found.append(self._taken(field, example, envelope=envelope))
            except Unfit:
                # Its schema was not published by `schemas apply`.
                continue
        return found

    def _taken(self, field: FieldNode, example: Json, *, envelope: bool) -> object:
        fit = Fit()
        raw = self._input.make(field.type)(example, fit)
        if fit.level > KEPT:
            raise Unfit(f"{glimpse(example)} is not written as it would be delivered")
        if envelope and field.name in _ENVELOPE:
            for problem in envelope_problems({**_ENVELOPE, field.name: raw}):
                raise Unfit(problem)
        return raw


class _ExampleInput(InputCompiler):
    """Refuses values that input accepts but no delivery can contain, such as a long beyond ±(2^53-1)."""

    def leaf(self, node: Leaf) -> Take:
        return _renderable(super().leaf(node), values.leaf(node).render)


def _renderable(take: Take, render: Callable[[object], Json]) -> Take:
    def taken(value: object, fit: Fit) -> object:
        raw = take(value, fit)
        try:
            render(raw)
        except NotRenderable as problem:
            raise Unfit(f"{glimpse(value)} {problem.why}") from None
        return raw

    return taken
