"""What definition files declare: partners and subscriptions without state."""

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
    """A signing secret from an environment variable."""

    name: str


@dataclass(slots=True, frozen=True)
class FromFile:
    """A signing secret from a file, relative to the definition's folder."""

    path: str


@dataclass(slots=True, frozen=True)
class Generated:
    """A signing secret that hookstream generates once and shows once."""

    name: str | None = None
    """Its name; None: the file only says how many generated secrets there are."""


SecretSource: TypeAlias = FromEnvironment | FromFile | Generated


UNNAMED = ""
"""The id of a generated signing secret without a name in its file."""


@dataclass(slots=True, frozen=True)
class DeclaredSecret:
    """One signing secret of a declared endpoint."""

    id: str
    """Identifies the key's source, so that a changed key from the same source can be reported."""
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
    """A subscription file. It does not say whether the subscription is active, paused or disabled."""

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
    """Everything that a folder of definition files declares."""

    partners: tuple[DeclaredPartner, ...] = ()
    subscriptions: tuple[DeclaredSubscription, ...] = ()


@dataclass(slots=True, frozen=True)
class Problem:
    """One error in the definitions."""

    subject: str
    """`partner acme`, `subscription orders`; empty if unknown."""
    path: str
    """The field, `endpoint.signing_secrets[0].env`; empty for the whole definition."""
    why: str
    where: str = ""
    """File and line, if it is from a file."""

    def __str__(self) -> str:
        """Return it as one line: where, what, why."""
        return ": ".join(part for part in (self.where, self.subject, self.path, self.why) if part)
