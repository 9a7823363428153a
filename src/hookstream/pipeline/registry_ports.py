"""What the pipeline needs of registries of schemas, of the rows of their schemas, and of topics' ids."""

from collections.abc import Sequence
from typing import Protocol

from hookstream.core.model.registered import RegisteredId, RegisteredSchema, RegistryAnswer


class SchemaRegistries(Protocol):
    """The registries of schemas that the settings name."""

    async def fetch(self, schema: RegisteredId) -> RegistryAnswer:
        """Ask for a schema, whole and checked for safety. Ends by its own timeout, and never raises."""


class SchemaRows(Protocol):
    """The rows of registries' schemas in the schemas table."""

    async def add(self, schema: RegisteredId, fetched: RegisteredSchema) -> RegistryAnswer:
        """Make a schema a durable row, unless there is one, which stays; the codec knows it then.

        Unreachable: the row could not be written. Unusable: it never can be. Else the row's schema.
        """

    def known(self) -> Sequence[RegisteredId]:
        """Return the ids of all rows of registries that the settings name."""

    def differs(self, schema: RegisteredId, fetched: RegisteredSchema) -> bool:
        """Return whether a row has another schema than the registry has now."""


class TopicIds(Protocol):
    """The ids of topics (KIP-516): another one once a topic was created again."""

    async def find(self, topic: str) -> bytes | None:
        """Return a topic's id of 16 bytes, at most ten seconds old; None: none. Waits for the brokers."""
