"""A subscription's row: an envelope that everybody can read, and a body for who has the key."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from hookstream.adapters.tables import fields
from hookstream.adapters.tables.fields import EnvelopeUnreadable
from hookstream.core.model.instant import (
    Millis,
    format_duration,
    from_rfc3339,
    parse_duration,
    to_rfc3339,
)
from hookstream.core.model.subscription import (
    BodyFormat,
    Content,
    Endpoint,
    Gap,
    Limits,
    RetryPolicy,
    SigningSecret,
    Subscription,
    SubscriptionState,
    UnreadableSubscription,
    VersionPin,
)
from hookstream.errors import ConfigurationError


class Keys(Protocol):
    """The key ring, as far as table values need it."""

    def encrypt(self, plaintext: bytes, associated: bytes) -> tuple[str, str]:
        """Return the id of the key used, and the ciphertext as text."""

    def decrypt(self, key_id: str, ciphertext: str, associated: bytes) -> bytes:
        """Return the plaintext, or raise ConfigurationError where this ring cannot."""


def write_subscription(subscription: Subscription, keys: Keys) -> bytes:
    """Return the row of a subscription, its signing secrets encrypted with the active key."""
    endpoint, retry, limits = subscription.endpoint, subscription.retry, subscription.limits
    return fields.encoded(
        {
            "revision": subscription.revision,
            "id": subscription.id,
            "partner": subscription.partner_id,
            "state": subscription.state,
            "event_types": subscription.event_types,
            "active_from": to_rfc3339(subscription.active_from),
            "gaps": [_gap_document(gap) for gap in subscription.gaps],
            "owner": subscription.owner,
            "body": {
                "endpoint": {
                    "url": endpoint.url,
                    "headers": [list(header) for header in endpoint.headers],
                    "timeout": format_duration(endpoint.timeout),
                    "signing_secrets": [
                        _sealed(subscription.id, secret, keys) for secret in endpoint.secrets
                    ],
                },
                "environments": subscription.environments,
                "pattern": subscription.pattern,
                "versions": dict(subscription.versions),
                "format": subscription.format,
                "content": subscription.content,
                "retry": {
                    "schedule": [format_duration(delay) for delay in retry.schedule],
                    "expires_after": format_duration(retry.expires_after),
                    "final_statuses": sorted(retry.final_statuses),
                },
                "limits": {
                    "max_in_flight": limits.max_in_flight,
                    "rate_limit": limits.rate_limit,
                    "weight": limits.weight,
                },
            },
        }
    )


def read_subscription(key: str, value: bytes, keys: Keys) -> Subscription | UnreadableSubscription:
    """Return the subscription that a row holds.

    Returns:
        An UnreadableSubscription where the envelope can be read and the body cannot: it is of
        another format, or a key is missing. A deleted one needs no body: nothing is sent for it.

    Raises:
        EnvelopeUnreadable: The envelope cannot be read either.
    """
    row = fields.row_of(key, value)
    try:
        envelope = _Envelope.read(key, row)
    except fields.FieldUnreadable as why:
        raise EnvelopeUnreadable(f"subscription {key!r}: {why}") from None
    try:
        fields.check_format(row)
        return _subscription(envelope, row, keys)
    except (fields.FieldUnreadable, ConfigurationError) as why:
        if envelope.state == SubscriptionState.DELETED:
            return envelope.deleted()
        return UnreadableSubscription(
            envelope.id,
            envelope.partner_id,
            envelope.event_types,
            envelope.active_from,
            envelope.gaps,
            str(why),
        )


@dataclass(slots=True, frozen=True)
class _Envelope:
    """What is readable of a subscription without a key and in every format."""

    id: str
    partner_id: str
    event_types: tuple[str, ...]
    active_from: Millis
    gaps: tuple[Gap, ...]
    state: str
    revision: int

    @classmethod
    def read(cls, key: str, row: Mapping[str, object]) -> "_Envelope":
        fields.check_id(row, key)
        return cls(
            key,
            fields.text(row, "partner"),
            fields.texts(row, "event_types"),
            fields.parsed(row, "active_from", from_rfc3339),
            tuple(_gap(each) for each in fields.sections(row, "gaps")),
            fields.text(row, "state"),
            fields.integer(row, "revision"),
        )

    def deleted(self) -> Subscription:
        return Subscription(
            self.id,
            self.partner_id,
            Endpoint("", ()),
            self.event_types,
            self.active_from,
            state=SubscriptionState.DELETED,
            gaps=self.gaps,
            revision=self.revision,
        )


def _subscription(envelope: _Envelope, row: Mapping[str, object], keys: Keys) -> Subscription:
    body = fields.section(row, "body")
    limits = fields.section(body, "limits")
    return Subscription(
        id=envelope.id,
        partner_id=envelope.partner_id,
        endpoint=_endpoint(envelope.id, fields.section(body, "endpoint"), keys),
        event_types=envelope.event_types,
        active_from=envelope.active_from,
        environments=None
        if body.get("environments") is None
        else fields.texts(body, "environments"),
        pattern=fields.pattern(body),
        versions=_versions(body),
        format=fields.parsed(body, "format", BodyFormat),
        content=fields.parsed(body, "content", Content),
        retry=_retry(fields.section(body, "retry")),
        limits=Limits(fields.integer(limits, "max_in_flight"), _rate(limits), _weight(limits)),
        state=fields.parsed(row, "state", SubscriptionState),
        gaps=envelope.gaps,
        revision=envelope.revision,
        owner=fields.text(row, "owner"),
    )


def _endpoint(subscription_id: str, row: Mapping[str, object], keys: Keys) -> Endpoint:
    headers: list[tuple[str, str]] = []
    for header in fields.items(row, "headers"):
        match header:
            case [str() as name, str() as text]:
                headers.append((name, text))
            case _:
                raise fields.FieldUnreadable(
                    "`headers` holds something that is not a name and a text"
                )
    secrets = tuple(
        _opened(subscription_id, each, keys) for each in fields.sections(row, "signing_secrets")
    )
    return Endpoint(
        fields.text(row, "url"),
        secrets,
        tuple(headers),
        fields.parsed(row, "timeout", parse_duration),
    )


def _sealed(subscription_id: str, secret: SigningSecret, keys: Keys) -> dict[str, str]:
    key_id, ciphertext = keys.encrypt(secret.key, _belonging(subscription_id, secret.id))
    return {"id": secret.id, "key_id": key_id, "ciphertext": ciphertext}


def _opened(subscription_id: str, row: Mapping[str, object], keys: Keys) -> SigningSecret:
    secret_id = fields.text(row, "id")
    key = keys.decrypt(
        fields.text(row, "key_id"),
        fields.text(row, "ciphertext"),
        _belonging(subscription_id, secret_id),
    )
    return SigningSecret(secret_id, key)


def _belonging(subscription_id: str, secret_id: str) -> bytes:
    """What a secret's ciphertext is bound to: it opens in no other row and under no other name."""
    return f"{subscription_id}\0{secret_id}".encode()


