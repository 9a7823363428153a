"""Decodes audit records of any release from Avro into entries."""

from hookstream.adapters.avro.codec import read_body
from hookstream.adapters.avro.published import (
    PublishedSchema,
    own_schemas,
    prepared_earlier_schemas,
    prepared_own_schemas,
)
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.audit.entry import AuditEntry, EntryProblem, read_entry
from hookstream.core.model.event import Identified, Undecodable
from hookstream.core.model.framing import SINGLE_OBJECT, SINGLE_OBJECT_BODY

EVENT_TYPE = "hookstream.attempt"


class AuditReader:
    """Decodes values of the attempts topic.

    Args:
        book: The schemas table. This release's own schemas are added if missing, so that an audit
            log can be read even if they are not published.
    """

    def __init__(self, book: SchemaBook) -> None:
        for tree in own_schemas():
            if not book.latest(str(tree["eventType"])):
                book.publish(tree)
        self._book = book
        self._own = {
            bytes.fromhex(each.revision.fingerprint): each
            for each in (*prepared_earlier_schemas(), *prepared_own_schemas())
            if each.revision.event_type == EVENT_TYPE
        }

    def read(self, value: bytes | None) -> AuditEntry | EntryProblem:
        """Decode one value; logical types stay raw, so instants are milliseconds."""
        if value is None or value[:2] != SINGLE_OBJECT or len(value) < SINGLE_OBJECT_BODY:
            return EntryProblem("it is not in Avro's single-object encoding")
        fingerprint = value[2:SINGLE_OBJECT_BODY]
        schema = self._own.get(fingerprint) or self._published(fingerprint)
        if isinstance(schema, EntryProblem):
            return schema
        fields = read_body(value, SINGLE_OBJECT_BODY, schema.guarded)
        if isinstance(fields, Undecodable):
            return EntryProblem(f"it does not decode: {fields.detail}")
        return read_entry(fields)

    def _published(self, fingerprint: bytes) -> PublishedSchema | EntryProblem:
        """Return a schema of the table: a newer release's, or one whose records are not entries."""
        found = self._book.named(fingerprint)
        if not isinstance(found, Identified):
            return EntryProblem(f"its schema {fingerprint.hex()} was never published")
        if found.revision.event_type != EVENT_TYPE:
            return EntryProblem(f"it is of the type {found.revision.event_type}")
        schema = self._book.schema(found.revision)
        if schema is None:
            return EntryProblem(f"its schema {fingerprint.hex()} was removed")
        return schema
