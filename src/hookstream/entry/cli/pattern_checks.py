"""Patterns are checked against the schemas of the versions that they will see."""

from collections.abc import Sequence

from hookstream.adapters.avro_schemas import SchemaBook
from hookstream.core.planning.fields import Subject


class PatternChecks:
    """Checks the patterns of partners and subscriptions on a book of schemas."""

    def __init__(self, book: SchemaBook) -> None:
        self._book = book

    def problems(self, subject: Subject) -> Sequence[str]:
        """Return what is wrong with a subject's pattern."""
        del subject
        return ()
