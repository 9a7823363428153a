"""What publishing schemas would change, as it is shown: on Kafka and over HTTP alike."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hookstream.core.catalog.mapping_plan import MappingChange, described
from hookstream.core.catalog.publication import Finding
from hookstream.entry.admin.schemas import SchemasPlan

_MARK: Final = 32
"""Hex digits."""


@dataclass(slots=True, frozen=True)
class ShownPublication:
    """A revision that would be published."""

    event_type: str
    version: int
    revision: int
    novelty: str
    """A word of `Novelty`: what is new in it."""


@dataclass(slots=True, frozen=True)
class ShownMapping:
    """A mapping that would be written."""

    name: str
    revision: int
    is_new: bool
    lines: Sequence[str]
    """What it is, or what changes of it."""


@dataclass(slots=True, frozen=True)
class ShownSchemas:
    """What publishing would change."""

    publications: Sequence[ShownPublication] = ()
    mappings: Sequence[ShownMapping] = ()
    removed: Sequence[str] = ()
    """Names of mappings."""
    unchanged: int = 0
    problems: Sequence[Finding] = ()
    notes: Sequence[Finding] = ()
    mark: str = ""
    """Another one where anything else would be written."""

    @property
    def count(self) -> int:
        """How many rows would be written."""
        return len(self.publications) + len(self.mappings) + len(self.removed)


def shown_schemas(plan: SchemasPlan) -> ShownSchemas:
    """Return a plan as it is shown."""
    return ShownSchemas(
        [
            ShownPublication(
                each.schema.event_type, each.schema.version, each.number, each.novelty.value
            )
            for each in plan.schemas.publications
        ],
        [_mapping(change) for change in plan.mappings.changes],
        plan.removed,
        plan.schemas.unchanged + plan.mappings.unchanged,
        plan.problems,
        plan.notes,
        mark_of(plan),
    )


def mark_of(plan: SchemasPlan) -> str:
    """Return the mark of what a plan writes."""
    publications = [
        (each.schema.event_type, each.schema.version, each.schema.fingerprint, each.number)
        for each in plan.schemas.publications
    ]
    written = repr((publications, plan.mappings.changes, plan.removed))
    return hashlib.sha256(written.encode("utf-8", "backslashreplace")).hexdigest()[:_MARK]


def _mapping(change: MappingChange) -> ShownMapping:
    mapping = change.after
    if change.before is None:
        lines = [f"{name}: {text}" for name, text in described(mapping).items()]
        return ShownMapping(mapping.name, mapping.revision, True, lines)  # noqa: FBT003  a field
    return ShownMapping(mapping.name, mapping.revision, False, change.differences)  # noqa: FBT003
