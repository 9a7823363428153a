"""Portal links and sessions by commands: what a row has in it is shown and never interpreted, and no secret is sent."""

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests.doubles.api import ApiWorld
from tests.doubles.clock import NOON
from tests.doubles.faces import ApiFace, MemoryBackend, MemoryConnection, run

from hookstream.adapters.http.api_connection import ApiReply
from hookstream.adapters.tables.session_rows import (
    link_key,
    session_key,
    write_link,
    write_session,
)
from hookstream.core.access.portal_links import PortalLink
from hookstream.core.access.scopes import Scope
from hookstream.core.access.sessions import Session
from hookstream.core.access.tokens import token_hash
from hookstream.core.model.instant import HOUR
from hookstream.settings import load

HOSTILE = "ses-\x1b[31m\u202ex\n"
SESSION = Session(
    HOSTILE, token_hash("a"), Scope.PARTNER_READ, "acme", None, HOSTILE, NOON, NOON + HOUR
)
LINK = PortalLink(HOSTILE, token_hash("b"), Scope.PARTNER_READ, "acme", NOON, NOON + HOUR, HOSTILE)


def world() -> ApiWorld:
    made = ApiWorld()
    console = made.settings.topics_names.console
    made.tables.put(console, session_key(HOSTILE), write_session(SESSION))
    used = replace(LINK, used=NOON, session_id=HOSTILE)
    made.tables.put(console, link_key(HOSTILE), write_link(used))
    return made


@pytest.mark.parametrize(
    "line",
    [
        "sessions list",
        "sessions list --json",
        "sessions revoke --partner acme",
        "partners portal-links acme",
        "partners portal-links acme --json",
    ],
)
def test_whatever_a_row_has_in_it_is_shown_and_never_interpreted(line: str) -> None:
    for said in (run(MemoryBackend(world()), *line.split()), run(ApiFace(world()), *line.split())):
        assert said.code == 0, said
        for text in (said.out, said.err):
            assert "\x1b" not in text
            assert "\u202e" not in text
        assert "ses-" in said.out + said.err


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("sessions revoke hs_ses_" + "A" * 43, "a session is named by its id"),
        ("partners revoke-link acme hs_lnk_" + "A" * 43, "a link is named by its id"),
    ],
)
def test_a_secret_in_the_place_of_an_id_is_neither_sent_nor_repeated(line: str, why: str) -> None:
    face = ApiFace(world())
    for said in (run(MemoryBackend(world()), *line.split()), run(face, *line.split())):
        assert (said.code, why in said.err, "A" * 43 in said.err) == (2, True, False)
    assert face.connection.sent == []


class LosingConnection(MemoryConnection):
    """Loses the first answer to a change that was carried out."""

    is_lost = False

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> ApiReply:
        reply = super().send(method, target, headers, body)
        if method == "GET" or self.is_lost:
            return reply
        self.is_lost = True
        assert reply.status == 201, reply
        problem = {"type": "x", "title": "Lost", "status": 503, "reason": "unavailable"}
        return ApiReply(503, {"retry-after": "1"}, json.dumps(problem).encode())


def test_a_link_whose_answer_was_lost_is_named_with_what_to_do() -> None:
    face = ApiFace(world())
    token = face.connection.token
    face.api.connection = LosingConnection(face.connection.world, token)
    said = run(face, "partners", "portal-link", "acme")
    assert (said.code, "the answer with its URL was lost: revoke it" in said.err) == (2, True), (
        said
    )
    assert "hs_lnk_" not in said.out + said.err


def test_a_link_on_kafka_begins_with_the_address_that_is_set_here() -> None:
    made = world()
    made.settings = load(None, {}, {"console.url": "https://hookstream.example"})
    said = run(MemoryBackend(made), "partners", "portal-link", "acme", "--json")
    assert json.loads(said.out)["url"].startswith("https://hookstream.example/ui/portal/hs_lnk_")
    assert said.err == ""


def test_a_link_without_an_address_says_what_is_missing() -> None:
    said = run(MemoryBackend(world()), "partners", "portal-link", "acme")
    assert said.out.startswith("/ui/portal/hs_lnk_")
    assert "note: console.url is not set" in said.err
