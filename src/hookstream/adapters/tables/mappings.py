"""The rows of mappings, in the schemas table under `mapping/<name>`."""

from hookstream.adapters.tables.row import Row
from hookstream.core.model import row_fields as fields
from hookstream.core.model.mapping import Mapping, TimeUnit, source_document, source_of
from hookstream.core.model.row_fields import FieldKind

MAPPING_PREFIX = "mapping/"

_SOURCE = FieldKind(source_of, source_document)
_VERSIONS = fields.listed(fields.WHOLE)

_MAPPING = Row(
    "mapping",
    Mapping,
    rf"{MAPPING_PREFIX}(?P<name>[^/]+)",
    strict=True,
    revision=fields.WHOLE,
    topics=fields.TEXTS,
    record=fields.optional(fields.TEXT),
    subject=fields.optional(fields.TEXT),
    event_type=fields.TEXT,
    versions=_VERSIONS,
    event_id=_SOURCE,
    occurred_at=fields.optional(_SOURCE),
    entity_id=_SOURCE,
    environment=_SOURCE,
    unit=fields.optional(fields.parsed(TimeUnit, str)),
)

read_mapping = _MAPPING.read


def mapping_row(mapping: Mapping) -> tuple[str, bytes]:
    """Return key and value of a mapping's row in the schemas table."""
    return mapping_key(mapping.name), _MAPPING.write(mapping)


def mapping_key(name: str) -> str:
    """Return the key of a mapping's row."""
    return f"{MAPPING_PREFIX}{name}"


def mapping_name(key: str) -> str | None:
    """Return the name in the key of a mapping's row; None for any other key of the schemas table."""
    return key.removeprefix(MAPPING_PREFIX) if key.startswith(MAPPING_PREFIX) else None
