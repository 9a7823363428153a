"""Converts the API's subscriptions, partners, tokens, holds and jobs back into hookstream's values.

Parts that the API does not show, such as secret material, are empty: views do not show them either.
"""

from collections.abc import Mapping
from typing import cast

from hookstream.core.access.scopes import Scope
from hookstream.core.access.tokens import ApiToken
from hookstream.core.delivery.signing import parse_secret
from hookstream.core.jobs.job import Job, JobState, Note
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.instant import Millis, from_rfc3339, parse_duration
from hookstream.core.model.json import JsonObject
from hookstream.core.model.partner_limits import PartnerLimits
from hookstream.core.model.subscription import (
    Basic,
    Batch,
    Bearer,
    BodyFormat,
    ClientAuth,
    Content,
    Credentials,
    Disabled,
    Endpoint,
    Gap,
    Grant,
    HeldGrant,
    Limits,
    MutualTls,
    OAuth2,
    Partner,
    RetryPolicy,
    Secret,
    SigningScheme,
    SigningSecret,
    Subscription,
    SubscriptionState,
    VersionPin,
)
from hookstream.core.model.subscription_status import (
    Deleted,
    DisabledStatus,
    Held,
    Live,
    Paused,
    SubscriptionStatus,
)
from hookstream.entry.admin.job_listing import JobStatus
from hookstream.entry.admin.subscriptions import SubscriptionFacts
from hookstream.entry.api.resources.holds import HoldInForce
from hookstream.entry.api.resources.jobs import JobShown
from hookstream.entry.api.resources.partners import (
    GrantShown,
    PartnerLimitsShown,
    PartnerShown,
)
from hookstream.entry.api.resources.subscription_views import (
    EndpointShown,
    GeneratedShown,
    SigningSecretShown,
    SubscriptionShown,
)
from hookstream.entry.api.resources.tokens import TokenShown

_OPEN_PAUSE = "paused"
_DELETED = "deleted"


def instant_or_none(text: str | None) -> Millis | None:
    """Return an instant of an answer; None if it has none."""
    return None if text is None else from_rfc3339(text)


# Subscriptions.


def facts_in(shown: SubscriptionShown) -> SubscriptionFacts:
    """Return a subscription with its status."""
    subscription = subscription_in(shown)
    return SubscriptionFacts(
        subscription, _status(shown, subscription), instant_or_none(shown.failing_since)
    )


def subscription_in(shown: SubscriptionShown) -> Subscription:
    """Return a subscription's row."""
    gaps = tuple(
        Gap(
            from_rfc3339(each.start),
            instant_or_none(each.end),
            each.reason,  # type: ignore[arg-type]  # of its three words
            each.filled_by,
            each.incomplete,
        )
        for each in shown.gaps
    )
    is_paused = any(each.end is None and each.reason == _OPEN_PAUSE for each in gaps)
    retry, limits, batch = shown.retry, shown.limits, shown.batch
    return Subscription(
        id=shown.id,
        partner_id=shown.partner,
        endpoint=_endpoint(shown.endpoint),
        event_types=shown.event_types,
        active_from=from_rfc3339(shown.active_from),
        environments=shown.environments,
        pattern=shown.pattern,
        versions=cast("Mapping[str, VersionPin]", shown.versions),
        format=BodyFormat(shown.format),
        content=Content(shown.content),
        template=shown.template,
        batch=None if batch is None else Batch(batch.max_events, parse_duration(batch.max_wait)),
        retry=RetryPolicy(
            tuple(map(parse_duration, retry.schedule)),
            parse_duration(retry.expires_after),
            frozenset(retry.final_statuses),
        ),
        limits=Limits(limits.max_in_flight, limits.rate_limit, limits.weight or 1),
        state=_state(shown, is_paused=is_paused),
        gaps=gaps,
        revision=shown.revision,
        owner=shown.owner,
        declared_at=shown.declared_at or "",
    )


def _state(shown: SubscriptionShown, *, is_paused: bool) -> SubscriptionState:
    if shown.state == _DELETED:
        return SubscriptionState.DELETED
    return SubscriptionState.PAUSED if is_paused else SubscriptionState.ACTIVE


def _status(shown: SubscriptionShown, subscription: Subscription) -> SubscriptionStatus | None:
    since = instant_or_none(shown.since) or subscription.active_from
    reason = shown.reason or ""
    match shown.state:
        case "paused":
            return Paused(subscription, None, since)
        case "disabled":
            disabled = Disabled(subscription.id, since, reason, shown.evidence or "")
            return DisabledStatus(subscription, None, disabled)
        case "held" if shown.hold is not None:
            hold = Hold(HoldKind(shown.hold.kind), shown.hold.name, since, reason)
            return Held(subscription, None, hold)
        case "active":
            return Live(subscription, None)
        case "deleted":
            return Deleted(shown.id, shown.partner)
        case _:
            return None


