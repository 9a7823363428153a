"""The schemas that a folder's are compared with: another folder's, a git revision's, or the published ones."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hookstream.adapters.avro.files import MAX_FILES, SchemaFiles, read_schema_files
from hookstream.adapters.avro.schema_text import MAX_FILE_BYTES
from hookstream.adapters.git_revision import write_folder_at
from hookstream.core.catalog.publication import Finding, KnownSchema
from hookstream.core.model.mapping import Mapping
from hookstream.core.model.subscription import (
    Subscription,
    SubscriptionState,
    UnreadableSubscription,
    covers,
)
from hookstream.entry.admin.tables import State

PUBLISHED: Final = "topic"
"""The word for what is published in the cluster."""


@dataclass(slots=True, frozen=True)
class Baseline:
    """What the schemas of a folder are compared with."""

    known: tuple[KnownSchema, ...] = ()
    mappings: tuple[Mapping, ...] = ()
    pinned: Callable[[str, int], bool] = lambda _type, _version: False
    """Whether any subscription receives a version of a type."""
    notes: tuple[Finding, ...] = ()


def baseline(
    folder: Path,
    against: str,
    declared: SchemaFiles,
    published: Callable[[], State],
) -> Baseline:
    """Return what a folder's schemas are compared with.

    Args:
        folder: The folder.
        against: `topic`, a folder, or a git revision of the folder, in this order.
        declared: What the folder declares.
        published: Reads the tables.

    Raises:
        InputRefused: It is none of them, or the other folder cannot be read.
        ConfigurationError: A revision cannot be read, since there is no git or no working tree.
        DependencyUnavailable: The cluster does not answer.
    """
    if against == PUBLISHED:
        return published_baseline(published())
    if against and Path(against).is_dir():
        return _of_files(read_schema_files(Path(against)), against, declared)
    with tempfile.TemporaryDirectory(prefix="hookstream-") as made:
        there = write_folder_at(
            folder, against, Path(made), most=MAX_FILES, most_bytes=MAX_FILE_BYTES
        )
        if not there or not any(Path(made).iterdir()):
            return Baseline(notes=(Finding(against, "has no such folder: everything is new"),))
        return _of_files(read_schema_files(Path(made)), against, declared)


def published_baseline(state: State) -> Baseline:
    """Return what is published, with the versions that subscriptions receive."""
    known = [
        KnownSchema(
            each.revision.event_type,
            each.revision.event_version,
            each.revision.fingerprint,
            each.number,
            each.tree,
        )
        for each in state.book
    ]

    def pinned(event_type: str, version: int) -> bool:
        subscriptions = state.current.subscriptions.values()
        return any(_receives(each, event_type, version) for each in subscriptions)

    return Baseline(tuple(known), tuple(state.book.mapped.mappings), pinned)


def _of_files(files: SchemaFiles, against: str, declared: SchemaFiles) -> Baseline:
    """Take the schemas of files for the first revisions of their versions.

    A file with a problem was never published, so nothing is compared with it.
    """
    usable = [each for each in files.published if each.fingerprint]
    notes = [
        *(Finding(each.where, f"is not compared: {each.what}") for each in files.problems),
        *(
            Finding(each.where, "is not compared: it must not be used")
            for each in files.schemas
            if not each.fingerprint
        ),
        *_removed(files, declared),
    ]
    known = [
        KnownSchema(each.event_type, each.version, each.fingerprint, 1, each.tree)
        for each in usable
    ]
    return Baseline(
        tuple(known),
        tuple(each.mapping for each in files.mappings),
        notes=tuple(Finding(f"{against}: {note.where}", note.what) for note in notes),
    )


def _removed(before: SchemaFiles, declared: SchemaFiles) -> Iterator[Finding]:
    kept = {(each.event_type, each.version) for each in declared.schemas}
    for each in before.schemas:
        if (each.event_type, each.version) not in kept:
            yield Finding(each.where, "has no file any more; what was published stays")
    names = {each.mapping.name for each in declared.mappings}
    for mapping in before.mappings:
        name = mapping.mapping.name
        if name not in names:
            what = f"has no file any more; until it is removed (apply --remove-mapping {name}) it stays"
            yield Finding(mapping.where, what)


def _receives(
    subscription: Subscription | UnreadableSubscription, event_type: str, version: int
) -> bool:
    if not covers(subscription.event_types, event_type):
        return False
    match subscription:
        case Subscription():
            deleted = subscription.state is SubscriptionState.DELETED
            return not deleted and subscription.pin(event_type) == version
        case UnreadableSubscription():
            # Its pins cannot be read: any version may be meant.
            return True
