"""What people ask for in definition files: partners and subscriptions without any state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import (
    DEFAULT_TIMEOUT,
    BodyFormat,
    Content,
    Grant,
    Limits,
    RetryPolicy,
    VersionPin,
)


@dataclass(slots=True, frozen=True)
class FromEnvironment:
    """A signing secret that stands in an environment variable."""

    name: str


@dataclass(slots=True, frozen=True)
class FromFile:
    """A signing secret that stands in a file, named relative to the definition's own folder."""

    path: str


@dataclass(slots=True, frozen=True)
class Generated:
    """A signing secret that hookstream makes once and shows once."""

    name: str | None = None
    """Which of them; None: the file only says how many there are."""


SecretSource: TypeAlias = FromEnvironment | FromFile | Generated


UNNAMED = ""
"""The id of a signing secret that is generated and that its file does not name."""


@dataclass(slots=True, frozen=True)
class DeclaredSecret:
    """One signing secret of a declared endpoint."""

    id: str
    """Says where the key is from, so that a change of the key under it can be named."""
    key: bytes | None = field(repr=False)
    """None: generated (see `core.planning.rotation`)."""


@dataclass(slots=True, frozen=True)
class DeclaredPartner:
    """A partner file."""

    id: str
    name: str
    grant: Grant


@dataclass(slots=True, frozen=True)
class DeclaredSubscription:
    """A subscription file. Whether it is active, paused or disabled is no part of it."""

    id: str
    partner_id: str
    url: str = field(repr=False)
    secrets: tuple[DeclaredSecret, ...]
    event_types: tuple[str, ...]
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timeout: Millis = DEFAULT_TIMEOUT
    environments: tuple[str, ...] | None = None
    pattern: JsonObject | None = None
    versions: Mapping[str, VersionPin] = field(default_factory=dict)
    format: BodyFormat = BodyFormat.STANDARD
    content: Content = Content.FULL
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    limits: Limits = field(default_factory=Limits)


@dataclass(slots=True, frozen=True)
class Declared:
    """Everything that a folder of definition files asks for."""

    partners: tuple[DeclaredPartner, ...] = ()
    subscriptions: tuple[DeclaredSubscription, ...] = ()


@dataclass(slots=True, frozen=True)
class Problem:
    """One thing that is wrong with what was declared."""

    subject: str
    """`partner acme`, `subscription orders`; empty where not even that is known."""
    path: str
    """The field, `endpoint.signing_secrets[0].env`; empty for the whole."""
    why: str
    where: str = ""
    """File and line, where it stands in a file."""

    def __str__(self) -> str:
        """One line for a person: where, what, why."""
        return ": ".join(part for part in (self.where, self.subject, self.path, self.why) if part)
