"""API tokens: their text, what is kept of one, and whether it is good now.

The text is shown once and kept nowhere; its SHA-256 is, which finds the token again. A token has 256
random bits, so its hash needs neither salt nor a slow function.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Container
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.model.instant import DAY, MINUTE, Millis, format_duration
from hookstream.errors import InputRefused

TOKEN_BYTES = 32
"""Random bytes of a token."""

KINDS: dict[Scope, str] = {
    Scope.ADMIN: "adm",
    Scope.OPERATOR_READ: "opr",
    Scope.OPERATOR_WRITE: "opw",
    Scope.PARTNER_READ: "prd",
    Scope.PARTNER_MANAGE: "pmg",
}
"""The kind in a token's text, by which people and scanners of leaked secrets recognise it."""

TOKEN_PATTERN = re.compile(rf"hs_(?:{'|'.join(KINDS.values())})_[A-Za-z0-9_-]{{43}}", re.ASCII)
"""What every token's text matches, as a whole; also for finding tokens in texts."""

DEFAULT_LIFE: dict[Scope, Millis] = {
    Scope.ADMIN: 30 * DAY,
    Scope.OPERATOR_WRITE: 90 * DAY,
    Scope.OPERATOR_READ: 90 * DAY,
    Scope.PARTNER_MANAGE: 90 * DAY,
    Scope.PARTNER_READ: 90 * DAY,
}
"""How long a token is good where nobody says how long. An administrator's is the worst to lose."""
SHORTEST_LIFE: Millis = MINUTE
LONGEST_LIFE: Millis = 366 * DAY
"""Every token expires: one that nobody remembers ends by itself."""
KEPT_AFTER_END: Millis = 30 * DAY
"""How long the row of an expired token is kept, so that lists and refusals can name it."""

MOST_LIVE = 100
"""The most tokens of one partner, and of all operators together, that have not ended."""
LONGEST_LABEL = 100
"""The most characters of a label."""
_LABEL = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]*")


@dataclass(slots=True, frozen=True)
class ApiToken:
    """What is kept of a token. Nothing in it lets anybody use it."""

    id: str
    """Its public name, `tok-…`: in lists, logs and the audit."""
    scope: Scope
    partner_id: str | None
    """The partner of a partner's token; None for operators."""
    hash: str = field(repr=False)
    """SHA-256 of the text, as 64 hex digits."""
    created: Millis
    expires: Millis
    """From this instant on it is refused."""
    label: str = ""
    """What its maker calls it: one line of at most `LONGEST_LABEL` characters."""
    created_by: str = ""
    """A user of the command line, or the id of the token that made it."""
    last_used: Millis | None = None
    """The beginning of the latest day, in UTC, on which it was used; None: never."""
    revoked: Millis | None = None
    """Since when it is refused, whatever its expiry; None: it is not revoked."""
    revoked_by: str = ""
    revision: int = 1

    def ended(self, now: Millis) -> bool:
        """Return whether it is refused from now on, for whatever reason."""
        return self.revoked is not None or now >= self.expires


class TokenRefusal(StrEnum):
    """Why a token is refused; each value is the reason in logs."""

    UNKNOWN = "unknown"
    PARTNER_GONE = "partner_gone"
    """Its partner was deleted."""
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(slots=True, frozen=True)
class TokenRefused:
    """A token that is not good. Whoever presented it learns only that; logs learn the rest."""

    why: TokenRefusal
    token_id: str | None = None
    """None: no token has this hash."""


Admission: TypeAlias = Caller | TokenRefused
"""Who a token's bearer is, or why it is refused."""


class TokenBook:
    """All tokens, in memory, found by the hash of their text."""

    __slots__ = ("_by_hash", "_by_id")

    def __init__(self) -> None:
        self._by_id: dict[str, ApiToken] = {}
        self._by_hash: dict[str, ApiToken] = {}

    def put(self, token_id: str, token: ApiToken | None) -> None:
        """Take a token's row as it is now.

        Args:
            token_id: Its id.
            token: None: the row was removed, or cannot be read. Then the token is refused: what
                cannot be read may be its revocation.
        """
        before = self._by_id.pop(token_id, None)
        if before is not None and self._by_hash.get(before.hash) is before:
            del self._by_hash[before.hash]
        if token is not None:
            self._by_id[token_id] = token
            self._by_hash[token.hash] = token

    def caller(
        self, presented: str, now: Millis, partners: Container[str] | None = None
    ) -> Admission:
        """Return whom a token's bearer is taken for.

        Args:
            presented: What `token_hash` returned for the text that was presented.
            now: The brokers' time.
            partners: The ids of all partners, so that those of a deleted one are refused; None: they
                are not checked here.
        """
        token = self._by_hash.get(presented)
        if token is None or not hmac.compare_digest(
            token.hash.encode(), presented.encode("utf-8", "backslashreplace")
        ):
            return TokenRefused(TokenRefusal.UNKNOWN)
        if token.revoked is not None:
            return TokenRefused(TokenRefusal.REVOKED, token.id)
        if now >= token.expires:
            return TokenRefused(TokenRefusal.EXPIRED, token.id)
        if (
            partners is not None
            and token.partner_id is not None
            and token.partner_id not in partners
        ):
            return TokenRefused(TokenRefusal.PARTNER_GONE, token.id)
        return Caller(token.id, token.scope, token.partner_id)

    def with_hash(self, presented: str) -> ApiToken | None:
        """Return the token of which `token_hash` returned this, whether it is good or not."""
        return self._by_hash.get(presented)

    def get(self, token_id: str) -> ApiToken | None:
        """Return a token by its id; None: there is none, or its row cannot be read."""
        return self._by_id.get(token_id)

    def tokens(self, partner_id: str | None = None) -> list[ApiToken]:
        """Return all tokens, or those of one partner, oldest first."""
        found = (
            token
            for token in self._by_id.values()
            if partner_id is None or token.partner_id == partner_id
        )
        return sorted(found, key=lambda token: (token.created, token.id))


