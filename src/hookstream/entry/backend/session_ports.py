"""What commands need of portal links and of sessions of pages; what any of it raises is said in `ports.py`."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from hookstream.core.access.portal_links import PortalLink
from hookstream.core.access.sessions import Session
from hookstream.entry.admin.sessions import WantedLink


class ListedSession(NamedTuple):
    """A session, and what it is now."""

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
    """What is handed to the partner. It is kept nowhere, so this is the only time that it can be shown."""


class EndedOfPartner(NamedTuple):
    """The ids of what was ended of a partner."""

    sessions: Sequence[str]
    links: Sequence[str]


class SessionCommands(Protocol):
    """Makes, lists and revokes portal links; lists and ends sessions."""

    def make_link(self, asked: WantedLink) -> MadeLink:
        """Make a portal link."""

    def links(self, partner_id: str) -> LinkListing:
        """Return the portal links of a partner."""

    def revoke_link(self, partner_id: str, link_id: str) -> tuple[PortalLink, bool]:
        """Revoke a portal link; return it as it is then, and whether that changed it."""

    def listed(self, partner_id: str | None) -> SessionListing:
        """Return all sessions, or those of one partner."""

    def end(self, session_id: str) -> tuple[Session, bool]:
        """End a session; return it as it is then, and whether that changed it."""

    def end_of_partner(self, partner_id: str) -> EndedOfPartner:
        """End all sessions of a partner, and revoke its portal links."""
