"""Sessions of browsers: a cookie that stands for a token, without being it.

`Sessions` is the seam. `SealedSessions` keeps nothing: its cookie names the token, sealed with the key ring, and the
token is looked up again at each request.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hookstream.adapters.keyring import KeyRing
from hookstream.core.access.scopes import Caller
from hookstream.core.access.tokens import ApiToken
from hookstream.core.model.instant import HOUR, Millis
from hookstream.core.model.json import JsonObject
from hookstream.entry.api.cursors import cursor_text, read_cursor
from hookstream.entry.api.problems import RequestRefused

LONGEST_SESSION: Millis = 12 * HOUR
"""How long a session lasts at most; its token may end earlier, and the session with it."""
_PURPOSE = b"pages/session"


@dataclass(slots=True, frozen=True)
class PageSession:
    """A session that is good now."""

    caller: Caller
    """Whom it acts as."""
    expires: Millis
    """When it ends by itself."""


class Sessions(Protocol):
    """Begins, finds and ends sessions. `begin` and `end` may block, `find` may not."""

    def begin(self, token: str) -> str | None:
        """Begin a session of a token, and return the value of its cookie; None: the token is not good."""

    def find(self, cookie: str) -> PageSession | None:
        """Return the session of a cookie's value; None: it is none, or it is over."""

    def end(self, cookie: str) -> None:
        """End a session; nothing happens if there is none."""


class TokenLookup(Protocol):
    """What sessions need to know of tokens. Each may be called from any thread."""

    def now(self) -> Millis:
        """Return the present."""

    def caller(self, token: str) -> Caller | None:
        """Return whose a token is; None: it is unknown, expired or revoked."""

    def token(self, token_id: str) -> ApiToken | None:
        """Return a token; None: there is none, or its row cannot be read."""


class SealedSessions:
    """Sessions that are nowhere but in their cookies. Logging out makes the browser forget its cookie.

    Args:
        tokens: The tokens as they are now.
        keys: Seal the cookies.
        new_id: Makes what tells two sessions of a token apart.
    """

    def __init__(self, tokens: TokenLookup, keys: KeyRing, new_id: Callable[[], str]) -> None:
        self._tokens = tokens
        self._keys = keys.derived(_PURPOSE)
        self._new_id = new_id

    def begin(self, token: str) -> str | None:
        """As Sessions says."""
        caller = self._tokens.caller(token)
        if caller is None:
            return None
        session: JsonObject = {
            "token": caller.token_id,
            "at": self._tokens.now(),
            "id": self._new_id(),
        }
        return cursor_text(self._keys, session, _PURPOSE)

    def find(self, cookie: str) -> PageSession | None:
        """As Sessions says."""
        try:
            session = read_cursor(self._keys, cookie, _PURPOSE)
        except RequestRefused:
            return None
        token_id, at = session.get("token"), session.get("at")
        if not isinstance(token_id, str) or not isinstance(at, int):
            return None
        token, now = self._tokens.token(token_id), self._tokens.now()
        if token is None or token.ended(now):
            return None
        expires = min(at + LONGEST_SESSION, token.expires)
        if now >= expires:
            return None
        return PageSession(Caller(token.id, token.scope, token.partner_id), expires)

    def end(self, cookie: str) -> None:
        """As Sessions says."""
