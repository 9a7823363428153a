"""How people get at a partner's pages: its portal links, and the sessions that are open."""

from hookstream.core.access.scopes import Scope
from hookstream.core.model.counted import counted
from hookstream.entry.pages.acts import PageAct
from hookstream.entry.pages.asking import at
from hookstream.entry.pages.page import ConsolePage, Moved, PageCall, Shown

_ACCESS = "/ui/partners/{partner_id}/access"
_SCOPES = (Scope.PARTNER_READ.value, Scope.PARTNER_MANAGE.value)


async def show_access(call: PageCall) -> Shown:
    """Show the portal links and sessions of a partner."""
    partner_id = call.params["partner_id"]
    links, sessions = await call.api.each(
        (at("/v1/partners/{}/portal-links", partner_id), {"limit": 200}),
        ("/v1/sessions", {"partner": partner_id if call.by_operator else None, "limit": 200}),
    )
    live = [each for each in sessions["items"] if each["state"] == "live"]
    still_open = [each for each in links["items"] if each["state"] == "open"]
    ending = None
    if live or still_open:
        ending = PageAct(
            "End all access",
            f"Ends {counted(len(live), 'session')} and revokes {counted(len(still_open), 'link')} of {partner_id}, within two seconds in"
            " every console. Its tokens stay.",
            at("/ui/partners/{}/access/end", partner_id),
            "POST",
            at("/v1/partners/{}/sessions/revoke", partner_id),
            is_grave=True,
        )
    return Shown(
        {
            "partner_id": partner_id,
            "links": links,
            "sessions": sessions,
            "ending": ending,
            "scopes": _SCOPES if call.caller.may(Scope.OPERATOR_WRITE) else (),
        },
        title=f"Access of {partner_id}",
    )


async def make_link(call: PageCall) -> Shown:
    """Create a portal link, and show it only now."""
    partner_id = call.params["partner_id"]
    body = {"scope": call.form.get("scope", "")}
    if life := call.form.get("life", ""):
        body["life"] = life
    path = at("/v1/partners/{}/portal-links", partner_id)
    made = (await call.api.act("POST", path, body, key=call.key)).body
    return Shown({"made": made, "partner_id": partner_id})


async def end_access(call: PageCall) -> Moved:
    """End all sessions of a partner, and revoke its links."""
    partner_id = call.params["partner_id"]
    path = at("/v1/partners/{}/sessions/revoke", partner_id)
    ended = (await call.api.act("POST", path, key=call.key)).body
    count = f"{len(ended['sessions']):,} sessions are ended, {len(ended['links']):,} links revoked"
    if call.by_operator:
        return Moved(at("/ui/partners/{}/access", partner_id), count)
    # The session that asked may be one of them.
    return Moved(at("/ui/partners/{}", partner_id), count)


PAGES = (
    ConsolePage("GET", _ACCESS, show_access, "access.html", "Access", scope=Scope.PARTNER_MANAGE),
    ConsolePage(
        "POST",
        f"{_ACCESS}/links",
        make_link,
        "link_made.html",
        "Portal link",
        scope=Scope.OPERATOR_WRITE,
    ),
    ConsolePage("POST", f"{_ACCESS}/end", end_access, scope=Scope.PARTNER_MANAGE),
)
