"""Identifies the schema of a record's body from the record's framing.

A further framing (another registry's, a header) is one more class that implements `Framing`, in the
list that `AvroCodec` tries in order.
"""

from typing import Protocol

from hookstream.adapters.avro.published import BODY_AT, SINGLE_OBJECT
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.model.event import Identified, Undecodable, UnknownSchema
from hookstream.core.model.record import Record


class Framing(Protocol):
    """One way in which records identify their schema."""

    def identify(
        self, record: Record, value: bytes
    ) -> Identified | UnknownSchema | Undecodable | None:
        """Identify the record's schema; None if the record does not use this framing."""


class SingleObject:
    """Avro's single-object encoding: C3 01, the schema's fingerprint, the body.

    Source: Avro 1.12 specification, "Single-object encoding".
    """

    def __init__(self, book: SchemaBook) -> None:
        """Look fingerprints up in a book."""
        self._book = book

    def identify(
        self, record: Record, value: bytes
    ) -> Identified | UnknownSchema | Undecodable | None:
        """Identify the schema by the fingerprint in bytes 2 to 9."""
        del record
        if value[:2] != SINGLE_OBJECT or len(value) < BODY_AT:
            return None
        wire = value[2:BODY_AT]
        return self._book.named(wire) or UnknownSchema(wire.hex())
