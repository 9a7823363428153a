"""Looks up a registry's ids of published schemas; registers nothing."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

from hookstream.adapters.avro.published import PublishedSchema
from hookstream.adapters.json_bytes import json_bytes
from hookstream.adapters.schema_registry.replicas import Access, RegistrySecret, Replicas
from hookstream.core.model.event import Revision
from hookstream.core.model.registered import Unreachable
from hookstream.errors import DependencyUnavailable, InputRefused

_NOT_FOUND: Final = (40401, 40403)
"""The subject is unknown, or the schema is not in it. Other 404 answers are not from a registry."""
_LARGEST: Final = 2**32 - 1
_OK: Final = 200


class SchemaIds:
    """The ids of one registry, within `async with`. For one event loop; calls may overlap.

    Args:
        urls: Its replicas.
        timeout: The time limit of a request to one of them, in milliseconds.
        ca: The file of the authorities that are trusted instead of the machine's.
        username: The user of basic authentication.
        secret: The user's password; without a user, a bearer token.
    """

    def __init__(
        self,
        urls: Sequence[str],
        timeout: int,
        ca: str | None,
        username: str | None,
        secret: str | None,
    ) -> None:
        found = None if secret is None else RegistrySecret(secret)
        self._replicas = Replicas(
            "of the producer",
            Access(urls, timeout, None if ca is None else Path(ca), username, found),
        )
        self._known: dict[tuple[str, Revision], int] = {}
        self._failed: tuple[float, DependencyUnavailable] | None = None
        """When the registry last failed to answer, and why."""
        self._asking = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Read the file of authorities; connect to nothing yet.

        Raises:
            ConfigurationError: It cannot be read.
        """
        await self._replicas.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self._replicas.__aexit__(kind, error, trace)

    async def find(self, schema: PublishedSchema, subject: str) -> int:
        """Return the id of a schema under a subject. It is requested once.

        Raises:
            InputRefused: The schema is not registered there.
            DependencyUnavailable: The registry gave no valid answer.
        """
        key = subject, schema.revision
        if key not in self._known:
            arrived_at = asyncio.get_running_loop().time()
            async with self._asking:
                if key not in self._known:
                    self._known[key] = await self._ask(schema, subject, arrived_at)
        return self._known[key]

    async def _ask(self, schema: PublishedSchema, subject: str, arrived_at: float) -> int:
        if self._failed is not None and self._failed[0] >= arrived_at:
            # A caller that waited meanwhile does not wait for another timeout.
            raise DependencyUnavailable(str(self._failed[1]))
        try:
            return await self._found(schema, subject)
        except DependencyUnavailable as failed:
            self._failed = asyncio.get_running_loop().time(), failed
            raise

    async def _found(self, schema: PublishedSchema, subject: str) -> int:
        path = f"/subjects/{quote(subject, safe='')}"
        text = json_bytes(schema.tree).decode()
        reply = await self._replicas.request("POST", path, {"schema": text, "schemaType": "AVRO"})
        if isinstance(reply, Unreachable):
            raise DependencyUnavailable(f"the schema registry cannot be reached: {reply.detail}")
        body = reply.body if isinstance(reply.body, dict) else {}
        schema_id = body.get("id")
        if reply.status == _OK and type(schema_id) is int and 0 <= schema_id <= _LARGEST:
            return schema_id
        if body.get("error_code") in _NOT_FOUND:
            revision = schema.revision
            raise InputRefused(
                f"type: {revision.event_type} v{revision.event_version} is not registered under the"
                f" subject {subject}: register it first (hookstream schemas register)"
            )
        words = str(body.get("message") or "no words")[:200]
        raise DependencyUnavailable(f"the schema registry answered {reply.status}: {words}")
