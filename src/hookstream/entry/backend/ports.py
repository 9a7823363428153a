"""The ports for subscriptions, partners, tokens, holds, jobs and statistics.

Each port has two implementations: `cluster` works on Kafka itself, `api` uses a console. Both return the same
values, so a command has one view for both. Each function may block.

Any of them may raise:

- InputRefused: the request is refused; the text has the reason and the remedy. - ConfigurationError: the
installation, or this machine's settings, must be changed. - DependencyUnavailable: the brokers, or the
console, do not answer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from hookstream.core.access.tokens import ApiToken
from hookstream.core.jobs.job import Job
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.instant import Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import (
    Partner,
    SigningScheme,
    SigningSecret,
    Subscription,
    UnreadableSubscription,
)
from hookstream.core.planning.rotation import Replaced
from hookstream.core.statistics.counts import Statistics
from hookstream.entry.admin.job_listing import JobListing, JobStatus, Watch
from hookstream.entry.admin.lanes import SubscriptionLane
from hookstream.entry.admin.ownership import ReleasedTo
from hookstream.entry.admin.statistics import StatisticsWanted
from hookstream.entry.admin.subscriptions import SubscriptionFacts
from hookstream.entry.admin.tokens import NewToken, WantedToken
from hookstream.pipeline.job_kind import RunResult


@dataclass(slots=True, frozen=True)
class Effect:
    """The effect of a change: from when it is in force."""

    at: Millis
    """By the brokers' clock."""
    wait: Callable[[], None]
    """Returns at that time."""
    warning: str | None = None
    """A warning about the written rows, during a rolling upgrade."""


@dataclass(slots=True, frozen=True)
class CreatedSubscription:
    """A subscription that was just created."""

    subscription: Subscription
    generated: Sequence[SigningSecret]
    """Generated signing secrets, to be shown once."""
    jobs: Sequence[Job]
    """The replay of a start in the past."""
    notes: Sequence[str]
    effect: Effect


@dataclass(slots=True, frozen=True)
class SubscriptionListing:
    """Subscriptions in the order of their ids."""

    found: Sequence[SubscriptionFacts]
    unreadable: Sequence[str] = ()
    """Problems of rows that cannot be read."""


class SubscriptionCommands(Protocol):
    """Lists, shows and changes subscriptions."""

    def listed(self, partner: str | None, *, with_deleted: bool) -> SubscriptionListing:
        """Return all subscriptions, or those of one partner."""

    def found(self, subscription_id: str) -> SubscriptionFacts:
        """Return one subscription."""

    def lane(self, subscription_id: str, workers: Sequence[str]) -> SubscriptionLane:
        """Return the current state of its lane in the workers.

        Args:
            subscription_id: Whose.
            workers: `host:port` of those to ask; none: those that the settings name, a console's or these.

        Raises:
            InputRefused: There is none, or it is pulled, and so has no lane.
        """

    def replays(self, subscription: Subscription | UnreadableSubscription) -> Mapping[str, Job]:
        """Return the jobs that fill gaps of one, by their ids, without those that ended long ago."""

    def create(self, definition: JsonObject) -> CreatedSubscription:
        """Create one; `definition` has the API's form."""

    def pause(
        self, subscription_id: str, revision: int | None
    ) -> tuple[Subscription, bool, Effect]:
        """Pause one; return it, and whether it changed."""

    def delete(self, subscription_id: str, revision: int | None) -> tuple[str, Effect]:
        """Delete one; return its owner."""

    def release(self, subscription_id: str, revision: int | None, to: ReleasedTo) -> str | None:
        """Hand one over; return its owner before. None: nothing changed."""

    def rotate(
        self,
        subscription_id: str,
        revision: int | None,
        overlap: Millis,
        scheme: SigningScheme | None,
    ) -> tuple[Replaced, Effect]:
        """Replace the signing secret of one by a generated one."""

    def jwks(self, subscription_id: str) -> JsonObject:
        """Return the public keys of one as a JWKS."""


class PartnerFacts(NamedTuple):
    """A partner, and the ids of its subscriptions."""

    partner: Partner
    subscriptions: Sequence[str]


class PartnerCommands(Protocol):
    """Lists, shows and changes partners."""

    def listed(self) -> Sequence[PartnerFacts]:
        """Return all partners in the order of their ids."""

    def found(self, partner_id: str) -> PartnerFacts:
        """Return one partner."""

    def create(self, definition: JsonObject) -> tuple[Partner, Sequence[str]]:
        """Create one, and return it with a warning, if any; `definition` has the API's form."""

    def delete(self, partner_id: str, *, cascade: bool) -> tuple[str, Sequence[str]]:
        """Delete one; return its owner, and the subscriptions that were deleted with it."""

    def release(self, partner_id: str, revision: int | None, to: ReleasedTo) -> str | None:
        """Hand one over; return its owner before. None: nothing changed."""


class TokenListing(NamedTuple):
    """Tokens, the oldest first."""

    tokens: Sequence[ApiToken]
    unreadable: Sequence[str] = ()


class TokenCommands(Protocol):
    """Creates, lists and revokes tokens."""

    def create(self, asked: WantedToken) -> NewToken:
        """Create a token."""

    def listed(self, partner_id: str | None) -> TokenListing:
        """Return all tokens, or those of one partner."""

    def revoke(self, name: str) -> tuple[ApiToken, bool]:
        """Revoke a token; return it, and whether it changed."""


class HoldListing(NamedTuple):
    """Holds in force, the oldest first."""

    holds: Sequence[Hold]
    unreadable: Sequence[str] = ()


class HoldCommands(Protocol):
    """Lists, sets and clears holds."""

    def listed(self) -> HoldListing:
        """Return all holds in force."""

    def set(self, kind: HoldKind, name: str, reason: str) -> tuple[Hold, Hold | None]:
        """Set a hold, or change its reason; return it, and the one before."""

    def clear(self, kind: HoldKind, name: str, reason: str) -> Sequence[Hold]:
        """Clear a hold; return those that remain in force."""


class JobCommands(Protocol):
    """Lists, shows and changes jobs."""

    def listed(self) -> JobListing:
        """Return all jobs."""

    def found(self, job_id: str) -> JobStatus:
        """Return one job."""

    def cancel(self, job_id: str) -> Job:
        """Cancel a job, whichever executor runs it."""

    def free(self, job_id: str) -> Job:
        """Let any executor continue a job that nobody holds, also one that failed."""

    def resume(self, job_id: str, watch: Watch, rate: float | None = None) -> RunResult:
        """Continue a job and stay until it has ended, or until this process no longer works on it."""


@dataclass(slots=True, frozen=True)
class StatisticsRead:
    """Statistics, and their limits."""

    found: Statistics
    reservations: Sequence[str] = field(default=())


class StatisticsCommand(Protocol):
    """Counts deliveries, retries and errors."""

    def read(
        self, wanted: StatisticsWanted, now: Millis, progress: Callable[[int, int], None]
    ) -> StatisticsRead:
        """Return the statistics of a subscription, a partner or everything."""
