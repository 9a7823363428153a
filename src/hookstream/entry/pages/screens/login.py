"""Logging in with a token, and logging out."""

from hookstream.core.access.scopes import Scope
from hookstream.entry.pages.page import ConsolePage, Moved, PageCall, Shown
from hookstream.entry.pages.places import LOGIN, local_path

_LONGEST_TOKEN = 200
_REFUSED = 401


async def show_login(call: PageCall) -> Shown:
    """Show the form that takes a token."""
    return Shown({"to": local_path(call.filters.get("to", "")), "refused": False})


async def log_in(call: PageCall) -> Shown | Moved:
    """Begin a session of a token."""
    to = local_path(call.form.get("to", ""))
    token = call.form.get("token", "").strip()
    cookies = await call.door.begin(token) if 0 < len(token) <= _LONGEST_TOKEN else None
    if cookies is None:
        return Shown({"to": to, "refused": True}, status=_REFUSED)
    return Moved(to, cookies=cookies)


async def log_out(call: PageCall) -> Moved:
    """End the session."""
    return Moved(LOGIN, cookies=await call.door.end())


PAGES = (
    ConsolePage("GET", LOGIN, show_login, "login.html", "Log in", scope=None, filters=("to",)),
    ConsolePage("POST", LOGIN, log_in, "login.html", "Log in", scope=None),
    ConsolePage("POST", "/ui/logout", log_out, scope=Scope.PARTNER_READ),
)
