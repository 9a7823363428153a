"""Each format that stays in a topic: specimens as a release writes them, and how it reads them.

It uses nothing that only one of the two releases has, so that either of them can run it.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum

from hookstream.adapters.avro.audit_reader import AuditReader
from hookstream.adapters.avro.own_events import AvroOwnRecords
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.tables.holds_and_skips import read_hold, read_skip, read_start
from hookstream.adapters.tables.rows import read_disabled, read_failing, read_partner
from hookstream.adapters.tables.subscriptions import read_subscription
from hookstream.core.model import delivery_headers
from hookstream.core.model.attempt import AttemptRecord
from hookstream.core.model.record import Header
from hookstream.core.model.topics import Topics
from hookstream.core.offsets import commit_metadata
from hookstream.core.redrive.marks import Mark, read_mark
from hookstream.errors import ConfigurationError

try:
    from hookstream.core.jobs.job import read_job
except ImportError:
    from hookstream.core.redrive.job import read_job  # type: ignore[attr-defined,no-redef]

try:
    from hookstream.adapters.tables.console_rows import ConsoleTable
except ImportError:
    # Of a release without an API.
    ConsoleTable = None  # type: ignore[assignment,misc]

Headers = list[tuple[str, str | None]]
"""Names with values as text; a byte that is not UTF-8 becomes a lone surrogate."""

Document = object
"""Plain JSON."""

RENAMED = {"shelf": "source"}
"""Attributes of the previous release, by their present names."""


class PlainKeys:
    """A key ring whose ciphertexts can be kept in a file: they show what is sealed and to what."""

    def encrypt(self, plaintext: bytes, associated: bytes) -> tuple[str, str]:
        return "k1", f"{associated.hex()}:{plaintext.hex()}"

    def decrypt(self, key_id: str, ciphertext: str, associated: bytes) -> bytes:
        bound, _, plaintext = ciphertext.partition(":")
        if key_id != "k1" or bound != associated.hex():
            raise ConfigurationError(f"no key {key_id} opens this")
        return bytes.fromhex(plaintext)


def shown(headers: list[Header]) -> Headers:
    return [
        (name, None if value is None else value.decode(errors="surrogateescape"))
        for name, value in headers
    ]


def taken(headers: Headers) -> list[Header]:
    return [
        (name, None if value is None else value.encode(errors="surrogateescape"))
        for name, value in headers
    ]


def plain(value: object) -> Document:
    """Return a value as plain JSON, so that two releases can be compared."""
    match value:
        case bytes():
            return value.hex()
        case Enum():
            return value.value
        case Decimal():
            return str(value)
        case tuple() | list():
            return [plain(each) for each in value]
        case set() | frozenset():
            return sorted(map(str, value))
        case Mapping():
            return {str(name): plain(each) for name, each in value.items()}
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {
                RENAMED.get(each.name, each.name): plain(getattr(value, each.name))
                for each in dataclasses.fields(value)
            }
            return {"is": type(value).__name__, **fields}
        case _:
            return value


def audit_value(record: AttemptRecord) -> str:
    writer = AvroOwnRecords(Topics("hookstream"), "east-1", _no_row, _no_row)
    return writer.attempt(record).hex()


def _no_row(_: object) -> tuple[str, bytes]:
    return "", b""


def _row(read: Callable[[str, bytes], object]) -> Callable[[Document], object]:
    def reads(specimen: Document) -> object:
        assert isinstance(specimen, Mapping)
        return read(str(specimen["key"]), str(specimen["value"]).encode())

    return reads


def _headers(read: Callable[[list[Header]], object]) -> Callable[[Document], object]:
    def reads(specimen: Document) -> object:
        assert isinstance(specimen, list)
        return read(taken([(name, value) for name, value in specimen]))

    return reads


def _tier_record(headers: list[Header]) -> object:
    """As a worker reads it: which of the two it is, is part of the format."""
    if delivery_headers.is_for_subscription(headers):
        return delivery_headers.read_delivery(headers)
    return delivery_headers.read_unmatched(headers)


def _note(specimen: Document) -> object:
    assert isinstance(specimen, Mapping)
    # The previous release has it under its earlier name.
    name = "decode_metadata" if hasattr(commit_metadata, "decode_metadata") else "read_note"
    return getattr(commit_metadata, name)(str(specimen["note"]), int(str(specimen["base"])))


def _schemas_row(specimen: Document) -> object:
    """What the schemas table is after a row: it must never end the reading of others."""
    assert isinstance(specimen, Mapping)
    book = SchemaBook()
    problem = book.put(str(specimen["key"]), str(specimen["value"]).encode())
    return {
        "refused": problem is not None,
        "types": {each: [*book.versions(each)] for each in book.event_types()},
    }


def _job(key: str, value: bytes) -> object:
    """A job, of which the release before knew only redrives, with what was asked among its fields."""
    job = read_job(key, value)
    asked = getattr(job, "asked", None)
    if not dataclasses.is_dataclass(job) or not isinstance(asked, Mapping):
        return job
    fields = {each.name: plain(getattr(job, each.name)) for each in dataclasses.fields(job)}
    del fields["asked"]
    fields |= {"is": "RedriveJob"} if fields["kind"] == "redrive" else {"is": "Job"}
    return fields | {"source" if name == "topic" else name: it for name, it in asked.items()}


def _mark(key: str, value: bytes) -> object:
    """Return the offsets that a mark resolves; None: it cannot be read, so nothing may be redriven."""
    mark = read_mark(key, value)
    if not isinstance(mark, Mark):
        return None
    offsets = getattr(mark, "offsets", None)
    if offsets is None:
        offsets = [at for first, last in mark.ranges for at in range(first, last + 1)]
    return {"job": mark.job_id, "partition": mark.partition, "offsets": list(offsets)}


def _console_row(specimen: Document) -> object:
    """What the console topic is after a row: one of a kind that is not known must change nothing."""
    assert isinstance(specimen, Mapping)
    table = ConsoleTable()
    table.put(str(specimen["key"]), str(specimen["value"]).encode(), 0)
    found = {"tokens": table.tokens.tokens(), "unreadable": [*table.unreadable]}
    for kind in ("sessions", "links"):
        book = getattr(table, kind, None)
        if book is not None:
            found[kind] = book.rows()
    return found


def _failure_group(specimen: Document) -> object:
    """What the console topic is after a row: one of a kind that is not known must change nothing."""
    assert isinstance(specimen, Mapping)
    table = ConsoleTable()
    table.put(str(specimen["key"]), str(specimen["value"]).encode(), 0)
    found = {"tokens": table.tokens.tokens(), "unreadable": [*table.unreadable]}
    failures = getattr(table, "failures", None)
    return found if failures is None else {**found, "failures": failures.groups()}


READERS: dict[str, Callable[[Document], object]] = {
    "tier record": _headers(delivery_headers.read_delivery),
    "tier record of an event": _headers(delivery_headers.read_unmatched),
    "tier record of an event for one subscription": _headers(_tier_record),
    "dead letter": _headers(delivery_headers.read_delivery),
    "undecodable record": _headers(delivery_headers.read_unmatched),
    "audit record": lambda specimen: AuditReader(SchemaBook()).read(bytes.fromhex(str(specimen))),
    "commit note": _note,
    "partner": _row(read_partner),
    "subscription": _row(lambda key, value: read_subscription(key, value, PlainKeys())),
    "hold": _row(read_hold),
    "skip": _row(read_skip),
    "start": _row(read_start),
    "disabled": _row(read_disabled),
    "failing": _row(read_failing),
    "job": _row(_job),
    "mark": _row(_mark),
    "schemas row": _schemas_row,
    "console row": _console_row,
    "failure group": _failure_group,
}
"""By the kind of specimen, which is its name up to a colon."""


def read(name: str, specimen: Document) -> Document:
    """Return how a release reads a specimen, as plain JSON."""
    try:
        return plain(READERS[name.partition(":")[0]](specimen))
    except Exception as problem:  # noqa: BLE001  the exception is the result
        return {"raises": type(problem).__name__, "why": str(problem)}


def covered(expected: Document, found: Document) -> list[str]:
    """Return where `found` lacks or contradicts what is expected; it may have more."""
    return list(_differences(expected, found, "$"))


def _differences(expected: Document, found: Document, path: str) -> list[str]:
    if isinstance(expected, dict) and isinstance(found, dict):
        return [
            line
            for name, value in expected.items()
            for line in (
                _differences(value, found[name], f"{path}.{name}")
                if name in found
                else [f"{path}.{name} is missing"]
            )
        ]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return [line for n, (a, b) in pairs for line in _differences(a, b, f"{path}[{n}]")]
    same = json.dumps(expected) == json.dumps(found)
    return [] if same else [f"{path} is {json.dumps(found)}, not {json.dumps(expected)}"]
