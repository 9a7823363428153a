"""Describes in words for the audit log why a TLS connection failed: alerts and refused certificates.

With TLS 1.3 an endpoint that requires a client certificate refuses only after our side has finished
the handshake, so its alert may come while connecting or while a request is under way.
"""

import ssl

_WORDS = {
    "CERTIFICATE_REQUIRED": "the endpoint requires a client certificate, and none was given",
    "HANDSHAKE_FAILURE": (
        "the endpoint shares no TLS parameters with us; it may require a client certificate"
    ),
    "BAD_CERTIFICATE": "the endpoint refuses our client certificate",
    "UNSUPPORTED_CERTIFICATE": "the endpoint does not accept this type of client certificate",
    "CERTIFICATE_REVOKED": "the endpoint says that our client certificate is revoked",
    "CERTIFICATE_EXPIRED": "the endpoint says that our client certificate has expired",
    "CERTIFICATE_UNKNOWN": "the endpoint refuses our client certificate",
    "UNKNOWN_CA": "the endpoint does not know who issued our client certificate",
    "ACCESS_DENIED": "the endpoint denies our client certificate access",
    "PROTOCOL_VERSION": "the endpoint supports no TLS version that we accept (1.2 and later)",
    "UNRECOGNIZED_NAME": "the endpoint does not know the host name",
}
CLOSED_IN_HANDSHAKE = (
    "the endpoint closed the connection during the handshake; it may require a client certificate"
)


def words_of(reason: str | None) -> str:
    """Return a reason as the TLS library names it, with its meaning if known."""
    if reason is None:
        return "no reason was given"
    _, alert, name = reason.partition("_ALERT_")
    words = _WORDS.get(name) if alert else None
    return reason if words is None else f"{words} ({name.lower()})"


def refused_by_alert(error: Exception | None) -> str | None:
    """Return why an endpoint ended a connection by a TLS alert; None if it did not."""
    # An SSLError that Python itself raises has no reason.
    reason = getattr(error, "reason", None) if isinstance(error, ssl.SSLError) else None
    return words_of(reason) if reason is not None and "_ALERT_" in reason else None


_CERTIFICATES = {
    9: "not valid yet",
    10: "expired",
    18: "unknown authority",
    19: "unknown authority",
    20: "unknown authority",
    21: "unknown authority",
    62: "wrong host",
    64: "wrong host",
}
"""OpenSSL's numbers of verification errors (X509_V_ERR_*), in words."""


def certificate_words(error: Exception) -> str:
    """Return why an endpoint's certificate was refused: the kind of reason, then OpenSSL's text."""
    text = getattr(error, "verify_message", "") or "not valid"
    kind = _CERTIFICATES.get(getattr(error, "verify_code", 0))
    return f"certificate refused: {text if kind is None else f'{kind} ({text})'}"
