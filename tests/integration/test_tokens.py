"""Tokens on a real broker: shown once, kept as a hash, refused when they end, and made by whom it is allowed."""

import json
from functools import partial

import pytest
from tests.integration.definitions_world import World, everything_written, settings_of

from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.adapters.system import SystemClock
from hookstream.adapters.tables.console_rows import ConsoleTable, answer_key, write_answer
from hookstream.core.access.idempotency import answer_of
from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.access.tokens import (
    Admission,
    ApiToken,
    TokenRefusal,
    TokenRefused,
    token_hash,
)
from hookstream.core.model.instant import DAY, from_rfc3339, to_rfc3339
from hookstream.core.model.json import JsonObject
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.console_changes import AnsweredMeanwhile, token_change
from hookstream.entry.admin.tokens import (
    WantedToken,
    create_token,
    note_use,
    read_console,
    revoke_token,
)
from hookstream.entry.admin.writing import EqualWriting, attempt_change
from hookstream.errors import AccessRefused, InputRefused

WRITES = Caller("tok-w", Scope.OPERATOR_WRITE, None)
MANAGES = Caller("tok-m", Scope.PARTNER_MANAGE, "acme")
FOREIGN = Caller("tok-f", Scope.PARTNER_MANAGE, "globex")


@pytest.fixture
def world(console_world: World) -> World:
    return console_world


def table(world: World) -> ConsoleTable:
    return read_console(settings_of(world))


def admission(world: World, text: str) -> Admission:
    partners = world.state().current.partners
    return table(world).tokens.caller(token_hash(text), SystemClock().now(), partners)


def listed(world: World) -> list[JsonObject]:
    found: list[JsonObject] = json.loads(world.run("tokens", "list", "--json").out)
    return found


def test_a_token_is_shown_once_and_kept_as_a_hash(world: World) -> None:
    made = world.run("tokens", "create", "--admin", "--label", "first", "--expires", "7d")
    text = made.out.strip()
    [document] = listed(world)

    assert made.code == 0
    assert text not in made.err
    assert admission(world, text) == Caller(str(document["id"]), Scope.ADMIN, None)
    assert document["expires"] == _later(document["created"], 7)
    assert (document["scope"], document["label"], document["state"]) == ("admin", "first", "live")
    assert document["last_used"] is None
    shown = world.run("tokens", "list")
    secret = text.removeprefix("hs_adm_")
    assert str(document["id"]) in shown.out
    for place in (
        shown.out,
        shown.err,
        json.dumps(document),
        everything_written(world).decode("latin-1"),
    ):
        assert secret not in place
    assert token_hash(text) not in shown.out + json.dumps(document)


def test_a_revoked_token_is_refused_and_stays_listed(world: World) -> None:
    made = json.loads(
        world.run(
            "tokens", "create", "--scope", "partner:manage", "--partner", "acme", "--json"
        ).out
    )
    assert admission(world, made["token"]) == Caller(made["id"], Scope.PARTNER_MANAGE, "acme")

    # By its text: that is what whoever found a leaked one has.
    revoked = world.run("tokens", "revoke", made["token"])
    again = world.run("tokens", "revoke", made["id"])

    assert (revoked.code, revoked.err) == (0, f"{made['id']} is revoked\n")
    assert (again.code, "already" in again.err) == (0, True)
    assert admission(world, made["token"]) == TokenRefused(TokenRefusal.REVOKED, made["id"])
    [document] = listed(world)
    assert (document["state"], document["revision"]) == ("revoked", 2)


