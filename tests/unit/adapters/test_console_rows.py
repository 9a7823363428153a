"""The console topic's rows are read back as they were written, and an unreadable one admits nobody."""

from dataclasses import replace

import pytest
from tests.doubles.failing import errors_of, group_of

from hookstream.adapters.json_bytes import json_bytes
from hookstream.adapters.tables.console_rows import (
    ConsoleTable,
    answer_key,
    read_token,
    token_key,
    write_answer,
    write_token,
)
from hookstream.adapters.tables.failure_group_rows import (
    failure_group_key,
    write_failure_group,
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
from hookstream.core.failures.groups import KEPT_RESOLVED, Actor, GroupState
from hookstream.core.model.instant import DAY, HOUR

NOON = 1_764_072_000_000
HASH = token_hash("a")
TOKEN = ApiToken("tok-1", Scope.PARTNER_READ, "acme", HASH, NOON, NOON + DAY, "ci", "tok-9")


def table_with(token: ApiToken) -> ConsoleTable:
    table = ConsoleTable()
    table.put(token_key(token.id), write_token(token), NOON)
    return table


def test_a_used_and_revoked_token_is_read_as_it_was_written() -> None:
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
    for key in ("failure-groups/x", "writer", "", "token", "new/kind"):
        table.put(key, b"\xff", NOON)
        table.put(key, None, NOON)
    assert table.unreadable == {}
    assert isinstance(table.tokens.caller(HASH, NOON), Caller)


def test_a_row_of_a_failure_group_has_what_its_errors_have_in_common_and_its_state() -> None:
    group = replace(group_of(), actor=Actor.OPERATOR, by="token tok-9", note="we know")
    at = "2026-11-28T09:00:00.000Z"
    assert write_failure_group(group).decode() == (
        '{"format":1,"revision":1,"partner":"acme","subscription":"shop","outcome":"failed",'
        '"status":null,"text":"timed out","state":"open",'
        f'"opened":"{at}","changed":"{at}","first_seen":"{at}","last_seen":"{at}",'
        '"actor":"operator","by":"token tok-9","note":"we know"}'
    )


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b'{"format":1}',
        json_bytes({"format": 9, "revision": 2}),
        write_failure_group(replace(group_of(), text="another")),
        write_failure_group(group_of()).replace(b'"open"', b'"burning"'),
    ],
)
def test_a_failure_group_whose_row_becomes_unreadable_is_kept_apart(value: bytes) -> None:
    table, group = ConsoleTable(), group_of()
    key = failure_group_key(group.id)
    table.put(key, write_failure_group(group), NOON)
    assert table.failures.get(group.id) == group
    table.put(key, value, NOON)
    assert table.failures.get(group.id) is None
    assert (table.failures.is_unreadable(group.id), list(table.unreadable)) == (True, [key])
    table.put(key, None, NOON)
    assert (table.failures.is_unreadable(group.id), len(table.failures)) == (False, 0)


def test_a_failure_group_that_was_resolved_long_ago_is_removed_by_a_later_write() -> None:
    table = ConsoleTable()
    resolved = replace(group_of(), state=GroupState.RESOLVED, changed=NOON)
    for group in (resolved, group_of(errors_of("another"))):
        table.put(failure_group_key(group.id), write_failure_group(group), NOON)
    assert table.forgettable(NOON + KEPT_RESOLVED) == [failure_group_key(resolved.id)]


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
