"""A subscription's row: an envelope readable by every release, and a body that may need a key."""

from collections.abc import Mapping

from hookstream.adapters.tables.row import Row
from hookstream.adapters.tables.row_json import check_format, encoded, row_of
from hookstream.adapters.tables.sealed import Keys
from hookstream.core.model import row_fields as fields
from hookstream.core.model.row_fields import (
    FieldKind,
    FieldUnreadable,
    RowFields,
    Values,
    WrongType,
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


def _header(found: object) -> tuple[str, str]:
    match found:
        case [str() as name, str() as text]:
            return name, text
        case _:
            raise WrongType("is not a name and a text")


def _pins(found: object) -> dict[str, VersionPin]:
    pins: dict[str, VersionPin] = {}
    for event_type, pin in fields.OBJECT.read(found).items():
        match pin:
            case int() | "latest":
                pins[event_type] = pin
            case _:
                raise ValueError(f"{pin!r} is no version")
    return pins


def _rate(found: object) -> float:
    if not isinstance(found, int | float):
        raise WrongType("is not a number")
    return float(found)


def _weight(found: object) -> int:
    weight: int = fields.WHOLE.read(found)
    if weight < 1:
        raise WrongType("is less than 1")
    return weight


_GAP = RowFields(
    start=fields.INSTANT,
    end=fields.optional(fields.INSTANT),
    # A gap with a reason unknown to this release is still a gap.
    reason=FieldKind(lambda found: "disabled" if found == "disabled" else "paused"),
).of(Gap)

_SECRET = RowFields(id=fields.TEXT, key_id=fields.TEXT, ciphertext=fields.TEXT).of(dict)
"""Read still encrypted; the caller with the keys decrypts it."""

_ENDPOINT = RowFields(
    url=fields.TEXT,
    headers=fields.listed(FieldKind(_header)),
    timeout=fields.DURATION,
    signing_secrets=FieldKind(fields.listed(_SECRET).read, attribute="secrets"),
).of(dict)

_RETRY = RowFields(
    schedule=fields.listed(fields.DURATION),
    expires_after=fields.DURATION,
    final_statuses=FieldKind(
        lambda found: frozenset(fields.listed(fields.WHOLE).read(found)), sorted
    ),
).of(RetryPolicy)

_LIMITS = RowFields(
    max_in_flight=fields.WHOLE,
    rate_limit=fields.optional(FieldKind(_rate)),
    weight=FieldKind(_weight, absent=1),
).of(Limits)

_BODY = RowFields(
    endpoint=_ENDPOINT,
    environments=fields.optional(fields.TEXTS),
    pattern=fields.optional(fields.OBJECT),
    versions=FieldKind(_pins, dict),
    format=fields.parsed(BodyFormat),
    content=fields.parsed(Content),
    retry=_RETRY,
    limits=_LIMITS,
)
_HAS_BODY = RowFields(body=_BODY.of(dict))

_ENVELOPE: Row[Values] = Row(
    "subscription",
    dict,
    revision=fields.WHOLE,
    id=fields.TEXT,
    partner=fields.TEXT.into("partner_id"),
    state=fields.TEXT,
    event_types=fields.TEXTS,
    active_from=fields.INSTANT,
    gaps=fields.listed(_GAP),
)
"""The fields of a subscription that are readable without a key and in every format."""

_REST = RowFields(state=fields.parsed(SubscriptionState), owner=fields.TEXT)
"""The fields beside the body that an envelope does not require."""


def write_subscription(subscription: Subscription, keys: Keys) -> bytes:
    """Return the row of a subscription, its signing secrets encrypted with the active key."""
    body = _BODY.document(subscription)
    body["endpoint"]["signing_secrets"] = [
        _sealed(subscription.id, secret, keys) for secret in subscription.endpoint.secrets
    ]
    outside = {**_ENVELOPE.document(subscription), **_REST.document(subscription)}
    return encoded({**outside, "body": body})


def read_subscription(key: str, value: bytes, keys: Keys) -> Subscription | UnreadableSubscription:
    """Return the subscription in a row.

    Returns:
        An UnreadableSubscription if the envelope is readable but the body is not: it has another
        format, or a key is missing. A deleted one needs no body: nothing is sent for it.

    Raises:
        EnvelopeUnreadable: The envelope is unreadable too.
    """
    row = row_of(key, value)
    envelope = _ENVELOPE.read_object(key, row)
    try:
        check_format(row)
        return Subscription(**{**envelope, **_REST.values(row), **_opened(key, row, keys)})
    except (FieldUnreadable, ConfigurationError) as why:
        if envelope["state"] == SubscriptionState.DELETED:
            envelope["state"] = SubscriptionState.DELETED
            return Subscription(endpoint=Endpoint("", ()), **envelope)
        del envelope["state"], envelope["revision"]
        return UnreadableSubscription(**envelope, why=str(why))


def _opened(subscription_id: str, row: Mapping[str, object], keys: Keys) -> Values:
    """Return the contents of the body, with the signing secrets decrypted."""
    body: Values = _HAS_BODY.values(row)["body"]
    endpoint: Values = body["endpoint"]
    endpoint["secrets"] = tuple(
        SigningSecret(
            each["id"],
            keys.decrypt(
                each["key_id"], each["ciphertext"], _belonging(subscription_id, each["id"])
            ),
        )
        for each in endpoint["secrets"]
    )
    return {**body, "endpoint": Endpoint(**endpoint)}


def _sealed(subscription_id: str, secret: SigningSecret, keys: Keys) -> dict[str, str]:
    key_id, ciphertext = keys.encrypt(secret.key, _belonging(subscription_id, secret.id))
    return {"id": secret.id, "key_id": key_id, "ciphertext": ciphertext}


def _belonging(subscription_id: str, secret_id: str) -> bytes:
    """Return the associated data of a secret: it decrypts in no other row and under no other name."""
    return f"{subscription_id}\0{secret_id}".encode()
