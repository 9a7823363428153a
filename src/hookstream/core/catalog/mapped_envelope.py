"""Reads the envelope of a foreign record from the fields, headers and constants that a mapping names.

Which field is read, and how, is decided once for each schema. Nothing is repaired or guessed: a value
that is missing or of the wrong form makes the record undecodable, with the field and the mapping.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from hookstream.core.avro.nodes import (
    AvroSchema,
    Enum,
    Fixed,
    Primitive,
    RecordNode,
    Resolved,
    Union,
    say,
)
from hookstream.core.avro.values import leaf
from hookstream.core.model import mapping as model
from hookstream.core.model.envelope import Envelope, envelope_problems
from hookstream.core.model.event import Undecodable, UndecodableReason
from hookstream.core.model.header_reading import carried
from hookstream.core.model.instant import Millis, micros_from_rfc3339
from hookstream.core.model.mapping import (
    ConstantSource,
    EnvelopeSource,
    FieldSource,
    HeaderSource,
    TimeUnit,
)
from hookstream.core.model.record import Headers, header_text
from hookstream.core.model.suggestion import did_you_mean

_TIMES: Final = {
    "timestamp-millis": TimeUnit.MILLIS,
    "timestamp-micros": TimeUnit.MICROS,
    "timestamp-nanos": TimeUnit.NANOS,
}
_NUMBER = re.compile(r"[0-9]{1,19}")
_SHOWN = 60

_Convert: TypeAlias = Callable[[object], object]
"""Takes a decoded value, which is not None, and returns the envelope's; raises ValueError."""


class MappedEnvelope(NamedTuple):
    """How the envelopes of the records of one schema are read."""

    mapping: model.Mapping
    sources: Sequence[tuple[str, EnvelopeSource, _Convert]]
    """The fields of the envelope that a mapping names a source of."""

    def read(
        self, fields: Mapping[str, object], headers: Headers, time: Millis, position: str
    ) -> Envelope | Undecodable:
        """Return the envelope of a record, or why it has none.

        Args:
            fields: The decoded record; logical types are raw.
            headers: Its headers. Those that a tier would not carry on are not seen, so that every
                attempt sees the same ones.
            time: The time of the original record.
            position: The event's id where no source is named.
        """
        found: dict[str, object] = {"event_id": position, "occurred_at": time * 1_000, "data": {}}
        seen: Headers | None = None
        for name, source, convert in self.sources:
            value: object
            match source:
                case FieldSource(path=path):
                    value = _at(fields, path)
                case HeaderSource(name=header):
                    seen = carried(headers) if seen is None else seen
                    value = header_text(seen, header)
                case ConstantSource(text=text):
                    value = text
            try:
                found[name] = None if value is None else convert(value)
            except (ValueError, OverflowError) as why:
                return self._undecodable(name, str(why))
        problems = envelope_problems(found)
        if problems:
            return self._undecodable("", problems[0])
        return Envelope(
            str(found["event_id"]),
            int(str(found["occurred_at"])),
            str(found["entity_id"]),
            str(found["environment"]),
        )

    def _undecodable(self, name: str, why: str) -> Undecodable:
        named = name or why.partition(" ")[0]
        source = next((source for each, source, _ in self.sources if each == named), None)
        of = "the record's time" if source is None else str(source)
        head = f"mapping {self.mapping.name}: {of}: "
        return Undecodable(
            UndecodableReason.BAD_ENVELOPE, head + (f"{name} {why}" if name else why)
        )


def mapped_envelope(
    mapping: model.Mapping, schema: AvroSchema
) -> MappedEnvelope | list[tuple[str, str]]:
    """Return how envelopes are read from records of a schema, or why they cannot be.

    Args:
        mapping: The mapping.
        schema: A safe record schema.

    Returns:
        Problems come as pairs of the envelope's field and a sentence.
    """
    sources: list[tuple[str, EnvelopeSource, _Convert]] = []
    problems: list[tuple[str, str]] = []
    for name, source in named_sources(mapping):
        convert = _conversion(mapping, schema, name, source)
        if isinstance(convert, str):
            problems.append((name, convert))
        else:
            sources.append((name, source, convert))
    return problems or MappedEnvelope(mapping, tuple(sources))


def named_sources(mapping: model.Mapping) -> list[tuple[str, EnvelopeSource]]:
    """Return the fields of the envelope with their sources, those without one left out."""
    sources = (
        ("event_id", mapping.event_id),
        ("occurred_at", mapping.occurred_at),
        ("entity_id", mapping.entity_id),
        ("environment", mapping.environment),
    )
    return [(name, source) for name, source in sources if source is not None]


