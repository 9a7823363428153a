"""Decides when an OAuth2 token is used, renewed and fetched: single flight, at most one fetch in 30 s.

Sources: RFC 6749 (sections 2.3.1, 4.4 and 5), RFC 6750. The bound holds whatever is answered, so that a
broken token server never gets more requests than a healthy one.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote_plus, urlencode

from hookstream.core.model.endpoint_identity import TokenRequest
from hookstream.core.model.subscription import ClientAuth

FETCH_SECONDS = 30.0
"""At most one fetch for equal requests begins in this time."""
DEFAULT_LIFE = 300.0
"""Seconds that a token is used if its server names no `expires_in`."""
LONGEST_LIFE = 86_400.0
EARLIEST_RENEWAL, LATEST_RENEWAL = 0.7, 0.9
"""The share of its life at which a token is renewed is drawn between these."""
MAX_TOKEN = 8_192
"""The most characters of a token."""

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=:|!$&'()*,;@#%^{}\[\]<>?-]+\Z")
"""Printable ASCII without spaces and quotes: anything else could end the header, or not be sent as it is."""
_ERRORS = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    }
)
"""RFC 6749, section 5.2. Nothing else of an answer is ever shown."""


@dataclass(slots=True, frozen=True)
class Token:
    """An access token and its life, in seconds of the loop's clock."""

    value: str = field(repr=False)
    fetched_at: float
    renew_at: float
    ends_at: float

    def is_live(self, now: float) -> bool:
        """Return whether it may be sent."""
        return now < self.ends_at


def form_of(request: TokenRequest) -> str:
    """Return the body of the request for a token."""
    form = {"grant_type": "client_credentials"}
    if request.scopes:
        form["scope"] = " ".join(request.scopes)
    if request.client_auth is ClientAuth.BODY:
        form |= {"client_id": request.client_id, "client_secret": request.client_secret}
    return urlencode(form)


def basic(username: str, password: str) -> str:
    """Return the value of `authorization` for a name and password (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def client_authorization(request: TokenRequest) -> str | None:
    """Return the value of `authorization` of the request for a token; None if the form identifies."""
    if request.client_auth is ClientAuth.BODY:
        # A client must not identify itself in two ways at once (RFC 6749, 2.3).
        return None
    return basic(quote_plus(request.client_id), quote_plus(request.client_secret))


def granted(document: object, now: float, drawn: float) -> Token | str:
    """Return the token in a successful answer, or why it has none; that never quotes the answer.

    Args:
        document: The answer's JSON.
        now: When the token was requested.
        drawn: A number from 0 to 1, for the time of the renewal.
    """
    if not isinstance(document, Mapping):
        return "the answer is not a JSON object"
    value, kind = document.get("access_token"), document.get("token_type", "bearer")
    if not isinstance(value, str) or not value:
        return "the answer has no access_token"
    if len(value) > MAX_TOKEN or not _TOKEN.match(value):
        return f"the access_token is not printable ASCII of at most {MAX_TOKEN} characters"
    if not isinstance(kind, str) or kind.lower() != "bearer":
        return "the token_type is not Bearer"
    life = _life(document.get("expires_in"))
    share = EARLIEST_RENEWAL + drawn * (LATEST_RENEWAL - EARLIEST_RENEWAL)
    return Token(value, now, now + life * share, now + life)


def _life(expires_in: object) -> float:
    """Return the seconds of a token's life, clamped; some servers send a number as text."""
    if isinstance(expires_in, str) and len(expires_in) <= MAX_DIGITS and expires_in.isdecimal():
        expires_in = int(expires_in)
    if not isinstance(expires_in, int | float) or isinstance(expires_in, bool):
        return DEFAULT_LIFE
    # A shorter life could not be renewed in time: a fetch is due every 30 s at most. NaN is longest.
    return max(FETCH_SECONDS, float(expires_in) if expires_in < LONGEST_LIFE else LONGEST_LIFE)


MAX_DIGITS = 12


def refusal(status: int, document: object) -> str:
    """Return what a token server's refusal says: its status, and the error code if it is a known one."""
    code = document.get("error") if isinstance(document, Mapping) else None
    known = f" ({code})" if isinstance(code, str) and code in _ERRORS else ""
    return f"the token server answered {status}{known}"
