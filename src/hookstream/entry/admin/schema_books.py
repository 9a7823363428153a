"""The schemas of a folder as a worker would have them once they are published."""

from pathlib import Path

from hookstream.adapters.avro.files import read_schema_files
from hookstream.adapters.avro.published import own_schemas
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.tables.mappings import mapping_row
from hookstream.core.catalog.publication import Finding
from hookstream.errors import InputRefused


def book_of_files(folder: Path) -> tuple[SchemaBook, tuple[Finding, ...]]:
    """Return the schemas of a folder and hookstream's own, and the problems of those that are left out.

    Only what keeps a schema from being used is a problem here; `SchemaPublisher.checked` has all rules.

    Args:
        folder: Holds `<event type>/v<N>.avsc` and `mappings/<name>.yaml`.

    Raises:
        ConfigurationError: The folder cannot be read, or has no schemas.
    """
    files = read_schema_files(folder)
    book, problems = SchemaBook(own_schemas()), list(files.problems)
    for schema in files.published:
        try:
            book.publish(schema.tree)
        except InputRefused as refused:
            problems.append(Finding(schema.where, str(refused)))
    for each in files.mappings:
        book.put(*mapping_row(each.mapping))
    return book, tuple(problems)
