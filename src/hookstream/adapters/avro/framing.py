"""Identifies a record's schema by its framing: by a fingerprint, or by a registry's id."""

from collections.abc import Callable
from typing import TypeAlias

from hookstream.adapters.avro.registered import Foreign
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.model.event import (
    Identified,
    Revision,
    Undecodable,
    UndecodableReason,
    UnknownSchema,
)
from hookstream.core.model.framing import (
    SINGLE_OBJECT,
    SINGLE_OBJECT_BODY,
    Framed,
    framing_of,
    unframed,
    value_framing,
)
from hookstream.core.model.record import Record
from hookstream.core.model.registered import RegisteredId, UnresolvedSchema

Identification: TypeAlias = Identified | UnknownSchema | UnresolvedSchema | Undecodable

RegistryOf: TypeAlias = Callable[[str], str | None]
"""Returns the registry that serves an event topic; None: none does."""


def no_registry(_topic: str) -> None:
    """Serve no topic."""


class SchemaNames:
    """Identifies the schemas of records.

    Args:
        book: The schemas.
        registry_of: Returns the registry that serves a topic.
    """

    def __init__(self, book: SchemaBook, registry_of: RegistryOf = no_registry) -> None:
        self._book = book
        self._registry_of = registry_of

    def identify(self, record: Record, value: bytes, topic: str) -> Identification:
        """Identify a record's schema.

        Args:
            record: The record.
            value: Its value.
            topic: The event topic that it was written to.
        """
        if value[:2] == SINGLE_OBJECT and len(value) >= SINGLE_OBJECT_BODY:
            named = self._book.named(value[2:SINGLE_OBJECT_BODY])
            if named is not None:
                return named
        framed = framing_of(record.headers, value)
        if framed is None:
            return _not_framed(record, value)
        if framed.is_registered:
            registry = self._registry_of(topic)
            if registry is not None:
                return self._registered(RegisteredId(registry, framed.schema), framed, topic)
            by_value = value_framing(value)
            if by_value is None or by_value.is_registered:
                return _no_registry(framed, topic)
            # A header of another program does not make its record undecodable.
            framed = by_value
        foreign = self._book.foreign(bytes.fromhex(framed.schema))
        if foreign is None:
            return UnknownSchema(framed.schema)
        return self._mapped(foreign, topic, framed.body_at)

    def _mapped(self, foreign: Foreign, topic: str, body_at: int) -> Identification:
        mapped = self._book.mapped.identify(foreign, topic, body_at)
        return _no_mapping(foreign, topic) if mapped is None else mapped

    def _registered(self, schema: RegisteredId, framed: Framed, topic: str) -> Identification:
        meaning = self._book.registered.meaning(schema)
        match meaning:
            case None:
                return UnresolvedSchema(schema)
            case Revision():
                return Identified(meaning, framed.body_at)
            case Foreign():
                return self._mapped(meaning, topic, framed.body_at)
            case UnknownSchema() | Undecodable():
                return meaning


def _not_framed(record: Record, value: bytes) -> Undecodable:
    if record.headers_problem is not None:
        # The unreadable header may be the one that identifies the schema.
        return Undecodable(UndecodableReason.HEADERS_UNREADABLE, record.headers_problem)
    return Undecodable(UndecodableReason.NOT_FRAMED, unframed(record.headers, value))


def _no_registry(framed: Framed, topic: str) -> Undecodable:
    kind = "GUID" if "-" in framed.schema else "id"
    return Undecodable(
        UndecodableReason.NOT_FRAMED,
        f"it has {framed.framing} with the {kind} {framed.schema}, and no registry serves the topic"
        f" {topic}: set [registry.<name>] with topics that cover it",
    )


def _no_mapping(foreign: Foreign, topic: str) -> UnknownSchema:
    return UnknownSchema(
        f"{foreign.name} ({foreign.schema})",
        f"is not published, and no mapping turns it into events on {topic}: publish the schema"
        " (hookstream schemas apply), or a mapping of it",
    )
