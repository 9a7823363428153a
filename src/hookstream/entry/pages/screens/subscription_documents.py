"""Turns a subscription's form into the API's document: the whole definition, or the fields that changed.

Secret material goes one way: it is sent as `{value: …}`, and never shown again, not even if it is refused.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import msgspec

from hookstream.entry.api.problems import ProblemKind, RequestRefused
from hookstream.entry.pages.inputs import decimal_in, number_in
from hookstream.entry.pages.screens.subscription_fields import (
    AUTH,
    IDENTITY,
    PATHS,
    PATTERN,
    TEMPLATE,
    URL,
)

_KEPT: Final = ""
"""The choice that keeps the current credentials."""


def _lines(text: str) -> list[str]:
    return [line for each in text.splitlines() if (line := each.strip())]


def _json(text: str, field: str) -> msgspec.Raw | None:
    """Return JSON with its numbers as they were typed."""
    if not text:
        return None
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise RequestRefused(ProblemKind.INVALID, "it is not JSON", field=field) from None
    return msgspec.Raw(text.encode("utf-8", "surrogatepass"))


_READERS: Mapping[str, Callable[[str], object]] = {
    "event_types": _lines,
    "environments": lambda text: _lines(text) or None,
    PATTERN: lambda text: _json(text, PATTERN),
    TEMPLATE: lambda text: _json(text, TEMPLATE),
    "schedule": lambda text: text.replace(",", " ").split() or None,
    "final_statuses": lambda text: [number_in(each) for each in text.replace(",", " ").split()],
    "expires_after": lambda text: text or None,
    "timeout": lambda text: text or None,
    "max_in_flight": lambda text: number_in(text) if text else None,
    "weight": lambda text: number_in(text) if text else None,
    "rate_limit": lambda text: decimal_in(text) if text else None,
    "ca": lambda text: {"value": text},
    "pull": bool,
}
"""Converts the fields that are not sent as they were typed; None: the default."""
_SIMPLE: Final = (
    *(
        "partner",
        "id",
        "start_from",
        "pull",
        "event_types",
        "environments",
        PATTERN,
        "timeout",
        "ca",
    ),
    *("format", "content", TEMPLATE, "schedule", "expires_after", "final_statuses"),
    *("max_in_flight", "rate_limit", "weight"),
)
"""Fields of the form that are each one field of the definition."""


def document_of(
    typed: Mapping[str, str], was: Mapping[str, str], changed: Collection[str]
) -> dict[str, Any]:
    """Return the fields that were changed as the API has them.

    Args:
        typed: All fields as they were typed.
        was: What the form showed, of fields that can be shown; nothing, of a new subscription.
        changed: The names of those that are sent.

    Raises:
        RequestRefused: A typed value cannot be sent.
    """
    body: dict[str, Any] = {}
    for name in _SIMPLE:
        if name in changed:
            text = typed.get(name, "")
            _put(body, PATHS[name], _READERS[name](text) if name in _READERS else text)
    for path, value in _composed(typed, was, changed).items():
        _put(body, path, value)
    return body


def _composed(
    typed: Mapping[str, str], was: Mapping[str, str], changed: Collection[str]
) -> dict[str, Any]:
    """Return the definition's fields that several fields of the form, or lines of one, make up."""
    found: dict[str, Any] = {**_url(typed, changed)}
    if typed.get("ca_gone"):
        found["endpoint.ca"] = None
    if "versions" in changed:
        found["versions"] = _versions(typed.get("versions", ""), was.get("versions", ""))
    headers = _named("headers", typed, was, changed)
    headers |= _named("secret_headers", typed, was, changed, sealed=True)
    found["endpoint.headers"] = headers
    found["template_secrets"] = _named("template_secrets", typed, was, changed, sealed=True)
    found["endpoint.signing_secrets"] = _signing(typed)
    found = {path: value for path, value in found.items() if value not in ({}, [])}
    if {"batch_events", "batch_wait"} & set(changed):
        found["batch"] = _batch(typed)
    auth = _auth(typed)
    if auth is not None:
        found[AUTH] = auth or None
    return found


def _url(typed: Mapping[str, str], changed: Collection[str]) -> dict[str, Any]:
    is_secret = bool(typed.get("url_is_secret"))
    if URL in changed:
        return {"endpoint.url": {"value": typed[URL]} if is_secret else typed[URL]}
    if is_secret:
        raise RequestRefused(
            ProblemKind.INVALID, "is missing: type the URL that is a secret", field="endpoint.url"
        )
    return {}


