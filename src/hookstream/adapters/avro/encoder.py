"""Encodes events as Avro, or refuses them with the path of each problem."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from hookstream.adapters.avro.fit import glimpse
from hookstream.adapters.avro.json_input import compile_input
from hookstream.adapters.avro.published import PublishedSchema
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.model.envelope import envelope_problems
from hookstream.core.model.listing import the_first
from hookstream.core.model.suggestion import did_you_mean
from hookstream.errors import EventRefused, InputRefused

DEFAULT_MAX_BYTES = 1 << 20
_SHOWN_TYPES = 20
_MOST_COMPILED: Final = 4_096
"""The most schemas whose compiled input is cached."""


class EventEncoder:
    """Encodes events with the schemas of a book, checked as strictly as a worker checks them."""

    def __init__(self, book: SchemaBook, *, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        """Take the book, and the largest event in bytes that a worker accepts."""
        self._book = book
        self._max_bytes = max_bytes
        self._input = lru_cache(_MOST_COMPILED)(compile_input)

    def encode(
        self,
        event_type: str,
        fields: Mapping[str, object],
        version: int | None = None,
        *,
        event_id: str | None = None,
    ) -> bytes:
        """Return an event in single-object encoding.

        Args:
            event_type: Its type.
            fields: Envelope and data, as plain JSON or Python's own types.
            version: The version to write; None: the newest.
            event_id: Written instead of the one in `fields`, whatever form the schema requires (a UUID), so
                that a test's id is recognisable. None: the one in `fields`.

        Raises:
            EventRefused: Fields are missing, unknown or do not fit; every problem is named with its
                path, the first 20 of them.
            InputRefused: The type or version is unknown, or the event is too large.
        """
        schema = self.schema(event_type, version)
        try:
            taken = self._input(schema)(fields)
        except EventRefused as refused:
            raise EventRefused([*refused.problems, *_envelope(fields, refused)]) from None
        if event_id is not None:
            taken["event_id"] = event_id
        problems = envelope_problems(taken)
        if problems:
            raise EventRefused(problems)
        try:
            value = schema.encode(taken)
        except (ValueError, TypeError, OverflowError) as problem:
            raise InputRefused(f"the event cannot be written: {problem!s:.200}") from problem
        if len(value) > self._max_bytes:
            raise InputRefused(
                f"the event has {len(value)} bytes encoded, at most {self._max_bytes} are accepted"
            )
        return value

    def schema(self, event_type: str, version: int | None = None) -> PublishedSchema:
        """Return the schema that an event is written with: the highest revision of its version.

        Args:
            event_type: Its type.
            version: The version; None: the newest.

        Raises:
            InputRefused: The type or version is unknown.
        """
        chosen = self._book.latest(event_type) if version is None else version
        schema = self._book.reader(event_type, chosen)
        if schema is None:
            raise InputRefused(self._unknown(event_type, version))
        return schema

    def _unknown(self, event_type: str, version: int | None) -> str:
        versions = self._book.versions(event_type)
        if versions:
            there = ", ".join(map(str, versions))
            return f"type: {event_type} has no version {glimpse(version)}; there is {there}"
        types = self._book.event_types()
        known = the_first(types, _SHOWN_TYPES) or "none at all"
        meant = did_you_mean(event_type, types)
        return f"type: no schema of {event_type[:80]!a} was published{meant}; known are {known}"


def _envelope(fields: Mapping[str, object], refused: EventRefused) -> list[str]:
    """Return the problems of an envelope's texts that `refused` does not have yet."""
    refused_fields = {problem.partition(":")[0] for problem in refused.problems}
    texts = {
        name: fields[name]
        for name in ("event_id", "entity_id", "environment")
        if name not in refused_fields and isinstance(fields.get(name), str)
    }
    return [found for found in envelope_problems(texts) if found.partition(" ")[0] in texts]
