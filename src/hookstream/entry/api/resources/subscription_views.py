"""The views of subscriptions: without secrets and URL paths, and for partners without holds."""

from typing import Annotated, Any

from msgspec import Meta

from hookstream.core.delivery.address import scrub
from hookstream.core.matching.directory import Directory
from hookstream.core.model.instant import Millis, format_duration, to_rfc3339
from hookstream.core.model.subscription import (
    Basic,
    Bearer,
    Credentials,
    Endpoint,
    OAuth2,
    SigningSecret,
    Subscription,
    UnreadableSubscription,
)
from hookstream.core.model.subscription_status import Held, SubscriptionStatus
from hookstream.core.planning.ownership import is_of_files
from hookstream.core.planning.rotation import without_ended
from hookstream.entry.admin.signing_secrets import secret_to_show
from hookstream.entry.admin.subscriptions import status_document
from hookstream.entry.admin.tables import State
from hookstream.entry.api.fields import OPERATORS_SEE, ApiOutput

SUSPENDED = "suspended"
"""The view of a hold for partners, without its author, reason and time."""


class SigningSecretShown(ApiOutput, frozen=True):
    """A signing secret, without its material."""

    id: str
    scheme: str
    expires_at: str | None
    """When it stops signing; null: it is not replaced."""
    public_key: str | None
    """Of scheme `v1a`."""
    since: str | None = None
    """When it started signing; null: not known, since an earlier release wrote it last."""


class EndpointShown(ApiOutput, frozen=True):
    """Where deliveries are sent: the URL without path and query, and only the names of secrets."""

    pull: bool
    """Whether it is a pull subscription: its reader reads the events, and nothing is sent."""
    url: str
    headers: tuple[str, ...]
    """Their names."""
    timeout: str
    auth: tuple[str, ...]
    """How requests authenticate: `bearer`, `basic`, `oauth2`, `mtls`."""
    identity: dict[str, str]
    """The parts that are not secret, such as a user's name, by the paths of their fields."""
    secrets: dict[str, str]
    """The names of secrets by the paths of their fields."""
    signing_secrets: tuple[SigningSecretShown, ...]


class GapShown(ApiOutput, frozen=True):
    """A range of record time whose events were not delivered live."""

    start: str
    end: str | None
    reason: str
    filled_by: str | None
    """The job that replays it."""
    incomplete: bool


class RetryShown(ApiOutput, frozen=True):
    """How failed deliveries are retried."""

    schedule: tuple[str, ...]
    expires_after: str
    final_statuses: tuple[int, ...]


class LimitsShown(ApiOutput, frozen=True):
    """Limits on the load of the endpoint."""

    max_in_flight: int
    rate_limit: float | None
    weight: Annotated[int, OPERATORS_SEE]


class BatchShown(ApiOutput, frozen=True):
    """The batch limits of a request."""

    max_events: int
    max_wait: str


class HoldShown(ApiOutput, frozen=True):
    """A hold over a subscription."""

    kind: str
    name: str


class SubscriptionShown(ApiOutput, frozen=True):
    """A subscription."""

    id: str
    partner: str
    revision: int
    """The revision for `If-Match`."""
    state: str
    """`active`, `paused`, `disabled`, `held` or, for partners, `suspended`."""
    since: str | None
    reason: str | None
    """Why it is disabled or held."""
    evidence: str | None
    """The endpoint's failure for which it was disabled."""
    hold: Annotated[HoldShown | None, OPERATORS_SEE]
    active_from: str
    failing_since: str | None
    """Since when its endpoint has failed every attempt; null: it has not."""
    event_types: tuple[str, ...]
    environments: tuple[str, ...] | None
    """Null: all that are granted."""
    pattern: dict[str, Any] | None
    versions: dict[str, int | str]
    format: str
    content: str
    template: Any
    batch: BatchShown | None
    retry: RetryShown
    limits: LimitsShown
    endpoint: EndpointShown
    gaps: tuple[GapShown, ...]
    owner: Annotated[str, OPERATORS_SEE]
    declared_at: Annotated[str | None, OPERATORS_SEE] = None
    """The file and line, within the folder of its owner, of its current definition; null: not known."""
    owned_by_files: bool = False
    """Whether operators' definition files declare it: then it can be changed only there (409 `owned_by_files`)."""


class SubscriptionsPage(ApiOutput, frozen=True):
    """Subscriptions in the order of their ids."""

    items: tuple[SubscriptionShown, ...]
    next: str | None


class GeneratedShown(ApiOutput, frozen=True):
    """A generated signing secret, shown only here."""

    id: str
    secret: Annotated[str | None, Meta(description="`whsec_…`; null for `v1a`.")] = None
    public_key: str | None = None
    """The key that verifies `v1a` signatures."""


class SubscriptionWritten(ApiOutput, frozen=True):
    """A subscription that was created or changed."""

    subscription: SubscriptionShown
    generated: tuple[GeneratedShown, ...] = ()
    jobs: tuple[str, ...] = ()
    """The replays that were started with it."""
    changed: bool = True
    takes_effect: str | None = None
    """When, by the brokers' clock, all workers apply it."""
    notes: Annotated[tuple[str, ...], OPERATORS_SEE] = ()
    warning: Annotated[str | None, OPERATORS_SEE] = None
    """A warning for a rolling upgrade."""


