"""Holds the mappings of the schemas table, and the foreign schemas that they turn into events.

A foreign revision is read by its own schema and gets the event type's envelope, so that versions, filters
and bodies treat it like any other.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import orjson

from hookstream.adapters.avro.published import PublishedSchema, body_forms, published
from hookstream.adapters.avro.registered import Foreign
from hookstream.adapters.avro.scan import compile_walk
from hookstream.adapters.tables.mappings import mapping_name, read_mapping
from hookstream.core.avro.reader import read_schema
from hookstream.core.catalog.compatibility import incompatibilities
from hookstream.core.catalog.growth import growth
from hookstream.core.catalog.mapped_envelope import mapped_envelope
from hookstream.core.catalog.mapped_schema import event_schema, foreign_schema, misfits
from hookstream.core.model.event import Identified, Revision, UnknownSchema
from hookstream.core.model.json import JsonObject
from hookstream.core.model.mapping import Mapping, look_up

_KEPT: Final = 10_000
"""The most choices of a version, and the most schemas, that are cached."""
_DIGITS: Final = 16

Revisions = Callable[[str, int], Sequence[PublishedSchema]]
"""Returns all revisions of a version of an event type, ascending."""


class MappedSchemas:
    """The mappings, and the revisions that they make of foreign schemas. Owned by the event loop.

    Args:
        revisions: The event schemas of mapped types.
    """

    def __init__(self, revisions: Revisions) -> None:
        self._revisions = revisions
        self._mappings: dict[str, Mapping] = {}
        self._chosen: dict[tuple[str, object], Revision | UnknownSchema | None] = {}
        """By topic and foreign schema; emptied when a row changes."""
        self._schemas: dict[Revision, PublishedSchema] = {}

    def put(self, key: str, value: bytes | None) -> None:
        """Apply a row `mapping/<name>`. An unreadable row ends the mapping of its name.

        Raises:
            EnvelopeUnreadable: It cannot be read.
        """
        self.forget_choices()
        self._mappings.pop(mapping_name(key) or "", None)
        if value is not None:
            mapping = read_mapping(key, value)
            self._mappings[mapping.name] = mapping

    def forget_choices(self) -> None:
        """Choose the mapping and version of every schema again."""
        self._chosen.clear()

    @property
    def mappings(self) -> Sequence[Mapping]:
        """All mappings, by name."""
        return [mapping for _, mapping in sorted(self._mappings.items())]

    def schema(self, revision: Revision) -> PublishedSchema | None:
        """Return the schema of a mapped revision that was identified."""
        return self._schemas.get(revision)

    def identify(
        self, foreign: Foreign, topic: str, body_at: int
    ) -> Identified | UnknownSchema | None:
        """Return the mapped revision of a foreign schema's records; None: there is no mapping.

        UnknownSchema: the mapping has no version that the schema fits.

        Args:
            foreign: The schema, which is safe and has no references.
            topic: The event topic.
            body_at: Where the body of the record starts.
        """
        at = topic, foreign.schema
        if at not in self._chosen:
            if len(self._chosen) >= _KEPT:
                self._chosen.clear()
            self._chosen[at] = self._choose(foreign, topic)
        chosen = self._chosen[at]
        if not isinstance(chosen, Revision):
            return chosen
        envelope = self._schemas[chosen].envelope
        by_position = envelope is not None and envelope.mapping.event_id is None
        return Identified(chosen, body_at, by_position)

    def _choose(self, foreign: Foreign, topic: str) -> Revision | UnknownSchema | None:
        mapping = look_up(self._mappings.values(), topic, foreign.name)
        return None if mapping is None else self.fit(mapping, foreign)

    def fit(self, mapping: Mapping, foreign: Foreign) -> Revision | UnknownSchema:
        """Return the mapped revision of a foreign schema's records, whatever their topic.

        UnknownSchema: the mapping has no version that the schema fits.
        """
        tree = foreign.tree
        version, why = self._version(mapping, tree)
        if version is None:
            return _unfit(mapping, foreign.name, why)
        nodes = read_schema(tree)
        envelope = mapped_envelope(mapping, nodes)
        if isinstance(envelope, list):
            field, problem = envelope[0]
            return _unfit(mapping, foreign.name, f"{field}: {problem}")
        revision = Revision(mapping.event_type, version, f"{mapping.name}:{_content(tree)}")
        parsed, guarded, tagged = body_forms(nodes)
        if len(self._schemas) >= _KEPT:
            # Not all of them: identified records are still read and rendered by them.
            del self._schemas[next(iter(self._schemas))]
        self._schemas[revision] = replace(
            published(event_schema(tree, mapping, version), 0),
            revision=revision,
            parsed=parsed,
            guarded=guarded,
            tagged=tagged,
            growth=growth(nodes),
            walk=compile_walk(nodes),
            prefix=b"",
            envelope=envelope,
        )
        return revision

    def _version(self, mapping: Mapping, tree: JsonObject) -> tuple[int | None, str]:
        """Return the newest version that a schema fits, preferably its own; or why it fits none."""
        versions = {
            version: [
                foreign
                for each in self._revisions(mapping.event_type, version)
                if (foreign := foreign_schema(each.tree)) is not None
            ]
            for version in reversed(mapping.versions)
        }
        own = next((version for version, each in versions.items() if tree in each), None)
        if own is not None:
            return own, ""
        first = ""
        for version, revisions in versions.items():
            why = _misfit(tree, revisions)
            if not why:
                return version, ""
            first = first or f"against v{version}: {why}"
        return None, first


def _misfit(tree: JsonObject, revisions: Sequence[JsonObject]) -> str:
    """Return why a schema does not belong to a version; empty if it does.

    It belongs to it like any revision of the version: it can be read as the highest, which may fill in
    defaults, and has everything that one of them has.
    """
    if not revisions:
        return "it is not published"
    unreadable = incompatibilities(tree, revisions[-1])
    if unreadable:
        return unreadable[0]
    why = ""
    for each in reversed(revisions):
        found = misfits(tree, each)
        if not found:
            return ""
        why = why or found[0]
    return why


def _unfit(mapping: Mapping, name: str, why: str) -> UnknownSchema:
    return UnknownSchema(
        name,
        f"fits no version of {mapping.event_type} in the mapping {mapping.name} ({why}): name its"
        " schema there as a new version (hookstream schemas apply)",
        unfit=True,
    )


def _content(tree: JsonObject) -> str:
    # A fingerprint ignores logical types, so two such schemas can read records differently.
    text = orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:_DIGITS]
