"""A session is good until it ends, expires, or its token does; nothing that is kept of it lets anybody use it."""

from dataclasses import replace

import pytest

from hookstream.core.access.hashed import HashedBook
from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.access.sessions import (
    KEPT_AFTER_SESSION,
    LONGEST_SESSION,
    MOST_BY_LINKS,
    MOST_OF_TOKEN,
    Session,
    SessionRefusal,
    cookie_text,
    displaced,
    ended_session,
    is_cookie,
    is_session_forgotten,
    sees_session,
    session_caller,
    session_expiry,
)
from hookstream.core.access.tokens import ApiToken, is_token, token_hash
from hookstream.core.model.instant import DAY, HOUR

NOON = 1_764_072_000_000
COOKIE = cookie_text(bytes(range(32)))
TOKEN = ApiToken("tok-1", Scope.PARTNER_MANAGE, "acme", token_hash("t"), NOON, NOON + DAY)
BY_TOKEN = Session(
    "ses-1",
    token_hash(COOKIE),
    Scope.PARTNER_MANAGE,
    "acme",
    "tok-1",
    None,
    NOON,
    NOON + LONGEST_SESSION,
)
BY_LINK = replace(BY_TOKEN, id="ses-2", scope=Scope.PARTNER_READ, token_id=None, link_id="lnk-1")
ADMIN = Caller("tok-a", Scope.ADMIN, None)
WRITES = Caller("tok-w", Scope.OPERATOR_WRITE, None)
READS = Caller("tok-r", Scope.OPERATOR_READ, None)
MANAGES = Caller("tok-m", Scope.PARTNER_MANAGE, "acme")
LOOKS = Caller("tok-l", Scope.PARTNER_READ, "acme")
OTHER = Caller("tok-o", Scope.PARTNER_MANAGE, "globex")


def test_a_cookie_has_a_form_of_its_own_and_is_no_token() -> None:
    assert COOKIE == "hs_ses_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    assert (is_cookie(COOKIE), is_cookie(COOKIE + "A"), is_token(COOKIE)) == (True, False, False)
    with pytest.raises(ValueError, match="32 random bytes"):
        cookie_text(bytes(31))


def test_a_session_shows_neither_its_cookie_nor_its_hash() -> None:
    assert BY_TOKEN.hash not in repr(BY_TOKEN)
    assert COOKIE not in repr(BY_TOKEN)


def test_a_session_is_found_by_the_hash_of_its_cookie_until_its_row_is_gone_or_unreadable() -> (
    None
):
    book = HashedBook[Session]()
    book.put(BY_TOKEN.id, BY_TOKEN)
    assert book.with_hash(token_hash(COOKIE)) == BY_TOKEN
    for presented in (COOKIE, token_hash(COOKIE + "A"), "\ud800", ""):
        assert book.with_hash(presented) is None
    after = replace(BY_TOKEN, hash=token_hash("another"))
    book.put(after.id, after)
    assert book.with_hash(token_hash(COOKIE)) is None
    book.put(BY_TOKEN.id, None)
    assert (book.with_hash(after.hash), book.get("ses-1"), book.rows()) == (None, None, [])


def test_the_bearer_of_a_cookie_is_whoever_began_the_session() -> None:
    assert session_caller(BY_TOKEN, TOKEN, NOON) == Caller(
        "tok-1", Scope.PARTNER_MANAGE, "acme", "ses-1"
    )
    assert session_caller(BY_LINK, None, NOON) == Caller(
        "ses-2", Scope.PARTNER_READ, "acme", "ses-2"
    )


def test_rows_and_events_name_the_token_and_the_session() -> None:
    assert MANAGES.called == "token tok-m"
    by_token, by_link = session_caller(BY_TOKEN, TOKEN, NOON), session_caller(BY_LINK, None, NOON)
    assert isinstance(by_token, Caller)
    assert isinstance(by_link, Caller)
    assert (by_token.called, by_link.called) == ("token tok-1, session ses-1", "session ses-2")