def token_text(scope: Scope, random: bytes) -> str:
    """Return the text of a new token: the only thing that lets somebody use it.

    Args:
        scope: The scope, which its kind names.
        random: `TOKEN_BYTES` unpredictable bytes.

    Raises:
        ValueError: They are fewer or more.
    """
    return secret_text(KINDS[scope], random)


def secret_text(kind: str, random: bytes) -> str:
    """Return the text of something new that admits its bearer: `hs_<kind>_` and what is unpredictable in it.

    Args:
        kind: Three letters, by which people and scanners of leaked secrets recognise it.
        random: `TOKEN_BYTES` unpredictable bytes.

    Raises:
        ValueError: They are fewer or more.
    """
    if len(random) != TOKEN_BYTES:
        raise ValueError(f"such a text takes {TOKEN_BYTES} random bytes, not {len(random)}")
    return f"hs_{kind}_{base64.urlsafe_b64encode(random).rstrip(b'=').decode()}"


def token_hash(text: str) -> str:
    """Return the SHA-256 of a token's text, as 64 hex digits; of any text, also of no token's.

    Sessions and links of portals are kept by the hash of their texts, too.
    """
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def is_token(text: str) -> bool:
    """Return whether a text has the form of a token."""
    return TOKEN_PATTERN.fullmatch(text) is not None


def used_today(token: ApiToken, now: Millis) -> Millis | None:
    """Return the day to be written as that of a token's last use; None: it is written already.

    So each token's row is written at most once a day, however often it is used.
    """
    today = now - now % DAY
    return today if token.last_used is None or token.last_used < today else None


def expiry(scope: Scope, life: Millis | None, now: Millis) -> Millis:
    """Return when a new token expires.

    Args:
        scope: Its scope.
        life: For how long it is to be good; None: the default of its scope.
        now: When it is made.

    Raises:
        InputRefused: That is shorter than `SHORTEST_LIFE` or longer than `LONGEST_LIFE`.
    """
    asked = DEFAULT_LIFE[scope] if life is None else life
    if not SHORTEST_LIFE <= asked <= LONGEST_LIFE:
        raise InputRefused(
            f"a token cannot be good for {format_duration(asked)}: it is for"
            f" {format_duration(SHORTEST_LIFE)} to {format_duration(LONGEST_LIFE)}"
        )
    return now + asked


def checked_label(label: str) -> str:
    """Return a label.

    Raises:
        InputRefused: It is too long, or is more than a line.
    """
    if len(label) > LONGEST_LABEL:
        raise InputRefused(
            f"the label has {len(label)} characters: it may have {LONGEST_LABEL} at most"
        )
    if not _LABEL.fullmatch(label):
        raise InputRefused("the label is one line of text, without control characters")
    return label


def is_forgotten(token: ApiToken, now: Millis) -> bool:
    """Return whether a token's row is to be removed: it expired `KEPT_AFTER_END` ago, or earlier.

    A revoked one is kept as long, so that nothing forgets the revocation before the expiry.
    """
    return now >= token.expires + KEPT_AFTER_END


def making_refused(caller: Caller | None, scope: Scope, partner_id: str | None) -> str | None:
    """Return why a caller may not make a token; None if it may.

    An administrator makes all; an operator who may write makes partners' tokens. A partner makes none:
    a leaked token could otherwise outlive its own revocation.

    Args:
        caller: Who asks; None: the command line.
        scope: The scope of the new token.
        partner_id: Its partner.
    """
    if scope.is_of_partner and partner_id is None:
        return f"a token of scope {scope} is for one partner: name it"
    if not scope.is_of_partner and partner_id is not None:
        return f"a token of scope {scope} is for operators, and names no partner"
    if caller is None or caller.scope is Scope.ADMIN:
        return None
    if caller.scope is Scope.OPERATOR_WRITE:
        if scope.is_of_partner:
            return None
        return "only an administrator makes tokens of operators"
    return "this token may make no tokens"


def sees_token(caller: Caller | None, token: ApiToken) -> bool:
    """Return whether a caller may see a token and revoke it; to others the token does not exist.

    Partners who may manage see their own tokens: a partner ends its own leaked token without an operator.
    Operators who may write see those of all partners.
    """
    if caller is None or caller.scope is Scope.ADMIN:
        return True
    if caller.partner_id is not None:
        return caller.may(Scope.PARTNER_MANAGE) and token.partner_id == caller.partner_id
    return caller.may(Scope.OPERATOR_WRITE) and token.scope.is_of_partner
