"""The ports of schema registries, of the rows of their schemas, and of topic ids."""

from collections.abc import Sequence
from typing import Protocol

from hookstream.core.model.registered import RegisteredId, RegisteredSchema, RegistryAnswer


class SchemaRegistries(Protocol):
    """The registries of schemas that the settings name."""

    async def fetch(self, schema: RegisteredId) -> RegistryAnswer:
        """Fetch a schema with its references, checked for safety. It has its own timeout, and never raises."""


class SchemaRows(Protocol):
    """The rows of registries' schemas in the schemas table."""

    async def add(self, schema: RegisteredId, fetched: RegisteredSchema) -> RegistryAnswer:
        """Write a schema as a durable row, unless there is one, which stays; the codec can use it then.

        Returns the row's schema. Unreachable: the row could not be written. Unusable: it never can be.
        """

    def known(self) -> Sequence[RegisteredId]:
        """Return the ids of all rows of registries that the settings name."""

    def differs(self, schema: RegisteredId, fetched: RegisteredSchema) -> bool:
        """Return whether a row has a different schema than the registry has now."""


class TopicIds(Protocol):
    """The ids of topics (KIP-516), which change when a topic is created again."""

    async def find(self, topic: str) -> bytes | None:
        """Return a topic's id of 16 bytes, at most ten seconds old; None: it has none. Waits for the brokers."""
