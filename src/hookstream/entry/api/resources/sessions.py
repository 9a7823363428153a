"""Routes that create, list and end portal links and sessions of pages."""

from typing import Annotated, Any, Literal

import msgspec

from hookstream.core.access.portal_links import PortalLink, sees_link
from hookstream.core.access.scopes import Scope
from hookstream.core.access.sessions import Session, sees_session
from hookstream.core.model.instant import parse_duration, to_rfc3339
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.console_changes import ShutOut
from hookstream.entry.admin.sessions import (
    NewLink,
    WantedLink,
    end_session,
    end_sessions_of,
    link_state,
    link_url,
    make_link,
    revoke_link,
    session_state,
)
from hookstream.entry.api.caller import partner_of
from hookstream.entry.api.fields import OPERATORS_SEE, ApiInput, ApiOutput, Duration
from hookstream.entry.api.filters import OfPartner, time_text
from hookstream.entry.api.page_query import PageQuery
from hookstream.entry.api.pages import page_of
from hookstream.entry.api.problems import ProblemKind, RequestRefused, invalid, not_found
from hookstream.entry.api.routes import ApiAnswer, Call, Route

_TAG = "sessions"
_LINKS = "/v1/partners/{partner_id}/portal-links"


class LinkGiven(ApiInput, frozen=True):
    """A new portal link."""

    scope: Literal["partner:read", "partner:manage"] = "partner:read"
    """The scope of the session that it begins."""
    life: Duration | None = None
    """For how long it may be used, 1m to 24h; default: 15m."""


class LinkShown(ApiOutput, frozen=True):
    """A portal link, without its URL and its hash."""

    id: str
    scope: str
    partner: str
    state: str
    """`open`, `used`, `expired` or `revoked`."""
    created: str
    expires: str
    """From then on it begins no session."""
    used: str | None
    session: str | None
    """The session that it began."""
    revoked: str | None
    revision: int
    created_by: Annotated[str, OPERATORS_SEE]
    revoked_by: Annotated[str | None, OPERATORS_SEE]


class LinkMade(ApiOutput, frozen=True):
    """A portal link that was just created."""

    link: LinkShown
    url: str | None
    """The URL to give to the partner, shown only here. If `console.url` is not set, it has no host."""


class LinksPage(ApiOutput, frozen=True):
    """Portal links, the oldest first."""

    items: tuple[LinkShown, ...]
    next: str | None


class SessionShown(ApiOutput, frozen=True):
    """A session of pages, without its cookie and its hash."""

    id: str
    scope: str
    partner: str | None
    token: str | None
    """The token that began it; null: a link did."""
    link: str | None
    """The portal link that began it; null: a token did."""
    state: str
    """`live`, `ended`, `expired`, or `token_over`: its token was revoked or has expired."""
    began: str
    expires: str
    ended: str | None
    revision: int
    ended_by: Annotated[str | None, OPERATORS_SEE]


class SessionsPage(ApiOutput, frozen=True):
    """Sessions, the oldest first."""

    items: tuple[SessionShown, ...]
    next: str | None


class SessionsQuery(PageQuery, frozen=True):
    """The filters of the list of sessions."""

    partner: OfPartner = None


class SessionsEnded(ApiOutput, frozen=True):
    """The sessions and links of a partner that were ended."""

    sessions: tuple[str, ...]
    """The ids of sessions that were not over."""
    links: tuple[str, ...]
    """The ids of portal links that could still be used."""


def make_portal_link(call: Call[Any, LinkGiven]) -> ApiAnswer:
    """Create a portal link."""
    partner, given = partner_of(call), call.body
    try:
        life = None if given.life is None else parse_duration(given.life)
    except ValueError as why:
        raise invalid(str(why), "life") from None
    asked = WantedLink(partner.id, Scope(given.scope), life)

    def answer(made: NewLink, writer: ChangeWriter) -> ApiAnswer:
        shown = _link(made.link, writer.session.now)
        body = LinkMade(link=shown, url=link_url(call.services.settings, made.text))
        return ApiAnswer(
            body,
            location=f"/v1/partners/{partner.id}/portal-links/{made.link.id}",
            kept=msgspec.structs.replace(body, url=None),
        )

    return call.change(lambda writer: make_link(writer, call.caller, asked), answer)


def list_portal_links(call: Call[PageQuery, None]) -> ApiAnswer:
    """Return the portal links of a partner."""
    partner, now = partner_of(call), call.services.now()
    seen = [
        each
        for each in call.services.links()
        if each.partner_id == partner.id and sees_link(call.caller, each)
    ]
    seen.sort(key=_made)
    page, following = page_of(call, seen, _made)
    items = tuple(_link(each, now) for each in page)
    return ApiAnswer(LinksPage(items=items, next=following))


def get_portal_link(call: Call[Any, None]) -> ApiAnswer:
    """Return one portal link."""
    return ApiAnswer(_link(_found_link(call), call.services.now()))


def revoke_portal_link(call: Call[Any, None]) -> ApiAnswer:
    """Revoke a portal link, and end the session that it began."""
    link = _found_link(call)

    def answer(revoked: tuple[PortalLink, bool], writer: ChangeWriter) -> ApiAnswer:
        return ApiAnswer(_link(revoked[0], writer.session.now))

    return call.change(
        lambda writer: revoke_link(writer, call.caller, link.partner_id, link.id), answer
    )


