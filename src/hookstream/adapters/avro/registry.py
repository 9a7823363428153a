"""Keeps all published schema revisions in memory, by fingerprint, type or version, and those of registries.

The book is filled from the schemas table. A schema that could harm the decoder is kept, so that its
records can be identified, but never used. A row's metadata is checked against its schema: an
inconsistent or unreadable row is reported and left out, and its records wait like those of an unknown
schema.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from weakref import WeakValueDictionary

import orjson

from hookstream.adapters.avro.mapped import MappedSchemas
from hookstream.adapters.avro.published import (
    ROW_FORMAT,
    PublishedSchema,
    fingerprint_of,
    published,
    schema_row,
)
from hookstream.adapters.avro.registered import Foreign, RegisteredSchemas
from hookstream.adapters.tables.mappings import mapping_name
from hookstream.adapters.tables.row_json import EnvelopeUnreadable
from hookstream.core.catalog.mapped_schema import foreign_schema, record_name
from hookstream.core.catalog.publication import undocumented
from hookstream.core.catalog.safety import safe_schema
from hookstream.core.model.event import Identified, Revision, Undecodable, UndecodableReason
from hookstream.core.model.framing import SINGLE_OBJECT_BODY
from hookstream.core.model.json import JsonObject
from hookstream.core.model.registered import ROW_HEAD
from hookstream.errors import InputRefused, InvariantBroken

_LONGEST = 500
"""The most characters of a row's problem."""

_prepared: WeakValueDictionary[bytes, PublishedSchema] = WeakValueDictionary()
"""Schemas in use, by their rows: preparing one takes 2 ms, and a process has several books of a table."""

_KEY = re.compile(r"([a-z0-9_.]{1,200})/([1-9][0-9]{0,3})/([0-9a-f]{16})", re.ASCII)


