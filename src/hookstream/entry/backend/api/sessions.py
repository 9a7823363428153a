"""Portal links and sessions of pages through the API."""

from dataclasses import dataclass

from hookstream.core.access.portal_links import PortalLink, is_link
from hookstream.core.access.scopes import Scope
from hookstream.core.access.sessions import Session, is_cookie
from hookstream.core.model.instant import format_duration, from_rfc3339
from hookstream.entry.admin.sessions import WantedLink
from hookstream.entry.api.page_query import PageQuery
from hookstream.entry.api.resources.sessions import (
    LinkGiven,
    LinkMade,
    LinkShown,
    LinksPage,
    SessionsEnded,
    SessionShown,
    SessionsPage,
    SessionsQuery,
)
from hookstream.entry.backend.api.client import ApiClient, path
from hookstream.entry.backend.api.values import instant_or_none
from hookstream.entry.backend.session_ports import (
    EndedOfPartner,
    LinkListing,
    ListedSession,
    MadeLink,
    SessionListing,
)
from hookstream.errors import InputRefused

LINKS = "/v1/partners/{partner_id}/portal-links"
LINK = "/v1/partners/{partner_id}/portal-links/{link_id}"
SESSIONS = "/v1/sessions"
SESSION = "/v1/sessions/{session_id}"
SESSIONS_OF = "/v1/partners/{partner_id}/sessions/revoke"


@dataclass(slots=True, frozen=True)
class ApiSessions:
    """Links and sessions of a console. Implements `SessionCommands`."""

    api: ApiClient

    def make_link(self, asked: WantedLink) -> MadeLink:
        given = LinkGiven(
            scope="partner:manage" if asked.scope is Scope.PARTNER_MANAGE else "partner:read",
            life=None if asked.life is None else format_duration(asked.life),
        )
        where = path(LINKS, partner_id=asked.partner_id)
        made = self.api.change("POST", where, LinkMade, given)
        link = link_in(made.link)
        if made.url is None:
            raise InputRefused(
                f"{link.id} was created, but the answer with its URL was lost: revoke it, and create another"
            )
        return MadeLink(link, made.url)

    def links(self, partner_id: str) -> LinkListing:
        pages = self.api.pages(path(LINKS, partner_id=partner_id), LinksPage, PageQuery)
        return LinkListing([link_in(each) for page in pages for each in page.items])

    def revoke_link(self, partner_id: str, link_id: str) -> tuple[PortalLink, bool]:
        if is_link(link_id):
            raise InputRefused("a link is named by its id, lnk-…, and not by its text")
        where = path(LINK, partner_id=partner_id, link_id=link_id)
        before = self.api.get(where, LinkShown)
        after = self.api.change("POST", f"{where}/revoke", LinkShown)
        return link_in(after), before.revoked is None

    def listed(self, partner_id: str | None) -> SessionListing:
        pages = self.api.pages(SESSIONS, SessionsPage, SessionsQuery, partner=partner_id)
        found = (each for page in pages for each in page.items)
        return SessionListing([ListedSession(session_in(each), each.state) for each in found])

    def end(self, session_id: str) -> tuple[Session, bool]:
        if is_cookie(session_id):
            raise InputRefused("a session is named by its id, ses-…, and not by its cookie")
        where = path(SESSION, session_id=session_id)
        before = self.api.get(where, SessionShown)
        after = self.api.change("POST", f"{where}/revoke", SessionShown)
        return session_in(after), before.revision != after.revision

    def end_of_partner(self, partner_id: str) -> EndedOfPartner:
        where = path(SESSIONS_OF, partner_id=partner_id)
        ended = self.api.change("POST", where, SessionsEnded)
        return EndedOfPartner(ended.sessions, ended.links)


def link_in(shown: LinkShown) -> PortalLink:
    """Return a portal link, without its hash."""
    return PortalLink(
        id=shown.id,
        hash="",
        scope=Scope(shown.scope),
        partner_id=shown.partner,
        created=from_rfc3339(shown.created),
        expires=from_rfc3339(shown.expires),
        created_by=shown.created_by,
        used=instant_or_none(shown.used),
        session_id=shown.session,
        revoked=instant_or_none(shown.revoked),
        revoked_by=shown.revoked_by or "",
        revision=shown.revision,
    )


def session_in(shown: SessionShown) -> Session:
    """Return a session, without its hash."""
    return Session(
        id=shown.id,
        hash="",
        scope=Scope(shown.scope),
        partner_id=shown.partner,
        token_id=shown.token,
        link_id=shown.link,
        began=from_rfc3339(shown.began),
        expires=from_rfc3339(shown.expires),
        ended=instant_or_none(shown.ended),
        ended_by=shown.ended_by or "",
        revision=shown.revision,
    )
