"""Empty implementations of registries, their rows and topic ids, for settings and mappings that use none."""

from collections.abc import Sequence

from hookstream.core.model.registered import (
    RegisteredId,
    RegisteredSchema,
    RegistryAnswer,
    Unreachable,
)


class NoRegistries:
    """No registries and no rows of them: for settings without a registry."""

    async def fetch(self, schema: RegisteredId) -> RegistryAnswer:
        """Never called: no record refers to a registry that is not set."""
        return Unreachable(f"registry {schema.registry} is not set")

    async def add(self, schema: RegisteredId, fetched: RegisteredSchema) -> RegistryAnswer:
        """Never called, for the same reason."""
        del schema
        return fetched

    def known(self) -> Sequence[RegisteredId]:
        """Return none."""
        return ()

    def differs(self, schema: RegisteredId, fetched: RegisteredSchema) -> bool:
        """Never called: there are no rows."""
        del schema, fetched
        return False


class NoTopicIds:
    """No topic has an id: for mappings that all name the ids of their events."""

    async def find(self, topic: str) -> bytes | None:
        """Return None."""
        del topic
        return None
