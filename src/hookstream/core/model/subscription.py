"""Partners, their grants, and their subscriptions: lasting requests for events."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal, TypeAlias

from hookstream.core.model.instant import DAY, HOUR, MINUTE, SECOND, Millis
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.partner_limits import DEFAULT_PARTNER_LIMITS, PartnerLimits

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

FEWEST_IN_BATCH, MOST_IN_BATCH = 2, 1_000
LONGEST_BATCH_WAIT: Millis = SECOND // 2
"""Bounds of `Batch`."""


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
class HeldGrant:
    """A grant that a partner has, or had, and the instant from which it held."""

    grant: Grant
    since: Millis | None = None
    """It applies to records after this instant, until the next one's; None: not known since when."""


@dataclass(slots=True, frozen=True)
class Partner:
    """An organisation that owns subscriptions.

    A record falls under two grants: the one that held at its time, and the one of today. What either
    of them does not cover, the partner never sees.
    """

    id: str
    name: str
    grant: Grant
    grant_from: Millis = 0
    """For workers of the release before `history`: records up to this instant fall under
    `previous_grant` alone, later ones under `grant`."""
    previous_grant: Grant | None = None
    """For the same workers: the part of the grant before `grant_from` that is still granted."""
    revision: int = 1
    owner: str = "cli"
    """Who declares it: `cli`, or files, in the notation of `core.planning.ownership`."""
    history: tuple[HeldGrant, ...] = ()
    """The latest grants in the order of time; the last one is `grant`. Before the first of them nothing
    is granted. Empty in rows of earlier releases: use `grants`, which reads those too."""
    limits: PartnerLimits = DEFAULT_PARTNER_LIMITS
    """The limits of what it may use without an operator. No worker reads them."""

    @property
    def grants(self) -> tuple[HeldGrant, ...]:
        """The known grants in the order of time, the last of them that of today.

        A row of an earlier release has one, or two: the instant from which the first of them held is
        then not known.
        """
        if self.history:
            return self.history
        if self.previous_grant is not None:
            return HeldGrant(self.previous_grant), HeldGrant(self.grant, self.grant_from)
        return (HeldGrant(self.grant, self.grant_from if self.grant_from > 0 else None),)


class SigningScheme(StrEnum):
    """How a signing secret signs: the version in `webhook-signature` (Standard Webhooks)."""

    V1 = "v1"
    """HMAC-SHA256 with a shared key."""
    V1A = "v1a"
    """ed25519; partners verify with the public key."""


@dataclass(slots=True, frozen=True)
class SigningSecret:
    """One signing secret of an endpoint. Its key is not part of the repr."""

    id: str
    """Its name for its whole life: `env:NAME`, `file:PATH`, or the name of a generated one."""
    key: bytes = field(repr=False)
    """For v1 the raw HMAC-SHA256 key of 24 to 64 bytes; for v1a the ed25519 seed of 32 bytes."""
    scheme: SigningScheme = SigningScheme.V1
    expires_at: Millis | None = None
    """The end of its rotation's overlap, by the brokers' time: from then on it does not sign."""
    public_key: str | None = None
    """For v1a, what partners verify with: the text `whpk_…`, which is no secret."""
    since: Millis | None = None
    """From when on it signs, by the brokers' time; None: a release that did not note it wrote it last."""

    def is_live(self, now: Millis) -> bool:
        """Return whether it signs."""
        return self.expires_at is None or now < self.expires_at


@dataclass(slots=True, frozen=True)
class Secret:
    """Secret material of an endpoint that does not sign. Its value is not part of the repr."""

    id: str
    """Its name for its whole life: `env:NAME` or `file:PATH`."""
    value: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The value as text."""
        return self.value.decode()


@dataclass(slots=True, frozen=True)
class Bearer:
    """A constant token (RFC 6750)."""

    token: Secret


@dataclass(slots=True, frozen=True)
class Basic:
    """A user's name and password (RFC 7617)."""

    username: str
    password: Secret


class ClientAuth(StrEnum):
    """How a client identifies itself at a token server (RFC 6749, section 2.3.1)."""

    BASIC = "basic"
    """By HTTP Basic, which every server accepts."""
    BODY = "body"
    """By `client_id` and `client_secret` in the form, which some servers require instead."""


@dataclass(slots=True, frozen=True)
class OAuth2:
    """Tokens by the client credentials grant (RFC 6749, section 4.4)."""

    token_url: str = field(repr=False)
    client_id: str
    client_secret: Secret
    scopes: tuple[str, ...] = ()
    client_auth: ClientAuth = ClientAuth.BASIC


Credentials: TypeAlias = Bearer | Basic | OAuth2


@dataclass(slots=True, frozen=True)
class MutualTls:
    """A client certificate for TLS."""

    certificate: Secret
    """PEM: the certificate, then those of its issuers."""
    key: Secret
    """PEM, unencrypted."""


