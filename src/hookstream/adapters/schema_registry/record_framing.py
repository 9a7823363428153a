"""Frames a producer's records with their schema: by a fingerprint, or by an id of a schema registry."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from hookstream.adapters.avro.published import PublishedSchema
from hookstream.core.avro.nodes import type_name
from hookstream.core.model.framing import prefixed
from hookstream.errors import ConfigurationError, InputRefused

if TYPE_CHECKING:
    from hookstream.adapters.schema_registry.schema_ids import SchemaIds

_SINGLE_OBJECT, _CONFLUENT = "single-object", "confluent"


class RegistryOptions(Protocol):
    """A registry as configured for a producer: see `hookstream.producer.SchemaRegistry`."""

    @property
    def urls(self) -> Sequence[str]:
        """Its replicas."""

    @property
    def subject(self) -> str:
        """The subject of an event's schema, with the placeholders `{name}`, `{type}`, `{version}` and `{topic}`."""

    @property
    def username(self) -> str | None:
        """The user of basic authentication."""

    @property
    def secret(self) -> str | None:
        """A password or, without a user, a bearer token."""

    @property
    def ca(self) -> str | None:
        """The file of trusted authorities."""

    @property
    def timeout(self) -> float:
        """Seconds for a request."""


class RecordFraming:
    """Prefixes a record with its schema's fingerprint or id, within `async with`.

    Args:
        framing: `single-object` or `confluent`.
        registry: The registry of the ids for `confluent`.
        schema_ids: Or the ids themselves, by event type and version.
        follows: Whether schemas are followed, and may get new revisions.

    Raises:
        ConfigurationError: Something is missing, or has no effect.
    """

    def __init__(
        self,
        framing: str,
        registry: RegistryOptions | None,
        schema_ids: Mapping[tuple[str, int], int] | None,
        *,
        follows: bool,
    ) -> None:
        _check(framing, registry, schema_ids, follows=follows)
        self._by_fingerprint = framing == _SINGLE_OBJECT
        self._registry = registry
        self._known = dict(schema_ids or {})
        self._ids: SchemaIds | None = None

    async def __aenter__(self) -> Self:
        """Prepare the registry's client; connect to nothing yet.

        Raises:
            ConfigurationError: The file of authorities cannot be read.
        """
        if self._registry is not None:
            self._ids = await _schema_ids(self._registry).__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        if self._ids is not None:
            await self._ids.__aexit__(kind, error, trace)

    async def framed(self, schema: PublishedSchema, encoded: bytes, topic: str) -> bytes:
        """Return a record in this framing.

        Args:
            schema: The schema that it is written with.
            encoded: The record in single-object encoding.
            topic: Where it goes.

        Raises:
            InputRefused: The schema has no id.
            DependencyUnavailable: The registry does not answer.
        """
        if self._by_fingerprint:
            return encoded
        return prefixed(await self._id_of(schema, topic)) + encoded[len(schema.prefix) :]

    async def _id_of(self, schema: PublishedSchema, topic: str) -> int:
        if self._registry is None:
            event_type, version, _ = schema.revision
            known = self._known.get((event_type, version))
            if known is None:
                raise InputRefused(f"type: schema_ids has no id of {event_type} v{version}")
            return known
        if self._ids is None:
            raise InputRefused("the producer is not open: use it with `async with`")
        event_type, version, _ = schema.revision
        subject = self._registry.subject
        for place, text in (
            ("{name}", type_name(schema.nodes.root)),
            ("{type}", event_type),
            ("{version}", str(version)),
            ("{topic}", topic),
        ):
            subject = subject.replace(place, text)
        return await self._ids.find(schema, subject)


def _check(
    framing: str,
    registry: RegistryOptions | None,
    schema_ids: Mapping[tuple[str, int], int] | None,
    *,
    follows: bool,
) -> None:
    if framing not in (_SINGLE_OBJECT, _CONFLUENT):
        raise ConfigurationError(
            f"framing: {framing!r} is neither {_SINGLE_OBJECT} nor {_CONFLUENT}"
        )
    given = (registry is not None) + (schema_ids is not None)
    if framing == _SINGLE_OBJECT and given:
        raise ConfigurationError("registry and schema_ids are for framing confluent")
    if framing == _CONFLUENT and given != 1:
        raise ConfigurationError("framing confluent needs registry, or else schema_ids")
    if schema_ids is not None and follows:
        raise ConfigurationError(
            "schema_ids are of the schemas that are given: name them (schemas=…), since a followed one"
            " may get a new revision, which has another id"
        )
    for (event_type, version), schema_id in (schema_ids or {}).items():
        if type(schema_id) is not int or not 0 <= schema_id < 1 << 32:
            raise ConfigurationError(
                f"schema_ids: {schema_id!r} of {event_type} v{version} is not an id from 0 to 2^32 - 1"
            )


def _schema_ids(registry: RegistryOptions) -> "SchemaIds":
    # Imported only here: most producers have no registry, and need no HTTP client.
    from hookstream.adapters.schema_registry.schema_ids import SchemaIds  # noqa: PLC0415

    return SchemaIds(
        registry.urls,
        round(registry.timeout * 1_000),
        registry.ca,
        registry.username,
        registry.secret,
    )
