"""Opens a partner's pages by a portal link: a GET changes nothing, the button's POST uses the link up."""

from http import HTTPStatus

from hookstream.core.access.portal_links import LinkRefusal, PortalLink
from hookstream.entry.pages.page import ConsolePage, Moved, PageCall, Shown
from hookstream.entry.pages.places import HOME

PORTAL = "/ui/portal/{link}"

_WHY = {
    LinkRefusal.UNKNOWN: "There is no such link.",
    LinkRefusal.USED: "This link was already used: each opens one session.",
    LinkRefusal.EXPIRED: "This link has expired.",
    LinkRefusal.REVOKED: "This link was revoked.",
}


async def show_portal_link(call: PageCall) -> Shown:
    """Show what a link opens, and the button that opens it. Scanners of mail come here, too."""
    return _shown(call.door.link(call.params["link"]))


async def use_portal_link(call: PageCall) -> Shown | Moved:
    """Begin the session of a link."""
    cookies = await call.door.use_link(call.params["link"])
    return _shown(cookies) if isinstance(cookies, LinkRefusal) else Moved(HOME, cookies=cookies)


def _shown(found: PortalLink | LinkRefusal) -> Shown:
    if isinstance(found, PortalLink):
        return Shown({"link": found, "refused": ""})
    is_absent = found is LinkRefusal.UNKNOWN
    status = HTTPStatus.NOT_FOUND if is_absent else HTTPStatus.GONE
    return Shown({"link": None, "refused": _WHY[found]}, status=status)


PAGES = (
    ConsolePage("GET", PORTAL, show_portal_link, "portal.html", "Open your pages", scope=None),
    ConsolePage("POST", PORTAL, use_portal_link, "portal.html", "Open your pages", scope=None),
)