def _conversion(
    mapping: model.Mapping, schema: AvroSchema, name: str, source: EnvelopeSource
) -> _Convert | str:
    is_time = name == "occurred_at"
    if not isinstance(source, FieldSource):
        return _time_text(mapping.unit) if is_time else _same
    node = _typed(schema, source.path)
    if isinstance(node, str):
        return node
    found = [_time(each, mapping.unit) if is_time else _text(each) for each in node]
    return next((each for each in found if isinstance(each, str)), None) or _any(node, found)


def _typed(schema: AvroSchema, path: Sequence[str]) -> Sequence[Resolved] | str:
    """Return the types that a value at a path may have, null left out; or why there is no such path."""
    nodes: Sequence[Resolved] = (schema.resolve(schema.root),)
    for depth, part in enumerate(path):
        at = ".".join(path[: depth + 1])
        if len(nodes) != 1 or not isinstance(nodes[0], RecordNode):
            return f"there is no field {at}: {'.'.join(path[:depth])} is {_said(nodes)}"
        field = next((each for each in nodes[0].fields if each.name == part), None)
        if field is None:
            names = [each.name for each in nodes[0].fields]
            return f"{nodes[0].name} has no field {part}{did_you_mean(part, names)}"
        nodes = _not_null(schema, schema.resolve(field.type))
    return nodes


def _not_null(schema: AvroSchema, node: Resolved) -> Sequence[Resolved]:
    branches = [*map(schema.resolve, node.branches)] if isinstance(node, Union) else [node]
    return [each for each in branches if not (isinstance(each, Primitive) and each.kind == "null")]


def _said(nodes: Sequence[Resolved]) -> str:
    return " or ".join(map(say, nodes)) or "null"


def _text(node: Resolved) -> _Convert | str:
    match node:
        case Primitive(kind="string") | Enum():
            return _same
        case Primitive(kind="int" | "long", logical=None):
            return str
        case Fixed(logical=logical) if logical is not None and logical.name == "uuid":
            return leaf(node).render
        case _:
            return f"is {say(node)}: a string, an enum, a whole number or a uuid is taken"


def _time(node: Resolved, unit: TimeUnit | None) -> _Convert | str:
    match node:
        case Primitive(kind="long", logical=logical) if (
            logical is not None and logical.name in _TIMES
        ):
            return _counted(_TIMES[logical.name])
        case Primitive(kind="int" | "long", logical=None):
            if unit is None:
                return f"is a plain {say(node)}: `unit` must say what it counts ({', '.join(TimeUnit)})"
            return _counted(unit)
        case Primitive(kind="string"):
            return _time_text(unit)
        case _:
            return f"is {say(node)}: a timestamp, a whole number or a string is taken"


def _any(nodes: Sequence[Resolved], found: Sequence[_Convert | str]) -> _Convert | str:
    """Return the conversion of values of any of some types, which must be of different Python types."""
    if not nodes:
        return "is null: it never has a value"
    by_type: dict[type, _Convert] = {}
    for node, convert in zip(nodes, found, strict=True):
        shape = {Fixed: bytes, Enum: str}.get(type(node), int)
        if isinstance(node, Primitive) and node.kind == "string":
            shape = str
        if isinstance(convert, str) or by_type.setdefault(shape, convert) is not convert:
            return f"is {_said(nodes)}, which cannot be told apart"
    return lambda value: by_type[type(value)](value)


def _same(value: object) -> object:
    return value


def _counted(unit: TimeUnit) -> _Convert:
    def micros(value: object) -> object:
        return _micros(int(str(value)), unit)

    return micros


def _micros(number: int, unit: TimeUnit) -> int:
    match unit:
        case TimeUnit.SECONDS:
            return number * 1_000_000
        case TimeUnit.MILLIS:
            return number * 1_000
        case TimeUnit.MICROS:
            return number
        case TimeUnit.NANOS:
            return number // 1_000


def _time_text(unit: TimeUnit | None) -> _Convert:
    def micros(value: object) -> object:
        text = str(value)
        if unit is None:
            return micros_from_rfc3339(text)
        if not _NUMBER.fullmatch(text):
            raise ValueError(f"is {ascii(text)[:_SHOWN]}, not a whole number of {unit}")
        return _micros(int(text), unit)

    return micros


def _at(fields: Mapping[str, object], path: Sequence[str]) -> object:
    """Return the value at a path; None if it, or a record on the way, is null."""
    value: object = fields
    for part in path:
        if not isinstance(value, dict):
            return None
        value = value.get(part)
        if isinstance(value, tuple):
            # A value of a union that comes with the name of its branch.
            _, value = value
    return value
