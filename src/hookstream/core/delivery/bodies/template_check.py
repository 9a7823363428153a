"""Checks templates against the schemas of the event types that they are rendered for.

At run time, a path that does not exist looks like a value that is absent, and an object within text
ends as a dead letter. So both are reported when the template is written, and when a version is
published that it gets.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from hookstream.core.avro.nodes import (
    Array,
    AvroSchema,
    AvroType,
    Map,
    Primitive,
    RecordNode,
    Resolved,
    Union,
)
from hookstream.core.delivery.bodies.standard import DATA
from hookstream.core.delivery.bodies.template import Placeholder, Template
from hookstream.core.model.suggestion import did_you_mean

_TEXT = Primitive("string")
_ENVELOPE: dict[str, Resolved] = {
    "type": _TEXT,
    "version": Primitive("int"),
    "timestamp": _TEXT,
    "id": _TEXT,
    "environment": _TEXT,
    "entity_id": _TEXT,
}
_FEW = 6
"""The most names that a message lists."""


@dataclass(slots=True, frozen=True)
class DataSchema:
    """The schema of the data of one event type at one version."""

    event_type: str
    version: int
    data: AvroSchema = field(repr=False)

    def at(self, path: Sequence[str]) -> list[Resolved]:
        """Return the types that a value at a path of the `standard` body may have.

        Empty: no body has a value there. A path does not continue within an array.
        """
        if not path:
            return [RecordNode("", (), (), {})]
        if path[0] != DATA:
            known = _ENVELOPE.get(path[0])
            return [] if known is None or len(path) > 1 else [known]
        types = list(self._branches(self.data.root))
        for name in path[1:]:
            types = [found for each in types for found in self._below(each, name)]
        return types

    def names(self, path: Sequence[str]) -> list[str]:
        """Return the names with which a path may continue."""
        if not path:
            return [*_ENVELOPE, DATA]
        records = [each for each in self.at(path) if isinstance(each, RecordNode)]
        return [found.name for record in records for found in record.fields]

    def _below(self, node: Resolved, name: str) -> Iterator[Resolved]:
        match node:
            case RecordNode(fields=fields):
                for found in fields:
                    if found.name == name:
                        yield from self._branches(found.type)
            case Map(values=values):
                yield from self._branches(values)
            case _:
                pass

    def _branches(self, node: AvroType) -> Iterator[Resolved]:
        resolved = self.data.resolve(node)
        if isinstance(resolved, Union):
            for branch in resolved.branches:
                yield from self._branches(branch)
        else:
            yield resolved


def check(template: Template, schemas: Sequence[DataSchema]) -> list[tuple[str, str]]:
    """Return the problems of a template for its events, each with its place in the template.

    A path that only some of the event types have is absent in the others; a path that none has is a
    mistake. Where any of them may have an object or a list, a path within text is one too.

    Args:
        template: The template.
        schemas: Every subscribed event type at its pinned version. Without any, nothing is checked.
    """
    if not schemas:
        return []
    found = ((each, _problem(each, schemas)) for each in template.placeholders)
    return [(each.place, f"{each} {why}") for each, why in found if why is not None]


def losses(template: Template, before: DataSchema, after: DataSchema) -> Iterator[tuple[str, str]]:
    """Yield what a template loses when it gets another version of an event type, each with its place.

    Args:
        template: The template.
        before: The type at the version that it was written for.
        after: The same type at the version that it gets.
    """
    named = _named([after])
    for each in template.placeholders:
        types, kinds = before.at(each.path), [*map(_without_text, after.at(each.path))]
        if types and not kinds:
            yield each.place, f"{each} is not in {named}: nothing stands there in its bodies"
            continue
        kind = next((kind for kind in kinds if kind is not None), None)
        if each.needs_text and kind is not None and not any(map(_without_text, types)):
            yield each.place, f"{each} may be {kind} in {named}: such a delivery is dead-lettered"


def _problem(placeholder: Placeholder, schemas: Sequence[DataSchema]) -> str | None:
    possible = [(schema, schema.at(placeholder.path)) for schema in schemas]
    if not any(types for _, types in possible):
        return _unknown(placeholder.path, schemas)
    if not placeholder.needs_text:
        return None
    for schema, types in possible:
        for node in types:
            kind = _without_text(node)
            if kind is not None:
                return f"may be {kind} ({_named([schema])}), which has no text: name a value in it"
    return None


def _without_text(node: Resolved) -> str | None:
    match node:
        case RecordNode() | Map():
            return "an object"
        case Array():
            return "a list"
        case _:
            return None


def _unknown(path: Sequence[str], schemas: Sequence[DataSchema]) -> str:
    """Return a message with the known part of the path and the names that it could continue with."""
    begin = f"is in no event type asked for ({_named(schemas)})"
    for length in range(len(path) - 1, -1, -1):
        known = path[:length]
        types = [node for schema in schemas for node in schema.at(known)]
        if not types:
            continue
        where = ".".join(("$", *known))
        if any(isinstance(node, Array) for node in types):
            return f"{begin}; {where} is a list, and no path continues in one"
        names = sorted({name for schema in schemas for name in schema.names(known)})
        listed = ", ".join(names[:_FEW]) + (", ..." if len(names) > _FEW else "")
        has = f"has {listed}" if names else "has no fields"
        return f"{begin}; {where} {has}{did_you_mean(path[length], names)}"
    return begin


def _named(schemas: Iterable[DataSchema]) -> str:
    names = sorted({f"{schema.event_type} v{schema.version}" for schema in schemas})
    return ", ".join(names[:_FEW]) + (", ..." if len(names) > _FEW else "")