def status_in(
    state: State,
    subscription: Subscription | UnreadableSubscription,
    now: Millis,
    event_type: str | None = None,
) -> SubscriptionStatus:
    """Return the status of a subscription by the tables' other rows.

    Args:
        state: The tables.
        subscription: Its row.
        now: The present.
        event_type: For events of this type, which may be held; None: for others.
    """
    directory = Directory()
    partner = state.current.partners.get(subscription.partner_id)
    if partner is not None:
        directory.put_partner(partner)
    directory.put_subscription(subscription)
    disabled = state.current.disabled.get(subscription.id)
    if disabled is not None:
        directory.put_disabled(disabled)
    for hold in state.holds:
        directory.holds.put(hold)
    return directory.holds.over(directory.status(subscription.id, now), event_type)


def state_of(state: State, subscription: Subscription, now: Millis, *, to_operator: bool) -> str:
    """Return the name of a subscription's state, as `shown_subscription` shows it."""
    status = status_in(state, subscription, now)
    if isinstance(status, Held) and not to_operator:
        return SUSPENDED
    return str(status_document(status)["state"])


def shown_subscription(
    state: State, subscription: Subscription, now: Millis, *, to_operator: bool
) -> SubscriptionShown:
    """Return the view of a subscription.

    Args:
        state: The tables.
        subscription: The subscription, as it is to be shown.
        now: The present.
        to_operator: Whether an operator sees it: a partner learns of a hold only that there is one.
    """
    subscription = without_ended(subscription, now)
    status = status_in(state, subscription, now)
    found = status_document(status)
    hold = None
    if isinstance(status, Held):
        hold = HoldShown(kind=status.hold.kind.value, name=status.hold.name)
        if not to_operator:
            found = {"state": SUSPENDED}
    failing = state.failing.get(subscription.id)
    retry, limits = subscription.retry, subscription.limits
    return SubscriptionShown(
        id=subscription.id,
        partner=subscription.partner_id,
        revision=subscription.revision,
        state=str(found["state"]),
        since=_text(found.get("since")),
        reason=_text(found.get("reason")),
        evidence=_text(found.get("evidence")),
        hold=hold,
        active_from=to_rfc3339(subscription.active_from),
        failing_since=None if failing is None else to_rfc3339(failing.since),
        event_types=subscription.event_types,
        environments=subscription.environments,
        pattern=subscription.pattern,
        versions={**subscription.versions},
        format=subscription.format.value,
        content=subscription.content.value,
        template=subscription.template,
        batch=_batch(subscription),
        retry=RetryShown(
            schedule=tuple(map(format_duration, retry.schedule)),
            expires_after=format_duration(retry.expires_after),
            final_statuses=tuple(sorted(retry.final_statuses)),
        ),
        limits=LimitsShown(
            max_in_flight=limits.max_in_flight,
            rate_limit=limits.rate_limit,
            weight=limits.weight,
        ),
        endpoint=_endpoint(subscription.endpoint, to_operator=to_operator),
        gaps=_gaps(subscription),
        owned_by_files=is_of_files(subscription.owner),
        owner=subscription.owner,
        declared_at=subscription.declared_at or None,
    )


def shown_generated(secrets: tuple[SigningSecret, ...]) -> tuple[GeneratedShown, ...]:
    """Return generated signing secrets for the one answer that shows them."""
    return tuple(
        GeneratedShown(id=each.id, secret=secret_to_show(each))
        if each.public_key is None
        else GeneratedShown(id=each.id, public_key=each.public_key)
        for each in secrets
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _batch(subscription: Subscription) -> BatchShown | None:
    batch = subscription.batch
    if batch is None:
        return None
    return BatchShown(max_events=batch.max_events, max_wait=format_duration(batch.max_wait))


def _gaps(subscription: Subscription) -> tuple[GapShown, ...]:
    return tuple(
        GapShown(
            start=to_rfc3339(gap.start),
            end=None if gap.end is None else to_rfc3339(gap.end),
            reason=gap.reason,
            filled_by=gap.filled_by,
            incomplete=gap.incomplete,
        )
        for gap in subscription.gaps
    )


def _identity(credentials: Credentials | None) -> dict[str, str]:
    match credentials:
        case Basic(username):
            return {"basic.username": username}
        case OAuth2(token_url, client_id, _, scopes, client_auth):
            return {
                "oauth2.token_url": scrub(token_url),
                "oauth2.client_id": client_id,
                "oauth2.scopes": " ".join(scopes),
                "oauth2.client_auth": client_auth.value,
            }
        case _:
            return {}


def _endpoint(endpoint: Endpoint, *, to_operator: bool) -> EndpointShown:
    auth = {Bearer: ("bearer",), Basic: ("basic",), OAuth2: ("oauth2",)}.get(
        type(endpoint.credentials), ()
    )
    if endpoint.mtls is not None:
        auth = (*auth, "mtls")
    names = [name for name, _ in endpoint.headers]
    names += [name for name, _ in endpoint.secret_headers]
    return EndpointShown(
        pull=endpoint.is_pull,
        url=scrub(endpoint.url),
        headers=tuple(names),
        timeout=format_duration(endpoint.timeout),
        auth=auth,
        identity=_identity(endpoint.credentials),
        secrets={
            path: secret.id
            for path, secret in endpoint.named_secrets()
            # Only operators see which certificate authorities are trusted.
            if to_operator or path != "ca"
        },
        signing_secrets=tuple(
            SigningSecretShown(
                id=each.id,
                scheme=each.scheme.value,
                since=None if each.since is None else to_rfc3339(each.since),
                expires_at=None if each.expires_at is None else to_rfc3339(each.expires_at),
                public_key=each.public_key,
            )
            for each in endpoint.secrets
        ),
    )