@pytest.mark.parametrize("session", [BY_TOKEN, BY_LINK])
def test_a_session_is_over_from_its_expiry_and_from_its_end_on(session: Session) -> None:
    token = replace(TOKEN, expires=NOON + 9 * DAY)
    last = session.expires - 1
    assert isinstance(session_caller(session, token, last), Caller)
    assert session_caller(session, token, session.expires) is SessionRefusal.EXPIRED
    ended = ended_session(session, NOON, "token tok-9")
    assert (ended.ended, ended.ended_by, ended.revision) == (NOON, "token tok-9", 2)
    assert session_caller(ended, token, NOON) is SessionRefusal.ENDED
    assert session_caller(None, token, NOON) is SessionRefusal.UNKNOWN


@pytest.mark.parametrize(
    "token",
    [
        None,
        replace(TOKEN, revoked=NOON),
        replace(TOKEN, expires=NOON),
        replace(TOKEN, id="tok-2"),
        replace(TOKEN, partner_id="globex"),
        replace(TOKEN, scope=Scope.PARTNER_READ),
    ],
)
def test_a_session_is_over_when_its_token_is_or_is_not_what_it_was(token: ApiToken | None) -> None:
    assert session_caller(BY_TOKEN, token, NOON) is SessionRefusal.TOKEN_OVER
    # One that a link began does not ask for a token.
    assert isinstance(session_caller(BY_LINK, token, NOON), Caller)


def test_no_session_outlives_a_working_day_or_its_token() -> None:
    assert session_expiry(None, NOON) == NOON + LONGEST_SESSION
    assert session_expiry(TOKEN, NOON) == NOON + LONGEST_SESSION
    assert session_expiry(replace(TOKEN, expires=NOON + HOUR), NOON) == NOON + HOUR


def test_a_new_session_takes_the_place_of_one_that_is_over_and_else_of_the_oldest() -> None:
    same = [
        replace(BY_TOKEN, id=f"ses-{number:02}", began=NOON + number)
        for number in range(MOST_OF_TOKEN)
    ]
    others = [
        replace(BY_TOKEN, id=f"oth-{number}", token_id="tok-2", began=0) for number in range(50)
    ]
    assert displaced([*others, *same[1:]], BY_TOKEN, NOON) == []
    assert displaced([*others, *same], BY_TOKEN, NOON) == [same[0]]
    same[7] = ended_session(same[7], NOON, "")
    assert displaced([*others, *same], BY_TOKEN, NOON) == [same[7]]


def test_sessions_that_links_began_are_bounded_for_each_partner() -> None:
    same = [
        replace(BY_LINK, id=f"ses-{number:03}", began=NOON + number)
        for number in range(MOST_BY_LINKS)
    ]
    foreign = [replace(each, id=f"f{each.id}", partner_id="globex", began=0) for each in same]
    assert displaced([*foreign, *same], BY_LINK, NOON) == [same[0]]
    assert displaced([*foreign, *same], BY_TOKEN, NOON) == []


OF_OPERATOR = replace(BY_TOKEN, scope=Scope.OPERATOR_WRITE, partner_id=None, token_id="tok-w")


@pytest.mark.parametrize(
    ("caller", "seen"),
    [
        (None, {"ses-1", "ses-2", "operator", "admin"}),
        (ADMIN, {"ses-1", "ses-2", "operator", "admin"}),
        (WRITES, {"ses-1", "ses-2", "operator"}),
        (READS, set()),
        (MANAGES, {"ses-1", "ses-2"}),
        (LOOKS, set()),
        (OTHER, set()),
    ],
)
def test_a_session_is_seen_by_whoever_may_end_it(caller: Caller | None, seen: set[str]) -> None:
    of_admin = replace(OF_OPERATOR, id="admin", scope=Scope.ADMIN, token_id="tok-a")
    sessions = (BY_TOKEN, BY_LINK, replace(OF_OPERATOR, id="operator"), of_admin)
    assert {each.id for each in sessions if sees_session(caller, each)} == seen


def test_the_row_of_a_session_is_forgotten_a_day_after_its_expiry() -> None:
    end = BY_TOKEN.expires + KEPT_AFTER_SESSION
    assert (is_session_forgotten(BY_TOKEN, end - 1), is_session_forgotten(BY_TOKEN, end)) == (
        False,
        True,
    )
