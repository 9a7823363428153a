"""Distinguishes forms that this site showed from forms that another site made a browser send."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

_PURPOSE = b"hookstream form"


def form_token(cookie: str) -> str:
    """Return the token of all forms shown to the holder of a cookie; it does not reveal the cookie."""
    digest = hmac.digest(cookie.encode(), _PURPOSE, hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def is_form_token(given: str, cookie: str) -> bool:
    """Return whether a form was shown to the holder of a cookie."""
    return bool(cookie) and hmac.compare_digest(
        given.encode("utf-8", "backslashreplace"), form_token(cookie).encode()
    )


def is_from_here(headers: Mapping[str, str]) -> bool:
    """Return whether a browser says that a request comes from a page of this origin.

    Args:
        headers: By lower-case name.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        # Authoritative: with `Referrer-Policy: no-referrer`, `Origin` is `null` also from here.
        return site == "same-origin"
    origin, host = headers.get("origin", ""), headers.get("host", "")
    try:
        return bool(host) and urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False
