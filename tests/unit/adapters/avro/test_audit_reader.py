"""An audit record of any release reads back, and an invalid one is refused with a reason."""

import pytest
from tests.doubles.lives import FIELDS

from hookstream.adapters.avro.audit_reader import EVENT_TYPE, AuditReader
from hookstream.adapters.avro.published import own_schemas
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.audit.entry import EntryProblem, read_entry
from hookstream.core.model.framing import SINGLE_OBJECT


@pytest.fixture
def book() -> SchemaBook:
    return SchemaBook()


def encoded(book: SchemaBook, event_type: str, fields: dict[str, object]) -> bytes:
    tree = next(tree for tree in own_schemas() if tree["eventType"] == event_type)
    revision = book.publish(tree)
    schema = book.schema(revision)
    assert schema is not None
    return schema.encode(fields)


def test_an_audit_record_reads_back(book: SchemaBook) -> None:
    value = encoded(book, EVENT_TYPE, FIELDS)
    assert AuditReader(book).read(value) == read_entry(FIELDS)


def test_it_reads_back_although_its_schema_is_not_published(book: SchemaBook) -> None:
    value = encoded(book, EVENT_TYPE, FIELDS)
    assert AuditReader(SchemaBook()).read(value) == read_entry(FIELDS)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "it is not in Avro's single-object encoding"),
        (b"{}", "it is not in Avro's single-object encoding"),
        (SINGLE_OBJECT + b"12345678", "its schema 3132333435363738 was never published"),
    ],
)
def test_an_invalid_audit_record_is_refused_with_its_reason(
    book: SchemaBook, value: bytes, why: str
) -> None:
    assert AuditReader(book).read(value) == EntryProblem(why)


def test_a_truncated_record_is_refused_with_its_reason(book: SchemaBook) -> None:
    value = encoded(book, EVENT_TYPE, FIELDS)
    problem = AuditReader(book).read(value[:20])
    assert isinstance(problem, EntryProblem)
    assert problem.why.startswith("it does not decode: ")
