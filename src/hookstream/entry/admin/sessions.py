"""Sessions of pages and portal links: beginning, listing and ending them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.adapters.system import random_bytes
from hookstream.adapters.tables.console_rows import ConsoleTable
from hookstream.adapters.tables.session_rows import link_key, session_key
from hookstream.core.access.portal_links import (
    LinkRefusal,
    PortalLink,
    crowded_out,
    is_link,
    link_expiry,
    link_refusal,
    link_refused,
    link_text,
    revoked_link,
    sees_link,
    used_link,
)
from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.access.sessions import (
    Session,
    cookie_text,
    displaced,
    ended_session,
    is_cookie,
    sees_session,
    session_caller,
    session_expiry,
)
from hookstream.core.access.tokens import TOKEN_BYTES, ApiToken, TokenRefused, token_hash
from hookstream.core.model.instant import Millis, to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.core.model.suggestion import did_you_mean
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.console_changes import (
    ShutOut,
    link_change,
    session_change,
    shut_out,
)
from hookstream.entry.admin.tables import found_partner
from hookstream.entry.admin.tokens import new_public_id
from hookstream.errors import AccessRefused, InputRefused
from hookstream.settings import Settings

PORTAL_PATH = "/ui/portal/"
"""The path of the page that a link opens, before the link's text."""


@dataclass(slots=True, frozen=True)
class BegunSession:
    """A session that was just begun."""

    session: Session
    cookie: str = field(repr=False)
    """The value of its cookie. It is kept nowhere, so this is the only time that it can be sent."""
    displaced: Sequence[str] = ()
    """The ids of sessions that were not over, and made room for it."""


@dataclass(slots=True, frozen=True)
class NewLink:
    """A link that was just made."""

    link: PortalLink
    text: str = field(repr=False)
    """What its URL ends with. It is kept nowhere, so this is the only time that it can be shown."""


@dataclass(slots=True, frozen=True)
class WantedLink:
    """What a new link is to be."""

    partner_id: str
    scope: Scope = Scope.PARTNER_READ
    life: Millis | None = None
    """For how long it may be used; None: the default."""


def begin_session(writer: ChangeWriter, token: str) -> BegunSession | TokenRefused:
    """Begin a session by a token.

    Args:
        writer: Writes the tables, with the console topic.
        token: Its text, as it was presented.
    """
    session, table = writer.session, writer.session.console()
    admitted = table.tokens.caller(token_hash(token), session.now, writer.state.current.partners)
    if isinstance(admitted, TokenRefused):
        return admitted
    row = table.tokens.get(admitted.token_id)
    text = cookie_text(random_bytes(TOKEN_BYTES))
    made = Session(
        id=new_public_id("ses"),
        hash=token_hash(text),
        scope=admitted.scope,
        partner_id=admitted.partner_id,
        token_id=admitted.token_id,
        link_id=None,
        began=session.now,
        expires=session_expiry(row, session.now),
    )
    return _begun(writer, made, text, ())


def use_link(writer: ChangeWriter, text: str) -> BegunSession | LinkRefusal:
    """Begin a session by a link, which is used then: both in one transaction.

    Args:
        writer: Writes the tables, with the console topic.
        text: The link's, as it was presented.
    """
    session = writer.session
    link = session.console().links.with_hash(token_hash(text)) if is_link(text) else None
    refused = link_refusal(link, session.now)
    if refused is not None or link is None:
        return refused or LinkRefusal.UNKNOWN
    if link.partner_id not in writer.state.current.partners:
        return LinkRefusal.UNKNOWN
    cookie = cookie_text(random_bytes(TOKEN_BYTES))
    made = Session(
        id=new_public_id("ses"),
        hash=token_hash(cookie),
        scope=link.scope,
        partner_id=link.partner_id,
        token_id=None,
        link_id=link.id,
        began=session.now,
        expires=session_expiry(None, session.now),
    )
    used = link_change(session, used_link(link, made.id, session.now))
    return _begun(writer, made, cookie, [used])


