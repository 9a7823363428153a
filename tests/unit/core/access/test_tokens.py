"""A token is good until it expires or is revoked, and nothing that is kept of it lets anybody use it."""

from dataclasses import replace

import pytest

from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.access.tokens import (
    DEFAULT_LIFE,
    KINDS,
    LONGEST_LABEL,
    LONGEST_LIFE,
    SHORTEST_LIFE,
    ApiToken,
    TokenBook,
    TokenRefusal,
    TokenRefused,
    checked_label,
    expiry,
    is_token,
    making_refused,
    sees_token,
    token_hash,
    token_text,
    used_today,
)
from hookstream.core.model.instant import DAY, HOUR
from hookstream.errors import InputRefused

NOON = 1_764_072_000_000
TEXT = token_text(Scope.PARTNER_MANAGE, bytes(range(32)))
TOKEN = ApiToken("tok-1", Scope.PARTNER_MANAGE, "acme", token_hash(TEXT), NOON, NOON + DAY)
ADMIN = Caller("tok-a", Scope.ADMIN, None)
WRITES = Caller("tok-w", Scope.OPERATOR_WRITE, None)
READS = Caller("tok-r", Scope.OPERATOR_READ, None)
MANAGES = Caller("tok-m", Scope.PARTNER_MANAGE, "acme")
LOOKS = Caller("tok-l", Scope.PARTNER_READ, "acme")
OTHER = Caller("tok-o", Scope.PARTNER_MANAGE, "globex")


def test_the_text_of_a_token_names_its_kind_and_keeps_its_form() -> None:
    assert TEXT == "hs_pmg_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    assert all(is_token(token_text(scope, bytes(32))) for scope in Scope)
    assert len(set(KINDS.values())) == len(Scope)


@pytest.mark.parametrize("count", [0, 16, 31, 33])
def test_a_token_of_fewer_or_more_random_bytes_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="32 random bytes"):
        token_text(Scope.ADMIN, bytes(count))


def test_a_token_shows_neither_its_text_nor_its_hash() -> None:
    assert TOKEN.hash not in repr(TOKEN)
    assert TEXT not in repr(TOKEN)


def test_a_good_token_names_its_caller_and_any_other_text_nobody() -> None:
    book = TokenBook()
    book.put(TOKEN.id, TOKEN)
    assert book.caller(token_hash(TEXT), NOON) == Caller("tok-1", Scope.PARTNER_MANAGE, "acme")
    assert book.caller(token_hash(TEXT + "A"), NOON) == TokenRefused(TokenRefusal.UNKNOWN)
    assert book.caller(TEXT, NOON) == TokenRefused(TokenRefusal.UNKNOWN)
    assert book.caller("\ud800", NOON) == TokenRefused(TokenRefusal.UNKNOWN)


def test_a_token_is_refused_from_its_expiry_and_from_its_revocation_on() -> None:
    book = TokenBook()
    book.put(TOKEN.id, TOKEN)
    assert isinstance(book.caller(TOKEN.hash, NOON + DAY - 1), Caller)
    assert book.caller(TOKEN.hash, NOON + DAY) == TokenRefused(TokenRefusal.EXPIRED, "tok-1")
    book.put(TOKEN.id, replace(TOKEN, revoked=NOON))
    assert book.caller(TOKEN.hash, NOON) == TokenRefused(TokenRefusal.REVOKED, "tok-1")


def test_a_token_whose_row_cannot_be_read_is_refused() -> None:
    book = TokenBook()
    book.put(TOKEN.id, TOKEN)
    book.put(TOKEN.id, None)
    assert book.caller(TOKEN.hash, NOON) == TokenRefused(TokenRefusal.UNKNOWN)


def test_the_last_use_is_written_once_a_day() -> None:
    midnight = NOON - NOON % DAY
    assert used_today(TOKEN, NOON) == midnight
    used = replace(TOKEN, last_used=midnight)
    assert used_today(used, midnight + DAY - 1) is None
    assert used_today(used, midnight + DAY) == midnight + DAY
    # A clock that went back writes nothing.
    assert used_today(used, midnight - DAY) is None


def test_no_token_is_good_for_ever() -> None:
    assert expiry(Scope.PARTNER_READ, None, NOON) == NOON + 90 * DAY
    assert expiry(Scope.ADMIN, None, NOON) == NOON + 30 * DAY
    assert expiry(Scope.ADMIN, HOUR, NOON) == NOON + HOUR
    for life in (0, SHORTEST_LIFE - 1, LONGEST_LIFE + 1):
        with pytest.raises(InputRefused, match="a token cannot be good for"):
            expiry(Scope.ADMIN, life, NOON)
    assert set(DEFAULT_LIFE) == set(Scope)


@pytest.mark.parametrize("label", ["a\nb", "\x1b[31m", "\u2028", "x" * (LONGEST_LABEL + 1)])
def test_a_label_is_one_line_of_bounded_length(label: str) -> None:
    with pytest.raises(InputRefused):
        checked_label(label)


@pytest.mark.parametrize(
    ("caller", "scopes"),
    [
        (None, set(Scope)),
        (ADMIN, set(Scope)),
        (WRITES, {Scope.PARTNER_MANAGE, Scope.PARTNER_READ}),
        (READS, set()),
        (MANAGES, set()),
        (LOOKS, set()),
    ],
)
def test_who_may_make_which_tokens(caller: Caller | None, scopes: set[Scope]) -> None:
    found = {
        scope
        for scope in Scope
        if making_refused(caller, scope, "acme" if scope.is_of_partner else None) is None
    }
    assert found == scopes


def test_a_partners_token_names_its_partner_and_an_operators_none() -> None:
    for scope in Scope:
        wrong = None if scope.is_of_partner else "acme"
        assert making_refused(None, scope, wrong) is not None


def test_who_sees_a_partners_token() -> None:
    for caller in (None, ADMIN, WRITES, MANAGES):
        assert sees_token(caller, TOKEN)
    for caller in (READS, LOOKS, OTHER):
        assert not sees_token(caller, TOKEN)


def test_only_administrators_see_tokens_of_operators() -> None:
    token = replace(TOKEN, scope=Scope.OPERATOR_READ, partner_id=None)
    assert [sees_token(each, token) for each in (ADMIN, WRITES, READS, MANAGES)] == [
        True,
        False,
        False,
        False,
    ]
