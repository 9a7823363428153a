"""Rows of the console topic that commit with other changes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.adapters.tables.console_rows import token_key, write_token
from hookstream.adapters.tables.session_rows import (
    link_key,
    session_key,
    write_link,
    write_session,
)
from hookstream.core.access.portal_links import PortalLink, revoked_link
from hookstream.core.access.sessions import Session, ended_session
from hookstream.core.access.tokens import ApiToken
from hookstream.entry.admin.tables import TablesSession
from hookstream.errors import Conflict


def token_change(session: TablesSession, token: ApiToken) -> TableChange:
    """Return the row of a token."""
    return TableChange(session.names.console, token_key(token.id), write_token(token))


def session_change(session: TablesSession, pages: Session) -> TableChange:
    """Return the row of a session of pages."""
    return TableChange(session.names.console, session_key(pages.id), write_session(pages))


def link_change(session: TablesSession, link: PortalLink) -> TableChange:
    """Return the row of a portal link."""
    return TableChange(session.names.console, link_key(link.id), write_link(link))


def revoked(token: ApiToken, now: int, by: str) -> ApiToken:
    """Return a token after its revocation."""
    return replace(token, revoked=now, revoked_by=by, revision=token.revision + 1)


def revoked_with_partner(session: TablesSession, partner_id: str, by: str) -> list[TableChange]:
    """Return the rows that revoke the tokens of a partner that is deleted, and end its sessions and links.

    There are none if the session has no console topic: tokens of a partner that does not exist are refused anyway.
    """
    if not session.has_console:
        return []
    tokens = [
        token_change(session, revoked(token, session.now, by))
        for token in session.console().tokens.tokens(partner_id)
        if not token.ended(session.now)
    ]
    return [*tokens, *shut_out(session, partner_id, by).rows]


@dataclass(slots=True, frozen=True)
class ShutOut:
    """The ended sessions and links of a partner: everything that opens pages without its token."""

    sessions: Sequence[Session]
    """The sessions that were not over, after their end."""
    links: Sequence[PortalLink]
    """The links that could still be used, after their revocation."""
    rows: Sequence[TableChange]


def shut_out(session: TablesSession, partner_id: str, by: str) -> ShutOut:
    """Return the changes that end all sessions of a partner, and revoke its links."""
    table = session.console()
    sessions = [
        ended_session(each, session.now, by)
        for each in table.sessions.rows()
        if each.partner_id == partner_id and not each.over(session.now)
    ]
    links = [
        revoked_link(each, session.now, by)
        for each in table.links.rows()
        if each.partner_id == partner_id and each.is_open(session.now)
    ]
    rows = [session_change(session, each) for each in sessions]
    return ShutOut(sessions, links, [*rows, *(link_change(session, each) for each in links)])


class AnsweredMeanwhile(Conflict):
    """Raised when another process answered a request of the same idempotency key: nothing was written.

    A repetition of the request gets that answer.
    """


def completed(
    session: TablesSession, changes: Sequence[TableChange], more: Sequence[TableChange]
) -> list[TableChange]:
    """Return the rows that commit with a change: its own, and the removal of some that have expired.

    Args:
        session: The tables.
        changes: All rows of the change.
        more: Those of them that are not written yet, rows of idempotency keys included.

    Raises:
        AnsweredMeanwhile: One of those keys has an answer.
    """
    console = session.names.console
    written = {change.key for change in changes if change.topic == console}
    if not written:
        return list(more)
    table = session.console()
    for change in more:
        if change.topic == console and table.is_answered(change.key, session.now):
            raise AnsweredMeanwhile("a request of this idempotency key was answered meanwhile")
    expired = [key for key in table.forgettable(session.now) if key not in written]
    return [*(TableChange(console, key, None) for key in expired), *more]
