"""A schema of a registry, as a record names it and as the registry answers.

Ids of two registries are different things, so a schema is named by both.
"""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from hookstream.core.model.event import Undecodable
from hookstream.core.model.json import JsonObject

ROW_HEAD = "registry"
"""How the keys of their rows in the schemas table begin: `registry/<name>/<id>`."""


class RegisteredId(NamedTuple):
    """The name of a schema in a registry."""

    registry: str
    """The registry's name in the settings."""
    id: str
    """A decimal id, or a GUID in lower case with hyphens."""

    @property
    def key(self) -> str:
        """The key of its row in the schemas table."""
        return f"{ROW_HEAD}/{self.registry}/{self.id}"

    def __str__(self) -> str:
        """Return it in readable form, for messages."""
        return f"{self.id} of registry {self.registry}"


@dataclass(slots=True, frozen=True)
class UnresolvedSchema:
    """The record names a schema of a registry that no row of the schemas table has yet."""

    schema: RegisteredId


@dataclass(slots=True, frozen=True)
class RegisteredSchema:
    """A registry's schema, whole: every type that it refers to is written out."""

    tree: JsonObject


@dataclass(slots=True, frozen=True)
class NotFound:
    """The registry answered that it has no schema of this id. It may have one later."""

    detail: str


@dataclass(slots=True, frozen=True)
class Unusable:
    """The registry has a schema of this id, and it can never be used."""

    problem: Undecodable


@dataclass(slots=True, frozen=True)
class Unreachable:
    """Everything else: no answer, an error, a refused credential, an answer that is none.

    `detail` never has a credential in it.
    """

    detail: str


RegistryAnswer: TypeAlias = RegisteredSchema | NotFound | Unusable | Unreachable
