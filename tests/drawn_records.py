"""Draws schemas of events, and the bytes of their records: sound, extreme, odd or damaged."""

import copy
import random
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from tests import avro_oracle as oracle
from tests.avro_oracle import Schema
from tests.properties.test_schema_evolution import Maker, in_order
from tests.thing_events import event_schema

from hookstream.core.model.json import Paths

RECORDS_OF_ONE_SCHEMA = 40

_BEYOND = 2**63
LONGS = (
    0, -1, 1, 63, 64, -64, -65, 1_764_072_000, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**53 - 1, 2**53,
    -(2**53) + 1, -(2**53), 2**63 - 1, -(2**63), 86_399, 86_400, 86_399_999, 86_400_000, 86_399_999_999,
    86_400_000_000, 253_402_300_799, 253_402_300_799_999, 253_402_300_800_000, 253_402_300_799_999_999,
    253_402_300_800_000_000, -62_135_596_800_000, -62_135_596_800_001, -62_135_596_800_000_000, -719_162,
    -719_163, 2_932_896, 2_932_897, 951_782_400_000_000, 951_868_800_000_000, -2_203_977_600_000_000,
)  # fmt: skip
TEXTS = (
    "", "a", "é", "漢字", "\U0001f600", "\u2028", "\x00", "\x1f", "\x7f", "\x80", '"', "\\", "/", "a\tb\nc\rd\be\ff",
    "x" * 64, "x" * 65, "x" * 200, "x" * 201, "é" * 200, "é" * 201, "\u200b", " ", "\ufeff", "production",
    "7d5f6d9e-6f2e-4b8e-9d53-6d7f2f1a4c11", "</script>", *(chr(code) for code in range(0x20)),
)  # fmt: skip
DOUBLES = (
    0.0, -0.0, 1.0, 0.1, 1e15, 1e16, 1e17, 123456789012345680.0, 1e21, 1e22, 1e-5, 1e-6, 1.5e-7, 5e-324,
    1.7976931348623157e308, 2.0**53, 0.30000000000000004, float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
SINGLES = (
    0.0, -0.0, 0.7, 16777216.0, 16777217.0, 3.4028234663852886e38, 1e-45, 1.2621774483536189e-29,
    1.5474250491067253e26, 1.2379400392853803e27, 1e10, 3.3e16, float("nan"), float("inf"),
)  # fmt: skip
DECIMALS: Sequence[dict[str, Any]] = tuple(
    {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}
    for precision, scale in ((1, 1), (3, 0), (6, 2), (18, 6), (38, 0), (38, 19), (38, 38), (39, 4))
)
NOISE = (
    b"", b"\x00", b"\x01", b"\x02", b"\x7f", b"\x80", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\x80" * 10 + b"\x00",
    b"\xff" * 9 + b"\x01", b"\xff" * 9 + b"\x7f", b"\x80" * 9 + b"\x02", b"\x80\x00", b"\x81\x00",
)  # fmt: skip


def long(number: int) -> bytes:
    return oracle.encode(Schema("long"), "long", number)


def text(content: str) -> bytes:
    encoded = content.encode()
    return long(len(encoded)) + encoded


class WideMaker(Maker):
    """Draws every type, and the bytes of records of a schema directly: sound, extreme or odd."""

    wild = 0.0
    """The share of values at or beyond the edges of what is taken."""

    def type(self, depth: int, *, in_union: bool = False) -> Any:  # noqa: ANN401
        if self.chance.random() < 0.1:
            return dict(self.chance.choice(DECIMALS))
        return super().type(depth, in_union=in_union)

    def field(self, name: str, depth: int) -> dict[str, Any]:
        found = super().field(name, depth)
        if self.chance.random() < 0.3:
            found["json"] = "string"
        return found

    def named(self) -> Any:  # noqa: ANN401
        found = super().named()
        if isinstance(found, dict) and found["type"] == "fixed" and self.chance.random() < 0.2:
            precision = self.chance.choice([3, 37, 38, 39])
            decimal = {"logicalType": "decimal", "precision": precision, "scale": precision // 2}
            found |= {"size": self.chance.choice([17, 30]), **decimal}
        return found

    def event(self) -> dict[str, Any]:
        """Draw the schema of an event; a few have more fields, in another order, or an odd envelope."""
        tree = copy.deepcopy(event_schema(in_order(self.tree()), 1))
        chance, fields = self.chance, tree["fields"]
        if chance.random() < 0.2:
            fields.insert(chance.randrange(5), {"name": "more", "type": chance.choice(MORE)})
        if chance.random() < 0.2:
            environment = next(each for each in fields if each["name"] == "environment")
            environment["type"] = chance.choice(ENVIRONMENTS)
        if chance.random() < 0.1:
            chance.shuffle(fields)
        return tree

    def bytes_of(self, schema: Schema, node: Any) -> bytes:  # noqa: ANN401, C901, PLR0912
        node = schema.of(node)
        chance = self.chance
        match oracle.kind(node):
            case "null":
                return b""
            case "boolean":
                return chance.choice(
                    (b"\x00", b"\x01", b"\x01", b"\x02" if self.odd() else b"\x00")
                )
            case "int" | "long":
                return self.number()
            case "float":
                single = chance.choice(SINGLES if self.is_wild() else SINGLES[:-2])
                return chance.randbytes(4) if self.is_wild() else struct.pack("<f", single)
            case "double":
                double = chance.choice(DOUBLES if self.is_wild() else DOUBLES[:-3])
                return chance.randbytes(8) if self.is_wild() else struct.pack("<d", double)
            case "bytes":
                size = chance.choice((0, 1, 2, 3, 8, 16, 17, 20) if self.is_wild() else (1, 2, 3))
                return long(size) + self.some(size)
            case "string":
                return self.text()
            case "fixed":
                return self.some(node["size"])
            case "enum":
                return long(
                    chance.randrange(len(node["symbols"])) if not self.odd() else self.index()
                )
            case "array":
                return self.blocks(lambda: self.bytes_of(schema, node["items"]))
            case "map":
                return self.blocks(lambda: self.key() + self.bytes_of(schema, node["values"]))
            case "union":
                number = chance.randrange(len(node))
                named = self.index() if self.odd() else number
                return long(named) + self.bytes_of(schema, node[number])
            case _:
                return b"".join(self.bytes_of(schema, each["type"]) for each in node["fields"])

    def body(self, schema: Schema) -> bytes:
        """Return the bytes of an event: mostly of a good envelope."""
        found = []
        self.wild = self.chance.choice((0, 0, 0.03, 0.5))
        for field in schema.tree["fields"]:
            name = field["name"]
            if name in ("event_id", "entity_id") and self.chance.random() < 0.9:
                found.append(text(f"{name}-{self.chance.randrange(9)}"))
            elif name == "occurred_at" and self.chance.random() < 0.9:
                found.append(long(1_764_072_000_000_000 + self.chance.randrange(10**9)))
            elif name == "environment" and self.chance.random() < 0.9:
                found.append(_PRODUCTION.get(oracle.kind(field["type"]), text("production")))
            else:
                found.append(self.bytes_of(schema, field["type"]))
        return b"".join(found)

    def is_wild(self) -> bool:
        return self.chance.random() < self.wild

    def odd(self) -> bool:
        return self.chance.random() < self.wild / 10

    def index(self) -> int:
        return self.chance.choice((-1, -65, 2, 3, 4, 100, -(2**63), 2**63 - 1))

    def number(self) -> bytes:
        chance = self.chance
        if self.odd():
            return chance.choice(NOISE)
        if not self.is_wild():
            return long(chance.choice((0, 1, 7, 64, 20_000, 86_399)))
        return long(
            chance.choice(LONGS) if chance.random() < 0.7 else chance.randrange(-_BEYOND, _BEYOND)
        )

    def some(self, size: int) -> bytes:
        """Return bytes: small numbers of either sign, or any."""
        chance = self.chance
        if not self.is_wild() and size:
            return chance.choice((b"\x00", b"\xff")) * (size - 1) + chance.randbytes(1)
        return chance.randbytes(size)

    def text(self) -> bytes:
        if self.odd():
            return long(2) + self.chance.choice(
                (b"\xc3\x28", b"\xed\xa0", b"\xff\xff", b"\xc0\x80")
            )
        return text("".join(self.chance.choices(TEXTS, k=self.chance.choice((1, 1, 3)))))

    def key(self) -> bytes:
        return text(self.chance.choice(("a", "b", "c", "é", '"', "", "f0", *"defghijklmn")))

    def blocks(self, item: Any) -> bytes:  # noqa: ANN401
        """Return the blocks of an array or a map, some with their size."""
        found = b""
        for _ in range(self.chance.choice((0, 1, 1, 2))):
            items = [item() for _ in range(self.chance.choice((1, 1, 2, 12 if self.odd() else 3)))]
            content = b"".join(items)
            sized = self.chance.random() < 0.3
            found += long(-len(items)) + long(len(content)) if sized else long(len(items))
            found += content
        return found + b"\x00"


_PRODUCTION = {"enum": long(0), "union": long(1) + text("production")}
MORE: Sequence[Any] = (
    "string",
    "double",
    ["null", "long"],
    {"type": "map", "values": "string"},
    {"type": "array", "items": {"type": "long", "logicalType": "timestamp-micros"}},
)
ENVIRONMENTS: Sequence[Any] = (
    {"type": "enum", "name": "n.Environment", "symbols": ["production", "test"]},
    ["null", "string"],
    {"type": "string", "logicalType": "uuid"},
)


def records(maker: WideMaker, tree: Any) -> Iterator[bytes]:  # noqa: ANN401
    """Yield bodies of a schema, each fourth one damaged."""
    schema, chance = Schema(tree), maker.chance
    for number in range(RECORDS_OF_ONE_SCHEMA):
        body = maker.body(schema)
        if number % 4 == 3:
            at, noise = chance.randrange(len(body) + 1), chance.choice(NOISE)
            body = chance.choice(
                (
                    body[:at],
                    body + noise,
                    body[:at] + noise + body[at:],
                    body[:at] + noise + body[at + 1 :],
                )
            )
        yield body


def names_in(tree: Any) -> set[str]:  # noqa: ANN401
    """Return the names of all fields, and keys that maps have."""
    found = {"a", "b", "é"}
    if isinstance(tree, list):
        for each in tree:
            found |= names_in(each)
    elif isinstance(tree, dict):
        for field in tree.get("fields", ()):
            found |= {field["name"]} | names_in(field["type"])
        for inner in ("items", "values"):
            found |= names_in(tree.get(inner))
    return found


def drawn_paths(chance: random.Random, *trees: Any) -> Paths:  # noqa: ANN401
    found_in = [
        each["type"] for tree in trees for each in tree["fields"] if each["name"] == "data"
    ]
    top, names = (sorted(set().union(*map(names_in, each))) for each in (found_in, trees))
    found: set[tuple[str, ...]] = {("environment",), ("data",)} if chance.random() < 0.3 else set()
    for _ in range(chance.randint(0, 4)):
        found.add(("data", chance.choice(top), *chance.choices(names, k=chance.randint(0, 3))))
    return frozenset(found)
