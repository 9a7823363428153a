"""What the check of a schema pair accepts is read as Avro has it: in both directions, every branch."""

import copy
import json
import random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests import avro_oracle as oracle
from tests.avro_oracle import Schema, Unreadable
from tests.thing_events import HEAD, event_schema

from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.catalog.compatibility import incompatibilities, vanished
from hookstream.core.model.event import Event, Identified
from hookstream.core.model.outcome import Refused
from hookstream.core.model.record import Record
from hookstream.errors import InputRefused

LOGICAL: list[dict[str, Any]] = [
    {"type": "int", "logicalType": "date"},
    {"type": "int", "logicalType": "time-millis"},
    {"type": "long", "logicalType": "time-micros"},
    {"type": "long", "logicalType": "timestamp-millis"},
    {"type": "long", "logicalType": "timestamp-micros"},
    {"type": "long", "logicalType": "timestamp-nanos"},
    {"type": "long", "logicalType": "local-timestamp-millis"},
    {"type": "long", "logicalType": "local-timestamp-micros"},
    {"type": "long", "logicalType": "local-timestamp-nanos"},
    {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2},
    {"type": "string", "logicalType": "uuid"},
]
PLAIN = ["boolean", "int", "long", "float", "double", "bytes", "string"]


class Maker:
    """Draws a schema and data of it from its own generator."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.names: list[str] = []

    def tree(self) -> dict[str, Any]:
        fields = [self.field(f"f{n}", 3) for n in range(self.chance.randint(1, 4))]
        return {"type": "record", "name": "n.Data", "fields": fields}

    def field(self, name: str, depth: int) -> dict[str, Any]:
        return {"name": name, "type": self.type(depth)}

    def type(self, depth: int, *, in_union: bool = False) -> Any:  # noqa: ANN401
        shapes = ["plain", "plain", "logical", "named", "named"]
        if depth > 0:
            shapes += ["record", "record", "array", "map", *([] if in_union else ["union"] * 3)]
        match self.chance.choice(shapes):
            case "logical":
                return dict(self.chance.choice(LOGICAL))
            case "named":
                return self.named()
            case "record":
                return self.record(depth - 1)
            case "array":
                return {"type": "array", "items": self.type(depth - 1)}
            case "map":
                return {"type": "map", "values": self.type(depth - 1)}
            case "union":
                return self.union(depth - 1)
            case _:
                return self.chance.choice(PLAIN)

    def union(self, depth: int) -> list[Any]:
        branches: list[Any] = []
        seen: set[str] = set()
        for _ in range(self.chance.randint(1, 3)):
            known = len(self.names)
            branch = self.type(depth, in_union=True)
            word = branch if isinstance(branch, str) else branch.get("name", oracle.kind(branch))
            if word not in seen:
                seen.add(word)
                branches.append(branch)
            else:
                # Nothing may refer to types that the branch defines: it is left out.
                del self.names[known:]
        if self.chance.random() < 0.6:
            branches.insert(self.chance.randrange(len(branches) + 1), "null")
        return branches

    def named(self) -> Any:  # noqa: ANN401
        if self.names and self.chance.random() < 0.6:
            return self.chance.choice(self.names)
        name = self.new_name()
        if self.chance.random() < 0.5:
            found: Any = {"type": "enum", **name, "symbols": ["A", "B", "C"]}
            if self.chance.random() < 0.5:
                found["default"] = "A"
        else:
            found = {"type": "fixed", **name, "size": 2}
            extra = self.chance.choice([{}, {}, {"logicalType": "decimal", "precision": 3}])
            if self.chance.random() < 0.3:
                found["size"], extra = 16, {"logicalType": "uuid"}
            elif self.chance.random() < 0.2:
                found["size"], extra = 12, {"logicalType": "duration"}
            found |= extra
        self.keep(name)
        return found

    def record(self, depth: int) -> Any:  # noqa: ANN401
        name = self.new_name()
        fields = [self.field(f"g{n}", depth) for n in range(self.chance.randint(1, 3))]
        self.keep(name)
        return {"type": "record", **name, "fields": fields}

    def new_name(self) -> dict[str, str]:
        """Return a name in full; one without a namespace shows that."""
        self.counter = getattr(self, "counter", 0) + 1
        if self.chance.random() < 0.2:
            return {"name": f"T{self.counter}", "namespace": ""}
        return {"name": f"n.T{self.counter}"}

    def keep(self, name: dict[str, str]) -> None:
        """Let other places refer to a type, as Avro allows it of those with a namespace alone."""
        if "namespace" not in name:
            self.names.append(name["name"])

    def datum(self, schema: Schema, node: Any) -> Any:  # noqa: ANN401, C901, PLR0912
        node = schema.of(node)
        chance = self.chance
        match oracle.kind(node):
            case "null":
                return None
            case "boolean":
                return chance.random() < 0.5
            case "int":
                return chance.choice([0, 1, 7, 20_000, 86_399])
            case "long":
                return chance.choice([0, 5, 86_399, 1_764_072_000, 2**24 + 1])
            case "float":
                return chance.choice([0.0, 0.5, 0.699999988079071, -2.0])
            case "double":
                return chance.choice([0.0, 0.1, -2.5e10])
            case "bytes":
                return chance.choice([b"\x01", b"\x00\x07", b"\xff"])
            case "string":
                return chance.choice(["", "a", "7d5f6d9e-6f2e-4b8e-9d53-6d7f2f1a4c11"])
            case "fixed":
                return bytes(chance.choice([0, 1]) for _ in range(node["size"]))
            case "enum":
                return chance.choice(node["symbols"])
            case "array":
                return [self.datum(schema, node["items"]) for _ in range(chance.randint(0, 2))]
            case "map":
                return {k: self.datum(schema, node["values"]) for k in chance.choice(["", "ab"])}
            case "union":
                number = chance.randrange(len(node))
                return number, self.datum(schema, node[number])
            case _:
                return {f["name"]: self.datum(schema, f["type"]) for f in node["fields"]}


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401
    """Return the path of every type in a tree."""
    found = [path]
    if isinstance(node, list):
        for number, branch in enumerate(node):
            found += places(branch, (*path, number))
    elif isinstance(node, dict):
        for inner in ("items", "values"):
            if inner in node:
                found += places(node[inner], (*path, inner))
        for number, field in enumerate(node.get("fields", ())):
            found += places(field["type"], (*path, "fields", number, "type"))
    return found


def at(tree: Any, path: tuple[Any, ...]) -> Any:  # noqa: ANN401
    for part in path:
        tree = tree[part]
    return tree


def put(tree: Any, path: tuple[Any, ...], node: Any) -> None:  # noqa: ANN401
    at(tree, path[:-1])[path[-1]] = node


def evolve(tree: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """Return the tree with a few of the changes that people make."""
    found = copy.deepcopy(tree)
    for _ in range(chance.randint(1, 3)):
        chance.choice([nullable, nullable, moved, widened, added, symbol, reordered, renamed])(
            found, chance
        )
    return in_order(found)


def nullable(tree: Any, chance: random.Random) -> None:  # noqa: ANN401
    path = chance.choice(places(tree)[1:])
    node = at(tree, path)
    if isinstance(node, list):
        if "null" not in node:
            node.insert(chance.randrange(len(node) + 1), "null")
        else:
            node.append({"type": "array", "items": "string"}) if not any(
                oracle.kind(n) == "array" for n in node
            ) else None
    elif node != "null" and not isinstance(at(tree, path[:-1]), list):
        put(tree, path, ["null", node] if chance.random() < 0.5 else [node, "null"])


def moved(tree: Any, chance: random.Random) -> None:  # noqa: ANN401
    """Add a field of a named type before its first use, so that its definition moves there."""
    names = [
        n["name"] for p in places(tree)[1:] if isinstance(n := at(tree, p), dict) and "name" in n
    ]
    if names:
        field = {"name": f"m{chance.randrange(10**6)}", "type": ["null", chance.choice(names)]}
        tree["fields"].insert(0, {**field, "default": None})


def widened(tree: Any, chance: random.Random) -> None:  # noqa: ANN401
    wider = {
        "int": ["long", "float", "double"],
        "long": ["float", "double"],
        "float": ["double"],
        "string": ["bytes"],
    }
    found = [p for p in places(tree)[1:] if at(tree, p) in list(wider)]
    if found:
        path = chance.choice(found)
        put(tree, path, chance.choice(wider[at(tree, path)]))


def added(tree: Any, chance: random.Random) -> None:  # noqa: ANN401
    records = [n for p in places(tree) if isinstance(n := at(tree, p), dict) and "fields" in n]
    kinds: list[tuple[Any, Any]] = [
        ("string", "x"),
        (["null", "int"], None),
        (["int", "null"], 4),
        ("bytes", "\u00ff"),
        ("double", 3),
        ({"type": "array", "items": "float"}, [1, 0.5]),
        ({"type": "map", "values": ["null", "string"]}, {"k": "v"}),
        (["null", "float", "double"], 0.5),
    ]
    kind, default = chance.choice(kinds)
    field = {"name": f"a{chance.randrange(10**6)}", "type": kind, "default": default}
    chance.choice(records)["fields"].append(field)


def symbol(tree: Any, chance: random.Random) -> None:  # noqa: ANN401
    enums = [n for p in places(tree) if isinstance(n := at(tree, p), dict) and "symbols" in n]
    if enums:
        enum = chance.choice(enums)
        enum["symbols"] = [*enum["symbols"], "D"] if "D" not in enum["symbols"] else ["B", "A"]


def reordered(tree: Any, chance: random.Random) -> None:  # noqa: ANN401
    parts = [n for p in places(tree) if isinstance(n := at(tree, p), list)]
    parts += [
        n["fields"] for p in places(tree) if isinstance(n := at(tree, p), dict) and "fields" in n
    ]
    chance.shuffle(chance.choice(parts))


def renamed(tree: Any, chance: random.Random) -> None:  # noqa: ANN401
    fields = [
        f for p in places(tree) if isinstance(n := at(tree, p), dict) for f in n.get("fields", ())
    ]
    field = chance.choice(fields)
    field["aliases"] = [field["name"]]
    field["name"] = f"r{chance.randrange(10**6)}"


def in_order(tree: dict[str, Any]) -> dict[str, Any]:  # noqa: C901
    """Return the tree with each named type defined where its name is used first."""
    named = Schema(tree).named
    seen: set[str] = set()

    def walk(node: Any) -> Any:  # noqa: ANN401
        if isinstance(node, list):
            return [walk(branch) for branch in node]
        if isinstance(node, str):
            return walk(named[node]) if node in named and node not in seen else node
        name = node.get("name")
        if name in named:
            if name in seen:
                return name
            seen.add(name)
        node = dict(node)
        for inner in ("items", "values"):
            if inner in node:
                node[inner] = walk(node[inner])
        if "fields" in node:
            node["fields"] = [{**f, "type": walk(f["type"])} for f in node["fields"]]
        return node

    ordered: dict[str, Any] = walk(tree)
    return ordered


def shown(codec: AvroCodec, book: SchemaBook, tree: Any, datum: Any, version: int) -> Any:  # noqa: ANN401
    """Return what a record of a schema shows at a version."""
    schema = Schema(tree)
    prefix = next(
        bytes.fromhex("c301" + each.revision.fingerprint) for each in book if each.tree == tree
    )
    value = prefix + oracle.encode(schema, tree, {**HEAD, "data": datum})
    record = Record("t", 0, 0, 0, None, value, ())
    identified = codec.identify(record)
    assert isinstance(identified, Identified)
    event = codec.decode(identified, record)
    assert isinstance(event, Event), event
    return codec.document(event, version)


def check_pair(first: Any, second: Any, seed: int) -> int:  # noqa: ANN401
    """Read drawn records of both schemas as the other one, where the check accepts it."""
    trees = {1: event_schema(first, 1), 2: event_schema(second, 2)}
    try:
        book = SchemaBook([trees[1], trees[2]])
    except InputRefused:
        return 0  # two branches that cannot be distinguished, or equal fingerprints
    codec = AvroCodec(book)
    maker = Maker(seed)
    read = 0
    for writer, reader in ((1, 2), (2, 1)):
        if incompatibilities(trees[writer], trees[reader]):
            continue
        if reader < writer and vanished(trees[reader], trees[writer]):
            continue
        written, other = Schema(trees[writer]), Schema(trees[reader])
        for _ in range(4):
            datum = maker.datum(written, trees[writer]["fields"][-1]["type"])
            body = shown(codec, book, trees[writer], datum, reader)
            try:
                expected_datum = oracle.resolve(
                    written,
                    other,
                    trees[writer]["fields"][-1]["type"],
                    trees[reader]["fields"][-1]["type"],
                    datum,
                )
            except Unreadable:
                assert isinstance(body, Refused)
                continue
            expected = shown(codec, book, trees[reader], expected_datum, reader)
            if isinstance(expected, Refused):
                assert isinstance(body, Refused)
            else:
                assert body == expected, (datum, body, expected)
                assert json.dumps(body) == json.dumps(expected)
            read += 1
    return read


@settings(max_examples=400)
@given(seed=st.integers(0, 2**32))
def test_what_the_check_accepts_is_read_as_avro_has_it(seed: int) -> None:
    maker = Maker(seed)
    tree = in_order(maker.tree())
    check_pair(tree, evolve(tree, maker.chance), seed)


def test_the_drawn_pairs_are_accepted_often_enough() -> None:
    read = 0
    for seed in range(150):
        maker = Maker(seed)
        tree = in_order(maker.tree())
        read += check_pair(tree, evolve(tree, maker.chance), seed)
    assert read > 300


CARD = {"type": "record", "name": "n.Card", "fields": [{"name": "pan", "type": "string"}]}
WIRE = {"type": "record", "name": "n.Wire", "fields": [{"name": "iban", "type": "string"}]}
ADDRESS = {"type": "record", "name": "n.Address", "fields": [{"name": "zip", "type": "string"}]}


def record(*fields: tuple[str, Any] | tuple[str, Any, Any]) -> dict[str, Any]:
    found = []
    for name, kind, *default in fields:
        found.append({"name": name, "type": kind, **({"default": default[0]} if default else {})})
    return {"type": "record", "name": "n.Data", "fields": found}


@pytest.mark.case("made-nullable")
def test_a_type_that_was_made_nullable_beside_a_union_of_named_types_is_read() -> None:
    status = {"type": "enum", "name": "n.Status", "symbols": ["OPEN", "CLOSED"]}
    older = record(("method", [CARD, WIRE]), ("status", status))
    newer = record(("method", [CARD, WIRE]), ("status", ["null", status]))
    trees = [event_schema(older, 1), event_schema(newer, 2)]
    book = SchemaBook(trees)
    datum = {"method": (0, {"pan": "4"}), "status": "OPEN"}
    body = shown(AvroCodec(book), book, trees[0], datum, 2)
    assert not isinstance(body, Refused)
    assert body["data"] == {"method": {"pan": "4"}, "status": "OPEN"}


@pytest.mark.case("moved-definition")
def test_a_named_type_whose_definition_moved_is_read() -> None:
    older = record(("ship_to", ADDRESS))
    newer = record(("bill_to", ["null", ADDRESS], None), ("ship_to", "n.Address"))
    trees = [event_schema(older, 1), event_schema(newer, 2)]
    book = SchemaBook(trees)
    body = shown(AvroCodec(book), book, trees[0], {"ship_to": {"zip": "1"}}, 2)
    assert not isinstance(body, Refused)
    assert body["data"] == {"bill_to": None, "ship_to": {"zip": "1"}}


def test_a_long_that_a_double_would_round_is_refused_and_not_rounded() -> None:
    trees = [event_schema(record(("n", "long")), 1), event_schema(record(("n", "double")), 2)]
    book = SchemaBook(trees)
    codec = AvroCodec(book)
    exact = shown(codec, book, trees[0], {"n": 2**53}, 2)
    body = shown(codec, book, trees[0], {"n": 2**53 + 1}, 2)
    assert isinstance(exact, dict)
    assert isinstance(body, Refused)
    assert "data.n is 9007199254740993, which a double would round" in body.detail


@given(st.integers(-(2**53), 2**53), st.integers(0, 53))
@example(1_764_072_000, 0)  # no float is this number, and the nearest one is shown as it
@example(2**30, 0)  # a float is this number, and is shown as 1073741800
def test_a_long_is_read_as_a_float_that_is_shown_as_the_same_number(drawn: int, low: int) -> None:
    number = drawn >> low << low
    trees = [event_schema(record(("n", "long")), 1), event_schema(record(("n", "float")), 2)]
    book = SchemaBook(trees)
    body = shown(AvroCodec(book), book, trees[0], {"n": number}, 2)
    try:
        expected = oracle.resolve(Schema(trees[0]), Schema(trees[1]), "long", "float", number)
    except Unreadable:
        assert isinstance(body, Refused)
    else:
        assert body["data"] == {"n": expected}


def test_a_version_whose_schema_has_no_data_is_refused_to_whoever_requests_it() -> None:
    """The check of a schema refuses it; an untrusted row may contain it."""
    trees = [event_schema(record(("n", "long")), 1), event_schema("null", 2)]
    trees[1]["fields"].pop()
    book = SchemaBook(trees)
    body = shown(AvroCodec(book), book, trees[0], {"n": 1}, 2)
    assert isinstance(body, Refused)
    assert "the schema of that version has no data" in body.detail


@pytest.mark.parametrize("wider", ["long", "float", "double"])
@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 2**40])
def test_an_invalid_int_is_refused_at_every_version(wider: str, value: int) -> None:
    """Its bytes are those of a long: at its own version it was refused, and at another delivered."""
    trees = [event_schema(record(("n", "int")), 1), event_schema(record(("n", wider)), 2)]
    book = SchemaBook(trees)
    codec = AvroCodec(book)
    for version in (1, 2):
        assert isinstance(shown(codec, book, trees[0], {"n": value}, version), Refused)
