"""Reads mapped records by the native accelerator, which picks the fields of their envelope.

It reads no envelope itself: the values go to `core.catalog.mapped_envelope` in the form that Python decodes.
"""

from types import ModuleType
from typing import Protocol, cast

from hookstream.adapters.avro.native import Descriptions, Unwritten, asked_of, writes_alike
from hookstream.adapters.avro.published import PublishedSchema
from hookstream.core.avro.nodes import RecordNode
from hookstream.core.model.mapping import FieldSource


class ForeignProgram(Protocol):
    """A foreign schema, compiled by the accelerator."""

    def read(self, value: bytes, body_at: int) -> dict[str, object] | None:
        """Return the fields of an envelope, with raw logical types; None: Python answers.

        If there is a result, the whole record is valid and can be rendered.
        """


def foreign_program_of(
    module: ModuleType, schema: PublishedSchema, most_values: int
) -> ForeignProgram | None:
    """Compile the schema of mapped records whose data can be rendered; None: Python reads them.

    Args:
        module: The accelerator.
        schema: The schema; it has an `envelope`.
        most_values: The most values of a record.
    """
    if schema.envelope is None or schema.data is None:
        return None
    root = schema.data.resolve(schema.data.root)
    if not isinstance(root, RecordNode):
        return None
    described = Descriptions(schema.data, fractions=writes_alike(module))
    try:
        described.make(root)
    except Unwritten:
        return None
    sources = [source for _, source, _ in schema.envelope.sources]
    paths = [("data", *source.path) for source in sources if isinstance(source, FieldSource)]
    found = module.Foreign(described.types, asked_of(frozenset(paths)), most_values)
    return cast("ForeignProgram", found)