def list_sessions(call: Call[SessionsQuery, None]) -> ApiAnswer:
    """Return the sessions that the caller may see."""
    wanted = call.caller.partner_id or call.query.partner
    seen = [
        each
        for each in call.services.sessions()
        if wanted in (None, each.partner_id) and sees_session(call.caller, each)
    ]
    seen.sort(key=_began)
    page, following = page_of(call, seen, _began)
    items = tuple(_session(call, each) for each in page)
    return ApiAnswer(SessionsPage(items=items, next=following))


def get_session(call: Call[Any, None]) -> ApiAnswer:
    """Return one session."""
    return ApiAnswer(_session(call, _found_session(call)))


def revoke_session(call: Call[Any, None]) -> ApiAnswer:
    """End a session; within two seconds it is over everywhere."""
    session = _found_session(call)

    def answer(ended: tuple[Session, bool], _writer: ChangeWriter) -> ApiAnswer:
        return ApiAnswer(_session(call, ended[0]))

    return call.change(lambda writer: end_session(writer, call.caller, session.id), answer)


def revoke_partner_sessions(call: Call[Any, None]) -> ApiAnswer:
    """End all sessions of a partner, and revoke its portal links."""
    partner = partner_of(call)

    def answer(ended: ShutOut, _writer: ChangeWriter) -> ApiAnswer:
        sessions = tuple(each.id for each in ended.sessions)
        links = tuple(each.id for each in ended.links)
        return ApiAnswer(SessionsEnded(sessions=sessions, links=links), subject=partner.id)

    return call.change(lambda writer: end_sessions_of(writer, partner.id), answer)


def _found_link(call: Call[Any, None]) -> PortalLink:
    partner, link_id = partner_of(call), call.params["link_id"]
    found = call.services.link(link_id)
    if found is None or found.partner_id != partner.id or not sees_link(call.caller, found):
        if not call.by_operator:
            raise not_found()
        raise RequestRefused(
            ProblemKind.NOT_FOUND, f"partner {partner.id!r} has no link {link_id!r}"
        )
    return found


def _found_session(call: Call[Any, None]) -> Session:
    session_id = call.params["session_id"]
    found = call.services.session(session_id)
    if found is None or not sees_session(call.caller, found):
        if not call.by_operator:
            raise not_found()
        raise RequestRefused(ProblemKind.NOT_FOUND, f"there is no session {session_id!r}")
    return found


def _made(link: PortalLink) -> str:
    return f"{link.created:016d}/{link.id}"


def _began(session: Session) -> str:
    return f"{session.began:016d}/{session.id}"


def _link(link: PortalLink, now: int) -> LinkShown:
    return LinkShown(
        id=link.id,
        scope=link.scope.value,
        partner=link.partner_id,
        state=link_state(link, now),
        created=to_rfc3339(link.created),
        expires=to_rfc3339(link.expires),
        used=time_text(link.used),
        session=link.session_id,
        revoked=time_text(link.revoked),
        revision=link.revision,
        created_by=link.created_by,
        revoked_by=link.revoked_by or None,
    )


def _session(call: Call[Any, Any], session: Session) -> SessionShown:
    token = None if session.token_id is None else call.services.token(session.token_id)
    return SessionShown(
        id=session.id,
        scope=session.scope.value,
        partner=session.partner_id,
        token=session.token_id,
        link=session.link_id,
        state=session_state(session, token, call.services.now()),
        began=to_rfc3339(session.began),
        expires=to_rfc3339(session.expires),
        ended=time_text(session.ended),
        revision=session.revision,
        ended_by=session.ended_by or None,
    )


ROUTES = (
    Route(
        "POST",
        _LINKS,
        Scope.OPERATOR_WRITE,
        "Create a link that opens a partner's pages once; only this answer has its URL.",
        make_portal_link,
        LinkMade,
        body=LinkGiven,
        status=201,
        is_idempotent=True,
        tag=_TAG,
        act="link.made",
    ),
    Route(
        "GET",
        _LINKS,
        Scope.PARTNER_MANAGE,
        "List a partner's portal links.",
        list_portal_links,
        LinksPage,
        query=PageQuery,
        tag=_TAG,
    ),
    Route(
        "GET",
        f"{_LINKS}/{{link_id}}",
        Scope.PARTNER_MANAGE,
        "Show a portal link.",
        get_portal_link,
        LinkShown,
        tag=_TAG,
    ),
    Route(
        "POST",
        f"{_LINKS}/{{link_id}}/revoke",
        Scope.PARTNER_MANAGE,
        "Revoke a portal link, and end the session that it began.",
        revoke_portal_link,
        LinkShown,
        is_idempotent=True,
        tag=_TAG,
        act="link.revoked",
    ),
    Route(
        "POST",
        "/v1/partners/{partner_id}/sessions/revoke",
        Scope.PARTNER_MANAGE,
        "End all sessions of a partner, and revoke its portal links.",
        revoke_partner_sessions,
        SessionsEnded,
        is_idempotent=True,
        tag=_TAG,
        act="sessions.ended",
    ),
    Route(
        "GET",
        "/v1/sessions",
        Scope.PARTNER_MANAGE,
        "List sessions of pages.",
        list_sessions,
        SessionsPage,
        query=SessionsQuery,
        tag=_TAG,
    ),
    Route(
        "GET",
        "/v1/sessions/{session_id}",
        Scope.PARTNER_MANAGE,
        "Show a session of pages.",
        get_session,
        SessionShown,
        tag=_TAG,
    ),
    Route(
        "POST",
        "/v1/sessions/{session_id}/revoke",
        Scope.PARTNER_MANAGE,
        "End a session of pages: it is over everywhere within two seconds.",
        revoke_session,
        SessionShown,
        is_idempotent=True,
        tag=_TAG,
        act="session.ended",
    ),
)
