"""Plans the publication of declared schemas, and finds the problems that prevent it.

A published revision is permanent: old records must stay readable. Within one version, revisions
are compatible, so all of its payloads look alike. A newer version keeps the fields that partners
pinned to an older one receive.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from hookstream.core.catalog.body_changes import body_changes
from hookstream.core.catalog.compatibility import incompatibilities, vanished
from hookstream.core.catalog.lint import FullNames, breaches
from hookstream.core.catalog.safety import hostile
from hookstream.core.model.json import Json, JsonObject


@dataclass(slots=True, frozen=True)
class DeclaredSchema:
    """A schema to be published."""

    where: str
    """The file that declares it."""
    event_type: str
    version: int
    fingerprint: str
    """Empty if the schema is too malformed to have one."""
    tree: JsonObject
    own: bool = False
    """True for hookstream's own records, which need not be events."""
    mapped: bool = False
    """True for one that is made of a foreign schema, whose fields are its owner's."""


@dataclass(slots=True, frozen=True)
class KnownSchema:
    """A schema that was published."""

    event_type: str
    version: int
    fingerprint: str
    number: int
    """Its revision number within the version."""
    tree: JsonObject


class Novelty(StrEnum):
    """What is new in a publication."""

    EVENT_TYPE = "event type"
    VERSION = "version"
    REVISION = "revision"
    DOCUMENTATION = "documentation"


@dataclass(slots=True, frozen=True)
class Publication:
    """One row to write."""

    schema: DeclaredSchema
    number: int
    novelty: Novelty


@dataclass(slots=True, frozen=True)
class Finding:
    """One sentence about one file."""

    where: str
    what: str


@dataclass(slots=True, frozen=True)
class PublicationPlan:
    """The rows to write; none may be written while there are problems."""

    publications: tuple[Publication, ...]
    unchanged: int
    problems: tuple[Finding, ...]
    notes: tuple[Finding, ...]


def plan_publication(
    declared: Sequence[DeclaredSchema],
    known: Sequence[KnownSchema],
    pinned: Callable[[str, int], bool],
) -> PublicationPlan:
    """Return the plan of a publication.

    Args:
        declared: The schemas to publish, each type and version once.
        known: The published schemas.
        pinned: Whether any subscription receives a version of a type.
    """
    harmful = [Finding(schema.where, why) for schema in declared for why in _harm(schema)]
    if harmful:
        # Unsafe schemas must not be walked, so they are not checked further.
        return PublicationPlan((), 0, tuple(harmful), ())
    publications = [new for schema in declared if (new := _publication(schema, known))]
    problems = [
        *(
            Finding(each.where, why)
            for each in declared
            if not each.own and not each.mapped
            for why in breaches(each.tree)
        ),
        *_names(declared, known),
        *_shared_fingerprints(declared, known),
        *_revisions(publications, known),
    ]
    notes: list[Finding] = []
    for finding, event_type, old in _versions(publications, known):
        (problems if pinned(event_type, old) else notes).append(finding)
    unchanged = len(declared) - len(publications)
    return PublicationPlan(tuple(publications), unchanged, tuple(problems), tuple(notes))


def _harm(schema: DeclaredSchema) -> list[str]:
    found = hostile(schema.tree)
    if not found and not schema.fingerprint:
        return ["it is not an Avro schema, or does not say what it is a schema of"]
    return found


def _publication(schema: DeclaredSchema, known: Sequence[KnownSchema]) -> Publication | None:
    """Return the row that a schema needs, or None if it equals the newest revision."""
    of_type = [each for each in known if each.event_type == schema.event_type]
    of_version = [each for each in of_type if each.version == schema.version]
    if not of_version:
        return Publication(schema, 1, Novelty.VERSION if of_type else Novelty.EVENT_TYPE)
    newest = max(of_version, key=lambda each: each.number)
    if newest.tree == schema.tree:
        return None
    novelty = Novelty.REVISION
    if newest.fingerprint == schema.fingerprint:
        novelty = Novelty.DOCUMENTATION
    return Publication(schema, newest.number + 1, novelty)