def test_tokens_of_a_deleted_partner_are_revoked_with_it(world: World) -> None:
    made = json.loads(
        world.run("tokens", "create", "--scope", "partner:read", "--partner", "acme", "--json").out
    )
    assert world.run("partners", "delete", "acme", "--cascade", "--yes").code == 0
    assert [each["state"] for each in listed(world)] == ["revoked"]
    assert admission(world, made["token"]) == TokenRefused(TokenRefusal.REVOKED, made["id"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "give --admin or --scope"),
        (("--admin", "--scope", "admin"), "give --admin or --scope"),
        (("--scope", "partner:read"), "is for one partner: name it"),
        (("--admin", "--partner", "acme"), "names no partner"),
        (("--scope", "partner:read", "--partner", "acne"), "did you mean acme"),
        (("--admin", "--expires", "2y"), "not a duration"),
        (("--admin", "--expires", "367d"), "it is for 1m to 366d"),
        (("--admin", "--label", "a\nb"), "one line"),
    ],
)
def test_a_token_that_cannot_be_is_refused_with_the_reason(
    world: World, arguments: tuple[str, ...], sentence: str
) -> None:
    ended = world.run("tokens", "create", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert sentence in ended.err


def test_callers_make_and_revoke_only_what_they_may(world: World) -> None:
    settings = settings_of(world)
    reads = WantedToken(Scope.PARTNER_READ, "acme")
    with EqualWriting(settings, console=True) as writing:
        made = writing.attempt(lambda writer: create_token(writer, WRITES, reads)).result
        for caller, asked in (
            (WRITES, WantedToken(Scope.OPERATOR_READ)),
            (MANAGES, reads),
            (MANAGES, WantedToken(Scope.ADMIN)),
        ):
            with pytest.raises(AccessRefused):
                writing.attempt(partial(create_token, caller=caller, asked=asked))
        absent = "tok-absent"
        refusals = []
        for name in (made.token.id, absent):
            with pytest.raises(InputRefused) as refused:
                writing.attempt(partial(revoke_token, caller=FOREIGN, name=name))
            refusals.append(str(refused.value).replace(name, "NAME"))
        # A foreign token and an absent one are refused alike.
        assert refusals[0] == refusals[1]
        revoked = writing.attempt(lambda writer: revoke_token(writer, MANAGES, made.token.id))
        assert revoked.result[1]


def test_the_last_use_of_tokens_is_written_once_a_day(world: World) -> None:
    settings = settings_of(world)
    asked = WantedToken(Scope.OPERATOR_READ)
    with EqualWriting(settings, console=True) as writing:
        made = [
            writing.attempt(lambda writer: create_token(writer, None, asked)).result.token.id
            for _ in range(2)
        ]
        used = [*made, "tok-gone"]
        counts = [writing.attempt(lambda writer: note_use(writer, used)).result for _ in range(2)]
    assert counts == [2, 0]
    today = SystemClock().now() // DAY * DAY
    assert [table(world).tokens.get(each).last_used for each in made] == [today] * 2  # type: ignore[union-attr]


def test_an_answer_commits_with_the_change_that_it_is_about(world: World) -> None:
    """Of a change that is refused, or fenced each time, neither is written."""
    settings = settings_of(world)
    asked = WantedToken(Scope.OPERATOR_READ)
    answer = answer_of("0" * 64, 201, b"hs_secret", secret=True, location="/v1/tokens/x")

    def rows(_: object, writer: ChangeWriter) -> list[TableChange]:
        key = answer_key("tok-w", "a" * 64)
        return [TableChange(writer.session.names.console, key, write_answer(answer))]

    def refused(writer: ChangeWriter) -> None:
        create_token(writer, None, asked)
        raise InputRefused("no")

    with pytest.raises(InputRefused):
        attempt_change(settings, refused, console=True, also=rows)
    now = SystemClock().now()
    assert listed(world) == []
    assert table(world).answer("tok-w", "a" * 64, now) is None

    attempt_change(
        settings, lambda writer: create_token(writer, None, asked), console=True, also=rows
    )
    # Another console that did not see it yet.
    with pytest.raises(AnsweredMeanwhile):
        attempt_change(
            settings, lambda writer: create_token(writer, None, asked), console=True, also=rows
        )
    kept = table(world).answer("tok-w", "a" * 64, now)
    assert kept is not None
    assert (kept.status, kept.body, kept.location) == (201, None, "/v1/tokens/x")
    assert len(listed(world)) == 1
    assert b"hs_secret" not in everything_written(world)


def test_a_later_write_removes_tokens_that_have_expired(world: World) -> None:
    """Written as by a console long ago: the rows' own times cannot be set."""
    old = ApiToken("tok-old", Scope.ADMIN, None, "0" * 64, 0, 1)
    settings = settings_of(world)

    def written(writer: ChangeWriter) -> None:
        writer.session.write([token_change(writer.session, old)])

    attempt_change(settings, written, console=True)
    # The write that adds it does not remove it.
    assert [each["id"] for each in listed(world)] == ["tok-old"]
    made = attempt_change(
        settings, partial(create_token, caller=None, asked=WantedToken(Scope.ADMIN)), console=True
    )
    assert [each["id"] for each in listed(world)] == [made.result.token.id]


def _later(created: object, days: int) -> str:
    return to_rfc3339(from_rfc3339(str(created)) + days * DAY)