def _begun(
    writer: ChangeWriter, made: Session, text: str, more: Sequence[TableChange]
) -> BegunSession:
    session = writer.session
    gone = displaced(session.console().sessions.rows(), made, session.now)
    removed = [TableChange(session.names.console, session_key(each.id), None) for each in gone]
    session.write([*removed, *more, session_change(session, made)])
    return BegunSession(made, text, [each.id for each in gone if not each.over(session.now)])


def end_session(
    writer: ChangeWriter, caller: Caller | None, session_id: str
) -> tuple[Session, bool]:
    """End a session; return it as it is then, and whether that changed it.

    Args:
        writer: Writes the tables, with the console topic.
        caller: Who asks; None: the command line.
        session_id: The session's id.

    Raises:
        InputRefused: There is no such session, as far as the caller may know.
    """
    session = writer.session
    book = session.console().sessions
    found = book.get(session_id)
    if found is None or not sees_session(caller, found):
        if is_cookie(session_id):
            # Never repeated: it may be good elsewhere.
            raise InputRefused("a session is named by its id, ses-…, and not by its cookie")
        known = [each.id for each in book.rows() if sees_session(caller, each)]
        raise InputRefused(f"there is no session {session_id!r}{did_you_mean(session_id, known)}")
    if found.over(session.now):
        return found, False
    after = ended_session(found, session.now, writer.by)
    session.write([session_change(session, after)])
    return after, True


def end_own_session(writer: ChangeWriter, cookie: str) -> Session | None:
    """End the session of a cookie, whoever has it; None: it was over, or there is none.

    Args:
        writer: Writes the tables, with the console topic.
        cookie: Its value, as it was presented.
    """
    session = writer.session
    found = session.console().sessions.with_hash(token_hash(cookie))
    if found is None or found.over(session.now):
        return None
    after = ended_session(found, session.now, f"session {found.id}")
    session.write([session_change(session, after)])
    return after


def end_sessions_of(writer: ChangeWriter, partner_id: str) -> ShutOut:
    """End all sessions of a partner, and revoke its links; its tokens stay as they are.

    Raises:
        InputRefused: There is no such partner.
    """
    found_partner(writer.state, partner_id)
    ended = shut_out(writer.session, partner_id, writer.by)
    if ended.rows:
        writer.session.write(ended.rows)
    return ended


def make_link(writer: ChangeWriter, caller: Caller | None, asked: WantedLink) -> NewLink:
    """Make a portal link.

    Args:
        writer: Writes the tables, with the console topic.
        caller: Who asks; None: the command line.
        asked: What it is to be.

    Raises:
        AccessRefused: The caller may not make such a link.
        InputRefused: There is no such partner, it has as many links as it may have, or what is asked for is out
            of bounds.
    """
    refused = link_refused(caller, asked.scope)
    if refused is not None:
        raise AccessRefused(refused)
    session = writer.session
    expires = link_expiry(asked.life, session.now)
    found_partner(writer.state, asked.partner_id)
    gone = crowded_out(session.console().links.rows(), asked.partner_id, session.now)
    text = link_text(random_bytes(TOKEN_BYTES))
    link = PortalLink(
        id=new_public_id("lnk"),
        hash=token_hash(text),
        scope=asked.scope,
        partner_id=asked.partner_id,
        created=session.now,
        expires=expires,
        created_by=writer.by,
    )
    removed = [TableChange(session.names.console, link_key(each.id), None) for each in gone]
    session.write([*removed, link_change(session, link)])
    return NewLink(link, text)


