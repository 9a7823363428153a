"""The identity of requests at an endpoint in addition to their signature: TLS identity and tokens."""

import hashlib
from dataclasses import dataclass, field

from hookstream.core.model.subscription import ClientAuth, Endpoint, OAuth2


@dataclass(slots=True, frozen=True)
class TlsIdentity:
    """A client certificate, a private authority, or both. Connections are shared only at equal ones.

    Otherwise one partner's deliveries would go out under another's certificate, or over a connection
    that only another's authority vouches for.
    """

    digest: bytes
    """SHA-256 over the other fields: identities are equal if their digests are."""
    ca: bytes | None = field(repr=False, compare=False)
    """PEM: the authorities that the endpoint's certificate must come from; None: the machine's."""
    certificate: bytes | None = field(repr=False, compare=False)
    """PEM: the client certificate, then those of its issuers."""
    key: bytes | None = field(repr=False, compare=False)
    """PEM: the private key of the client certificate."""


def tls_identity(endpoint: Endpoint) -> TlsIdentity | None:
    """Return an endpoint's TLS identity; None if it has neither an authority nor a certificate."""
    mtls = endpoint.mtls
    if mtls is None and endpoint.ca is None:
        return None
    parts = (
        None if endpoint.ca is None else endpoint.ca.value,
        None if mtls is None else mtls.certificate.value,
        None if mtls is None else mtls.key.value,
    )
    # With the length before each part, no two lists of parts have the same text.
    text = b"".join(b"-" if each is None else b"%d:%s" % (len(each), each) for each in parts)
    return TlsIdentity(hashlib.sha256(text).digest(), *parts)


@dataclass(slots=True, frozen=True)
class TokenRequest:
    """A request for a token by OAuth2 client credentials; equal requests share a token.

    The secret is part of that: who does not know it must not get another's token.
    """

    partner_id: str
    url: str = field(repr=False)
    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...]
    client_auth: ClientAuth = ClientAuth.BASIC


def token_request(partner_id: str, oauth2: OAuth2) -> TokenRequest:
    """Return the request for a token of a partner's endpoint."""
    return TokenRequest(
        partner_id,
        oauth2.token_url,
        oauth2.client_id,
        oauth2.client_secret.text,
        oauth2.scopes,
        oauth2.client_auth,
    )