def _gap_document(gap: Gap) -> dict[str, str | None]:
    end = None if gap.end is None else to_rfc3339(gap.end)
    return {"start": to_rfc3339(gap.start), "end": end, "reason": gap.reason}


def _gap(row: Mapping[str, object]) -> Gap:
    end = None if row.get("end") is None else fields.parsed(row, "end", from_rfc3339)
    # A gap of a reason that this release does not know is a gap all the same.
    reason: Literal["paused", "disabled"] = (
        "disabled" if row.get("reason") == "disabled" else "paused"
    )
    return Gap(fields.parsed(row, "start", from_rfc3339), end, reason)


def _retry(row: Mapping[str, object]) -> RetryPolicy:
    statuses: list[int] = []
    for status in fields.items(row, "final_statuses"):
        if not isinstance(status, int):
            raise fields.FieldUnreadable(
                "`final_statuses` holds something that is not a whole number"
            )
        statuses.append(status)
    try:
        schedule = tuple(parse_duration(delay) for delay in fields.texts(row, "schedule"))
    except ValueError as why:
        raise fields.FieldUnreadable(f"`schedule`: {why}") from None
    return RetryPolicy(
        schedule, fields.parsed(row, "expires_after", parse_duration), frozenset(statuses)
    )


def _versions(row: Mapping[str, object]) -> dict[str, VersionPin]:
    pins: dict[str, VersionPin] = {}
    for event_type, pin in fields.section(row, "versions").items():
        match pin:
            case int():
                pins[event_type] = pin
            case "latest":
                pins[event_type] = "latest"
            case _:
                raise fields.FieldUnreadable(f"`versions`: {pin!r} is no version")
    return pins


def _rate(row: Mapping[str, object]) -> float | None:
    match row.get("rate_limit"):
        case None:
            return None
        case int() | float() as rate:
            return float(rate)
        case _:
            raise fields.FieldUnreadable("`rate_limit` is not a number")


def _weight(row: Mapping[str, object]) -> int:
    """Return the weight; rows were written without one when there was only 1."""
    weight = fields.integer(row, "weight") if "weight" in row else 1
    if weight < 1:
        raise fields.FieldUnreadable("`weight` is less than 1")
    return weight
