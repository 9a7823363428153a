"""A subscription's row: an envelope readable by every release, and a body that may need a key."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from hookstream.adapters.tables.row import Row
from hookstream.adapters.tables.row_json import (
    FORMAT,
    IDENTITY_FORMAT,
    PULL_FORMAT,
    check_format,
    encoded,
    row_of,
)
from hookstream.adapters.tables.sealed import Keys
from hookstream.core.delivery.bodies.template import compile_template
from hookstream.core.model import row_fields as fields
from hookstream.core.model.instant import format_duration
from hookstream.core.model.row_fields import (
    FieldKind,
    FieldUnreadable,
    RowFields,
    Values,
    WrongType,
)
from hookstream.core.model.subscription import (
    FEWEST_IN_BATCH,
    LONGEST_BATCH_WAIT,
    MOST_IN_BATCH,
    Basic,
    Batch,
    Bearer,
    BodyFormat,
    ClientAuth,
    Content,
    Credentials,
    Endpoint,
    Gap,
    Limits,
    MutualTls,
    OAuth2,
    RetryPolicy,
    Secret,
    SigningScheme,
    SigningSecret,
    Subscription,
    SubscriptionState,
    UnreadableSubscription,
    VersionPin,
)
from hookstream.errors import ConfigurationError, InvariantBroken


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
                raise ValueError(f"{pin!r} is not a version")
    return pins


def _rate(found: object) -> float:
    if not isinstance(found, int | float):
        raise WrongType("is not a number")
    return float(found)


def _batch_size(found: object) -> int:
    size: int = fields.WHOLE.read(found)
    if not FEWEST_IN_BATCH <= size <= MOST_IN_BATCH:
        raise WrongType(f"is {size}, not {FEWEST_IN_BATCH} to {MOST_IN_BATCH}")
    return size


def _batch_wait(found: object) -> int:
    wait: int = fields.DURATION.read(found)
    if wait > LONGEST_BATCH_WAIT:
        longest = format_duration(LONGEST_BATCH_WAIT)
        raise WrongType(f"is {format_duration(wait)}, longer than {longest}")
    return wait


def _weight(found: object) -> int:
    weight: int = fields.WHOLE.read(found)
    if weight < 1:
        raise WrongType("is less than 1")
    return weight


_GAP = RowFields(
    start=fields.INSTANT,
    end=fields.optional(fields.INSTANT),
    # A gap with a reason unknown to this release is still a gap.
    reason=FieldKind(lambda found: found if found in ("disabled", "started") else "paused"),
    # Earlier releases ignore both: they match nothing in a gap, filled or not.
    filled_by=fields.optional(fields.TEXT).sparse(),
    incomplete=FieldKind(lambda found: found is True).sparse(absent=False),
).of(Gap)

_CIPHERTEXT_FIELDS = ("id", "key_id", "ciphertext")
_CIPHERTEXT = RowFields(**dict.fromkeys(_CIPHERTEXT_FIELDS, fields.TEXT))

_SEALED = FieldKind(
    lambda found: _sealed_secret(**_CIPHERTEXT.values(fields.OBJECT.read(found))),
    lambda secret: dict(zip(_CIPHERTEXT_FIELDS, _ciphertext_of(secret), strict=True)),
)
"""A `Secret` whose value is still encrypted; `_opened` and `_sealed` convert it."""


_SIGNING = {
    "scheme": fields.parsed(SigningScheme).sparse(SigningScheme.V1),
    "expires_at": fields.optional(fields.INSTANT).sparse(),
    # In the clear, so that it can be shown without a key ring.
    "public_key": fields.optional(fields.TEXT).sparse(),
    # Earlier releases ignore it and leave it out of the rows that they write, so it is lost.
    "since": fields.optional(fields.INSTANT).sparse(),
}
_SIGNING_SECRET = RowFields(**dict.fromkeys(_CIPHERTEXT_FIELDS, fields.TEXT), **_SIGNING)
_HOW_IT_SIGNS = RowFields(**_SIGNING)

_CREDENTIALS: Mapping[str, tuple[type, FieldKind]] = {
    "bearer": (Bearer, RowFields(token=_SEALED).of(Bearer)),
    "basic": (Basic, RowFields(username=fields.TEXT, password=_SEALED).of(Basic)),
    "oauth2": (
        OAuth2,
        RowFields(
            token_url=fields.TEXT,
            client_id=fields.TEXT,
            client_secret=_SEALED,
            scopes=fields.TEXTS,
            client_auth=fields.parsed(ClientAuth).sparse(ClientAuth.BASIC),
        ).of(OAuth2),
    ),
}


def _read_credentials(found: object) -> Credentials:
    match list(fields.OBJECT.read(found).items()):
        case [(name, value)] if name in _CREDENTIALS:
            credentials: Credentials = _CREDENTIALS[name][1].read(value)
            return credentials
        case _:
            raise ValueError(f"it is none of {', '.join(_CREDENTIALS)}")


def _write_credentials(credentials: Credentials) -> object:
    for name, (kind, written) in _CREDENTIALS.items():
        if isinstance(credentials, kind):
            return {name: written.write(credentials)}
    raise InvariantBroken(f"{type(credentials).__name__} has no form in a row")


def _named_secret(found: object) -> tuple[str, Secret]:
    match found:
        case [str() as name, sealed]:
            return name, _SEALED.read(sealed)
        case _:
            raise WrongType("is not a name and a secret")


_NAMED_SECRETS = fields.listed(
    FieldKind(_named_secret, lambda each: [each[0], _SEALED.write(each[1])])
).sparse([])

_ENDPOINT = RowFields(
    url=fields.TEXT,
    headers=fields.listed(FieldKind(_header)),
    timeout=fields.DURATION,
    signing_secrets=FieldKind(
        fields.listed(_SIGNING_SECRET.of(dict)).read, lambda _: [], "secrets"
    ),
    url_secret=fields.optional(_SEALED).sparse(),
    secret_headers=_NAMED_SECRETS,
    auth=fields.optional(FieldKind(_read_credentials, _write_credentials))
    .into("credentials")
    .sparse(),
    mtls=fields.optional(RowFields(certificate=_SEALED, key=_SEALED).of(MutualTls)).sparse(),
    ca=fields.optional(_SEALED).sparse(),
    template_secrets=_NAMED_SECRETS,
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
    template=FieldKind(lambda found: found).sparse(),
    batch=fields.optional(
        RowFields(
            max_events=FieldKind(_batch_size),
            max_wait=FieldKind(_batch_wait, fields.DURATION.write),
        ).of(Batch)
    ).sparse(),
)
_HAS_BODY = RowFields(body=_BODY.of(dict))

_PULL = "pull"
_PULLED = RowFields(event_types=fields.TEXTS)
"""The body of a subscription without an endpoint has its event types under `pull`. Its envelope leaves them
out, so that workers of earlier releases match nothing by it."""

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

_REST = RowFields(
    state=fields.parsed(SubscriptionState),
    owner=fields.TEXT,
    # Earlier releases ignore it and leave it out of the rows that they write.
    declared_at=fields.REMARK.sparse(""),
)
"""The optional fields of an envelope, next to the body."""


def write_subscription(subscription: Subscription, keys: Keys) -> bytes:
    """Return the row of a subscription, its secret material encrypted with the active key."""
    seal = partial(_sealed, keys, subscription.id)
    endpoint = subscription.endpoint.with_secrets(seal)
    body = _BODY.document(replace(subscription, endpoint=endpoint))
    body["endpoint"]["signing_secrets"] = [
        _sealed_signing_secret(subscription.id, secret, keys) for secret in endpoint.secrets
    ]
    outside = {**_ENVELOPE.document(subscription), **_REST.document(subscription)}
    if endpoint.is_pull:
        body[_PULL] = _PULLED.document(subscription)
        return encoded({**outside, "event_types": [], "body": body}, PULL_FORMAT)
    least = IDENTITY_FORMAT if needs_upgraded_workers(subscription) else FORMAT
    return encoded({**outside, "body": body}, least)


def needs_upgraded_workers(subscription: Subscription) -> bool:
    """Return whether workers of earlier releases cannot read the row, and defer its deliveries.

    They read a subscription without an endpoint as one without event types.
    """
    if subscription.endpoint.is_pull:
        return False
    return subscription != _as_earlier_releases(subscription)


def _as_earlier_releases(subscription: Subscription) -> Subscription:
    """Return what a release before `IDENTITY_FORMAT` would read of a subscription."""
    endpoint = subscription.endpoint
    return replace(
        subscription,
        endpoint=Endpoint(
            endpoint.url,
            tuple(SigningSecret(each.id, each.key, since=each.since) for each in endpoint.secrets),
            endpoint.headers,
            endpoint.timeout,
        ),
        format=BodyFormat.STANDARD,
        content=Content.FULL,
        template=None,
        batch=None,
    )


def read_subscription(key: str, value: bytes, keys: Keys) -> Subscription | UnreadableSubscription:
    """Return the subscription in a row.

    Returns:
        An UnreadableSubscription if the envelope is readable but the body is not: it has another
        format, a key is missing, or its template or batch is not valid in this release. A deleted one
        needs no body, since nothing is sent for it.

    Raises:
        EnvelopeUnreadable: The envelope is unreadable too.
    """
    row = row_of(key, value)
    envelope = _ENVELOPE.read_object(key, row)
    try:
        check_format(row)
        found = Subscription(**{**envelope, **_REST.values(row), **_opened(key, row, keys)})
        _check_template(found)
    except (FieldUnreadable, ConfigurationError) as why:
        if envelope["state"] == SubscriptionState.DELETED:
            envelope["state"] = SubscriptionState.DELETED
            return Subscription(endpoint=Endpoint("", ()), **envelope)
        del envelope["state"], envelope["revision"]
        return UnreadableSubscription(**envelope, why=str(why))
    return found


def _check_template(found: Subscription) -> None:
    """Refuse a template that this release cannot render."""
    if found.format is not BodyFormat.TEMPLATE:
        return
    compile_template(found.template)
    if found.batch is not None:
        raise FieldUnreadable("`batch`: a template makes no batches")


def _opened(subscription_id: str, row: Mapping[str, object], keys: Keys) -> Values:
    """Return the contents of the body, with its secret material decrypted."""
    body: Values = _HAS_BODY.values(row)["body"]
    endpoint: Values = body["endpoint"]
    pulled = _pulled(row)
    endpoint["secrets"] = tuple(
        SigningSecret(
            each["id"],
            keys.decrypt(
                each["key_id"], each["ciphertext"], _belonging(subscription_id, each["id"])
            ),
            each["scheme"],
            each["expires_at"],
            each["public_key"],
            each["since"],
        )
        for each in endpoint["secrets"]
    )

    def opened(path: str, secret: Secret) -> Secret:
        belonging = _belonging(subscription_id, secret.id, path)
        return Secret(secret.id, keys.decrypt(*_ciphertext_of(secret)[1:], belonging))

    endpoint["is_pull"] = bool(pulled)
    return {**body, **pulled, "endpoint": Endpoint(**endpoint).with_secrets(opened)}


def _pulled(row: Mapping[str, object]) -> Values:
    """Return the fields of a subscription without an endpoint; none for one with an endpoint."""
    described = fields.OBJECT.read(row["body"]).get(_PULL)
    if described is None:
        return {}
    try:
        return _PULLED.values(fields.OBJECT.read(described))
    except WrongType as why:
        raise FieldUnreadable(f"`{_PULL}` {why}") from None


def _sealed(keys: Keys, subscription_id: str, path: str, secret: Secret) -> Secret:
    belonging = _belonging(subscription_id, secret.id, path)
    return _sealed_secret(secret.id, *keys.encrypt(secret.value, belonging))


def _sealed_secret(id: str, key_id: str, ciphertext: str) -> Secret:  # noqa: A002  the row's word
    return Secret(id, f"{key_id}\0{ciphertext}".encode())


def _ciphertext_of(secret: Secret) -> tuple[str, str, str]:
    """Return the name, the key's id and the ciphertext of a sealed secret."""
    key_id, _, ciphertext = secret.text.partition("\0")
    return secret.id, key_id, ciphertext


def _sealed_signing_secret(
    subscription_id: str, secret: SigningSecret, keys: Keys
) -> dict[str, object]:
    key_id, ciphertext = keys.encrypt(secret.key, _belonging(subscription_id, secret.id))
    sealed = {"id": secret.id, "key_id": key_id, "ciphertext": ciphertext}
    return {**sealed, **_HOW_IT_SIGNS.document(secret)}


def _belonging(subscription_id: str, secret_id: str, path: str = "") -> bytes:
    """Return the associated data of a secret: it decrypts in no other row, field or name."""
    return "\0".join((subscription_id, secret_id, *([path] if path else []))).encode()
