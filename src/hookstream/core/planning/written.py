"""A subscription as the definition that declares it, and what a partial definition changes of one.

Secrets are named, as those that the row keeps; their material is nowhere in it.
"""

from collections.abc import Mapping
from typing import cast

from hookstream.core.model.instant import format_duration
from hookstream.core.model.json import Json, JsonObject
from hookstream.core.model.subscription import (
    Basic,
    Bearer,
    ClientAuth,
    Endpoint,
    OAuth2,
    Subscription,
)
from hookstream.core.planning.request_secrets import SIGNING

_MERGED: Mapping[str, frozenset[str]] = {
    "": frozenset({"endpoint", "retry", "limits", "versions", "template_secrets"}),
    "endpoint": frozenset({"headers"}),
}
"""The mappings of which a partial definition changes single fields; any other value is replaced as a whole."""


def definition_of(subscription: Subscription) -> JsonObject:
    """Return the definition of a subscription, with the name of each secret in place of its material.

    Signing secrets that end by themselves are not in it: a definition declares lasting ones only.
    """
    retry, limits = subscription.retry, subscription.limits
    found: JsonObject = {
        "id": subscription.id,
        "partner": subscription.partner_id,
        "endpoint": _endpoint(subscription.endpoint),
        "event_types": [*subscription.event_types],
        "environments": _list(subscription.environments),
        "pattern": subscription.pattern,
        "versions": {**subscription.versions},
        "format": subscription.format.value,
        "content": subscription.content.value,
        "template": subscription.template,
        "template_secrets": {
            name: _kept(f"template_secrets.{name}")
            for name, _ in subscription.endpoint.template_secrets
        },
        "retry": {
            "schedule": [format_duration(delay) for delay in retry.schedule],
            "expires_after": format_duration(retry.expires_after),
            "final_statuses": [*sorted(retry.final_statuses)],
        },
        "limits": {
            "max_in_flight": limits.max_in_flight,
            "rate_limit": limits.rate_limit,
            "weight": limits.weight,
        },
    }
    if subscription.endpoint.is_pull:
        # Nothing is sent, so it has neither.
        del found["retry"], found["limits"]
    if subscription.batch is not None:
        found["batch"] = {
            "max_events": subscription.batch.max_events,
            "max_wait": format_duration(subscription.batch.max_wait),
        }
    return found


def patched(definition: JsonObject, patch: JsonObject) -> JsonObject:
    """Return a definition with the fields of a partial one; null removes a field (RFC 7396).

    Of the endpoint, its headers, the retries, the limits, the pins and the secrets of a template single fields
    are changed. Everything else, such as a pattern, is replaced as a whole.
    """
    return _merged(definition, patch, "")


def _merged(before: JsonObject, patch: JsonObject, path: str) -> JsonObject:
    found = {**before}
    for name, value in patch.items():
        present = found.get(name)
        if value is None:
            found.pop(name, None)
        elif name in _MERGED.get(path, ()) and isinstance(value, dict):
            found[name] = _merged(present if isinstance(present, dict) else {}, value, name)
        else:
            found[name] = value
    return found


def _endpoint(endpoint: Endpoint) -> JsonObject:
    headers: JsonObject = dict(endpoint.headers)
    headers |= {name: _kept(f"headers.{name}") for name, _ in endpoint.secret_headers}
    signing: list[Json] = [
        _kept(SIGNING + each.id) for each in endpoint.secrets if each.expires_at is None
    ]
    if endpoint.is_pull:
        return {"pull": True, "signing_secrets": signing}
    found: JsonObject = {
        "url": endpoint.url if endpoint.url_secret is None else _kept("url"),
        "headers": headers,
        "signing_secrets": signing,
        "timeout": format_duration(endpoint.timeout),
    }
    auth = _auth(endpoint)
    if auth:
        found["auth"] = auth
    if endpoint.ca is not None:
        found["ca"] = _kept("ca")
    return found


def _auth(endpoint: Endpoint) -> JsonObject:
    auth: JsonObject = {}
    match endpoint.credentials:
        case Bearer():
            auth["bearer"] = {"token": _kept("auth.bearer.token")}
        case Basic(username):
            auth["basic"] = {"username": username, "password": _kept("auth.basic.password")}
        case OAuth2(token_url, client_id, _, scopes, client_auth):
            oauth2: JsonObject = {
                "token_url": token_url,
                "client_id": client_id,
                "client_secret": _kept("auth.oauth2.client_secret"),
                "scopes": [*scopes],
            }
            if client_auth is not ClientAuth.BASIC:
                oauth2["client_auth"] = client_auth.value
            auth["oauth2"] = oauth2
        case None:
            pass
    if endpoint.mtls is not None:
        auth["mtls"] = {
            "certificate": _kept("auth.mtls.certificate"),
            "key": _kept("auth.mtls.key"),
        }
    return auth


def _kept(name: str) -> JsonObject:
    return {"kept": name}


def _list(values: tuple[str, ...] | None) -> Json:
    return None if values is None else cast("list[Json]", [*values])
