"""The fields of a partner or subscription, for comparison and as text that may be shown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from hookstream.core.model.instant import Millis, format_duration, to_rfc3339
from hookstream.core.model.json import Json, compared, json_text
from hookstream.core.model.partner_limits import DEFAULT_PARTNER_LIMITS, PARTNER_LIMIT_BOUNDS
from hookstream.core.model.subscription import (
    Basic,
    Bearer,
    ClientAuth,
    Endpoint,
    OAuth2,
    Partner,
    SigningSecret,
    Subscription,
)

Subject: TypeAlias = Partner | Subscription

HIDDEN = "(not shown)"


class ComparedField(NamedTuple):
    """One field: the value to compare, and the text to show."""

    value: object
    shown: str


@dataclass(slots=True, frozen=True)
class Difference:
    """One field that changes; None if it is absent before or after."""

    path: str
    before: str | None
    after: str | None


def named(subject: Subject) -> str:
    """Return `partner acme` or `subscription orders`."""
    match subject:
        case Partner():
            return f"partner {subject.id}"
        case Subscription():
            return f"subscription {subject.id}"


def fields_of(subject: Subject, scrub: Callable[[str], str]) -> Mapping[str, ComparedField]:
    """Return the declared fields by path, in the order in which people write them.

    Derived fields (revision, active interval, gaps, state) are not included. Secrets and header values
    are never shown, only what they are named; a URL is shown after `scrub`.
    """
    match subject:
        case Partner():
            return _partner(subject)
        case Subscription():
            return _subscription(subject, scrub)


def differences(
    before: Subject, after: Subject, scrub: Callable[[str], str]
) -> tuple[Difference, ...]:
    """Return the fields that differ, with the text to show."""
    if _are_alike(before, after):
        return ()
    old, new = fields_of(before, scrub), fields_of(after, scrub)
    found = []
    for path in [*old, *(path for path in new if path not in old)]:
        was, becomes = old.get(path), new.get(path)
        if (was and was.value) != (becomes and becomes.value):
            found.append(Difference(path, was and was.shown, becomes and becomes.shown))
    return tuple(found)


def _are_alike(before: Subject, after: Subject) -> bool:
    """Return whether subscriptions certainly have the same declared fields, without making their texts.

    Of 10,000 subscriptions that are declared again most are as they were.
    """
    if not isinstance(before, Subscription) or not isinstance(after, Subscription):
        return False
    # Neither is a declared field; all others are equal.
    same = replace(after, revision=before.revision, declared_at=before.declared_at) == before
    return same and all(
        compared(one) == compared(other)
        for one, other in ((before.pattern, after.pattern), (before.template, after.template))
        if one is not None or other is not None
    )


def _partner(partner: Partner) -> Mapping[str, ComparedField]:
    grant = partner.grant
    found = {
        "name": _text(partner.name),
        "grant.event_types": _texts(grant.event_types),
        "grant.environments": _texts(grant.environments),
    }
    if grant.pattern is not None:
        found["grant.pattern"] = _json(grant.pattern)
    if grant.operator:
        found["grant.operator"] = ComparedField(value=True, shown="true")
    for name in PARTNER_LIMIT_BOUNDS:
        limit: int = getattr(partner.limits, name)
        if limit != getattr(DEFAULT_PARTNER_LIMITS, name):
            shown = format_duration(limit) if name == "timeout" else str(limit)
            found[f"limits.{name}"] = ComparedField(limit, shown)
    found["owner"] = _text(partner.owner)
    return found


def _subscription(
    subscription: Subscription, scrub: Callable[[str], str]
) -> Mapping[str, ComparedField]:
    endpoint = subscription.endpoint
    found = {"partner": _text(subscription.partner_id), **_target(endpoint, scrub)}
    for name, text in endpoint.headers:
        found[f"endpoint.headers.{name}"] = ComparedField(text, HIDDEN)
    found |= _identity(endpoint, scrub)
    for secret in endpoint.secrets:
        found[f"endpoint.signing_secrets.{secret.id}"] = _signing_secret(secret)
    # Order matters: the first secret signs first.
    found["endpoint.signing_secrets"] = _texts([secret.id for secret in endpoint.secrets])
    if not endpoint.is_pull:
        found["endpoint.timeout"] = _duration(endpoint.timeout)
    found["event_types"] = _texts(subscription.event_types)
    if subscription.environments is not None:
        found["environments"] = _texts(subscription.environments)
    if subscription.pattern is not None:
        found["pattern"] = _json(subscription.pattern)
    for event_type, pin in sorted(subscription.versions.items()):
        found[f"versions.{event_type}"] = ComparedField(pin, str(pin))
    found |= _body(subscription)
    if not endpoint.is_pull:
        found |= _sending(subscription)
    found["owner"] = _text(subscription.owner)
    return found


def _target(endpoint: Endpoint, scrub: Callable[[str], str]) -> dict[str, ComparedField]:
    if endpoint.is_pull:
        return {"endpoint.pull": ComparedField(value=True, shown="true")}
    return {"endpoint.url": ComparedField(endpoint.url, scrub(endpoint.url))}


def _sending(subscription: Subscription) -> dict[str, ComparedField]:
    """Return how often and how fast its deliveries are sent."""
    retry, limits = subscription.retry, subscription.limits
    found: dict[str, ComparedField] = {}
    schedule = " ".join(format_duration(delay) for delay in retry.schedule)
    found["retry.schedule"] = ComparedField(retry.schedule, schedule or "(no retries)")
    found["retry.expires_after"] = _duration(retry.expires_after)
    if retry.final_statuses:
        found["retry.final_statuses"] = _texts(
            [str(each) for each in sorted(retry.final_statuses)]
        )
    found["limits.max_in_flight"] = ComparedField(limits.max_in_flight, str(limits.max_in_flight))
    if limits.rate_limit is not None:
        found["limits.rate_limit"] = ComparedField(limits.rate_limit, f"{limits.rate_limit:g}/s")
    found["limits.weight"] = ComparedField(limits.weight, str(limits.weight))
    return found


def _body(subscription: Subscription) -> Mapping[str, ComparedField]:
    found = {
        "format": _text(subscription.format.value),
        "content": _text(subscription.content.value),
    }
    if subscription.batch is not None:
        most = subscription.batch.max_events
        found["batch.max_events"] = ComparedField(most, str(most))
        found["batch.max_wait"] = _duration(subscription.batch.max_wait)
    if subscription.template is not None:
        found["template"] = _json(subscription.template)
    for name, secret in subscription.endpoint.template_secrets:
        compared_by = (secret.id, secret.value)
        found[f"template_secrets.{name}"] = ComparedField(compared_by, f"{HIDDEN} {secret.id}")
    return found


def _identity(endpoint: Endpoint, scrub: Callable[[str], str]) -> Mapping[str, ComparedField]:
    """Return how requests identify themselves at an endpoint, and all other secret material."""
    found: dict[str, ComparedField] = {}
    match endpoint.credentials:
        case Basic(username):
            found["endpoint.auth.basic.username"] = _text(username)
        case OAuth2(token_url, client_id, _, scopes, client_auth):
            found["endpoint.auth.oauth2.token_url"] = ComparedField(token_url, scrub(token_url))
            found["endpoint.auth.oauth2.client_id"] = _text(client_id)
            if scopes:
                found["endpoint.auth.oauth2.scopes"] = _texts(scopes)
            if client_auth is not ClientAuth.BASIC:
                found["endpoint.auth.oauth2.client_auth"] = _text(client_auth.value)
        case Bearer() | None:
            pass
    for path, secret in replace(endpoint, template_secrets=()).named_secrets():
        shown = f"{HIDDEN} {secret.id}"
        if path == "url" and endpoint.url:
            shown = f"{scrub(endpoint.url)} {shown}"
        found[f"endpoint.{path}"] = ComparedField(
            (endpoint.url, secret) if path == "url" else secret, shown
        )
    return found


def _signing_secret(secret: SigningSecret) -> ComparedField:
    """Show of a secret what is none: its public key, and when it ends."""
    shown = secret.public_key or HIDDEN
    if secret.expires_at is not None:
        shown += f" until {to_rfc3339(secret.expires_at)}"
    return ComparedField((secret.key, secret.scheme, secret.expires_at), shown)


def _text(text: str) -> ComparedField:
    return ComparedField(text, text)


def _texts(texts: Sequence[str]) -> ComparedField:
    return ComparedField(tuple(texts), ", ".join(texts))


def _duration(duration: Millis) -> ComparedField:
    return ComparedField(duration, format_duration(duration))


def _json(value: Json) -> ComparedField:
    return ComparedField(compared(value), json_text(value))
