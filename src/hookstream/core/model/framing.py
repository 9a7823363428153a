"""Reads a record's framing, which names the schema that its body was written with.

Each record is in one of three framings: several may be mixed on one topic.

| framing | where the schema is named | body |
|---|---|---|
| Avro single object | `C3 01` and a fingerprint of 8 bytes, before the body | at byte 10 |
| Confluent's prefix | `00` and an id of 4 bytes, big-endian, before the body | at byte 5 |
| Confluent's header | header `__value_schema_id`: `01` and a GUID of 16 bytes, or `00` and an id | at byte 0 |

Sources: Avro 1.12 specification, "Single-object encoding"; confluent-kafka-python,
`schema_registry/common/serde.py`.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from hookstream.core.model.record import Headers

SINGLE_OBJECT: Final = b"\xc3\x01"
"""Marker of Avro's single-object encoding; the schema's fingerprint of 8 bytes follows."""
SINGLE_OBJECT_BODY: Final = len(SINGLE_OBJECT) + 8

PREFIX_BODY: Final = 5
VALUE_SCHEMA_ID: Final = "__value_schema_id"
"""The header that names the schema of a record's value."""

_ID, _GUID = 0, 1
"""The first byte of an id, and of a GUID."""
_GUID_BYTES = 16


class Framing(StrEnum):
    """How a record names its schema. The value completes a sentence."""

    SINGLE_OBJECT = "Avro's single-object encoding"
    PREFIX = "Confluent's prefix"
    HEADER = "Confluent's header"


class Framed(NamedTuple):
    """The schema that a record names, and where its Avro body starts."""

    framing: Framing
    schema: str
    """A fingerprint of 16 hex digits, a decimal id, or a GUID in lower case with hyphens."""
    body_at: int

    @property
    def is_registered(self) -> bool:
        """Whether the name means something only together with a schema registry."""
        return self.framing is not Framing.SINGLE_OBJECT


def framing_of(headers: Headers, value: bytes) -> Framed | None:
    """Return the schema that a record names; None: it uses no framing. It never raises, whatever the bytes are.

    A well-formed header counts before the bytes: the body of such a record may begin with any bytes.
    """
    return header_framing(headers) or value_framing(value)


def header_framing(headers: Headers) -> Framed | None:
    """Return the schema that the last header `__value_schema_id` names; None if it is malformed."""
    for name, value in reversed(headers):
        if name == VALUE_SCHEMA_ID:
            named = None if value is None else _named(value)
            return None if named is None else Framed(Framing.HEADER, named, 0)
    return None


def value_framing(value: bytes) -> Framed | None:
    """Return the schema that the first bytes of a value name."""
    if value[:2] == SINGLE_OBJECT and len(value) >= SINGLE_OBJECT_BODY:
        fingerprint = value[2:SINGLE_OBJECT_BODY].hex()
        return Framed(Framing.SINGLE_OBJECT, fingerprint, SINGLE_OBJECT_BODY)
    if value[:1] == bytes((_ID,)) and len(value) >= PREFIX_BODY:
        return Framed(
            Framing.PREFIX, str(int.from_bytes(value[1:PREFIX_BODY], "big")), PREFIX_BODY
        )
    return None


def unframed(headers: Headers, value: bytes) -> str:
    """Return why a record without a framing has none, as a sentence for a person."""
    starts = value[:10].hex(" ") or "nothing"
    expected = (
        "C3 01 and a fingerprint of 8 bytes, 00 and an id of 4 bytes, or a header"
        f" {VALUE_SCHEMA_ID} is expected"
    )
    for name, given in reversed(headers):
        if name == VALUE_SCHEMA_ID:
            has = "no value" if given is None else f"{len(given)} bytes"
            return (
                f"the value begins with {starts}, and its header {VALUE_SCHEMA_ID} has {has}, where"
                " 01 and a GUID of 16 bytes are expected"
            )
    return f"the value begins with {starts}, which names no schema ({expected})"


def prefixed(schema_id: int) -> bytes:
    """Return Confluent's prefix of an id from 0 to 2^32 - 1."""
    return bytes((_ID,)) + schema_id.to_bytes(4, "big")


def _named(header: bytes) -> str | None:
    if len(header) == 1 + _GUID_BYTES and header[0] == _GUID:
        digits = header[1:].hex()
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
    if len(header) == PREFIX_BODY and header[0] == _ID:
        return str(int.from_bytes(header[1:], "big"))
    return None
