"""Records that would become more than they seem, decoded with little memory.

It imports little: tests start processes of it.
"""

import resource
import time
from pathlib import Path
from typing import Any

from tests import avro_oracle as oracle
from tests.avro_oracle import Schema
from tests.thing_events import HEAD, event_schema

from hookstream.adapters.avro.accelerator import Implementation, implementation
from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.model.event import Event, Identified, Undecodable
from hookstream.core.model.record import Record

MOST = 50_000


def fields_of(codec: AvroCodec, record: Record) -> dict[str, object] | Undecodable:
    named = codec.identify(record)
    assert isinstance(named, Identified)
    return codec.fields(named, record)


def codec_of(tree: Any, *, max_values: int = MOST) -> tuple[AvroCodec, bytes]:  # noqa: ANN401
    book = SchemaBook([tree])
    [schema] = list(book)
    return AvroCodec(book, max_values=max_values), schema.prefix


WIDE = {
    "type": "record",
    "name": "n.Wide",
    "fields": [
        {"name": "b", "type": "boolean"},
        *({"name": f"f{n}", "type": "null"} for n in range(4_000)),
    ],
}


def many(kind: Any) -> Any:  # noqa: ANN401
    fields = [{"name": "xs", "type": {"type": "array", "items": kind}}]
    return event_schema({"type": "record", "name": "n.Data", "fields": fields}, 1)


def bytes_of(tree: Any, items: int, item: bytes) -> bytes:  # noqa: ANN401
    schema = Schema(tree)
    head = oracle.encode(schema, tree, {**HEAD, "data": {"xs": []}})
    return head[:-1] + oracle.encode(schema, "long", items) + item * items + b"\x00"


HOSTILE: dict[str, tuple[Any, bytes]] = {
    "records of 4,000 nulls": (many(WIDE), b"\x01"),
    "nulls in unions": (many(["null", "string"]), b"\x00"),
    "empty arrays": (many({"type": "array", "items": "int"}), b"\x00"),
    "empty texts": (many("string"), b"\x00"),
    "empty maps": (many({"type": "map", "values": "int"}), b"\x00"),
    "booleans": (many("boolean"), b"\x01"),
}


def limit_memory(more: int) -> None:
    """Limit this process to so many bytes more than it has."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def refuse(name: str) -> None:
    """Decode a hostile record within 300 MB more than this process has."""
    tree, item = HOSTILE[name]
    codec, prefix = codec_of(tree)
    items = 1_000_000
    value = prefix + bytes_of(tree, items, item)
    limit_memory(300 << 20)
    record = Record("t", 0, 0, 0, None, value[: 1 << 20], ())
    identified = codec.identify(record)
    assert isinstance(identified, Identified)
    began = time.process_time()
    found = codec.decode(identified, record)
    took = time.process_time() - began
    assert isinstance(found, Undecodable), found
    assert (found.reason, "more than 50,000 values" in found.detail) == ("too_large", True)
    # Far above what it takes, far below the 7 to 30 s that it took.
    assert took < 2, took


SHORT = {"python": 16 << 20, "native": 1 << 18}
"""Bytes that are less than each needs for a record of a megabyte."""


def starve(name: str, *, later: bool) -> None:
    """Decode an accepted record with less memory than it needs.

    `later`: the accelerator only reads it, since nobody has asked for a body; then somebody does.
    """
    tree = many({"type": "array", "items": "int"})
    book = SchemaBook([tree])
    [schema] = list(book)
    reads_by = implementation() if name == "native" else Implementation(None, "a test")
    codec, prefix = AvroCodec(book, max_values=10_000_000, reads_by=reads_by), schema.prefix
    warm = Record("t", 0, 0, 0, None, prefix + bytes_of(tree, 1, b"\x00"), ())
    assert isinstance(fields_of(codec, warm), dict)
    small = codec.decode(Identified(schema.revision, len(prefix)), warm)
    assert isinstance(small, Event)
    version = schema.revision.event_version
    if not later:
        # From now on the accelerator makes each body while it reads.
        codec.body(small, version)
    record = Record("t", 0, 0, 0, None, prefix + bytes_of(tree, 1_000_000, b"\x00"), ())
    identified = codec.identify(record)
    assert isinstance(identified, Identified)
    limit_memory(SHORT[name])
    try:
        found = codec.decode(identified, record)
        if later:
            assert isinstance(found, Event)
            codec.body(found, version)
    except MemoryError:
        return
    raise AssertionError(f"{type(found).__name__} where there was no memory")