def _put(body: dict[str, Any], path: str, value: object) -> None:
    *above, last = path.split(".")
    for each in above:
        body = body.setdefault(each, {})
    body[last] = value


def _versions(text: str, was: str) -> dict[str, Any]:
    """Return the pins that differ; None: the pin was removed."""
    found, before = _pins(text), _pins(was)
    gone = dict.fromkeys(before.keys() - found.keys())
    return {**gone, **{name: pin for name, pin in found.items() if before.get(name) != pin}}


def _pins(text: str) -> dict[str, int | str]:
    found: dict[str, int | str] = {}
    for line in _lines(text):
        name, _, pin = line.partition(" ")
        if not pin.strip():
            raise RequestRefused(
                ProblemKind.INVALID,
                "each line has an event type and a version, such as order.generated 2",
                field="versions",
            )
        found[name] = number_in(pin.strip())
    return found


def _named(
    name: str,
    typed: Mapping[str, str],
    was: Mapping[str, str],
    changed: Collection[str],
    *,
    sealed: bool = False,
) -> dict[str, Any]:
    """Return what lines `name: value` change; None: the name was removed."""
    if name not in changed:
        return {}
    before = {*_lines(was.get(name, ""))}
    found: dict[str, Any] = {}
    seen: set[str] = set()
    for line in _lines(typed.get(name, "")):
        each, colon, value = (part.strip() for part in line.partition(":"))
        if not each or (not colon and each not in before):
            # The line may have a secret: it is not quoted.
            raise RequestRefused(
                ProblemKind.INVALID,
                "each line has a name and a value, such as x-tenant: north",
                field=PATHS[name],
            )
        seen.add(each)
        if colon:
            found[each] = {"value": value} if sealed else value
    return {**dict.fromkeys(before - seen), **found}


def _batch(typed: Mapping[str, str]) -> dict[str, Any] | None:
    events, wait = typed.get("batch_events", ""), typed.get("batch_wait", "")
    if not events:
        if wait:
            raise RequestRefused(
                ProblemKind.INVALID, "is missing: 2 to 1000 events", field="batch.max_events"
            )
        return None
    return {"max_events": number_in(events), **({"max_wait": wait} if wait else {})}


def _auth(typed: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the credentials of requests; empty: none; None: unchanged."""
    chosen = typed.get("auth", _KEPT)
    given = {
        each.name: typed[each.name]
        for each in IDENTITY.fields
        if each.path.startswith(f"{AUTH}.") and typed.get(each.name)
    }
    wanted = {name for name in given if name.partition("_")[0] in (chosen, "mtls")}
    if wanted < given.keys() or (chosen in (_KEPT, "none") and given):
        raise RequestRefused(
            ProblemKind.INVALID,
            "choose the way to authenticate: the typed values belong to another one, and a choice replaces them all",
            field=AUTH,
        )
    if chosen == _KEPT:
        return None
    auth: dict[str, Any] = {}
    match chosen:
        case "bearer":
            auth["bearer"] = {"token": _secret(given, "bearer_token")}
        case "basic":
            auth["basic"] = {
                "username": given.get("basic_username", ""),
                "password": _secret(given, "basic_password"),
            }
        case "oauth2":
            auth["oauth2"] = {
                "token_url": given.get("oauth2_token_url", ""),
                "client_id": given.get("oauth2_client_id", ""),
                "client_secret": _secret(given, "oauth2_client_secret"),
                "scopes": given.get("oauth2_scopes", "").split(),
            }
            if "oauth2_client_auth" in given:
                auth["oauth2"]["client_auth"] = given["oauth2_client_auth"]
        case _:
            pass
    if chosen == "mtls" or {"mtls_certificate", "mtls_key"} & given.keys():
        auth["mtls"] = {
            "certificate": _secret(given, "mtls_certificate"),
            "key": _secret(given, "mtls_key"),
        }
    return auth


def _secret(given: Mapping[str, str], name: str) -> dict[str, str]:
    if name not in given:
        raise RequestRefused(
            ProblemKind.INVALID,
            "is missing: type secrets again each time",
            field=PATHS[name],
        )
    return {"value": given[name]}


def _signing(typed: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the signing secrets of a new subscription; none: one is generated."""
    given = _lines(typed.get("signing_values", ""))
    if typed.get("signing") == "given" or given:
        return [{"value": each} for each in given]
    return [{"generate": True, "scheme": each} for each in typed.get("signing", "").split()]
