"""The cookies of pages: what a browser sends back to this host alone, by TLS alone, and shows to no script."""

import re
from dataclasses import dataclass

_LONGEST_HEADER = 8_192
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
"""What the form of the login is bound to: there is no session yet."""
SAID = CookieKind("hookstream_said", 60)
"""What was done, to be said once."""


@dataclass(slots=True, frozen=True)
class Cookies:
    """Writes and reads cookies.

    Args:
        plain_http: Whether they go over plain HTTP: for development on one machine only.
    """

    plain_http: bool = False

    def name(self, kind: CookieKind) -> str:
        """Return a cookie's name: browsers take `__Host-` only from this host, with TLS, for all paths."""
        return kind.name if self.plain_http else f"__Host-{kind.name}"

    def set(self, kind: CookieKind, value: str) -> str:
        """Return the `Set-Cookie` of a value."""
        return self._header(kind, value, kind.seconds)

    def clear(self, kind: CookieKind) -> str:
        """Return the `Set-Cookie` that makes a browser forget one."""
        return self._header(kind, "", 0)

    def read(self, header: str, kind: CookieKind) -> str:
        """Return the value of a cookie in the header `Cookie`; empty: it has none, or no plain one."""
        wanted = self.name(kind)
        for part in header[:_LONGEST_HEADER].split(";"):
            name, _, value = part.strip().partition("=")
            if name == wanted:
                return value if _VALUE.fullmatch(value) else ""
        return ""

    def _header(self, kind: CookieKind, value: str, seconds: int) -> str:
        secure = "" if self.plain_http else "; Secure"
        return (
            f"{self.name(kind)}={value}; Path=/; Max-Age={seconds}; HttpOnly;"
            f" SameSite={kind.site}{secure}"
        )
