"""A registry of schemas and the rows of the schemas table, in memory, for scenarios."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from tests.doubles.codec import JsonCodec

from hookstream.core.model.event import Undecodable
from hookstream.core.model.registered import (
    NotFound,
    RegisteredId,
    RegisteredSchema,
    RegistryAnswer,
    Unreachable,
    Unusable,
)


class Registries:
    """Fits `SchemaRegistries` and `SchemaRows`, for all workers of a world.

    A schema's tree is `{"type": <event type>, "version": <version>}`.
    """

    def __init__(self, codec: JsonCodec) -> None:
        self.schemas: dict[RegisteredId, tuple[str, int]] = {}
        self.unusable: set[RegisteredId] = set()
        self.down: dict[str, str] = {}
        """By registry: what it says instead of an answer."""
        self.takes = 0.005
        """Seconds that an answer takes."""
        self.row_takes = 0.01
        """Seconds until a row is durable."""
        self.asked: Counter[RegisteredId] = Counter()
        self.at_once = 0
        self.most_at_once = 0
        self.written: Counter[RegisteredId] = Counter()
        self._codec = codec

    async def fetch(self, schema: RegisteredId) -> RegistryAnswer:
        self.asked[schema] += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.at_once -= 1
        if schema.registry in self.down:
            return Unreachable(self.down[schema.registry])
        if schema in self.unusable:
            return Unusable(Undecodable("hostile_schema", f"schema {schema} must not be used"))
        found = self.schemas.get(schema)
        if found is None:
            return NotFound("it answered 40403")
        event_type, version = found
        return RegisteredSchema({"type": event_type, "version": version})

    async def add(self, schema: RegisteredId, fetched: RegisteredSchema) -> RegistryAnswer:
        await asyncio.sleep(self.row_takes)
        if schema not in self._codec.rows:
            self.written[schema] += 1
            event_type, version = fetched.tree["type"], fetched.tree["version"]
            assert isinstance(event_type, str)
            assert isinstance(version, int)
            self._codec.rows[schema] = (event_type, version)
        return fetched

    def known(self) -> Sequence[RegisteredId]:
        return list(self._codec.rows)

    def differs(self, schema: RegisteredId, fetched: RegisteredSchema) -> bool:
        return self._codec.rows[schema] != (fetched.tree["type"], fetched.tree["version"])