def _names(declared: Sequence[DeclaredSchema], known: Sequence[KnownSchema]) -> Iterator[Finding]:
    names = FullNames()
    for each in known:
        names.add(each.tree)
    for schema in declared:
        for why in names.add(schema.tree):
            yield Finding(schema.where, why)


def _shared_fingerprints(
    declared: Sequence[DeclaredSchema], known: Sequence[KnownSchema]
) -> Iterator[Finding]:
    """Find different schemas with the same fingerprint.

    A fingerprint leaves out logical types, defaults and attributes. With the same fingerprint for
    two schemas, a record does not identify the one it was written with.
    """
    seen = {each.fingerprint: (each.event_type, each.version, each.tree) for each in known}
    for schema in declared:
        event_type, version, tree = seen.setdefault(
            schema.fingerprint, (schema.event_type, schema.version, schema.tree)
        )
        if (event_type, version) != (schema.event_type, schema.version):
            yield Finding(
                schema.where,
                f"its fingerprint is that of {event_type} v{version}: records of the two could not"
                " be distinguished; give a new version a field of its own",
            )
        elif undocumented(tree) != undocumented(schema.tree):
            yield Finding(
                schema.where,
                f"it differs from what was published as {event_type} v{version} in more than doc"
                " and examples, and yet has the same fingerprint: records written before would be misread."
                " Logical types, defaults, aliases and attributes change with a new field, or in a"
                " new version with a field of its own",
            )


def _revisions(
    publications: Iterable[Publication], known: Sequence[KnownSchema]
) -> Iterator[Finding]:
    """Find incompatibilities within a version: with its older records, or in its payloads."""
    for publication in publications:
        schema = publication.schema
        if publication.novelty is not Novelty.REVISION:
            continue
        for old in known:
            if (old.event_type, old.version) != (schema.event_type, schema.version):
                continue
            if old.fingerprint == schema.fingerprint:
                continue
            since = f"(against revision {old.number} of v{old.version})"
            for why in incompatibilities(old.tree, schema.tree):
                yield Finding(schema.where, f"{why} {since}")
            for why in (*vanished(old.tree, schema.tree), *body_changes(old.tree, schema.tree)):
                yield Finding(schema.where, f"{why}, which needs a new version {since}")


def _versions(
    publications: Iterable[Publication], known: Sequence[KnownSchema]
) -> Iterator[tuple[Finding, str, int]]:
    """Yield what a newer version does not carry for an older one, with type and older version."""
    newest: dict[tuple[str, int], tuple[JsonObject, str | None]] = {}
    for each in sorted(known, key=lambda s: s.number):
        newest[each.event_type, each.version] = (each.tree, None)
    for publication in publications:
        schema = publication.schema
        newest[schema.event_type, schema.version] = (schema.tree, schema.where)
    for (event_type, version), (tree, where) in newest.items():
        for (other_type, old), (old_tree, old_where) in newest.items():
            # Refusing something else does not repair a pair that is already published.
            place = where or old_where
            if other_type != event_type or old >= version or place is None:
                continue
            for why in vanished(old_tree, tree) or incompatibilities(tree, old_tree):
                what = f"v{version} cannot be delivered as v{old}: {why}"
                yield Finding(place, what), event_type, old


_DOCUMENTATION = ("doc", "examples")


def undocumented(tree: Json) -> Json:
    """Return a schema without what is for people only: `doc` and `examples`."""
    if isinstance(tree, list):
        return [undocumented(each) for each in tree]
    if not isinstance(tree, dict):
        return tree
    return {
        # A default is a value: a field of it may be called doc.
        name: value if name == "default" else undocumented(value)
        for name, value in tree.items()
        if name not in _DOCUMENTATION
    }