def _endpoint(shown: EndpointShown) -> Endpoint:
    def of(path: str) -> Secret | None:
        name = shown.secrets.get(path)
        return None if name is None else Secret(name, b"")

    certificate, key = of("auth.mtls.certificate"), of("auth.mtls.key")
    names = [(name, of(f"headers.{name}")) for name in shown.headers]
    in_template = "template_secrets."
    return Endpoint(
        shown.url,
        tuple(map(_signing_secret, shown.signing_secrets)),
        tuple((name, "") for name, secret in names if secret is None),
        parse_duration(shown.timeout),
        url_secret=of("url"),
        secret_headers=tuple((name, secret) for name, secret in names if secret is not None),
        credentials=_credentials(shown),
        mtls=None if certificate is None or key is None else MutualTls(certificate, key),
        ca=of("ca"),
        template_secrets=tuple(
            (path.removeprefix(in_template), Secret(name, b""))
            for path, name in shown.secrets.items()
            if path.startswith(in_template)
        ),
        is_pull=shown.pull,
    )


def _credentials(shown: EndpointShown) -> Credentials | None:
    def of(path: str) -> Secret:
        return Secret(shown.secrets.get(path, ""), b"")

    known = shown.identity
    match next(iter(shown.auth), ""):
        case "bearer":
            return Bearer(of("auth.bearer.token"))
        case "basic":
            return Basic(known["basic.username"], of("auth.basic.password"))
        case "oauth2":
            return OAuth2(
                known["oauth2.token_url"],
                known["oauth2.client_id"],
                of("auth.oauth2.client_secret"),
                tuple(known["oauth2.scopes"].split()),
                ClientAuth(known["oauth2.client_auth"]),
            )
        case _:
            return None


def _signing_secret(shown: SigningSecretShown) -> SigningSecret:
    return SigningSecret(
        shown.id,
        b"",
        SigningScheme(shown.scheme),
        instant_or_none(shown.expires_at),
        shown.public_key,
        instant_or_none(shown.since),
    )


def generated_in(shown: GeneratedShown) -> SigningSecret:
    """Return a signing secret that was just generated, with its material."""
    if shown.public_key is not None:
        return SigningSecret(shown.id, b"", SigningScheme.V1A, public_key=shown.public_key)
    return SigningSecret(shown.id, parse_secret(shown.secret or ""))


# Partners.


def partner_in(shown: PartnerShown) -> Partner:
    """Return a partner's row."""
    history = tuple(
        HeldGrant(_grant(each.grant), instant_or_none(each.since)) for each in shown.grants
    )
    return Partner(
        id=shown.id,
        name=shown.name,
        grant=_grant(shown.grant),
        revision=shown.revision,
        owner=shown.owner,
        history=history,
        limits=_limits(shown.limits),
    )


def _grant(shown: GrantShown) -> Grant:
    return Grant(shown.event_types, shown.environments, shown.pattern, shown.operator)


def _limits(shown: PartnerLimitsShown) -> PartnerLimits:
    return PartnerLimits(
        subscriptions=shown.subscriptions,
        max_in_flight=shown.max_in_flight,
        weight=shown.weight or 1,
        timeout=parse_duration(shown.timeout),
        running_jobs=shown.running_jobs,
        replayed_events_a_day=shown.replayed_events_a_day,
        requests_a_second=shown.requests_a_second,
        scanned_records_a_second=shown.scanned_records_a_second,
    )


# Tokens, holds and jobs.


def token_in(shown: TokenShown) -> ApiToken:
    """Return a token, without its hash."""
    used = None if shown.last_used is None else from_rfc3339(f"{shown.last_used}T00:00:00Z")
    return ApiToken(
        id=shown.id,
        scope=Scope(shown.scope),
        partner_id=shown.partner,
        hash="",
        created=from_rfc3339(shown.created),
        expires=from_rfc3339(shown.expires),
        label=shown.label,
        created_by=shown.created_by,
        last_used=used,
        revoked=instant_or_none(shown.revoked),
        revoked_by=shown.revoked_by or "",
        revision=shown.revision,
    )


def hold_in(shown: HoldInForce) -> Hold:
    """Return a hold."""
    return Hold(
        HoldKind(shown.kind),
        shown.name,
        from_rfc3339(shown.since),
        shown.reason,
        shown.set_by,
        shown.revision,
    )


def job_in(shown: JobShown) -> JobStatus:
    """Return a job, and what its lease means by the console's clock."""
    job = Job(
        id=shown.id,
        kind=shown.kind,
        asked=cast("JsonObject", shown.asked),
        asked_at=from_rfc3339(shown.asked_at),
        total=shown.total,
        done=shown.done,
        state=JobState(shown.state),
        revision=shown.revision,
        holder=shown.holder,
        held_until=instant_or_none(shown.held_until),
        rate=shown.rate,
        counts=shown.counts,
        notes=tuple(Note(from_rfc3339(each.at), each.text) for each in shown.notes),
        reason=shown.reason,
        asked_by=shown.asked_by,
    )
    return JobStatus(job, shown.held, shown.stalled, shown.waits, shown.waits_for)
