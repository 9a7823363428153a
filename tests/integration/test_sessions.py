"""Portal links and sessions on a real broker: used once whoever asks, kept as hashes, and over where they end."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import pytest
from tests.integration.definitions_world import World, everything_written, settings_of

from hookstream.adapters.kafka.tables.writer import TableChange
from hookstream.adapters.system import SystemClock
from hookstream.adapters.tables.console_rows import ConsoleTable
from hookstream.adapters.tables.session_rows import (
    link_key,
    session_key,
    write_link,
    write_session,
)
from hookstream.core.access.portal_links import LinkRefusal, PortalLink
from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.access.sessions import Session, SessionRefusal
from hookstream.core.access.tokens import TokenRefused, token_hash
from hookstream.core.model.json import JsonObject
from hookstream.entry.admin.changes import ChangeWriter
from hookstream.entry.admin.sessions import BegunSession, begin_session, use_link
from hookstream.entry.admin.tokens import read_console
from hookstream.entry.admin.writing import EqualWriting, attempt_change

AT_ONCE = 4


@pytest.fixture
def world(console_world: World) -> World:
    return console_world


def table(world: World) -> ConsoleTable:
    return read_console(settings_of(world))


def caller(world: World, cookie: str) -> Caller | SessionRefusal:
    return table(world).session_caller(token_hash(cookie), SystemClock().now())


def listed(world: World, *more: str) -> list[JsonObject]:
    found: list[JsonObject] = json.loads(world.run("sessions", "list", "--json", *more).out)
    return found


def made_link(world: World, *more: str) -> tuple[str, str]:
    """Return the text and the id of a new link for acme."""
    made = world.run("partners", "portal-link", "acme", "--json", *more)
    assert made.code == 0, made.err
    document = json.loads(made.out)
    return str(document["url"]).rpartition("/")[2], str(document["id"])


def begun(found: BegunSession | LinkRefusal | TokenRefused) -> BegunSession:
    assert isinstance(found, BegunSession), found
    return found


def used(world: World, text: str) -> BegunSession:
    act = partial(use_link, text=text)
    return begun(attempt_change(settings_of(world), act, console=True).result)


def test_of_two_consoles_that_use_one_link_at_once_one_begins_a_session(world: World) -> None:
    """Also of four: whoever is overtaken begins again, and finds that the link was used."""
    text, link_id = made_link(world, "--manage")
    settings, together = settings_of(world), Barrier(AT_ONCE)

    def console(_: int) -> BegunSession | LinkRefusal:
        with EqualWriting(settings, console=True) as writing:
            # Its clients are open, as those of a console are.
            writing.attempt(lambda writer: writer.state.current.partners)
            together.wait()
            return writing.attempt(partial(use_link, text=text)).result

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(console, range(AT_ONCE)))
    [begin] = [each for each in found if isinstance(each, BegunSession)]
    assert found.count(LinkRefusal.USED) == AT_ONCE - 1
    session_id = begin.session.id
    assert caller(world, begin.cookie) == Caller(
        session_id, Scope.PARTNER_MANAGE, "acme", session_id
    )
    assert [each["id"] for each in listed(world)] == [session_id]
    link = table(world).links.get(link_id)
    assert link is not None
    assert link.session_id == session_id


def test_neither_a_link_nor_a_cookie_is_kept_anywhere(world: World) -> None:
    text, link_id = made_link(world)
    begin = used(world, text)
    shown = [
        world.run(*line.split())
        for line in ("sessions list", "sessions list --json", "partners portal-links acme")
    ]
    assert link_id in shown[2].out
    kept = everything_written(world)
    assert link_id.encode() in kept
    for secret in (text, begin.cookie):
        assert secret.partition("_")[2].encode() not in kept
        for each in shown:
            assert secret not in each.out + each.err
            assert token_hash(secret) not in each.out + each.err


def test_a_session_is_over_once_its_token_its_link_or_its_partner_is(world: World) -> None:
    made = json.loads(
        world.run("tokens", "create", "--scope", "partner:read", "--partner", "acme", "--json").out
    )
    act = partial(begin_session, token=str(made["token"]))
    by_token = begun(attempt_change(settings_of(world), act, console=True).result)
    text, link_id = made_link(world)
    by_link, other = used(world, text), used(world, made_link(world)[0])
    unused, _ = made_link(world)
    assert isinstance(caller(world, by_token.cookie), Caller)

    assert world.run("tokens", "revoke", str(made["id"])).code == 0
    assert caller(world, by_token.cookie) is SessionRefusal.TOKEN_OVER
    revoked = world.run("partners", "revoke-link", "acme", link_id)
    assert revoked.err == f"{link_id} is revoked, and {by_link.session.id} is ended\n"
    assert caller(world, by_link.cookie) is SessionRefusal.ENDED
    assert isinstance(caller(world, other.cookie), Caller)
    assert world.run("partners", "delete", "acme", "--cascade", "--yes").code == 0
    assert caller(world, other.cookie) is SessionRefusal.ENDED
    refused = attempt_change(settings_of(world), partial(use_link, text=unused), console=True)
    assert refused.result is LinkRefusal.REVOKED


def test_sessions_are_ended_by_commands(world: World) -> None:
    one, other = (used(world, made_link(world)[0]) for _ in range(2))
    name = one.session.id
    ended, again = world.run("sessions", "revoke", name), world.run("sessions", "revoke", name)
    assert (ended.code, ended.err) == (0, f"{name} is ended\n")
    assert (again.code, again.err.startswith(f"{name} was already over at ")) == (0, True)
    rest = world.run("sessions", "revoke", "--partner", "acme")
    assert (rest.code, rest.err) == (0, f"{other.session.id}: ended\n")
    none = world.run("sessions", "revoke", "--partner", "acme")
    assert (none.code, none.err) == (0, "acme has no open session or link\n")
    assert {each["state"] for each in listed(world, "--partner", "acme")} == {"ended"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("partners", "portal-link", "acne"), "did you mean acme"),
        (("partners", "portal-link", "acme", "--expires", "25h"), "it is for 1m to 24h"),
        (("partners", "portal-link", "acme", "--expires", "soon"), "not a duration"),
        (("partners", "portal-links", "acne"), "did you mean acme"),
        (("partners", "revoke-link", "acme", "lnk-x"), "has no link 'lnk-x'"),
        (("partners", "revoke-link", "acme", "hs_lnk_" + "A" * 43), "by its id, lnk-…"),
        (("sessions", "revoke", "ses-x"), "there is no session 'ses-x'"),
        (("sessions", "revoke", "hs_ses_" + "A" * 43), "by its id, ses-…"),
        (("sessions", "revoke", "--partner", "acne"), "did you mean acme"),
        (("sessions", "revoke"), "give a SESSION id"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(
    world: World, arguments: tuple[str, ...], sentence: str
) -> None:
    ended = world.run(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert sentence in ended.err
    assert "A" * 43 not in ended.err


def test_a_later_write_removes_sessions_and_links_that_have_expired(world: World) -> None:
    """Written as by a console long ago: the rows' own times cannot be set."""
    settings = settings_of(world)
    session = Session(
        "ses-old", token_hash("a"), Scope.PARTNER_READ, "acme", None, "lnk-old", 0, 1
    )
    link = PortalLink("lnk-old", token_hash("b"), Scope.PARTNER_READ, "acme", 0, 1)

    def written(writer: ChangeWriter) -> None:
        console = writer.session.names.console
        rows = [
            TableChange(console, session_key(session.id), write_session(session)),
            TableChange(console, link_key(link.id), write_link(link)),
        ]
        writer.session.write(rows)

    attempt_change(settings, written, console=True)
    assert [each["id"] for each in listed(world)] == ["ses-old"]
    begin = used(world, made_link(world)[0])
    assert [each["id"] for each in listed(world)] == [begin.session.id]
    assert table(world).links.get("lnk-old") is None
