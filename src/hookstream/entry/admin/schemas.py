"""Event schemas for operators: checking files, publishing them, and listing what is published."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hookstream.adapters.avro.files import SchemaFiles, own_declared, read_schema_files
from hookstream.adapters.avro.published import schema_row
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.file_tree import DISK, FileTree
from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.adapters.tables.mappings import mapping_key, mapping_row
from hookstream.core.catalog.mapping_plan import MappingChange, MappingPlan, plan_mappings
from hookstream.core.catalog.publication import (
    Finding,
    Publication,
    PublicationPlan,
    plan_publication,
)
from hookstream.core.model.instant import to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.mapping import Mapping, source_document
from hookstream.core.model.subscription import BodyFormat, Subscription, SubscriptionState
from hookstream.core.model.suggestion import did_you_mean
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.schema_baseline import Baseline, baseline, published_baseline
from hookstream.entry.admin.schema_checks import template_losses
from hookstream.entry.admin.tables import State
from hookstream.errors import Conflict, InputRefused


@dataclass(slots=True, frozen=True)
class SchemasPlan:
    """What publishing a folder would change; nothing may be written while there are problems."""

    schemas: PublicationPlan
    mappings: MappingPlan
    removed: tuple[str, ...]
    """The names of mappings to remove."""
    problems: tuple[Finding, ...]
    notes: tuple[Finding, ...]

    @property
    def writes(self) -> tuple[Sequence[Publication], Sequence[MappingChange], Sequence[str]]:
        """Everything that would be written."""
        return self.schemas.publications, self.mappings.changes, self.removed

    @property
    def count(self) -> int:
        """How many rows would be written."""
        return sum(map(len, self.writes))


class SchemaPublisher:
    """Publishes the schemas and mappings of a folder, and hookstream's own schemas with them.

    Args:
        folder: Contains `<event type>/v<N>.avsc` and `mappings/<name>.yaml`.
        remove: The names of published mappings to remove.
        tree: Has the files.

    Raises:
        InputRefused: The folder cannot be read.
    """

    def __init__(self, folder: Path, remove: Collection[str] = (), tree: FileTree = DISK) -> None:
        self._folder = folder
        self._files = read_schema_files(folder, tree)
        self._remove = tuple(sorted(set(remove)))

    @property
    def files(self) -> SchemaFiles:
        """What the folder declares, and its own problems."""
        return self._files

    @property
    def count(self) -> int:
        """How many schemas the folder contains, without those of mappings."""
        return len(self._files.schemas)

    @property
    def mappings(self) -> int:
        """How many mappings the folder contains."""
        return len(self._files.mappings)

    def checked(self, against: str | None, published: Callable[[], State]) -> SchemasPlan:
        """Return the plan for what the files are compared with.

        Args:
            against: `topic`, a folder or a git revision, as `baseline` says; None: nothing, so that
                only the files' own problems are found.
            published: Reads the tables.

        Raises:
            InputRefused: What they are to be compared with cannot be read.
        """
        if against is None:
            return self._planned(Baseline())
        return self._planned(baseline(self._folder, against, self._files, published))

    def planned(self, state: State) -> SchemasPlan:
        """Return what publishing would add to what is published."""
        plan = self._planned(published_baseline(state))
        return replace(plan, notes=(*plan.notes, *_template_notes(state, plan)))

    def publish(
        self, writer: ChangeWriter, is_shown: Callable[[SchemasPlan], bool]
    ) -> SchemasPlan:
        """Publish what is planned now, and return it.

        Args:
            writer: Writes the tables.
            is_shown: Returns whether a plan writes what was shown.

        Raises:
            Conflict: The tables changed, and with them the plan.
        """
        made = self.planned(writer.state)
        if not is_shown(made) or made.problems:
            raise Conflict("the published schemas changed meanwhile: run it again")
        rows = [
            *(schema_row(each.schema.tree, each.number) for each in made.schemas.publications),
            *(mapping_row(each.after) for each in made.mappings.changes),
            *((mapping_key(name), None) for name in made.removed),
        ]
        topic = writer.session.names.schemas
        writer.session.write([TableChange(topic, key, value) for key, value in rows])
        return made

    def _planned(self, before: Baseline) -> SchemasPlan:
        files = self._files
        schemas = plan_publication(
            [*files.published, *own_declared()], before.known, before.pinned
        )
        kept = [each for each in before.mappings if each.name not in self._remove]
        mappings = plan_mappings(files.mappings, kept, files.schemas, before.known)
        return SchemasPlan(
            schemas,
            mappings,
            self._remove,
            problems=(
                *files.problems,
                *self._not_removable(before),
                *schemas.problems,
                *mappings.problems,
            ),
            notes=(*files.notes, *before.notes, *schemas.notes, *mappings.notes),
        )

    def _not_removable(self, before: Baseline) -> Iterator[Finding]:
        declared = {each.mapping.name: each.where for each in self._files.mappings}
        known = [each.name for each in before.mappings]
        for name in self._remove:
            if name in declared:
                yield Finding(
                    declared[name], f"declares the mapping {name}, which is to be removed"
                )
            elif name not in known:
                what = f"there is no mapping {name!a} to remove{did_you_mean(name, known)}"
                yield Finding("--remove-mapping", what)


def _template_notes(state: State, plan: SchemasPlan) -> Iterator[Finding]:
    """Yield what templates lose by new versions. It prevents nothing: their partner would block all."""
    templated = [
        each
        for each in state.current.subscriptions.values()
        if isinstance(each, Subscription)
        and each.format is BodyFormat.TEMPLATE
        and each.state is not SubscriptionState.DELETED
    ]
    if plan.problems or not plan.schemas.publications or not templated:
        return
    after = SchemaBook()
    for known in state.book:
        after.publish(known.tree, known.number)
    files: dict[tuple[str, int], str] = {}
    for new in plan.schemas.publications:
        after.publish(new.schema.tree, new.number)
        files[new.schema.event_type, new.schema.version] = new.schema.where
    for subscription in templated:
        for event_type, version, why in template_losses(subscription, state.book, after):
            where = files.get((event_type, version))
            if where is not None:
                yield Finding(where, f"subscription {subscription.id}: {why}")


def revisions(state: State, topic: str) -> list[JsonObject]:
    """Return every published revision as JSON, by type, version and number.

    `reader`: payloads of the version have its shape.

    Args:
        state: The tables.
        topic: The topic of the schemas.
    """
    found: list[JsonObject] = []
    for schema in sorted(state.book, key=lambda each: (*each.revision[:2], each.number)):
        revision = schema.revision
        event_type, version = revision.event_type, revision.event_version
        row = state.rows[topic][f"{event_type}/{version}/{revision.fingerprint}"]
        reader = state.book.reader(event_type, version)
        found.append(
            {
                "event_type": event_type,
                "version": version,
                "revision": schema.number,
                "fingerprint": revision.fingerprint,
                "published_at": to_rfc3339(row.timestamp),
                "reader": reader is not None and reader.number == schema.number,
            }
        )
    return found


def mappings(state: State) -> list[JsonObject]:
    """Return every mapping as JSON, in the order of their names."""
    every = sorted(state.book.mapped.mappings, key=lambda each: each.name)
    return [mapping_document(each) for each in every]


def mapping_document(mapping: Mapping) -> JsonObject:
    """Return a mapping as JSON, its sources as they are written in files."""
    return {
        "mapping": mapping.name,
        "revision": mapping.revision,
        "topics": list(mapping.topics),
        "record": mapping.record,
        "subject": mapping.subject,
        "event_type": mapping.event_type,
        "versions": list(mapping.versions),
        "event_id": source_document(mapping.event_id),
        "occurred_at": None
        if mapping.occurred_at is None
        else source_document(mapping.occurred_at),
        "unit": mapping.unit,
        "entity_id": source_document(mapping.entity_id),
        "environment": source_document(mapping.environment),
    }


def shown_by_name(state: State, name: str, version: int | None) -> JsonObject:
    """Return a published mapping, or the schema of an event type, as JSON.

    Args:
        state: The tables.
        name: The mapping's name, or the event type.
        version: The version of the event type; None: the newest.

    Raises:
        InputRefused: There is none.
    """
    book = state.book
    mappings = {each.name: each for each in book.mapped.mappings}
    latest = book.latest(name)
    if not latest:
        if name in mappings:
            return mapping_document(mappings[name])
        meant = did_you_mean(name, [*mappings, *book.event_types()])
        raise InputRefused(f"there is no event type and no mapping {name[:200]!a}{meant}")
    wanted = latest if version is None else version
    schema = book.reader(name, wanted)
    if schema is None:
        versions = ", ".join(map(str, book.versions(name)))
        raise InputRefused(f"{name} has no version {wanted}; it has {versions}")
    return {
        "event_type": name,
        "version": wanted,
        "revision": schema.number,
        "fingerprint": schema.revision.fingerprint,
        "mappings": [each.name for each in mappings.values() if each.event_type == name],
        "schema": schema.tree,
    }