@dataclass(slots=True, frozen=True)
class Endpoint:
    """Where a subscription's deliveries are sent, how they are signed, and how we identify there."""

    url: str = field(repr=False)
    """May contain a secret in its path or query: redact it before showing (`core.delivery.address`).
    If the whole URL is a secret, only its scheme and host; `target` is the URL to send to."""
    secrets: tuple[SigningSecret, ...]
    """The first signs first. During a rotation there are two."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timeout: Millis = DEFAULT_TIMEOUT
    """For the whole attempt, up to 60 s."""
    url_secret: Secret | None = None
    """The whole URL, if it is a secret."""
    secret_headers: tuple[tuple[str, Secret], ...] = ()
    """Static headers whose values are secret."""
    credentials: Credentials | None = None
    mtls: MutualTls | None = None
    ca: Secret | None = None
    """PEM: the authorities that the endpoint's certificate must come from; None: the machine's."""
    template_secrets: tuple[tuple[str, Secret], ...] = ()
    """Secrets that stand in the body, by the names that its template has for them."""
    is_pull: bool = False
    """Whether nothing is ever sent: the partner reads its events through the pull door. It has no URL
    then, no headers, no credentials and no authorities, and signing secrets as any other."""

    @property
    def target(self) -> str:
        """The URL that deliveries are sent to. Never show it."""
        return self.url if self.url_secret is None else self.url_secret.text

    def named_secrets(self) -> Iterator[tuple[str, Secret]]:
        """Yield all secret material that does not sign, each with the path of its field."""
        found: list[tuple[str, Secret]] = []

        def noted(path: str, secret: Secret) -> Secret:
            found.append((path, secret))
            return secret

        self.with_secrets(noted)
        yield from found

    def with_secrets(self, make: Callable[[str, Secret], Secret]) -> "Endpoint":
        """Return the endpoint with other material in place of each secret that does not sign.

        Args:
            make: Takes the path of a secret's field, and the secret.
        """
        credentials = self.credentials
        match credentials:
            case Bearer(token):
                credentials = Bearer(make("auth.bearer.token", token))
            case Basic(username, password):
                credentials = Basic(username, make("auth.basic.password", password))
            case OAuth2(client_secret=secret):
                made = make("auth.oauth2.client_secret", secret)
                credentials = replace(credentials, client_secret=made)
            case None:
                pass
        mtls = self.mtls
        return replace(
            self,
            url_secret=None if self.url_secret is None else make("url", self.url_secret),
            secret_headers=tuple(
                (name, make(f"headers.{name}", secret)) for name, secret in self.secret_headers
            ),
            credentials=credentials,
            mtls=mtls
            and MutualTls(
                make("auth.mtls.certificate", mtls.certificate), make("auth.mtls.key", mtls.key)
            ),
            ca=None if self.ca is None else make("ca", self.ca),
            template_secrets=tuple(
                (name, make(f"template_secrets.{name}", secret))
                for name, secret in self.template_secrets
            ),
        )


class BodyFormat(StrEnum):
    """The shape of a delivery's body."""

    STANDARD = "standard"
    CLOUDEVENTS = "cloudevents"
    """CloudEvents 1.0 in structured mode."""
    TEMPLATE = "template"
    """The subscription's own JSON document, with values of the event in it."""


class Content(StrEnum):
    """How much of the event a body contains."""

    FULL = "full"
    THIN = "thin"
    """Identity and type, without the data."""


@dataclass(slots=True, frozen=True)
class Batch:
    """How many deliveries one request may contain, and how long the first of them waits for others."""

    max_events: int
    """From `FEWEST_IN_BATCH` to `MOST_IN_BATCH`."""
    max_wait: Millis = LONGEST_BATCH_WAIT
    """At most `LONGEST_BATCH_WAIT`; 0: a request contains what waits when it may be made."""


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
    reason: Literal["paused", "disabled", "started"]
    """`started`: it precedes `active_from`, and the subscription was created to start in the past."""
    filled_by: str | None = None
    """The job whose replay delivers the records in it; None: no replay was requested."""
    incomplete: bool = False
    """Whether that replay may have lost records before it read them: see `core.model.active_interval`."""


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
    template: Json = None
    """The body's document if `format` is `template` (`core.delivery.bodies.template`)."""
    batch: Batch | None = None
    """Several deliveries in one request, in every format but `template`; None: one in each."""
    retry: RetryPolicy = RetryPolicy()
    limits: Limits = Limits()
    state: SubscriptionState = SubscriptionState.ACTIVE
    gaps: tuple[Gap, ...] = ()
    revision: int = 1
    owner: str = "cli"
    declared_at: str = ""
    """The file and line, within the folder that owns it, that declared it as it is; empty: not known."""

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


def expiry_of(subscription: "Subscription | UnreadableSubscription | None") -> Millis:
    """Return how long a delivery may live: by its subscription, or the default if that is not known."""
    if isinstance(subscription, Subscription):
        return subscription.retry.expires_after
    return DEFAULT_EXPIRY
