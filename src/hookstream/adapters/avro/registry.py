"""All published schema revisions in memory, by fingerprint, type or version.

The book is filled from the schemas table. A schema that could harm the decoder is kept, so that its
records can be identified, but never used. A row's metadata is checked against its schema: an
inconsistent or unreadable row is reported and left out, and its records wait as those of an unknown
schema.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

import orjson

from hookstream.adapters.avro.published import (
    BODY_AT,
    ROW_FORMAT,
    PublishedSchema,
    published,
    schema_row,
)
from hookstream.core.catalog.safety import hostile
from hookstream.core.model.event import Identified, Revision, Undecodable, UndecodableReason
from hookstream.core.model.json import JsonObject
from hookstream.errors import InputRefused, InvariantBroken

_LONGEST = 500
"""The most characters of a row's problem."""

_KEY = re.compile(r"([a-z0-9_.]{1,200})/([1-9][0-9]{0,3})/([0-9a-f]{16})", re.ASCII)


class SchemaBook:
    """The schemas table in memory. Owned by the event loop; `put` is its only writer."""

    def __init__(self, schemas: Iterable[JsonObject] = ()) -> None:
        """Start with schemas, each the first revision of its version (see `publish`)."""
        self._rows: dict[str, PublishedSchema] = {}
        self._named: dict[bytes, Identified | Undecodable] = {}
        self._schemas: dict[Revision, PublishedSchema] = {}
        self._readers: dict[tuple[str, int], PublishedSchema] = {}
        self._latest: dict[str, int] = {}
        for tree in schemas:
            self.publish(tree)

    def put(self, key: str, value: bytes | None) -> str | None:
        """Apply a row of the schemas table; return its problem, or None.

        Args:
            key: `type/version/fingerprint`.
            value: The row; None removes it (hookstream itself never does).
        """
        try:
            revision = _read_key(key)
            if value is None:
                self._remove(key, revision)
                return None
            tree, number = _read_row(value)
            harm = hostile(tree)
            if harm:
                why = f"schema {key} must not be used: {harm[0]}"
                self._named.setdefault(
                    bytes.fromhex(revision.fingerprint),
                    Undecodable(UndecodableReason.HOSTILE_SCHEMA, why),
                )
                return why
            self._add(key, published(tree, number), revision)
        except InputRefused as problem:
            return f"schemas row {key!r}: {problem}"
        except (InvariantBroken, MemoryError):
            raise
        except Exception as problem:  # noqa: BLE001  the row is untrusted
            return f"schemas row {key!r}: {type(problem).__name__}: {problem}"[:_LONGEST]
        return None

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
        return self._rows[key].revision

    def named(self, fingerprint: bytes) -> Identified | Undecodable | None:
        """Return the schema of a fingerprint of 8 bytes; Undecodable if the schema is unsafe."""
        return self._named.get(fingerprint)

    def schema(self, revision: Revision) -> PublishedSchema | None:
        """Return the schema of a revision."""
        return self._schemas.get(revision)

    def reader(self, event_type: str, version: int) -> PublishedSchema | None:
        """Return the highest revision of a version, which gives its payloads their shape."""
        return self._readers.get((event_type, version))

    def latest(self, event_type: str) -> int:
        """Return the newest version of a type, 0 if there is none."""
        return self._latest.get(event_type, 0)

    def versions(self, event_type: str) -> Sequence[int]:
        """Return the versions of a type, ascending."""
        return sorted(v for t, v in self._readers if t == event_type)

    def event_types(self) -> Sequence[str]:
        """Return the types in alphabetical order."""
        return sorted(self._latest)

    def __iter__(self) -> Iterator[PublishedSchema]:
        """Yield every usable schema, by type, version and revision number."""
        return iter(
            sorted(
                self._schemas.values(),
                key=lambda s: (s.revision.event_type, s.revision.event_version, s.number),
            )
        )

    def _add(self, key: str, schema: PublishedSchema, named: Revision) -> None:
        if schema.revision != named:
            raise InputRefused(f"its schema is {'/'.join(map(str, schema.revision))}")
        fingerprint = bytes.fromhex(named.fingerprint)
        other = self._named.get(fingerprint)
        if isinstance(other, Identified) and other.revision != named:
            raise InputRefused(
                f"its fingerprint is that of {other.revision.event_type}"
                f" v{other.revision.event_version}: records of the two cannot be distinguished"
            )
        self._rows[key] = schema
        self._named[fingerprint] = Identified(named, BODY_AT)
        self._schemas[named] = schema
        self._order(named.event_type)

    def _remove(self, key: str, named: Revision) -> None:
        if self._rows.pop(key, None) is not None:
            del self._schemas[named]
            self._order(named.event_type)
        fingerprint = bytes.fromhex(named.fingerprint)
        other = self._named.get(fingerprint)
        if not isinstance(other, Identified) or other.revision == named:
            self._named.pop(fingerprint, None)

    def _order(self, event_type: str) -> None:
        """Recompute the newest version of a type, and each version's highest revision.

        A version that remains can be found at any time: a thread may be rendering it.
        """
        readers: dict[int, PublishedSchema] = {}
        for schema in self._rows.values():
            if schema.revision.event_type != event_type:
                continue
            reader = readers.get(schema.revision.event_version)
            if reader is None or schema.number >= reader.number:
                readers[schema.revision.event_version] = schema
        for version in self.versions(event_type):
            if version not in readers:
                del self._readers[event_type, version]
        self._readers.update({(event_type, version): readers[version] for version in readers})
        if readers:
            self._latest[event_type] = max(readers)
        else:
            self._latest.pop(event_type, None)


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
