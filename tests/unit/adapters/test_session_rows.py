"""Rows of sessions and portal links are read back as they were written, and an unreadable one admits nobody."""

from dataclasses import replace

import pytest

from hookstream.adapters.tables.console_rows import ConsoleTable, token_key, write_token
from hookstream.adapters.tables.session_rows import (
    link_key,
    read_link,
    read_session,
    session_key,
    write_link,
    write_session,
)
from hookstream.core.access.portal_links import KEPT_AFTER_LINK, PortalLink
from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.access.sessions import KEPT_AFTER_SESSION, Session, SessionRefusal
from hookstream.core.access.tokens import ApiToken, token_hash
from hookstream.core.model.instant import DAY, HOUR

NOON = 1_764_072_000_000
HASH = token_hash("a")
TOKEN = ApiToken("tok-1", Scope.OPERATOR_READ, None, token_hash("t"), NOON, NOON + DAY)
BY_TOKEN = Session("ses-1", HASH, Scope.OPERATOR_READ, None, "tok-1", None, NOON, NOON + 12 * HOUR)
BY_LINK = Session(
    "ses-2", token_hash("b"), Scope.PARTNER_READ, "acme", None, "lnk-1", NOON, NOON + HOUR
)
LINK = PortalLink("lnk-1", HASH, Scope.PARTNER_MANAGE, "acme", NOON, NOON + HOUR, "kim@desk")


def test_a_session_and_a_link_are_read_as_they_were_written() -> None:
    for session in (
        BY_TOKEN,
        BY_LINK,
        replace(BY_LINK, ended=NOON, ended_by="token tok-9", revision=2),
    ):
        assert read_session(session_key(session.id), write_session(session)) == session
    for link in (
        LINK,
        replace(LINK, used=NOON, session_id="ses-2", revision=2),
        replace(LINK, revoked=NOON, revoked_by="kim@desk", revision=2),
    ):
        assert read_link(link_key(link.id), write_link(link)) == link


def test_a_row_says_what_a_session_or_link_is_for_and_not_what_it_is() -> None:
    assert write_session(BY_TOKEN) == (
        b'{"format":1,"revision":1,"scope":"operator:read","partner":null,"hash":"'
        + HASH.encode()
        + b'","token":"tok-1","link":null,"began":"2025-11-25T12:00:00.000Z",'
        b'"expires":"2025-11-26T00:00:00.000Z","ended_by":""}'
    )
    assert write_link(LINK) == (
        b'{"format":1,"revision":1,"scope":"partner:manage","partner":"acme","hash":"'
        + HASH.encode()
        + b'","created":"2025-11-25T12:00:00.000Z","created_by":"kim@desk",'
        b'"expires":"2025-11-25T13:00:00.000Z","revoked_by":""}'
    )


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[]",
        b'{"format":1}',
        write_session(replace(BY_TOKEN, token_id=None)),
        write_session(replace(BY_TOKEN, link_id="lnk-1")),
        write_session(replace(BY_TOKEN, partner_id="acme")),
        write_session(replace(BY_LINK, partner_id=None)),
        write_session(replace(BY_LINK, scope=Scope.ADMIN, partner_id=None)),
        write_session(replace(BY_TOKEN, hash="abc")),
        write_session(BY_TOKEN).replace(b'"format":1', b'"format":9'),
    ],
)
def test_a_session_whose_row_becomes_unreadable_is_over_and_reported(value: bytes) -> None:
    table = ConsoleTable()
    table.put(token_key("tok-1"), write_token(TOKEN), NOON)
    table.put(session_key("ses-1"), write_session(BY_TOKEN), NOON)
    good = Caller("tok-1", Scope.OPERATOR_READ, None, "ses-1")
    assert table.session_caller(HASH, NOON) == good
    table.put(session_key("ses-1"), value, NOON)
    assert table.session_caller(HASH, NOON) is SessionRefusal.UNKNOWN
    assert list(table.unreadable) == ["session/ses-1"]
    table.put(session_key("ses-1"), write_session(BY_TOKEN), NOON)
    assert (table.session_caller(HASH, NOON), table.unreadable) == (good, {})
    table.put(session_key("ses-1"), None, NOON)
    assert table.session_caller(HASH, NOON) is SessionRefusal.UNKNOWN


@pytest.mark.parametrize(
    "value",
    [
        b"{}",
        write_link(replace(LINK, scope=Scope.OPERATOR_READ)),
        write_link(replace(LINK, used=NOON)),
        write_link(replace(LINK, session_id="ses-1")),
        write_link(replace(LINK, hash="abc")),
        write_link(LINK).replace(b'"acme"', b"null"),
    ],
)
def test_a_link_whose_row_becomes_unreadable_opens_nothing_and_is_reported(value: bytes) -> None:
    table = ConsoleTable()
    table.put(link_key("lnk-1"), write_link(LINK), NOON)
    assert table.links.with_hash(HASH) == LINK
    table.put(link_key("lnk-1"), value, NOON)
    assert table.links.with_hash(HASH) is None
    assert list(table.unreadable) == ["link/lnk-1"]


def test_a_session_ends_with_its_token_whichever_row_comes_first() -> None:
    table = ConsoleTable()
    table.put(session_key("ses-1"), write_session(BY_TOKEN), NOON)
    assert table.session_caller(HASH, NOON) is SessionRefusal.TOKEN_OVER
    table.put(token_key("tok-1"), write_token(TOKEN), NOON)
    assert isinstance(table.session_caller(HASH, NOON), Caller)
    table.put(token_key("tok-1"), write_token(replace(TOKEN, revoked=NOON)), NOON)
    assert table.session_caller(HASH, NOON) is SessionRefusal.TOKEN_OVER
    table.put(token_key("tok-1"), b"no row", NOON)
    assert table.session_caller(HASH, NOON) is SessionRefusal.TOKEN_OVER


def test_expired_sessions_and_links_are_removed_by_later_writes() -> None:
    table = ConsoleTable()
    table.put(session_key("ses-1"), write_session(BY_TOKEN), NOON)
    table.put(session_key("ses-2"), write_session(BY_LINK), NOON)
    table.put(link_key("lnk-1"), write_link(LINK), NOON)
    first = BY_LINK.expires + KEPT_AFTER_SESSION
    assert LINK.expires + KEPT_AFTER_LINK == first
    assert table.forgettable(first - 1) == []
    assert table.forgettable(first) == ["session/ses-2", "link/lnk-1"]
    assert table.forgettable(first, most=1) == ["session/ses-2"]
    last = BY_TOKEN.expires + KEPT_AFTER_SESSION
    assert table.forgettable(last) == ["session/ses-1", "session/ses-2", "link/lnk-1"]
