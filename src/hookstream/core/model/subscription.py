"""Partners, their grants, and their subscriptions: lasting requests for events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from hookstream.core.model.instant import DAY, HOUR, MINUTE, SECOND, Millis
from hookstream.core.model.json import JsonObject

DEFAULT_SCHEDULE: tuple[Millis, ...] = (
    5 * SECOND,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    6 * HOUR,
    12 * HOUR,
    24 * HOUR,
    24 * HOUR,
)
"""The delays before attempts 2 to 9: about three days, as usual in the field."""

DEFAULT_TIMEOUT: Millis = 15 * SECOND
DEFAULT_EXPIRY: Millis = 7 * DAY
DEFAULT_MAX_IN_FLIGHT = 32


@dataclass(slots=True, frozen=True)
class Grant:
    """What a partner may see. Everything that is not listed is refused."""

    event_types: tuple[str, ...]
    """Exact names, `pricing.*`, or `*`."""
    environments: tuple[str, ...]
    """Exact names, or `*` alone for all."""
    pattern: JsonObject | None = None
    """An event pattern that every event must match, or None."""
    operator: bool = False
    """Whether operations events about all partners are visible, not only those about this one."""


@dataclass(slots=True, frozen=True)
class Partner:
    """An organisation that owns subscriptions."""

    id: str
    name: str
    grant: Grant
    grant_from: Millis = 0
    """Records up to this instant fall under `previous_grant`: a wider grant applies to new records."""
    previous_grant: Grant | None = None
    revision: int = 1
    owner: str = "cli"
    """Who declares it: `cli`, or files, in the notation of `core.planning.ownership`."""


@dataclass(slots=True, frozen=True)
class SigningSecret:
    """One signing secret of an endpoint. Its key is not part of the repr."""

    id: str
    key: bytes = field(repr=False)
    """The raw HMAC-SHA256 key: 24 to 64 bytes (Standard Webhooks)."""


@dataclass(slots=True, frozen=True)
class Endpoint:
    """Where a subscription's deliveries are sent, and how they are signed."""

    url: str = field(repr=False)
    """May contain a secret in its path or query: redact it before showing (`core.delivery.address`)."""
    secrets: tuple[SigningSecret, ...]
    """The first signs first. During a rotation there are two."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timeout: Millis = DEFAULT_TIMEOUT
    """For the whole attempt, up to 60 s."""


class BodyFormat(StrEnum):
    """The shape of a delivery's body."""

    STANDARD = "standard"


class Content(StrEnum):
    """How much of the event a body contains."""

    FULL = "full"


class SubscriptionState(StrEnum):
    """The state the owner wants; health may override it (see `core.matching.directory`)."""

    ACTIVE = "active"
    PAUSED = "paused"
    DELETED = "deleted"


@dataclass(slots=True, frozen=True)
class Gap:
    """A range of record time that a subscription does not receive: `start` < timestamp <= `end`."""

    start: Millis
    end: Millis | None
    """None: still open."""
    reason: Literal["paused", "disabled"]


@dataclass(slots=True, frozen=True)
class RetryPolicy:
    """How often and for how long a delivery is retried."""

    schedule: tuple[Millis, ...] = DEFAULT_SCHEDULE
    expires_after: Millis = DEFAULT_EXPIRY
    final_statuses: frozenset[int] = frozenset()
    """Statuses that are not retried."""


@dataclass(slots=True, frozen=True)
class Limits:
    """The load limits of an endpoint."""

    max_in_flight: int = DEFAULT_MAX_IN_FLIGHT
    rate_limit: float | None = None
    """Attempts a second over all workers, or None."""
    weight: int = 1
    """Its share of a worker's contended attempts, relative to other subscriptions."""


VersionPin: TypeAlias = int | Literal["latest"]


@dataclass(slots=True, frozen=True)
class Subscription:
    """A partner's lasting request, as stored in the subscriptions table."""

    id: str
    partner_id: str
    endpoint: Endpoint
    event_types: tuple[str, ...]
    active_from: Millis
    """A record matches only if its timestamp is after this instant and in no gap."""
    environments: tuple[str, ...] | None = None
    """None: all that the grant allows."""
    pattern: JsonObject | None = None
    versions: Mapping[str, VersionPin] = field(default_factory=dict)
    """Pinned version by event type; a missing type is pinned to 1."""
    format: BodyFormat = BodyFormat.STANDARD
    content: Content = Content.FULL
    retry: RetryPolicy = RetryPolicy()
    limits: Limits = Limits()
    state: SubscriptionState = SubscriptionState.ACTIVE
    gaps: tuple[Gap, ...] = ()
    revision: int = 1
    owner: str = "cli"

    def pin(self, event_type: str) -> VersionPin:
        """Return the version of this type's data that the subscription receives."""
        return self.versions.get(event_type, 1)


@dataclass(slots=True, frozen=True)
class UnreadableSubscription:
    """A subscription with a readable envelope and an unreadable body (newer release, lost key).

    It is matched by type within its interval. Its deliveries wait, and an alarm is raised.
    """

    id: str
    partner_id: str
    event_types: tuple[str, ...]
    active_from: Millis
    gaps: tuple[Gap, ...]
    why: str


@dataclass(slots=True, frozen=True)
class Disabled:
    """A worker's entry in the health table: no attempts until the subscription is enabled again."""

    subscription_id: str
    since: Millis
    reason: str
    evidence: str = ""


@dataclass(slots=True, frozen=True)
class Failing:
    """A worker's entry in the health table: only failures since an instant."""

    subscription_id: str
    since: Millis


def covers(globs: Sequence[str], event_type: str) -> bool:
    """Return whether a list of exact names, `prefix.*` and `*` covers the event type."""
    for glob in globs:
        if glob in ("*", event_type):
            return True
        if glob.endswith(".*") and event_type.startswith(glob[:-1]):
            return True
    return False
