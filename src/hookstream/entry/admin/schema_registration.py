"""Registers published schemas with a registry, under the registry's own compatibility rules.

Source: the HTTP API of Confluent's schema registry: `POST /subjects/{subject}` looks a schema up,
`POST /compatibility/subjects/{subject}/versions/latest` tries it, `POST /subjects/{subject}/versions`
registers it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote

from hookstream.adapters.avro.published import PublishedSchema, declared, own_schemas
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.schema_registry.replicas import Replicas, Reply
from hookstream.core.avro.nodes import type_name
from hookstream.core.catalog.mapped_schema import is_mapped
from hookstream.core.catalog.registry_answers import said
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.registered import Unreachable
from hookstream.core.model.suggestion import did_you_mean
from hookstream.entry.registries import access_of
from hookstream.errors import ConfigurationError, DependencyUnavailable, InputRefused
from hookstream.settings import Settings

DEFAULT_SUBJECT: Final = "{name}"
"""That of Confluent's RecordNameStrategy: the full name of the record."""

_OK, _NOT_FOUND, _CONFLICT, _UNPROCESSABLE = 200, 404, 409, 422
_NONE_YET: Final = (40401, 40402, 40403)
"""There is no such subject, no version of it, no such schema in it."""
_PLACE = re.compile(r"\{([^{}]*)\}")
_LONGEST = 255
_SHOWN = 500


@dataclass(slots=True, frozen=True)
class Registration:
    """One version of an event type, and what the registry says of it."""

    event_type: str
    version: int
    subject: str
    schema: JsonObject
    """As it was published."""
    id: int | None = None
    """Under which the registry has it; None: not yet."""
    problem: str | None = None
    """Why the registry does not take it."""


class SchemaRegistration:
    """Registers the highest revision of each published version.

    Args:
        settings: With the registry.
        registry: Its name in the settings.
        subject: The subject, with `{name}`, `{type}` and `{version}`.

    Raises:
        ConfigurationError: The settings have no such registry.
    """

    def __init__(self, settings: Settings, registry: str, subject: str = DEFAULT_SUBJECT) -> None:
        found = settings.registry.get(registry)
        if found is None:
            raise ConfigurationError(
                f"there is no [registry.{registry}]{did_you_mean(registry, settings.registry)}"
            )
        self._name = registry
        self._access = access_of(found)
        self._subject = subject

    async def planned(
        self, book: SchemaBook, event_types: Sequence[str]
    ) -> Sequence[Registration]:
        """Return what there is to register, and what the registry says of each.

        Args:
            book: The published schemas.
            event_types: Those to register; empty: all, but hookstream's own and mapped ones.

        Raises:
            InputRefused: A type is not published, or the subject is no such thing.
            ConfigurationError: A file that the registry's settings name cannot be read.
            DependencyUnavailable: The registry cannot be reached, or answers something else.
        """
        wanted = [self._wanted(schema) for schema in _schemas(book, event_types)]
        async with Replicas(self._name, self._access) as replicas:
            return [await self._looked_up(replicas, each) for each in wanted]

    async def register(self, planned: Sequence[Registration]) -> Sequence[Registration]:
        """Register what the registry does not have, in order, and return all with their ids.

        What was registered before a failure stays registered; to run it again does no harm.

        Raises:
            InputRefused: The registry refused one after all.
            ConfigurationError, DependencyUnavailable: As `planned`.
        """
        async with Replicas(self._name, self._access) as replicas:
            return [
                each if each.id is not None else await self._made(replicas, each)
                for each in planned
            ]

    def _wanted(self, schema: PublishedSchema) -> Registration:
        event_type, version, _ = schema.revision
        values = {
            "name": type_name(schema.nodes.root),
            "type": event_type,
            "version": str(version),
        }
        subject = _subject(self._subject, values)
        return Registration(event_type, version, subject, schema.tree)

    async def _looked_up(self, replicas: Replicas, wanted: Registration) -> Registration:
        subject = quote(wanted.subject, safe="")
        reply = await self._asked(replicas, f"/subjects/{subject}", wanted)
        if reply.status == _OK:
            return replace(wanted, id=self._id(reply))
        if not _none_yet(reply):
            raise self._unexpected(reply)
        path = f"/compatibility/subjects/{subject}/versions/latest?verbose=true"
        reply = await self._asked(replicas, path, wanted)
        if _none_yet(reply):
            return wanted
        if reply.status == _UNPROCESSABLE:
            return replace(wanted, problem=said(reply.status, reply.body))
        if reply.status != _OK or not isinstance(reply.body, dict):
            raise self._unexpected(reply)
        if reply.body.get("is_compatible") is True:
            return wanted
        words = json.dumps(reply.body.get("messages") or "")[:_SHOWN].strip('"')
        why = f"it is not compatible with what {wanted.subject} has"
        return replace(wanted, problem=f"{why}: {words}" if words else why)

    async def _made(self, replicas: Replicas, wanted: Registration) -> Registration:
        path = f"/subjects/{quote(wanted.subject, safe='')}/versions"
        reply = await self._asked(replicas, path, wanted)
        if reply.status in (_CONFLICT, _UNPROCESSABLE):
            raise InputRefused(
                f"{wanted.event_type} v{wanted.version}: {said(reply.status, reply.body)}"
            )
        if reply.status != _OK:
            raise self._unexpected(reply)
        return replace(wanted, id=self._id(reply))

    async def _asked(self, replicas: Replicas, path: str, wanted: Registration) -> Reply:
        body: Json = {"schema": json.dumps(wanted.schema)}
        reply = await replicas.request("POST", path, body)
        if isinstance(reply, Unreachable):
            raise DependencyUnavailable(f"registry {self._name}: {reply.detail}")
        return reply

    def _id(self, reply: Reply) -> int:
        found = reply.body.get("id") if isinstance(reply.body, dict) else None
        if type(found) is not int:
            raise self._unexpected(reply)
        return found

    def _unexpected(self, reply: Reply) -> DependencyUnavailable:
        return DependencyUnavailable(f"registry {self._name}: {said(reply.status, reply.body)}")


def _none_yet(reply: Reply) -> bool:
    code = reply.body.get("error_code") if isinstance(reply.body, dict) else None
    return reply.status == _NOT_FOUND and code in _NONE_YET


def _schemas(book: SchemaBook, event_types: Sequence[str]) -> list[PublishedSchema]:
    known = book.event_types()
    for each in event_types:
        if each not in known:
            raise InputRefused(f"{each} is not published{did_you_mean(each, known)}")
    own = {declared(tree)[0] for tree in own_schemas()}
    wanted = event_types or [each for each in known if each not in own]
    # Services write records of a mapped type by their own schema, which is registered already.
    mapped = set() if event_types else {each for each in known if _is_mapped(book, each)}
    wanted = [each for each in wanted if each not in mapped]
    readers = [book.reader(each, version) for each in wanted for version in book.versions(each)]
    return [reader for reader in readers if reader is not None]


def _is_mapped(book: SchemaBook, event_type: str) -> bool:
    reader = book.reader(event_type, book.latest(event_type))
    return reader is not None and is_mapped(reader.tree)


def _subject(template: str, values: Mapping[str, str]) -> str:
    for name in _PLACE.findall(template):
        if name not in values:
            known = ", ".join(f"{{{each}}}" for each in values)
            raise InputRefused(f"--subject: there is no {{{name}}}, but {known}")
    found = _PLACE.sub(lambda place: values[place[1]], template)
    if not 0 < len(found) <= _LONGEST or not found.isprintable():
        raise InputRefused(f"--subject: a subject has 1 to {_LONGEST} printable characters")
    return found
