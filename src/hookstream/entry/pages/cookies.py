"""The cookies of pages: a browser sends them only to this host and only over TLS, and hides them from scripts."""

import re
from dataclasses import dataclass

_LONGEST_HEADER = 8_192
_PREFIX = "__Host-"
"""Browsers accept such a cookie only from this host, with `Secure`, for all paths. They also accept it without TLS from
loopback addresses, so a console on one's own machine needs no other one."""
_VALUE = re.compile(r"[A-Za-z0-9_.~-]{1,4096}")


@dataclass(slots=True, frozen=True)
class CookieKind:
    """One cookie."""

    name: str
    """Without its prefix."""
    seconds: int
    """How long a browser keeps it."""
    site: str = "Lax"
    """`SameSite`: whether a link from elsewhere carries it (`Lax`) or nothing does (`Strict`)."""


SESSION = CookieKind("hookstream", 12 * 3_600)
BEFORE_LOGIN = CookieKind("hookstream_login", 3_600, "Strict")
"""The login form is bound to it, since there is no session yet."""
SAID = CookieKind("hookstream_said", 60)
"""The result of an act, to be shown once."""


def set_cookie(kind: CookieKind, value: str) -> str:
    """Return the `Set-Cookie` of a value."""
    return _header(kind, value, kind.seconds)


def clear_cookie(kind: CookieKind) -> str:
    """Return the `Set-Cookie` that makes a browser forget one."""
    return _header(kind, "", 0)


def read_cookie(header: str, kind: CookieKind) -> str:
    """Return the value of a cookie in the header `Cookie`; empty: it has none, or an invalid one."""
    for part in header[:_LONGEST_HEADER].split(";"):
        name, _, value = part.strip().partition("=")
        if name == f"{_PREFIX}{kind.name}":
            return value if _VALUE.fullmatch(value) else ""
    return ""


def _header(kind: CookieKind, value: str, seconds: int) -> str:
    return (
        f"{_PREFIX}{kind.name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite={kind.site};"
        " Secure"
    )
