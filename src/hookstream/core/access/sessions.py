"""Sessions of pages: who a cookie is of, for how long, and which sessions make room for a new one.

A session begins with a token, or with a portal link. The cookie has 256 random bits; what is kept is its SHA-256.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.access.tokens import ApiToken, secret_text
from hookstream.core.model.instant import DAY, HOUR, Millis

LONGEST_SESSION: Millis = 12 * HOUR
"""How long a session is good, whatever is done in it: somebody's working day."""
KEPT_AFTER_SESSION: Millis = DAY
"""How long the row of an expired session is kept, so that lists have the last day's."""
MOST_OF_TOKEN = 20
"""The most sessions of one token that are kept, ended ones among them."""
MOST_BY_LINKS = 100
"""The most sessions of one partner that are kept of those that links began, ended ones among them."""

_KIND = "ses"
_SESSION = re.compile(rf"hs_{_KIND}_[A-Za-z0-9_-]{{43}}", re.ASCII)


@dataclass(slots=True, frozen=True)
class Session:
    """What is kept of a session. Nothing in it lets anybody use it."""

    id: str
    """Its public name, `ses-…`: in lists, logs and the audit."""
    hash: str = field(repr=False)
    """SHA-256 of the cookie's value, as 64 hex digits."""
    scope: Scope
    partner_id: str | None
    """The partner that the session is of; None for operators."""
    token_id: str | None
    """The token that began it, and without which it is over; None: a link began it."""
    link_id: str | None
    """The link that began it; None: a token did."""
    began: Millis
    expires: Millis
    """From this instant on it is over."""
    ended: Millis | None = None
    """Since when it is over, whatever its expiry; None: nobody ended it."""
    ended_by: str = ""
    revision: int = 1

    def over(self, now: Millis) -> bool:
        """Return whether it was ended or has expired; whether its token is good is not asked here."""
        return self.ended is not None or now >= self.expires


class SessionRefusal(StrEnum):
    """Why a cookie's bearer is nobody; each value is the reason in logs."""

    UNKNOWN = "unknown"
    ENDED = "ended"
    EXPIRED = "expired"
    TOKEN_OVER = "token_over"  # noqa: S105  a reason
    """The token that began it was revoked, has expired, or cannot be read."""


def session_caller(
    session: Session | None, token: ApiToken | None, now: Millis
) -> Caller | SessionRefusal:
    """Return whom a cookie's bearer is taken for, or why for nobody.

    Args:
        session: The session of the cookie; None: there is none, or its row cannot be read.
        token: The token that began it, as it is now; None: there is none, or its row cannot be read.
        now: The brokers' time.
    """
    if session is None:
        return SessionRefusal.UNKNOWN
    if session.ended is not None:
        return SessionRefusal.ENDED
    if now >= session.expires:
        return SessionRefusal.EXPIRED
    if session.token_id is None:
        return Caller(session.id, session.scope, session.partner_id, session.id)
    if (
        token is None
        or token.id != session.token_id
        or token.ended(now)
        or (token.scope, token.partner_id) != (session.scope, session.partner_id)
    ):
        return SessionRefusal.TOKEN_OVER
    return Caller(token.id, token.scope, token.partner_id, session.id)


def cookie_text(random: bytes) -> str:
    """Return the value of a new session's cookie: the only thing that lets somebody use it.

    Args:
        random: `TOKEN_BYTES` unpredictable bytes.

    Raises:
        ValueError: They are fewer or more.
    """
    return secret_text(_KIND, random)


def is_cookie(text: str) -> bool:
    """Return whether a text has the form of a session's cookie."""
    return _SESSION.fullmatch(text) is not None


def session_expiry(token: ApiToken | None, now: Millis) -> Millis:
    """Return when a new session is over by itself.

    Args:
        token: What begins it; None: a link does.
        now: When it begins.
    """
    longest = now + LONGEST_SESSION
    return longest if token is None else min(longest, token.expires)


def ended_session(session: Session, now: Millis, by: str) -> Session:
    """Return a session after somebody ended it."""
    return replace(session, ended=now, ended_by=by, revision=session.revision + 1)


def displaced(sessions: Iterable[Session], new: Session, now: Millis) -> list[Session]:
    """Return the sessions that make room for a new one: those that are over first, then the oldest.

    So whoever has a token keeps no unbounded number of rows, and is never refused: it ends its own sessions.

    Args:
        sessions: All that are kept.
        new: The one that begins.
        now: The brokers' time.
    """
    of_whom = _of_whom(new)
    same = [each for each in sessions if _of_whom(each) == of_whom]
    most = MOST_BY_LINKS if new.token_id is None else MOST_OF_TOKEN
    same.sort(key=lambda each: (not each.over(now), each.began, each.id))
    return same[: max(0, len(same) + 1 - most)]


def _of_whom(session: Session) -> tuple[str | None, str | None]:
    """Return whose sessions are bounded together: those of a token, or those of a partner that links began."""
    return session.token_id, session.partner_id


def sees_session(caller: Caller | None, session: Session) -> bool:
    """Return whether a caller may see that a session exists, and end it; otherwise it is as absent.

    Partners who may manage see their own sessions; operators who may write see those of all partners, and those of
    their own token.
    """
    if caller is None or caller.scope is Scope.ADMIN:
        return True
    if caller.partner_id is not None:
        return caller.may(Scope.PARTNER_MANAGE) and session.partner_id == caller.partner_id
    return caller.may(Scope.OPERATOR_WRITE) and (
        session.partner_id is not None or session.token_id == caller.token_id
    )


def is_session_forgotten(session: Session, now: Millis) -> bool:
    """Return whether a session's row is to be removed: it expired `KEPT_AFTER_SESSION` ago, or earlier."""
    return now >= session.expires + KEPT_AFTER_SESSION
