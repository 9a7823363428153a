"""Plans the publication of mappings, and finds what would make a record's event ambiguous or another.

Two mappings must not apply to one record, and the events of a type keep the source of their ids for
ever: with another, every event would be delivered again under a second identity.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hookstream.core.avro.reader import read_schema
from hookstream.core.catalog.mapped_envelope import mapped_envelope
from hookstream.core.catalog.mapped_schema import EVENT_ID_FROM, foreign_schema
from hookstream.core.catalog.publication import DeclaredSchema, Finding, KnownSchema
from hookstream.core.model.json import Json, json_text
from hookstream.core.model.mapping import Mapping, overlap, source_document


@dataclass(slots=True, frozen=True)
class DeclaredMapping:
    """A mapping to be published."""

    where: str
    """The file that declares it."""
    mapping: Mapping
    schemas: tuple[DeclaredSchema, ...]
    """The event schemas of its versions."""


@dataclass(slots=True, frozen=True)
class MappingChange:
    """One mapping to write."""

    after: Mapping
    before: Mapping | None
    """None: it is new."""

    @property
    def differences(self) -> tuple[str, ...]:
        """What changes, one sentence for each field."""
        if self.before is None:
            return ()
        before, after = described(self.before), described(self.after)
        return tuple(
            f"{name}: {before[name]} → {text}"
            for name, text in after.items()
            if before[name] != text
        )


@dataclass(slots=True, frozen=True)
class MappingPlan:
    """The mappings to write; none may be written while there are problems."""

    changes: tuple[MappingChange, ...] = ()
    unchanged: int = 0
    problems: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()


def plan_mappings(
    declared: Sequence[DeclaredMapping],
    published: Sequence[Mapping],
    schemas: Sequence[DeclaredSchema],
    known: Sequence[KnownSchema],
) -> MappingPlan:
    """Return the plan of a publication.

    Args:
        declared: The mappings to publish, each name once.
        published: The published mappings.
        schemas: The schemas that files declare beside them.
        known: The published schemas.
    """
    there = {mapping.name: mapping for mapping in published}
    kept = [each for each in published if each.name not in {d.mapping.name for d in declared}]
    changes = [change for each in declared if (change := _change(each.mapping, there))]
    problems = [
        *_overlaps(declared, kept),
        *_declared_twice(declared, schemas),
        *_event_ids(declared, kept, known),
    ]
    return MappingPlan(
        tuple(changes),
        len(declared) - len(changes),
        tuple(problems),
        (*_notes(declared), *_left_behind(declared, known)),
    )


def described(mapping: Mapping) -> dict[str, str]:
    """Return the fields of a mapping as text, for people."""
    of_position = mapping.event_id is None
    return {
        "topics": ", ".join(mapping.topics),
        "of": mapping.chosen_by,
        "event_type": mapping.event_type,
        "versions": ", ".join(map(str, mapping.versions)),
        "event_id": "topic id, partition and offset" if of_position else str(mapping.event_id),
        "occurred_at": str(mapping.occurred_at or "the record's time"),
        "unit": str(mapping.unit or "-"),
        "entity_id": str(mapping.entity_id),
        "environment": str(mapping.environment),
    }


def _change(mapping: Mapping, there: dict[str, Mapping]) -> MappingChange | None:
    before = there.get(mapping.name)
    if before is None:
        return MappingChange(mapping, None)
    after = replace(mapping, revision=before.revision)
    if after == before:
        return None
    return MappingChange(replace(after, revision=before.revision + 1), before)


def _overlaps(declared: Sequence[DeclaredMapping], kept: Sequence[Mapping]) -> Iterator[Finding]:
    for at, each in enumerate(declared):
        others = [*kept, *(other.mapping for other in declared[:at])]
        for other in others:
            if overlap(each.mapping, other):
                is_published = other in kept
                published = " (published)" if is_published else ""
                remedy = f", or remove it with --remove-mapping {other.name}"
                yield Finding(
                    each.where,
                    f"{each.mapping.chosen_by}: such a record may also have the mapping"
                    f" {other.name}{published}, which is for {other.chosen_by} on"
                    f" {', '.join(other.topics)}: name topics that only one of them"
                    f" has{remedy if is_published else ''}",
                )


def _declared_twice(
    declared: Sequence[DeclaredMapping], schemas: Sequence[DeclaredSchema]
) -> Iterator[Finding]:
    """Find versions of event types that have two different schemas."""
    ours = {each.event_type: each.where for each in schemas}
    first: dict[tuple[str, int], tuple[str, Json]] = {}
    for mapping in declared:
        event_type = mapping.mapping.event_type
        if event_type in ours:
            what = f"event type {event_type} is also declared by {ours[event_type]}: give the mapped one another name"
            yield Finding(mapping.where, what)
        for schema in mapping.schemas:
            place, tree = first.setdefault(
                (event_type, schema.version), (mapping.where, foreign_schema(schema.tree))
            )
            if tree != foreign_schema(schema.tree):
                yield Finding(
                    schema.where,
                    f"{event_type} v{schema.version} has another schema in {place}: a version has one",
                )


def _event_ids(
    declared: Sequence[DeclaredMapping], kept: Sequence[Mapping], known: Sequence[KnownSchema]
) -> Iterator[Finding]:
    """Find mappings whose event ids would come from elsewhere than those of the same type before."""
    ours = {each.event_type for each in known if EVENT_ID_FROM not in each.tree}
    sources: dict[str, tuple[str, Json]] = {}
    for schema in known:
        if EVENT_ID_FROM in schema.tree:
            published = "it was published"
            sources.setdefault(schema.event_type, (published, schema.tree[EVENT_ID_FROM]))
    for mapping in kept:
        place = f"the mapping {mapping.name} has it"
        sources.setdefault(mapping.event_type, (place, source_document(mapping.event_id)))
    for each in declared:
        event_type, source = each.mapping.event_type, source_document(each.mapping.event_id)
        if event_type in ours:
            what = f"event type {event_type} is published as one that needs no mapping: choose another name"
            yield Finding(each.where, what)
            continue
        place, before = sources.setdefault(event_type, (f"{each.where} has it", source))
        if before != source:
            yield Finding(
                each.where,
                f"event_id: {event_type} has its ids from {json_text(before)}, as {place}, and not"
                f" from {json_text(source)}: every event would be delivered again under another id."
                " Keep the source, or map to a new event type",
            )


def _notes(declared: Sequence[DeclaredMapping]) -> Iterator[Finding]:
    for each in declared:
        if each.mapping.event_id is None:
            yield Finding(
                each.where,
                "names no event_id, so that an event is its topic id, partition and offset: of a"
                " record that its producer sends twice, partners see two events",
            )


def _left_behind(
    declared: Sequence[DeclaredMapping], known: Sequence[KnownSchema]
) -> Iterator[Finding]:
    """Find published revisions of whose records a mapping cannot read the envelope any more."""
    for each in declared:
        for schema in known:
            foreign = foreign_schema(schema.tree)
            if foreign is None or schema.event_type != each.mapping.event_type:
                continue
            found = mapped_envelope(each.mapping, read_schema(foreign))
            if isinstance(found, list):
                field, why = found[0]
                yield Finding(
                    each.where,
                    f"{field}: {why} in revision {schema.number} of v{schema.version}, which was"
                    " published: its records would wait, and retries of them be dead-lettered",
                )
