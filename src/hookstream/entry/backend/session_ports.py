"""The ports for portal links and sessions of pages; each raises the exceptions that `ports.py` documents."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from hookstream.core.access.portal_links import PortalLink
from hookstream.core.access.sessions import Session
from hookstream.entry.admin.sessions import WantedLink


class ListedSession(NamedTuple):
    """A session, and its present state."""

    session: Session
    state: str
    """As `session_state`."""


class SessionListing(NamedTuple):
    """Sessions, the oldest first."""

    found: Sequence[ListedSession]
    unreadable: Sequence[str] = ()
    """Problems of rows that cannot be read."""


class LinkListing(NamedTuple):
    """Portal links, the oldest first."""

    links: Sequence[PortalLink]
    unreadable: Sequence[str] = ()
    """Problems of rows that cannot be read."""


class MadeLink(NamedTuple):
    """A portal link that was just made."""

    link: PortalLink
    url: str
    """The URL for the partner. It is stored nowhere, so this is the only time that it can be shown."""


class EndedOfPartner(NamedTuple):
    """The ids of a partner's ended sessions and links."""

    sessions: Sequence[str]
    links: Sequence[str]


class SessionCommands(Protocol):
    """Makes, lists and revokes portal links; lists and ends sessions."""

    def make_link(self, asked: WantedLink) -> MadeLink:
        """Make a portal link."""

    def links(self, partner_id: str) -> LinkListing:
        """Return the portal links of a partner."""

    def revoke_link(self, partner_id: str, link_id: str) -> tuple[PortalLink, bool]:
        """Revoke a portal link; return it, and whether it changed."""

    def listed(self, partner_id: str | None) -> SessionListing:
        """Return all sessions, or those of one partner."""

    def end(self, session_id: str) -> tuple[Session, bool]:
        """End a session; return it, and whether it changed."""

    def end_of_partner(self, partner_id: str) -> EndedOfPartner:
        """End all sessions of a partner, and revoke its portal links."""
