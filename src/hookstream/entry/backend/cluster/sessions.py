"""Portal links and sessions of pages as the console topic has them."""

from dataclasses import dataclass
from functools import partial

from hookstream.core.access.portal_links import PortalLink
from hookstream.core.access.sessions import Session
from hookstream.entry.admin.sessions import (
    WantedLink,
    end_session,
    end_sessions_of,
    link_url,
    make_link,
    revoke_link,
    session_state,
    visible_links,
    visible_sessions,
)
from hookstream.entry.admin.tables import found_partner
from hookstream.entry.backend.cluster.access import ClusterAccess
from hookstream.entry.backend.session_ports import (
    EndedOfPartner,
    LinkListing,
    ListedSession,
    MadeLink,
    SessionListing,
)


@dataclass(slots=True, frozen=True)
class ClusterSessions:
    """Links and sessions of the console topic. Implements `SessionCommands`."""

    cluster: ClusterAccess

    def make_link(self, asked: WantedLink) -> MadeLink:
        made = self.cluster.change(
            partial(make_link, caller=None, asked=asked), console=True
        ).result
        return MadeLink(made.link, link_url(self.cluster.settings, made.text))

    def links(self, partner_id: str) -> LinkListing:
        found_partner(self.cluster.state(), partner_id)
        table = self.cluster.console()
        return LinkListing(visible_links(table, None, partner_id), [*table.unreadable.values()])

    def revoke_link(self, partner_id: str, link_id: str) -> tuple[PortalLink, bool]:
        act = partial(revoke_link, caller=None, partner_id=partner_id, link_id=link_id)
        return self.cluster.change(act, console=True).result

    def listed(self, partner_id: str | None) -> SessionListing:
        table, now = self.cluster.console(), self.cluster.now()
        found = [
            ListedSession(
                each,
                session_state(each, table.tokens.get(each.token_id or ""), now),
            )
            for each in visible_sessions(table, None, partner_id)
        ]
        return SessionListing(found, [*table.unreadable.values()])

    def end(self, session_id: str) -> tuple[Session, bool]:
        act = partial(end_session, caller=None, session_id=session_id)
        return self.cluster.change(act, console=True).result

    def end_of_partner(self, partner_id: str) -> EndedOfPartner:
        act = partial(end_sessions_of, partner_id=partner_id)
        ended = self.cluster.change(act, console=True).result
        sessions, links = ended.sessions, ended.links
        return EndedOfPartner([each.id for each in sessions], [each.id for each in links])
