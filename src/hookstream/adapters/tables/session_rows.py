"""The rows of sessions and portal links in the console topic: `session/<id>` and `link/<id>`."""

import re
from typing import Any

from hookstream.adapters.tables.row import Row
from hookstream.core.access.portal_links import LINK_SCOPES, PortalLink
from hookstream.core.access.scopes import Scope
from hookstream.core.access.sessions import Session
from hookstream.core.model import row_fields as fields
from hookstream.core.model.row_fields import FieldUnreadable

SESSION_PREFIX = "session/"
LINK_PREFIX = "link/"

_SHA256 = re.compile(r"[0-9a-f]{64}")


def sha256_text(text: str) -> str:
    """Return a text that is a SHA-256 in hex.

    Raises:
        ValueError: It is not one.
    """
    if not _SHA256.fullmatch(text):
        raise ValueError("it is not a SHA-256 in hex")
    return text


def _session(**values: Any) -> Session:  # noqa: ANN401  the fields of the row
    session = Session(**values)
    if (session.token_id is None) == (session.link_id is None):
        raise FieldUnreadable("`token`: either a token began it, or a link")
    if session.scope.is_of_partner != (session.partner_id is not None):
        raise FieldUnreadable(f"`partner`: scope {session.scope} does not allow it")
    if session.link_id is not None and session.scope not in LINK_SCOPES:
        raise FieldUnreadable(f"`scope`: a link cannot have {session.scope}")
    return session


def _link(**values: Any) -> PortalLink:  # noqa: ANN401  the fields of the row
    link = PortalLink(**values)
    if link.scope not in LINK_SCOPES:
        raise FieldUnreadable(f"`scope`: a link cannot have {link.scope}")
    if (link.used is None) != (link.session_id is None):
        raise FieldUnreadable("`session`: it belongs to a link that was used")
    return link


_SESSION = Row(
    "session",
    _session,
    rf"{SESSION_PREFIX}(?P<id>[^/]+)",
    strict=True,
    revision=fields.WHOLE,
    scope=fields.parsed(Scope),
    partner=fields.optional(fields.TEXT).into("partner_id"),
    hash=fields.parsed(sha256_text),
    token=fields.optional(fields.TEXT).into("token_id"),
    link=fields.optional(fields.TEXT).into("link_id"),
    began=fields.INSTANT,
    expires=fields.INSTANT,
    ended=fields.optional(fields.INSTANT).sparse(),
    ended_by=fields.REMARK,
)

_LINK = Row(
    "portal link",
    _link,
    rf"{LINK_PREFIX}(?P<id>[^/]+)",
    strict=True,
    revision=fields.WHOLE,
    scope=fields.parsed(Scope),
    partner=fields.TEXT.into("partner_id"),
    hash=fields.parsed(sha256_text),
    created=fields.INSTANT,
    created_by=fields.REMARK,
    expires=fields.INSTANT,
    used=fields.optional(fields.INSTANT).sparse(),
    session=fields.optional(fields.TEXT).into("session_id").sparse(),
    revoked=fields.optional(fields.INSTANT).sparse(),
    revoked_by=fields.REMARK,
)

read_session, write_session = _SESSION.read, _SESSION.write
read_link, write_link = _LINK.read, _LINK.write


def session_key(session_id: str) -> str:
    """Return the console topic's key of a session."""
    return SESSION_PREFIX + session_id


def link_key(link_id: str) -> str:
    """Return the console topic's key of a portal link."""
    return LINK_PREFIX + link_id
