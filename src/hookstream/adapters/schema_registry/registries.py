"""Fetches complete schemas from the configured registries, and checks them for safety."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self
from urllib.parse import quote

import orjson

from hookstream.adapters.schema_registry.replicas import Access, Replicas
from hookstream.core.catalog.registry_answers import (
    MAX_REFERENCES,
    SchemaText,
    Wanted,
    reference_answer,
    schema_answer,
    unusable,
    whole,
)
from hookstream.core.model.json import Json
from hookstream.core.model.registered import (
    RegisteredId,
    RegisteredSchema,
    RegistryAnswer,
    Unreachable,
    Unusable,
)


class HttpRegistries:
    """The `SchemaRegistries` over HTTP, within `async with`.

    Args:
        registries: The access to each, by name.
    """

    def __init__(self, registries: Mapping[str, Access]) -> None:
        self._registries = {name: Replicas(name, access) for name, access in registries.items()}
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Read the configured files. Connects to nothing: a worker starts without registries.

        Raises:
            ConfigurationError: One of them cannot be read.
        """
        async with AsyncExitStack() as opened:
            for replicas in self._registries.values():
                await opened.enter_async_context(replicas)
            self._opened = opened.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all connections."""
        await self._opened.__aexit__(kind, error, trace)

    async def fetch(self, schema: RegisteredId) -> RegistryAnswer:
        """See `SchemaRegistries.fetch`."""
        replicas = self._registries.get(schema.registry)
        if replicas is None:
            return Unreachable(f"[registry.{schema.registry}] is not set")
        kind = "guids" if "-" in schema.id else "ids"
        reply = await replicas.get(f"/schemas/{kind}/{schema.id}")
        if isinstance(reply, Unreachable):
            return reply
        answer = schema_answer(schema, reply.status, reply.body)
        if not isinstance(answer, SchemaText):
            if kind == "guids" and isinstance(answer, Unreachable):
                return Unreachable(f"{answer.detail} (not every registry has GUIDs)")
            return answer
        references = await _references(replicas, answer)
        if isinstance(references, Unreachable):
            return references
        if len(references) > MAX_REFERENCES:
            return unusable(schema, f"it has more than {MAX_REFERENCES} references")
        # Half a megabyte of text takes a while.
        return await asyncio.to_thread(_whole, schema, answer.text, references)


async def _references(replicas: Replicas, schema: SchemaText) -> list[str] | Unreachable:
    """Return the texts of all schemas that one refers to, at most one more than the bound."""
    found: dict[Wanted, str] = {}
    pending = list(schema.references)
    while pending and len(found) <= MAX_REFERENCES:
        wanted = pending.pop()
        if wanted in found:
            continue
        path = f"/subjects/{quote(wanted.subject, safe='')}/versions/{wanted.version}"
        reply = await replicas.get(path)
        if isinstance(reply, Unreachable):
            return reply
        answer = reference_answer(wanted, reply.status, reply.body)
        if isinstance(answer, Unreachable):
            return answer
        found[wanted] = answer.text
        pending += answer.references
    return list(found.values())


def _whole(
    schema: RegisteredId, text: str, references: list[str]
) -> RegisteredSchema | Unusable | Unreachable:
    try:
        tree: Json = orjson.loads(text)
        outside: list[Json] = [orjson.loads(each) for each in references]
    except ValueError as problem:
        # A registry validates schemas at registration: it is broken, and may be repaired.
        return Unreachable(f"it answered 200, and its schema is not JSON ({problem})")
    return whole(schema, tree, outside)
