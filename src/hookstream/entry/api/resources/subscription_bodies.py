"""The request bodies of subscriptions. Their values are checked like those of definition files."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from hookstream.entry.api.fields import (
    OPERATORS_SET,
    ApiInput,
    Duration,
    Identifier,
    Instant,
)

Text = Annotated[str, Meta(max_length=2_048)]
Material = Annotated[
    str, Meta(min_length=1, max_length=65_536, extra_json_schema={"writeOnly": True})
]
Names = Annotated[tuple[Identifier, ...], Meta(max_length=100)]


class SecretGiven(ApiInput, frozen=True):
    """Secret material: encrypted at once, and never shown again."""

    value: Material


class SigningSecretGiven(ApiInput, frozen=True):
    """A signing secret: its value, or a request to generate one, which is shown once."""

    value: Material | None = None
    """`whsec_…` or `whsk_…`."""
    generate: bool | None = None
    scheme: Literal["v1", "v1a"] | None = None


class BearerGiven(ApiInput, frozen=True):
    """A constant token."""

    token: SecretGiven


class BasicGiven(ApiInput, frozen=True):
    """A user's name and password."""

    username: Text
    password: SecretGiven


class OAuth2Given(ApiInput, frozen=True):
    """Tokens by the client credentials grant."""

    token_url: Text
    client_id: Text
    client_secret: SecretGiven
    scopes: Annotated[tuple[Text, ...], Meta(max_length=50)] | None = None
    client_auth: Literal["basic", "body"] | None = None


class MutualTlsGiven(ApiInput, frozen=True):
    """A client certificate and its key, as PEM."""

    certificate: SecretGiven
    key: SecretGiven


class AuthGiven(ApiInput, frozen=True):
    """How requests authenticate: by one of these, and optionally by `mtls` too."""

    bearer: BearerGiven | None = None
    basic: BasicGiven | None = None
    oauth2: OAuth2Given | None = None
    mtls: MutualTlsGiven | None = None


class EndpointPatch(ApiInput, frozen=True):
    """Fields of an endpoint that change."""

    url: Text | SecretGiven | None = None
    headers: dict[str, Text | SecretGiven | None] | None = None
    timeout: Duration | None = None
    auth: AuthGiven | None = None
    ca: Annotated[SecretGiven | None, OPERATORS_SET] = None
    """PEM of the certificate authorities that are trusted."""


class EndpointGiven(EndpointPatch, frozen=True):
    """Where deliveries are sent, and how they are signed."""

    pull: bool | None = None
    """True: nothing is sent, and the events are read by `GET …/events`; then it has no URL."""
    signing_secrets: Annotated[tuple[SigningSecretGiven, ...], Meta(max_length=4)] | None = None
    """Default: one is generated."""


class RetryGiven(ApiInput, frozen=True):
    """How failed deliveries are retried."""

    schedule: Annotated[tuple[Duration, ...], Meta(max_length=50)] | None = None
    expires_after: Duration | None = None
    final_statuses: Annotated[tuple[int, ...], Meta(max_length=100)] | None = None


class LimitsGiven(ApiInput, frozen=True):
    """Limits on the load of the endpoint."""

    max_in_flight: int | None = None
    rate_limit: float | None = None
    weight: Annotated[int | None, OPERATORS_SET] = None


class BatchGiven(ApiInput, frozen=True):
    """The batch limits of a request."""

    max_events: int
    max_wait: Duration | None = None


class SubscriptionPatch(ApiInput, frozen=True):
    """Fields of a subscription that change; null removes one (RFC 7396).

        In `endpoint`, its `headers`, `retry`, `limits`, `versions` and `template_secrets`, single fields change;
    everything else is replaced as a whole. Omitted secrets stay.
    """

    endpoint: EndpointPatch | None = None
    event_types: Names | None = None
    environments: Names | None = None
    pattern: dict[str, Any] | None = None
    versions: dict[str, int | Literal["latest"] | None] | None = None
    format: Literal["standard", "cloudevents", "template"] | None = None
    content: Literal["full", "thin"] | None = None
    template: Any = None
    template_secrets: dict[str, SecretGiven | None] | None = None
    batch: BatchGiven | None = None
    retry: RetryGiven | None = None
    limits: LimitsGiven | None = None


class SubscriptionGiven(SubscriptionPatch, frozen=True):
    """A new subscription."""

    endpoint: EndpointGiven | Literal["pull"]  # type: ignore[assignment]  # A change has no short form
    """`pull` is short for `{"pull": true}`."""
    event_types: Names
    id: Annotated[Identifier | None, OPERATORS_SET] = None
    """Default: generated, `<partner>.<random>`."""
    partner: Annotated[Identifier | None, OPERATORS_SET] = None
    """The partner, required from operators."""
    start_from: Instant | None = None
    """A time, or `earliest`: events from then on are replayed to it."""


class ReleaseQuery(ApiInput, frozen=True):
    """The new owner."""

    to: Literal["api", "files"] = "api"
    """Who may change it from now on; `files`: the next apply of a folder that declares it takes it over."""


class EndedGapOptions(ApiInput, frozen=True):
    """What happens to the events of the gap."""

    fill: bool = True
    """Whether they are replayed."""
    rate: Annotated[float, Meta(gt=0, le=100_000)] | None = None
    """The most events per second."""


class RotationGiven(ApiInput, frozen=True):
    """How a signing secret is rotated."""

    overlap: Duration = "24h"
    """For how long the old secret keeps signing too; `0s`: not at all."""
    scheme: Literal["v1", "v1a"] | None = None


class MatchGiven(ApiInput, frozen=True):
    """The event of a test: a sample of a type, or an operator's own event."""

    event_type: Identifier | None = None
    """Default: that of the event, or the only one that the subscription asks for."""
    event: Annotated[dict[str, Any] | str | None, OPERATORS_SET] = None
    """As it is delivered, or its JSON as a text, which keeps the spelling of numbers; default: a sample."""


class SubscriptionTestGiven(MatchGiven, frozen=True):
    """A test: an event, sent once."""

    wait: Annotated[int, Meta(ge=0, le=20)] = 10
    """Seconds to wait for its result."""
