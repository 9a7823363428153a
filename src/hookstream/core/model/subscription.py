"""Partners, what they were granted, and their subscriptions: a standing request for events."""

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
"""The delays before attempts 2 to 9: about three days, as the field has it."""

DEFAULT_TIMEOUT: Millis = 15 * SECOND
DEFAULT_EXPIRY: Millis = 7 * DAY
DEFAULT_MAX_IN_FLIGHT = 32


@dataclass(slots=True, frozen=True)
class Grant:
    """What a partner may ever see. Everything is refused that is not named here."""

    event_types: tuple[str, ...]
    """Exact names, `pricing.*`, or `*`."""
    environments: tuple[str, ...]
    """Exact names, or `*` alone for all."""
    pattern: JsonObject | None = None
    """An event pattern that every event must match, or None."""
    operator: bool = False
    """Whether operations events about every partner may be seen, not only those about this one."""


@dataclass(slots=True, frozen=True)
class Partner:
    """Whose subscriptions these are."""

    id: str
    name: str
    grant: Grant
    grant_from: Millis = 0
    """Records up to this instant are judged by `previous_grant`: a wider grant looks only forward."""
    previous_grant: Grant | None = None
    revision: int = 1
    owner: str = "cli"
    """Who declares it: `cli`, or files, as `core.planning.ownership` writes that."""


@dataclass(slots=True, frozen=True)
class SigningSecret:
    """One signing secret of an endpoint; its key never shows in a repr."""

    id: str
    key: bytes = field(repr=False)
    """The raw HMAC-SHA256 key: 24 to 64 bytes (Standard Webhooks)."""


@dataclass(slots=True, frozen=True)
class Endpoint:
    """Where a subscription's deliveries go, and how they are signed."""

    url: str = field(repr=False)
    """May hold a secret in its path or query: scrub it before showing (`core.delivery.address`)."""
    secrets: tuple[SigningSecret, ...]
    """The first signs first; two are live while one replaces the other."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timeout: Millis = DEFAULT_TIMEOUT
    """For the whole attempt, up to 60 s."""


class BodyFormat(StrEnum):
    """The shape of a delivery's body."""

    STANDARD = "standard"


class Content(StrEnum):
    """How much of the event a body tells."""

    FULL = "full"


class SubscriptionState(StrEnum):
    """What the owner wants of it; health may say otherwise (see `core.matching.directory`)."""

    ACTIVE = "active"
    PAUSED = "paused"
    DELETED = "deleted"


@dataclass(slots=True, frozen=True)
class Gap:
    """A stretch of the log that a subscription does not see: `start` < timestamp <= `end`."""

    start: Millis
    end: Millis | None
    """None: still open."""
    reason: Literal["paused", "disabled"]


@dataclass(slots=True, frozen=True)
class RetryPolicy:
    """How often and how long a delivery is attempted again."""

    schedule: tuple[Millis, ...] = DEFAULT_SCHEDULE
    expires_after: Millis = DEFAULT_EXPIRY
    final_statuses: frozenset[int] = frozenset()
    """Statuses after which no retry is made."""


@dataclass(slots=True, frozen=True)
class Limits:
    """What an endpoint is asked to bear."""

    max_in_flight: int = DEFAULT_MAX_IN_FLIGHT
    rate_limit: float | None = None
    """Attempts a second over all workers, or None."""
    weight: int = 1
    """Its part of a worker's attempts, compared with the subscriptions that wait for one too."""


VersionPin: TypeAlias = int | Literal["latest"]


@dataclass(slots=True, frozen=True)
class Subscription:
    """A partner's standing request, as the subscriptions table holds it."""

    id: str
    partner_id: str
    endpoint: Endpoint
    event_types: tuple[str, ...]
    active_from: Millis
    """A record matches only if its timestamp lies after this instant, and in no gap."""
    environments: tuple[str, ...] | None = None
    """None: all that the grant allows."""
    pattern: JsonObject | None = None
    versions: Mapping[str, VersionPin] = field(default_factory=dict)
    """Pinned version by event type; a type that is missing here is pinned to 1."""
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
    """A subscription whose envelope can be read and whose body cannot (newer release, lost key).

    It is matched by type within its interval and its deliveries wait, with an alarm.
    """

    id: str
    partner_id: str
    event_types: tuple[str, ...]
    active_from: Millis
    gaps: tuple[Gap, ...]
    why: str


@dataclass(slots=True, frozen=True)
class Disabled:
    """A worker's verdict in the health table: no more attempts until somebody enables it again."""

    subscription_id: str
    since: Millis
    reason: str
    evidence: str = ""


@dataclass(slots=True, frozen=True)
class Failing:
    """A worker's note in the health table: nothing but failures since an instant."""

    subscription_id: str
    since: Millis


def covers(globs: Sequence[str], event_type: str) -> bool:
    """Return whether a list of exact names, `prefix.*` and `*` names the event type."""
    for glob in globs:
        if glob in ("*", event_type):
            return True
        if glob.endswith(".*") and event_type.startswith(glob[:-1]):
            return True
    return False
