"""Builds and caches the parts of a request that all attempts of one subscription revision share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from hookstream.core.delivery import address, signing
from hookstream.core.delivery.bodies.batch import BatchBody, batch_body
from hookstream.core.delivery.bodies.formats import SharedFormat, media_type
from hookstream.core.delivery.bodies.template import Template, compile_template
from hookstream.core.delivery.identity import batch_id
from hookstream.core.delivery.quoted_secrets import SecretForms, secret_forms, url_secrets
from hookstream.core.delivery.tokens import basic
from hookstream.core.model.delivery import Delivery
from hookstream.core.model.endpoint_identity import (
    TlsIdentity,
    TokenRequest,
    tls_identity,
    token_request,
)
from hookstream.core.model.instant import Millis
from hookstream.core.model.subscription import (
    Basic,
    Bearer,
    BodyFormat,
    Content,
    Endpoint,
    OAuth2,
    SigningScheme,
    SigningSecret,
    Subscription,
)
from hookstream.errors import InvariantBroken
from hookstream.pipeline.ports import Post, PublicKeySigning

Shared: TypeAlias = tuple[SharedFormat, Content]


@dataclass(slots=True, frozen=True)
class Prepared:
    """The parts of a request that every attempt of one subscription revision shares."""

    subscription: Subscription
    headers: signing.RequestHeaders
    host: str
    url: str = field(repr=False)
    """The endpoint's URL. Never show it."""
    tls: TlsIdentity | None
    token: TokenRequest | None
    valid_until: Millis | None
    """When a signing secret stops signing, by the brokers' time; None: never."""
    body: Template | Shared | None = None
    """The body's template, or its format and content; None: the full `standard` body."""
    batch: BatchBody | None = None
    """The frame around the bodies of one request; None: a request is one body without a frame."""
    template_secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret_forms: SecretForms = field(default=(), repr=False)
    """The secrets of its requests, which are removed from an answer that is kept."""

    def request(
        self, deliveries: Sequence[Delivery], bodies: Sequence[bytes], now: Millis
    ) -> Post:
        """Return the request of the next attempt of these deliveries, signed.

        Args:
            deliveries: One; or several of one run, if the subscription has batches.
            bodies: The body of each.
            now: The time of the attempt.

        Raises:
            InvariantBroken: There are several, and the subscription has no batches.
        """
        first, body, of_batch = deliveries[0], bodies[0], None
        replay = first.job if first.job is not None and first.is_background else None
        if self.batch is None:
            if len(deliveries) > 1:
                raise InvariantBroken(f"{self.subscription.id} has no batches")
            headers = self.headers.of(
                first.delivery_id,
                now // 1000,
                body,
                attempt=first.attempt + 1,
                trigger=first.trigger,
                replay=replay,
            )
        else:
            body = self.batch.of(bodies)
            of_batch = batch_id([delivery.delivery_id for delivery in deliveries])
            headers = self.headers.of_batch(of_batch, now // 1000, body, replay=replay)
        subscription = self.subscription
        return Post(
            subscription.id,
            self.url,
            headers,
            body,
            subscription.endpoint.timeout,
            self.tls,
            self.token,
            of_batch,
        )


class PreparedRequests:
    """The request parts, by subscription."""

    def __init__(self, public_key_signing: PublicKeySigning) -> None:
        """Start empty."""
        self._public_key_signing = public_key_signing
        self._prepared: dict[str, Prepared] = {}

    def of(self, subscription: Subscription, now: Millis) -> Prepared:
        """Return the parts that attempts of this revision share at an instant."""
        found = self._prepared.get(subscription.id)
        if (
            found is not None
            and found.subscription is subscription
            and (found.valid_until is None or now < found.valid_until)
        ):
            return found
        prepared = self._prepared[subscription.id] = self._make(subscription, now)
        return prepared

    def forget(self, subscription_id: str) -> None:
        """Drop a subscription's parts, with its keys."""
        self._prepared.pop(subscription_id, None)

    def _make(self, subscription: Subscription, now: Millis) -> Prepared:
        endpoint = subscription.endpoint
        live = [each for each in endpoint.secrets if each.is_live(now)]
        credentials = endpoint.credentials
        batch = None if subscription.batch is None else batch_body(subscription.format)
        return Prepared(
            subscription,
            signing.request_headers(
                [self._signer(each) for each in live],
                _static_headers(endpoint),
                media_type(subscription.format) if batch is None else batch.media_type,
            ),
            address.host_of(endpoint.target),
            endpoint.target,
            tls_identity(endpoint),
            token_request(subscription.partner_id, credentials)
            if isinstance(credentials, OAuth2)
            else None,
            min((each.expires_at for each in live if each.expires_at is not None), default=None),
            _body(subscription),
            batch,
            {name: secret.text for name, secret in endpoint.template_secrets},
            secret_forms(_sent_secrets(endpoint)),
        )

    def _signer(self, secret: SigningSecret) -> signing.Signer:
        match secret.scheme:
            case SigningScheme.V1:
                return secret.key
            case SigningScheme.V1A:
                return self._public_key_signing(secret.key)


def _body(subscription: Subscription) -> Template | Shared | None:
    match subscription.format, subscription.content:
        case BodyFormat.TEMPLATE, _:
            return compile_template(subscription.template)
        case BodyFormat.STANDARD, Content.FULL:
            return None
        case shared, content:
            return shared, content


def _sent_secrets(endpoint: Endpoint) -> list[str]:
    """Return the secrets that requests contain. Signing secrets are not sent, and the sender adds tokens."""
    found = url_secrets(endpoint.target)
    found += [secret.text for _, secret in endpoint.secret_headers]
    found += [secret.text for _, secret in endpoint.template_secrets]
    match endpoint.credentials:
        case Bearer(token):
            found.append(token.text)
        case Basic(username, password):
            found += [password.text, basic(username, password.text).partition(" ")[2]]
        case OAuth2() | None:
            pass
    return found


def _static_headers(endpoint: Endpoint) -> list[tuple[str, str]]:
    """Return the headers that every request has, including constant credentials."""
    headers = [*endpoint.headers]
    headers += [(name, secret.text) for name, secret in endpoint.secret_headers]
    match endpoint.credentials:
        case Bearer(token):
            headers.append(("authorization", f"Bearer {token.text}"))
        case Basic(username, password):
            headers.append(("authorization", basic(username, password.text)))
        case OAuth2() | None:
            pass
    return headers