def revoke_link(
    writer: ChangeWriter, caller: Caller | None, partner_id: str, link_id: str
) -> tuple[PortalLink, bool]:
    """Revoke a link, and end the session that it began; return it as it is then, and whether that changed it.

    Args:
        writer: Writes the tables, with the console topic.
        caller: Who asks; None: the command line.
        partner_id: Whose link it is.
        link_id: Its id.

    Raises:
        InputRefused: There is no such link of this partner, as far as the caller may know.
    """
    session = writer.session
    table = session.console()
    link = table.links.get(link_id)
    if link is None or link.partner_id != partner_id or not sees_link(caller, link):
        if is_link(link_id):
            # Never repeated: it may be good elsewhere.
            raise InputRefused("a link is named by its id, lnk-…, and not by its text")
        known = [each.id for each in visible_links(table, caller, partner_id)]
        raise InputRefused(
            f"partner {partner_id!r} has no link {link_id!r}{did_you_mean(link_id, known)}"
        )
    if link.revoked is not None:
        return link, False
    after = revoked_link(link, session.now, writer.by)
    rows = [link_change(session, after)]
    begun = None if link.session_id is None else table.sessions.get(link.session_id)
    if begun is not None and not begun.over(session.now):
        rows.append(session_change(session, ended_session(begun, session.now, writer.by)))
    session.write(rows)
    return after, True


def visible_sessions(
    table: ConsoleTable, caller: Caller | None, partner_id: str | None = None
) -> list[Session]:
    """Return the sessions that a caller may see, oldest first.

    Args:
        table: The console topic's rows.
        caller: Who asks; None: the command line.
        partner_id: Only those of this partner.
    """
    found = (each for each in table.sessions.rows() if partner_id in (None, each.partner_id))
    return in_order(each for each in found if sees_session(caller, each))


def in_order(sessions: Iterable[Session]) -> list[Session]:
    """Return sessions, oldest first."""
    return sorted(sessions, key=lambda each: (each.began, each.id))


def visible_links(table: ConsoleTable, caller: Caller | None, partner_id: str) -> list[PortalLink]:
    """Return the links of a partner that a caller may see, oldest first. Otherwise as `visible_sessions`."""
    found = (each for each in table.links.rows() if each.partner_id == partner_id)
    seen = (each for each in found if sees_link(caller, each))
    return sorted(seen, key=lambda link: (link.created, link.id))


def session_state(session: Session, token: ApiToken | None, now: Millis) -> str:
    """Return `live`, `ended`, `expired` or `token_over`.

    Args:
        session: The session.
        token: The token that began it, as it is now; None: there is none.
        now: The brokers' time.
    """
    judged = session_caller(session, token, now)
    return "live" if isinstance(judged, Caller) else judged.value


def link_state(link: PortalLink, now: Millis) -> str:
    """Return `open`, `used`, `expired` or `revoked`."""
    refused = link_refusal(link, now)
    return "open" if refused is None else refused.value


def link_url(settings: Settings, text: str) -> str:
    """Return the URL of a link; its path alone where `console.url` is not set."""
    return f"{settings.console.url}{PORTAL_PATH}{text}"


def session_document(session: Session, state: str) -> JsonObject:
    """Return what may be shown of a session as JSON: neither its cookie nor its hash."""
    return {
        "id": session.id,
        "scope": session.scope.value,
        "partner": session.partner_id,
        "token": session.token_id,
        "link": session.link_id,
        "state": state,
        "began": to_rfc3339(session.began),
        "expires": to_rfc3339(session.expires),
        "ended": None if session.ended is None else to_rfc3339(session.ended),
        "ended_by": session.ended_by or None,
        "revision": session.revision,
    }


def link_document(link: PortalLink, now: Millis) -> JsonObject:
    """Return what may be shown of a link as JSON: neither its text nor its hash."""
    return {
        "id": link.id,
        "scope": link.scope.value,
        "partner": link.partner_id,
        "state": link_state(link, now),
        "created": to_rfc3339(link.created),
        "created_by": link.created_by,
        "expires": to_rfc3339(link.expires),
        "used": None if link.used is None else to_rfc3339(link.used),
        "session": link.session_id,
        "revoked": None if link.revoked is None else to_rfc3339(link.revoked),
        "revoked_by": link.revoked_by or None,
        "revision": link.revision,
    }