class SchemaBook:
    """The schemas table in memory. Owned by the event loop; `put` is its only writer."""

    def __init__(self, schemas: Iterable[JsonObject] = ()) -> None:
        """Start with schemas, each the first revision of its version (see `publish`)."""
        self._named: dict[bytes, Identified | Undecodable] = {}
        self._schemas: dict[Revision, PublishedSchema] = {}
        self._readers: dict[str, dict[int, PublishedSchema]] = {}
        """The readers of each type by version, ascending; replaced as a whole, since a thread may read it."""
        self.mapped = MappedSchemas(self.revisions)
        """The mappings of foreign records."""
        self._foreign: dict[bytes, Foreign | None] = {}
        """The schemas of mapped records by fingerprint; None: several have it."""
        self.registered = RegisteredSchemas(self._by_fingerprint)
        """The schemas of registries."""
        for tree in schemas:
            self.publish(tree)

    def put(self, key: str, value: bytes | None) -> str | None:
        """Apply a row of the schemas table; return its problem, or None.

        Args:
            key: `type/version/fingerprint`, `registry/name/id`, or `mapping/name`.
            value: The row; None removes it (hookstream itself removes nothing but mappings).
        """
        try:
            if mapping_name(key) is not None:
                self.mapped.put(key, value)
                return None
            if key.startswith(f"{ROW_HEAD}/"):
                self.mapped.forget_choices()
                self.registered.put(key, value)
                return None
            return self._put(_read_key(key), value)
        except (InputRefused, EnvelopeUnreadable) as problem:
            return f"schemas row {key!r}: {problem}"
        except (InvariantBroken, MemoryError):
            raise
        except Exception as problem:  # noqa: BLE001  the row is untrusted
            return f"schemas row {key!r}: {type(problem).__name__}: {problem}"[:_LONGEST]

    def _put(self, revision: Revision, value: bytes | None) -> str | None:
        """Apply the row of a published schema; return why it must not be used, or None."""
        if value is None:
            self._remove(revision)
            return None
        known, prepared = self._schemas.get(revision), _prepared.get(value)
        if prepared is None:
            tree, number = _read_row(value)
        elif prepared is known:
            return None
        else:
            tree, number = prepared.tree, prepared.number
        # As text: to Python, a default of true equals one of 1.
        if known is not None and repr((known.tree, known.number)) == repr((tree, number)):
            # The row was read again: compiled results of its schema stay.
            return None
        if prepared is None:
            read = safe_schema(tree)
            if isinstance(read, list):
                return self._hostile(revision, read[0])
            _prepared[value] = prepared = published(tree, number, read)
        self._add(prepared, revision)
        return None

    def _hostile(self, revision: Revision, why: str) -> str:
        """Keep a schema that could harm the decoder, to identify its records; return why it must not be used."""
        refused = f"schema {'/'.join(map(str, revision))} must not be used: {why}"
        self._named.setdefault(
            bytes.fromhex(revision.fingerprint),
            Undecodable(UndecodableReason.HOSTILE_SCHEMA, refused),
        )
        return refused

    def publish(self, tree: JsonObject, number: int = 1) -> Revision:
        """Add a schema as the table would, or replace the equal one; return its revision.

        Raises:
            InputRefused: It is not Avro, does not declare its event type and version, is malformed
                or unsafe, or has the fingerprint of a schema of another type or version.
        """
        key, value = schema_row(tree, number)
        problem = self.put(key, value)
        if problem is not None:
            raise InputRefused(problem)
        return _read_key(key)

    def named(self, fingerprint: bytes) -> Identified | Undecodable | None:
        """Return the schema of a fingerprint of 8 bytes; Undecodable if the schema is unsafe."""
        return self._named.get(fingerprint)

    def foreign(self, fingerprint: bytes) -> Foreign | None:
        """Return the foreign schema of a fingerprint of 8 bytes, of those that mappings name.

        Also None if several have it: they differ in logical types, so a record may be of either.
        """
        return self._foreign.get(fingerprint)

    def schema(self, revision: Revision) -> PublishedSchema | None:
        """Return the schema of a revision."""
        return self._schemas.get(revision) or self.mapped.schema(revision)

    def reader(self, event_type: str, version: int) -> PublishedSchema | None:
        """Return the highest revision of a version, which gives its payloads their shape."""
        return self._readers.get(event_type, {}).get(version)

    def revisions(self, event_type: str, version: int) -> Sequence[PublishedSchema]:
        """Return all revisions of a version, ascending."""
        return sorted(
            (
                each
                for each in self._schemas.values()
                if each.revision[:2] == (event_type, version)
            ),
            key=_order,
        )

    def latest(self, event_type: str) -> int:
        """Return the newest version of a type, 0 if there is none."""
        return max(self._readers.get(event_type, ()), default=0)

    def versions(self, event_type: str) -> Sequence[int]:
        """Return the versions of a type, ascending."""
        return [*self._readers.get(event_type, ())]

    def event_types(self) -> Sequence[str]:
        """Return the types in alphabetical order."""
        return sorted(self._readers)

    def __iter__(self) -> Iterator[PublishedSchema]:
        """Yield every usable schema, by type, version and revision number."""
        return iter(sorted(self._schemas.values(), key=_order))

    def _add(self, schema: PublishedSchema, named: Revision) -> None:
        if schema.revision != named:
            raise InputRefused(f"its schema is {'/'.join(map(str, schema.revision))}")
        fingerprint = bytes.fromhex(named.fingerprint)
        other = self._named.get(fingerprint)
        if isinstance(other, Identified) and other.revision != named:
            raise InputRefused(
                f"its fingerprint is that of {other.revision.event_type}"
                f" v{other.revision.event_version}: records of the two cannot be distinguished"
            )
        self._named[fingerprint] = Identified(named, SINGLE_OBJECT_BODY)
        self._schemas[named] = schema
        self._note_foreign(schema.tree)
        self._refile(named.event_type)

    def _remove(self, named: Revision) -> None:
        if self._schemas.pop(named, None) is not None:
            self._refile(named.event_type)
        fingerprint = bytes.fromhex(named.fingerprint)
        other = self._named.get(fingerprint)
        if not isinstance(other, Identified) or other.revision == named:
            self._named.pop(fingerprint, None)

    def _note_foreign(self, tree: JsonObject) -> None:
        foreign = foreign_schema(tree)
        if foreign is not None:
            fingerprint = fingerprint_of(foreign)
            wire, found = (
                bytes.fromhex(fingerprint),
                Foreign(fingerprint, record_name(foreign), foreign),
            )
            known = self._foreign.setdefault(wire, found)
            if known is not None and undocumented(known.tree) != undocumented(foreign):
                self._foreign[wire] = None

    def _by_fingerprint(self, fingerprint: str) -> tuple[Revision, JsonObject] | None:
        named = self._named.get(bytes.fromhex(fingerprint))
        if not isinstance(named, Identified):
            return None
        return named.revision, self._schemas[named.revision].tree

    def _refile(self, event_type: str) -> None:
        """Determine the highest revision of each version of a type again."""
        self.registered.forget_meanings()
        self.mapped.forget_choices()
        theirs = [
            each for each in self._schemas.values() if each.revision.event_type == event_type
        ]
        readers = {each.revision.event_version: each for each in sorted(theirs, key=_order)}
        if readers:
            self._readers[event_type] = readers
        else:
            self._readers.pop(event_type, None)


def _order(schema: PublishedSchema) -> tuple[str, int, int]:
    return schema.revision.event_type, schema.revision.event_version, schema.number


def _read_key(key: str) -> Revision:
    found = _KEY.fullmatch(key)
    if found is None:
        raise InputRefused("the key is not type/version/fingerprint")
    return Revision(found[1], int(found[2]), found[3])


def _read_row(value: bytes) -> tuple[JsonObject, int]:
    try:
        row = orjson.loads(value)
    except ValueError as problem:
        raise InputRefused(f"not JSON ({problem})") from None
    if not isinstance(row, dict) or row.get("format") != ROW_FORMAT:
        raise InputRefused("not of a format that this release reads")
    tree, number = row.get("schema"), row.get("revision")
    if not isinstance(tree, dict) or not isinstance(number, int):
        raise InputRefused("schema or revision is missing")
    return tree, number
