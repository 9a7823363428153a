"""The console topic's rows are read back as they were written, and an unreadable one admits nobody."""

from dataclasses import replace

import pytest

from hookstream.adapters.json_bytes import json_bytes
from hookstream.adapters.tables.console_rows import (
    RESERVED_PREFIXES,
    ConsoleTable,
    answer_key,
    read_token,
    token_key,
    write_answer,
    write_token,
)
from hookstream.core.access.idempotency import ANSWERS_KEPT, KeptAnswer, answer_of
from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.access.tokens import (
    KEPT_AFTER_END,
    ApiToken,
    TokenRefusal,
    TokenRefused,
    token_hash,
)
from hookstream.core.model.instant import DAY, HOUR

NOON = 1_764_072_000_000
HASH = token_hash("a")
TOKEN = ApiToken("tok-1", Scope.PARTNER_READ, "acme", HASH, NOON, NOON + DAY, "ci", "tok-9")


def table_with(token: ApiToken) -> ConsoleTable:
    table = ConsoleTable()
    table.put(token_key(token.id), write_token(token), NOON)
    return table


def test_a_token_is_read_as_it_was_written() -> None:
    for token in (TOKEN, replace(TOKEN, last_used=NOON, revoked=NOON, revoked_by="x", revision=7)):
        assert read_token(token_key(token.id), write_token(token)) == token


def test_a_row_says_what_a_token_is_for_and_not_what_it_is() -> None:
    assert write_token(TOKEN) == (
        b'{"format":1,"revision":1,"scope":"partner:read","partner":"acme","hash":"'
        + HASH.encode()
        + b'","label":"ci","created":"2025-11-25T12:00:00.000Z","created_by":"tok-9",'
        b'"expires":"2025-11-26T12:00:00.000Z","revoked_by":""}'
    )


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[]",
        b'{"format":1}',
        json_bytes({"format": 9, "revision": 2}),
        write_token(replace(TOKEN, partner_id=None)),
        write_token(replace(TOKEN, scope=Scope.ADMIN)),
        write_token(replace(TOKEN, hash="abc")),
    ],
)
def test_a_token_whose_row_becomes_unreadable_is_refused_and_reported(value: bytes) -> None:
    table = table_with(TOKEN)
    assert table.tokens.caller(HASH, NOON) == Caller("tok-1", Scope.PARTNER_READ, "acme")
    table.put(token_key(TOKEN.id), value, NOON)
    assert table.tokens.caller(HASH, NOON) == TokenRefused(TokenRefusal.UNKNOWN)
    assert list(table.unreadable) == ["token/tok-1"]
    table.put(token_key(TOKEN.id), write_token(TOKEN), NOON)
    assert isinstance(table.tokens.caller(HASH, NOON), Caller)
    assert table.unreadable == {}


def test_rows_of_kinds_that_are_not_known_are_ignored() -> None:
    table = table_with(TOKEN)
    for key in (*(each + "x" for each in RESERVED_PREFIXES), "writer", "", "token", "new/kind"):
        table.put(key, b"\xff", NOON)
        table.put(key, None, NOON)
    assert table.unreadable == {}
    assert isinstance(table.tokens.caller(HASH, NOON), Caller)


def test_an_answer_is_found_under_its_token_and_key_until_it_expires() -> None:
    table = ConsoleTable()
    answer = answer_of("0" * 64, 201, '{"a":"é"}'.encode(), location="/v1/x", etag='"3"')
    key = answer_key("tok-1", "a" * 64)
    table.put(key, write_answer(answer), NOON)
    assert table.answer("tok-1", "a" * 64, NOON) == replace(answer, at=NOON)
    assert table.answer("tok-2", "a" * 64, NOON) is None
    assert table.answer("tok-1", "a" * 64, NOON + ANSWERS_KEPT) is None
    table.put(key, None, NOON)
    assert table.answer("tok-1", "a" * 64, NOON) is None


def test_a_bounded_number_of_expired_rows_is_removed_by_later_writes() -> None:
    table = table_with(TOKEN)
    answer = KeptAnswer("0" * 64, 200, None, "1" * 64)
    keys = [answer_key("tok-1", f"{number:064x}") for number in range(5)]
    for hours, key in enumerate(keys):
        table.put(key, write_answer(answer), NOON + hours * HOUR)
    later = NOON + ANSWERS_KEPT + 2 * HOUR
    assert table.forgettable(later) == keys[:3]
    assert table.forgettable(later, most=2) == keys[:2]
    end = TOKEN.expires + KEPT_AFTER_END
    assert table.forgettable(end - 1) == keys
    assert table.forgettable(end) == [*keys, "token/tok-1"]
    assert table.forgettable(end, most=5) == keys
