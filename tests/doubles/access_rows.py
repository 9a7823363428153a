"""Rows of sessions and portal links, with the secret texts that nothing keeps."""

from hookstream.adapters.system import random_bytes
from hookstream.adapters.tables.session_rows import (
    link_key,
    session_key,
    write_link,
    write_session,
)
from hookstream.core.access.portal_links import PortalLink, link_text
from hookstream.core.access.scopes import Scope
from hookstream.core.access.sessions import Session, cookie_text
from hookstream.core.access.tokens import TOKEN_BYTES, token_hash
from hookstream.core.model.instant import HOUR, Millis

LINK_TEXTS = {"lnk-ours": link_text(bytes([1]) * 32), "lnk-theirs": link_text(bytes([2]) * 32)}


def session_row(name: str, partner_id: str, token_id: str, now: Millis) -> tuple[str, bytes]:
    """Return key and value of a session that a token began."""
    value = token_hash(cookie_text(random_bytes(TOKEN_BYTES)))
    scope, expires = Scope.PARTNER_READ, now + HOUR
    row = Session(name, value, scope, partner_id, token_id, None, now, expires)
    return session_key(name), write_session(row)


def link_row(name: str, partner_id: str, now: Millis) -> tuple[str, bytes]:
    """Return key and value of a portal link that may be used."""
    scope, expires = Scope.PARTNER_READ, now + HOUR
    row = PortalLink(
        name, token_hash(LINK_TEXTS[name]), scope, partner_id, now, expires, "hush-operator"
    )
    return link_key(name), write_link(row)
