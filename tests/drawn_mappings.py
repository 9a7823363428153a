"""Draws foreign schemas and mappings of them, and records that are mostly good ones."""

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tests.drawn_records import WideMaker, long, text
from tests.properties.test_schema_evolution import evolve, in_order
from tests.thing_events import TYPE

from hookstream.adapters.avro.registered import Foreign
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.catalog.mapped_schema import event_schema, record_name
from hookstream.core.model.event import Identified, Revision
from hookstream.core.model.mapping import (
    ConstantSource,
    EnvelopeSource,
    FieldSource,
    HeaderSource,
    Mapping,
    TimeUnit,
)
from hookstream.core.model.record import Headers
from hookstream.errors import InputRefused

BODY_AT = 5
"""Where the bodies of the records start."""
HEADERS: Sequence[Headers] = (
    *[(("env", b"production"),)] * 6,
    (("env", b"production"), ("env", b"test")),
    (("env", b"\xff"),),
    (("env", b""),),
    (),
)
_NAMES: Sequence[Any] = (
    "string",
    ["null", "string"],
    "long",
    "int",
    ["int", "string"],
    {"type": "string", "logicalType": "uuid"},
    {"type": "enum", "name": "n.Place", "symbols": ["production", "test"]},
    {"type": "fixed", "name": "n.Uuid", "size": 16, "logicalType": "uuid"},
    ["null", "string", {"type": "fixed", "name": "n.Uuid", "size": 16, "logicalType": "uuid"}],
    "double",
)
_TIMES: Sequence[Any] = (
    {"type": "long", "logicalType": "timestamp-millis"},
    {"type": "long", "logicalType": "timestamp-micros"},
    {"type": "long", "logicalType": "timestamp-nanos"},
    ["null", {"type": "long", "logicalType": "timestamp-millis"}],
    "long",
    "int",
    "string",
)
_MOMENTS = (1_764_072_000, 1_764_072_000_000, 1_764_072_000_000_000, 1_764_072_000_000_000_000)
_MOMENT_TEXTS = ("2026-11-30T00:53:20Z", "2026-11-30T00:53:20.123456+01:00", "1764072000000")


class Mapped(NamedTuple):
    """A drawn mapping, and the schema of the records."""

    book: SchemaBook
    identified: Identified
    """What the records are identified as."""
    tree: Any
    """Their schema."""
    trees: Sequence[Any]
    """The data of the two versions of their type."""


class MappedMaker(WideMaker):
    """Draws foreign schemas, and bytes of their records."""

    def foreign(self) -> Any:  # noqa: ANN401
        """Draw a schema that has what an envelope is read of."""
        tree, chance = in_order(self.tree()), self.chance
        name, time = chance.choice(_NAMES), chance.choice(_TIMES)
        inner = {"type": "record", "name": "n.Meta", "fields": [{"name": "id", "type": name}]}
        more = [
            {"name": "meta", "type": chance.choice((inner, ["null", inner]))},
            {"name": "at", "type": time},
            {"name": "of", "type": chance.choice(("string", "long", ["null", "string"]))},
        ]
        for field in more:
            tree["fields"].insert(chance.randrange(len(tree["fields"]) + 1), field)
        return in_order(tree)

    def mapping(self, tree: Any) -> Mapping:  # noqa: ANN401
        """Draw a mapping of its records."""
        chance = self.chance
        of, meta = FieldSource(("of",)), FieldSource(("meta", "id"))
        sources: tuple[EnvelopeSource, ...] = (of, of, meta, HeaderSource("env"))
        some: tuple[EnvelopeSource | None, ...] = (*sources, None)
        environments: tuple[EnvelopeSource, ...] = (ConstantSource("production"), *sources[1:])
        times = (FieldSource(("at",)), FieldSource(("at",)), FieldSource(("at",)), None)
        return Mapping(
            "orders",
            ("t",),
            TYPE,
            (1, 2),
            entity_id=chance.choice(sources),
            environment=chance.choice(environments),
            event_id=chance.choice(some),
            occurred_at=chance.choice(times),
            unit=chance.choice((None, *TimeUnit)),
            record=record_name(tree),
        )

    def text(self) -> bytes:
        if self.chance.random() < 0.8 and not self.is_wild():
            # An id and an environment of any mapping, and a time of some.
            return text(self.chance.choice(_MOMENT_TEXTS))
        return super().text()

    def number(self) -> bytes:
        if self.chance.random() < 0.5:
            return long(self.chance.choice(_MOMENTS))
        return super().number()


def drawn_mapping(maker: MappedMaker) -> Mapped | None:
    """Draw a mapping with two versions, and a schema that belongs to one of them; None: they do not fit."""
    chance = maker.chance
    tree = maker.foreign()
    newer = evolve(tree, chance)
    mapping, book = maker.mapping(tree), SchemaBook()
    written = _one_of(chance, lambda: tree, lambda: newer, lambda: evolve(tree, chance))
    try:
        book.publish(event_schema(tree, mapping, 1))
        book.publish(event_schema(newer, mapping, 2))
        found = book.mapped.fit(mapping, Foreign("0" * 16, record_name(written), written))
    except InputRefused:
        return None
    if not isinstance(found, Revision):
        return None
    identified = Identified(found, BODY_AT, mapping.event_id is None)
    return Mapped(book, identified, written, (tree, newer))


def _one_of(chance: random.Random, *made: Callable[[], Any]) -> Any:  # noqa: ANN401
    return chance.choice(made)()
