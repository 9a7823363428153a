"""Portal links: one use of one opens a partner's pages for a session, until the link expires.

A link has 256 random bits; what is kept is its SHA-256.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.access.tokens import secret_text
from hookstream.core.model.instant import DAY, MINUTE, Millis, format_duration
from hookstream.errors import InputRefused

DEFAULT_LINK_LIFE: Millis = 15 * MINUTE
SHORTEST_LINK_LIFE: Millis = MINUTE
LONGEST_LINK_LIFE: Millis = DAY
KEPT_AFTER_LINK: Millis = DAY
"""How long the row of an expired link is kept, so that whoever follows it learns that, and lists can name it."""
MOST_OPEN_LINKS = 20
"""The most links of one partner that may still be used."""
MOST_LINKS = 100
"""The most links of one partner that are kept, used ones among them."""
LINK_SCOPES = (Scope.PARTNER_READ, Scope.PARTNER_MANAGE)
"""What a link may be good for."""

_KIND = "lnk"
_LINK = re.compile(rf"hs_{_KIND}_[A-Za-z0-9_-]{{43}}", re.ASCII)


@dataclass(slots=True, frozen=True)
class PortalLink:
    """What is kept of a link. Nothing in it lets anybody use it."""

    id: str
    """Its public name, `lnk-…`: in lists, logs and the audit."""
    hash: str = field(repr=False)
    """SHA-256 of the text, as 64 hex digits."""
    scope: Scope
    """One of `LINK_SCOPES`: that of the session which it begins."""
    partner_id: str
    created: Millis
    expires: Millis
    """From this instant on it begins no session."""
    created_by: str = ""
    """A user of the command line, or the id of the token that made it. Whether that is good still does not matter."""
    used: Millis | None = None
    """When it began its session; None: it is not used."""
    session_id: str | None = None
    """The session that it began."""
    revoked: Millis | None = None
    revoked_by: str = ""
    revision: int = 1

    def is_open(self, now: Millis) -> bool:
        """Return whether it may still be used."""
        return link_refusal(self, now) is None


class LinkRefusal(StrEnum):
    """Why a link begins no session."""

    UNKNOWN = "unknown"
    """There is none, its row cannot be read, or its partner was deleted."""
    USED = "used"
    EXPIRED = "expired"
    REVOKED = "revoked"


def link_refusal(link: PortalLink | None, now: Millis) -> LinkRefusal | None:
    """Return why a link may not be used; None if it may.

    Args:
        link: None: there is none, or its row cannot be read.
        now: The brokers' time.
    """
    if link is None:
        return LinkRefusal.UNKNOWN
    if link.revoked is not None:
        return LinkRefusal.REVOKED
    if link.used is not None:
        return LinkRefusal.USED
    return LinkRefusal.EXPIRED if now >= link.expires else None


def link_text(random: bytes) -> str:
    """Return the text of a new link: the only thing that lets somebody use it.

    Args:
        random: `TOKEN_BYTES` unpredictable bytes.

    Raises:
        ValueError: They are fewer or more.
    """
    return secret_text(_KIND, random)


def is_link(text: str) -> bool:
    """Return whether a text has the form of a link's."""
    return _LINK.fullmatch(text) is not None


def link_expiry(life: Millis | None, now: Millis) -> Millis:
    """Return when a new link expires.

    Args:
        life: For how long it is to be good; None: `DEFAULT_LINK_LIFE`.
        now: When it is made.

    Raises:
        InputRefused: That is shorter than `SHORTEST_LINK_LIFE` or longer than `LONGEST_LINK_LIFE`.
    """
    asked = DEFAULT_LINK_LIFE if life is None else life
    if not SHORTEST_LINK_LIFE <= asked <= LONGEST_LINK_LIFE:
        raise InputRefused(
            f"a link cannot be good for {format_duration(asked)}: it is for"
            f" {format_duration(SHORTEST_LINK_LIFE)} to {format_duration(LONGEST_LINK_LIFE)}"
        )
    return now + asked


def used_link(link: PortalLink, session_id: str, now: Millis) -> PortalLink:
    """Return a link after it began a session."""
    return replace(link, used=now, session_id=session_id, revision=link.revision + 1)


def revoked_link(link: PortalLink, now: Millis, by: str) -> PortalLink:
    """Return a link after its revocation."""
    return replace(link, revoked=now, revoked_by=by, revision=link.revision + 1)


def link_refused(caller: Caller | None, scope: Scope) -> str | None:
    """Return why a caller may not make a link; None if it may.

    Operators who may write do. A partner does not: a token of it that leaked could otherwise outlive its own
    revocation.

    Args:
        caller: Who asks; None: the command line.
        scope: What the link is to be good for.
    """
    if scope not in LINK_SCOPES:
        return f"a link is for a partner: it is good for {' or '.join(LINK_SCOPES)}, not {scope}"
    if caller is None or caller.may(Scope.OPERATOR_WRITE):
        return None
    return "this token may make no links"


def sees_link(caller: Caller | None, link: PortalLink) -> bool:
    """Return whether a caller may see that a link exists, and revoke it; otherwise it is as absent."""
    if caller is None:
        return True
    if caller.partner_id is not None:
        return caller.may(Scope.PARTNER_MANAGE) and link.partner_id == caller.partner_id
    return caller.may(Scope.OPERATOR_WRITE)


def crowded_out(links: Iterable[PortalLink], partner_id: str, now: Millis) -> list[PortalLink]:
    """Return the links of a partner whose rows make room for a new one: the oldest that can be used no more.

    Args:
        links: All that are kept.
        partner_id: Whose the new one is.
        now: The brokers' time.

    Raises:
        InputRefused: The partner has `MOST_OPEN_LINKS` that may still be used.
    """
    of_partner = [each for each in links if each.partner_id == partner_id]
    over = [each for each in of_partner if not each.is_open(now)]
    still_open = len(of_partner) - len(over)
    if still_open >= MOST_OPEN_LINKS:
        raise InputRefused(
            f"partner {partner_id!r} has {still_open} links that may still be used: revoke some, or let them"
            " expire"
        )
    over.sort(key=lambda each: (each.created, each.id))
    return over[: max(0, len(of_partner) + 1 - MOST_LINKS)]


def is_link_forgotten(link: PortalLink, now: Millis) -> bool:
    """Return whether a link's row is to be removed: it expired `KEPT_AFTER_LINK` ago, or earlier."""
    return now >= link.expires + KEPT_AFTER_LINK
