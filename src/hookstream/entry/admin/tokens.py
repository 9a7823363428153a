"""Tokens for the API: creates, lists and revokes them, and notes their use."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from hookstream.adapters.kafka.tables.log import read_tables
from hookstream.adapters.system import random_bytes
from hookstream.adapters.tables.console_rows import ConsoleTable
from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.access.tokens import (
    MOST_LIVE,
    TOKEN_BYTES,
    ApiToken,
    checked_label,
    expiry,
    is_token,
    making_refused,
    sees_token,
    token_hash,
    token_text,
    used_today,
)
from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.suggestion import did_you_mean
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.console_changes import revoked, token_change
from hookstream.entry.admin.tables import found_partner
from hookstream.entry.cluster import reached
from hookstream.errors import AccessRefused, InputRefused
from hookstream.settings import Settings

_ID_BYTES = 10
_DAY_DIGITS = 10


@dataclass(slots=True, frozen=True)
class NewToken:
    """A token that was just made."""

    token: ApiToken
    text: str = field(repr=False)
    """What its bearer presents. It is kept nowhere, so this is the only time that it can be shown."""


@dataclass(slots=True, frozen=True)
class WantedToken:
    """What a new token is to be."""

    scope: Scope
    partner_id: str | None = None
    """The partner of a partner's token."""
    life: Millis | None = None
    """For how long it is good; None: the default of its scope."""
    label: str = ""


def read_console(settings: Settings) -> ConsoleTable:
    """Read the console topic once, without fencing its writer.

    Raises:
        ConfigurationError: There is no such topic: `topics apply` creates it.
        DependencyUnavailable: The brokers do not answer.
    """
    topic = settings.topics_names.console
    table = ConsoleTable()
    rows = read_tables(reached(settings), [topic])[topic]
    for row in sorted(rows.values(), key=lambda row: row.offset):
        table.put(row.key, row.value, row.timestamp)
    return table


def create_token(writer: ChangeWriter, caller: Caller | None, asked: WantedToken) -> NewToken:
    """Make a token.

    Args:
        writer: Writes the tables, with the console topic.
        caller: Who asks; None: the command line.
        asked: What it is to be.

    Raises:
        AccessRefused: The caller may not make such a token.
        InputRefused: There is no such partner, it has as many tokens as it may have, or what is asked
            for is out of bounds.
    """
    refused = making_refused(caller, asked.scope, asked.partner_id)
    if refused is not None:
        raise AccessRefused(refused)
    session = writer.session
    label, expires = checked_label(asked.label), expiry(asked.scope, asked.life, session.now)
    if asked.partner_id is not None:
        found_partner(writer.state, asked.partner_id)
    tokens = session.console().tokens.tokens()
    live = sum(
        token.partner_id == asked.partner_id and not token.ended(session.now) for token in tokens
    )
    if live >= MOST_LIVE:
        whose = "operators" if asked.partner_id is None else f"partner {asked.partner_id!r}"
        raise InputRefused(f"{whose} has {live} tokens already: revoke some, or let them expire")
    text = token_text(asked.scope, random_bytes(TOKEN_BYTES))
    token = ApiToken(
        id=new_public_id("tok"),
        scope=asked.scope,
        partner_id=asked.partner_id,
        hash=token_hash(text),
        created=session.now,
        expires=expires,
        label=label,
        created_by=writer.by,
    )
    session.write([token_change(session, token)])
    return NewToken(token, text)


def visible_tokens(
    table: ConsoleTable, caller: Caller | None, partner_id: str | None = None
) -> list[ApiToken]:
    """Return the tokens that a caller may see, oldest first.

    Args:
        table: The console topic's rows.
        caller: Who asks; None: the command line.
        partner_id: Only those of this partner.
    """
    return [token for token in table.tokens.tokens(partner_id) if sees_token(caller, token)]


def revoke_token(writer: ChangeWriter, caller: Caller | None, name: str) -> tuple[ApiToken, bool]:
    """Revoke a token; return it as it is then, and whether that changed it.

    Args:
        writer: Writes the tables, with the console topic.
        caller: Who asks; None: the command line.
        name: Its id, or its text, such as a leaked one.

    Raises:
        InputRefused: There is no such token, as far as the caller may know.
    """
    session = writer.session
    book = session.console().tokens
    token = book.with_hash(token_hash(name)) if is_token(name) else book.get(name)
    if token is None or not sees_token(caller, token):
        raise _no_token(name, [each.id for each in book.tokens() if sees_token(caller, each)])
    if token.revoked is not None:
        return token, False
    after = revoked(token, session.now, writer.by)
    session.write([token_change(session, after)])
    return after, True


def note_use(writer: ChangeWriter, used: Iterable[str]) -> int:
    """Write of tokens that they are used today; return of how many that was not written yet.

    For whoever answers requests: the ids of the tokens of which `used_today` says that it is to be
    written, all of them in one transaction.
    """
    session = writer.session
    book = session.console().tokens
    rows = []
    for token_id in sorted(set(used)):
        token = book.get(token_id)
        day = None if token is None else used_today(token, session.now)
        if token is not None and day is not None:
            after = replace(token, last_used=day, revision=token.revision + 1)
            rows.append(token_change(session, after))
    if rows:
        session.write(rows)
    return len(rows)


def token_state(token: ApiToken, now: Millis) -> str:
    """Return `live`, `expired` or `revoked`."""
    if token.revoked is not None:
        return "revoked"
    return "expired" if token.ended(now) else "live"


def token_document(token: ApiToken, now: Millis) -> JsonObject:
    """Return what may be shown of a token as JSON: neither its text nor its hash."""
    return {
        "id": token.id,
        "scope": token.scope.value,
        "partner": token.partner_id,
        "label": token.label,
        "state": token_state(token, now),
        "created": to_rfc3339(token.created),
        "created_by": token.created_by,
        "expires": to_rfc3339(token.expires),
        "last_used": day_text(token),
        "revoked": None if token.revoked is None else to_rfc3339(token.revoked),
        "revoked_by": token.revoked_by or None,
        "revision": token.revision,
    }


def new_token_document(made: NewToken, now: Millis) -> JsonObject:
    """Return a new token as JSON with its text, to be shown once."""
    return {**token_document(made.token, now), "token": made.text}


def day_text(token: ApiToken) -> str | None:
    """Return the day of a token's last use, `2026-11-29`; None: it was never used."""
    return None if token.last_used is None else to_rfc3339(token.last_used)[:_DAY_DIGITS]


def new_public_id(kind: str) -> str:
    """Return the id of a new token, session or link, `<kind>-…`: in it is no part of its text."""
    return f"{kind}-{base64.b32encode(random_bytes(_ID_BYTES)).decode().lower()}"


def _no_token(name: str, known: list[str]) -> InputRefused:
    if is_token(name):
        # Never repeated: it may be good elsewhere.
        return InputRefused("no token has this text")
    return InputRefused(f"there is no token {name!r}{did_you_mean(name, known)}")
