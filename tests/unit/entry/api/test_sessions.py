"""Portal links and sessions: made by whom it is allowed, used once, seen by whose they are, and over when they end."""

from typing import Any, NamedTuple

import pytest
from tests.doubles.access_rows import LINK_TEXTS
from tests.doubles.api import ApiWorld, MemoryServices

from hookstream.core.access.portal_links import (
    MOST_OPEN_LINKS,
    LinkRefusal,
    PortalLink,
    is_link,
)
from hookstream.core.access.scopes import Caller, Scope
from hookstream.core.access.sessions import (
    LONGEST_SESSION,
    MOST_OF_TOKEN,
    Session,
    SessionRefusal,
    cookie_text,
)
from hookstream.core.model.instant import HOUR, MINUTE
from hookstream.entry.api.problems import ProblemKind, RequestRefused
from hookstream.entry.api.table import TABLE
from hookstream.entry.console.sessions import ConsoleSessions
from hookstream.entry.pages.sessions import PageSession
from hookstream.errors import DependencyUnavailable
from hookstream.settings import load

LINKS = "/v1/partners/acme/portal-links"
ORIGIN = "https://hookstream.example"


@pytest.fixture
def sessions(world: ApiWorld) -> ConsoleSessions:
    return ConsoleSessions(world.services, lambda: world.seconds)


class Behind(MemoryServices):
    """Another console over the same tables, that has not read yet what became of a link or a token."""

    def __init__(self, world: ApiWorld, link: PortalLink | None, caller: Caller | None) -> None:
        super().__init__(world.settings, world.tables)
        self.before = link, caller

    def link_with(self, text: str) -> PortalLink | None:
        return self.before[0] or super().link_with(text)

    def caller(self, token: str) -> Caller | None:
        return self.before[1] or super().caller(token)


async def made(world: ApiWorld, **body: str) -> tuple[str, str]:
    """Return the text and the id of a new link for acme."""
    answer = await world.send("POST", LINKS, body)
    assert answer.status == 201, answer.content
    return answer.json["url"].rpartition("/")[2], answer.json["link"]["id"]


class Begun(NamedTuple):
    cookie: str
    session: Session


def begun(world: ApiWorld, cookie: object) -> Begun:
    """Return a session that was just begun, with its row."""
    assert isinstance(cookie, str), cookie
    caller = world.services.session_caller(cookie)
    assert isinstance(caller, Caller), caller
    session = world.services.session(caller.session_id or "")
    assert session is not None
    return Begun(cookie, session)


def opened(sessions: ConsoleSessions, cookie: str) -> PageSession:
    """Return the session of a cookie, which is good."""
    found = sessions.find(cookie)
    assert found is not None
    return found


def why(world: ApiWorld, sessions: ConsoleSessions, cookie: str) -> object:
    """Return why the session of a cookie is over."""
    assert sessions.find(cookie) is None
    return world.services.session_caller(cookie)


def everything(world: ApiWorld) -> bytes:
    """Return all that is kept, logged and counted."""
    rows = [
        part
        for table in world.tables.snapshot.values()
        for row in table.values()
        for part in (row.key.encode(), row.value or b"")
    ]
    return b"\n".join(
        [*rows, repr(world.logger.lines).encode(), repr(world.services.uses).encode()]
    )


async def test_a_link_is_shown_once_and_kept_as_a_hash(world: ApiWorld) -> None:
    answer = await world.send("POST", LINKS, {"scope": "partner:manage", "life": "1h"})
    text = answer.json["url"].removeprefix("/ui/portal/")
    shown = answer.json["link"]
    assert is_link(text)
    assert answer.headers["Location"] == f"{LINKS}/{shown['id']}"
    assert (shown["scope"], shown["partner"], shown["state"]) == ("partner:manage", "acme", "open")
    again = await world.send("GET", answer.headers["Location"])
    assert again.json == shown
    for place in (everything(world), again.content, (await world.send("GET", LINKS)).content):
        assert text.encode() not in place


async def test_a_url_begins_with_the_address_that_is_set(world: ApiWorld) -> None:
    world.services.settings = load(None, {}, {"console.url": f"{ORIGIN}/"})
    answer = await world.send("POST", LINKS, {})
    assert answer.json["url"].startswith(f"{ORIGIN}/ui/portal/hs_lnk_")


@pytest.mark.parametrize("life", ["59s", "25h", "never", ""])
async def test_a_life_that_no_link_has_is_refused(world: ApiWorld, life: str) -> None:
    answer = await world.send("POST", LINKS, {"life": life})
    assert answer.status == 422, answer.content


@pytest.mark.parametrize("scope", ["admin", "operator:read", "operator:write"])
async def test_no_link_is_for_operators(world: ApiWorld, scope: str) -> None:
    answer = await world.send("POST", LINKS, {"scope": scope})
    assert (answer.status, answer.json["field"]) == (422, "scope")


async def test_a_link_for_a_partner_that_there_is_not_is_refused(world: ApiWorld) -> None:
    answer = await world.send("POST", "/v1/partners/acne/portal-links", {})
    assert (answer.status, "did you mean acme" in answer.json["detail"]) == (404, True)


async def test_a_partner_has_at_most_so_many_links_that_may_still_be_used(
    world: ApiWorld,
) -> None:
    # One of acme's is in the world already.
    for _ in range(MOST_OPEN_LINKS - 1):
        await made(world)
    refused = await world.send("POST", LINKS, {})
    assert (refused.status, "revoke some" in refused.json["detail"]) == (422, True)
    world.tables.now += 15 * MINUTE
    await made(world)


async def test_a_link_begins_one_session_and_is_used_then(
    world: ApiWorld, sessions: ConsoleSessions
) -> None:
    text, link_id = await made(world)
    looked_at = sessions.link(text)
    assert isinstance(looked_at, PortalLink)
    # Looking changes nothing, however often.
    assert sessions.link(text) == looked_at
    begin = begun(world, sessions.use_link(text))
    found = opened(sessions, begin.cookie)
    session_id = begin.session.id
    assert found.caller == Caller(session_id, Scope.PARTNER_READ, "acme", session_id)
    assert begin.session.expires == world.tables.now + LONGEST_SESSION
    assert (sessions.use_link(text), sessions.link(text)) == (LinkRefusal.USED, LinkRefusal.USED)
    shown = (await world.send("GET", f"{LINKS}/{link_id}")).json
    assert (shown["state"], shown["session"]) == ("used", session_id)
    assert world.services.uses[-2:] == [
        ("link.used", session_id, link_id),
        ("session.began", session_id, session_id),
    ]
    for secret in (text, begin.cookie):
        assert secret.encode() not in everything(world)


async def test_of_two_consoles_that_use_one_link_one_begins_a_session(
    world: ApiWorld, sessions: ConsoleSessions
) -> None:
    """The other one has not read yet that the link was used, and learns it from what it is about to write on."""
    text, _ = await made(world)
    before = world.services.link_with(text)
    behind = Behind(world, before, None)
    other = ConsoleSessions(behind, lambda: 0.0)
    assert other.link(text) == before
    begin = begun(world, sessions.use_link(text))
    written = world.tables.offset
    assert other.use_link(text) is LinkRefusal.USED
    assert (world.tables.offset, behind.uses) == (written, [])
    of_link = [each for each in world.services.sessions() if each.link_id is not None]
    assert [each.id for each in of_link] == [begin.session.id]


async def test_a_session_by_a_link_does_not_depend_on_who_made_it(
    world: ApiWorld, sessions: ConsoleSessions
) -> None:
    token = world.token(Scope.OPERATOR_WRITE, token_id="tok-maker")
    answer = await world.send("POST", LINKS, {}, token=token)
    await world.send("POST", "/v1/tokens/tok-maker/revoke")
    begin = begun(world, sessions.use_link(answer.json["url"].rpartition("/")[2]))
    opened(sessions, begin.cookie)


@pytest.mark.parametrize("text", ["", "hs_lnk_", "hs_lnk_" + "A" * 43, "\ud800", "x" * 10_000])
def test_what_is_no_link_writes_nothing(
    world: ApiWorld, sessions: ConsoleSessions, text: str
) -> None:
    before = world.tables.offset
    assert sessions.link(text) is LinkRefusal.UNKNOWN
    assert sessions.use_link(text) is LinkRefusal.UNKNOWN
    assert (world.tables.offset, world.services.uses) == (before, [])


async def test_an_expired_link_and_a_revoked_one_begin_no_session(
    world: ApiWorld, sessions: ConsoleSessions
) -> None:
    text, link_id = await made(world)
    late, _ = await made(world)
    assert (await world.send("POST", f"{LINKS}/{link_id}/revoke")).json["state"] == "revoked"
    assert sessions.use_link(text) is LinkRefusal.REVOKED
    world.tables.now += 15 * MINUTE
    assert sessions.use_link(late) is LinkRefusal.EXPIRED


async def test_revoking_a_link_ends_the_session_that_it_began(
    world: ApiWorld, sessions: ConsoleSessions
) -> None:
    text, link_id = await made(world)
    begin = begun(world, sessions.use_link(text))
    manages = world.tokens[Scope.PARTNER_MANAGE]
    revoked = await world.send("POST", f"{LINKS}/{link_id}/revoke", token=manages)
    assert (revoked.status, revoked.json["session"]) == (200, begin.session.id)
    assert why(world, sessions, begin.cookie) is SessionRefusal.ENDED


async def test_a_session_by_a_token_is_its_bearers_and_over_with_the_token(
    world: ApiWorld, sessions: ConsoleSessions
) -> None:
    token = world.token(Scope.OPERATOR_READ, expires=world.tables.now + HOUR, token_id="tok-x")
    begin = begun(world, sessions.begin(token))
    session_id = begin.session.id
    found = opened(sessions, begin.cookie)
    assert found.caller == Caller("tok-x", Scope.OPERATOR_READ, None, session_id)
    assert found.expires == world.tables.now + HOUR
    assert world.services.uses == [("session.began", "tok-x", session_id)]
    await world.send("POST", "/v1/tokens/tok-x/revoke")
    assert why(world, sessions, begin.cookie) is SessionRefusal.TOKEN_OVER
    shown = (await world.send("GET", f"/v1/sessions/{session_id}")).json
    assert (shown["state"], shown["token"], shown["link"]) == ("token_over", "tok-x", None)
    assert sessions.begin(token) is None


@pytest.mark.parametrize(
    "text", ["", "nonsense", "hs_adm_" + "A" * 43, cookie_text(bytes(32)), "\ud800"]
)
def test_what_is_no_good_token_begins_no_session_and_writes_nothing(
    world: ApiWorld, sessions: ConsoleSessions, text: str
) -> None:
    before = world.tables.offset
    assert sessions.begin(text) is None
    assert (world.tables.offset, world.services.uses) == (before, [])


async def test_a_token_that_another_console_revoked_begins_no_session(world: ApiWorld) -> None:
    token = world.token(Scope.PARTNER_READ, token_id="tok-x")
    behind = Behind(world, None, world.services.caller(token))
    await world.send("POST", "/v1/tokens/tok-x/revoke")
    assert ConsoleSessions(behind, lambda: 0.0).begin(token) is None


async def test_a_cookie_is_no_token_and_a_token_no_cookie(
    world: ApiWorld, sessions: ConsoleSessions
) -> None:
    begin = begun(world, sessions.begin(world.tokens[Scope.ADMIN]))
    answer = await world.send("GET", "/v1/me", token=begin.cookie)
    assert answer.status == 401
    assert sessions.find(world.tokens[Scope.ADMIN]) is None


async def test_whoever_logs_out_ends_its_own_session_alone(
    world: ApiWorld, sessions: ConsoleSessions
) -> None:
    token = world.tokens[Scope.PARTNER_READ]
    one, other = begun(world, sessions.begin(token)), begun(world, sessions.begin(token))
    sessions.end(one.cookie)
    written = world.tables.offset
    sessions.end(one.cookie)
    assert world.tables.offset == written
    assert why(world, sessions, one.cookie) is SessionRefusal.ENDED
    opened(sessions, other.cookie)
    by = one.session.token_id
    assert world.services.uses[-1] == ("session.ended", by, one.session.id)
    shown = (await world.send("GET", f"/v1/sessions/{one.session.id}")).json
    assert (shown["state"], shown["ended_by"]) == ("ended", f"session {one.session.id}")


async def test_a_session_is_over_when_it_expires(
    world: ApiWorld, sessions: ConsoleSessions
) -> None:
    begin = begun(world, sessions.use_link((await made(world))[0]))
    world.tables.now += LONGEST_SESSION - 1
    opened(sessions, begin.cookie)
    world.tables.now += 1
    assert why(world, sessions, begin.cookie) is SessionRefusal.EXPIRED
    written = world.tables.offset
    sessions.end(begin.cookie)
    assert world.tables.offset == written


def test_a_token_has_at_most_so_many_sessions_and_the_oldest_makes_room(
    world: ApiWorld, sessions: ConsoleSessions
) -> None:
    token = world.tokens[Scope.OPERATOR_READ]
    all_of_them = []
    for _ in range(MOST_OF_TOKEN + 1):
        all_of_them.append(begun(world, sessions.begin(token)))
        world.tables.now += 1
        world.seconds += 1
    first, *others = all_of_them
    assert why(world, sessions, first.cookie) is SessionRefusal.UNKNOWN
    for each in others:
        opened(sessions, each.cookie)
    # Nobody loses a session without a word.
    assert ("session.ended", first.session.token_id, first.session.id) in world.services.uses


def test_while_the_tables_are_not_current_no_session_begins(
    world: ApiWorld, sessions: ConsoleSessions
) -> None:
    world.services.is_current = False
    before = world.tables.offset
    with pytest.raises(DependencyUnavailable, match="not current"):
        sessions.begin(world.tokens[Scope.ADMIN])
    with pytest.raises(DependencyUnavailable, match="not current"):
        sessions.use_link(LINK_TEXTS["lnk-ours"])
    assert world.tables.offset == before


def test_a_tokens_sessions_begin_at_a_bounded_rate_and_foreign_texts_take_nothing_of_it(
    world: ApiWorld, sessions: ConsoleSessions
) -> None:
    token = world.tokens[Scope.PARTNER_READ]
    for _ in range(50):
        sessions.begin(token)
        assert sessions.begin("hs_prd_" + "A" * 43) is None
    with pytest.raises(RequestRefused) as refused:
        sessions.begin(world.tokens[Scope.PARTNER_MANAGE])
    assert (refused.value.kind, refused.value.retry_after) == (ProblemKind.TOO_MANY_REQUESTS, 1)
    begun(world, sessions.begin(world.rival))
    begun(world, sessions.begin(world.tokens[Scope.OPERATOR_READ]))
    world.seconds += 1
    begun(world, sessions.begin(token))


async def test_all_sessions_and_links_of_a_partner_end_at_once_and_nobody_elses(
    world: ApiWorld, sessions: ConsoleSessions
) -> None:
    text, link_id = await made(world)
    unused, unused_id = await made(world)
    by_link = begun(world, sessions.use_link(text))
    by_token = begun(world, sessions.begin(world.tokens[Scope.PARTNER_MANAGE]))
    theirs = begun(world, sessions.begin(world.rival))
    operators = begun(world, sessions.begin(world.tokens[Scope.OPERATOR_WRITE]))
    path = "/v1/partners/acme/sessions/revoke"
    answer = await world.send("POST", path, token=world.tokens[Scope.PARTNER_MANAGE])
    own = {by_link.session.id, by_token.session.id, "ses-ours"}
    assert {*answer.json["sessions"]} == own
    assert {*answer.json["links"]} == {unused_id, "lnk-ours"}
    for each in (by_link, by_token):
        assert why(world, sessions, each.cookie) is SessionRefusal.ENDED
    for each in (theirs, operators):
        opened(sessions, each.cookie)
    assert sessions.use_link(unused) is LinkRefusal.REVOKED
    # A link that was used stays what it was.
    assert (await world.send("GET", f"{LINKS}/{link_id}")).json["state"] == "used"
    again = await world.send("POST", path)
    assert again.json == {"sessions": [], "links": []}


async def test_a_deleted_partner_has_no_session_and_no_link(
    world: ApiWorld, sessions: ConsoleSessions
) -> None:
    answer = await world.send("POST", "/v1/partners/lonely/portal-links", {})
    used = await world.send("POST", "/v1/partners/lonely/portal-links", {})
    begin = begun(world, sessions.use_link(used.json["url"].rpartition("/")[2]))
    deleted = await world.send("DELETE", "/v1/partners/lonely", headers={"If-Match": "*"})
    assert deleted.status == 200, deleted.content
    assert why(world, sessions, begin.cookie) is SessionRefusal.ENDED
    text = answer.json["url"].rpartition("/")[2]
    assert sessions.use_link(text) is LinkRefusal.REVOKED


async def test_a_link_of_another_partner_is_absent_below_the_callers_own_path(
    world: ApiWorld,
) -> None:
    manages = world.tokens[Scope.PARTNER_MANAGE]
    same = {"X-Request-Id": "the-same"}
    for method, more in (("GET", ""), ("POST", "/revoke")):
        foreign, absent = [
            await world.send(method, f"{LINKS}/{name}{more}", token=manages, headers=same)
            for name in ("lnk-theirs", "lnk-nobodys")
        ]
        assert (foreign.status, foreign.content) == (404, absent.content)
    by_operator = await world.send("POST", f"{LINKS}/lnk-theirs/revoke")
    assert (by_operator.status, "no link 'lnk-theirs'" in by_operator.json["detail"]) == (
        404,
        True,
    )


async def test_sessions_are_listed_for_whom_they_concern(
    world: ApiWorld, sessions: ConsoleSessions
) -> None:
    begun(world, sessions.begin(world.tokens[Scope.ADMIN]))
    begun(world, sessions.begin(world.tokens[Scope.OPERATOR_WRITE]))

    async def listed(token: str, query: str = "") -> list[Any]:
        page = await world.send("GET", f"/v1/sessions{query}", token=token)
        return [each["scope"] for each in page.json["items"]]

    whole = await listed(world.tokens[Scope.ADMIN])
    assert sorted(whole) == ["admin", "operator:write", "partner:read", "partner:read"]
    seen = await listed(world.tokens[Scope.OPERATOR_WRITE])
    assert sorted(seen) == ["operator:write", "partner:read", "partner:read"]
    assert await listed(world.tokens[Scope.ADMIN], "?partner=rival") == ["partner:read"]
    assert await listed(world.tokens[Scope.PARTNER_MANAGE]) == ["partner:read"]


def test_every_route_that_makes_or_ends_one_is_in_operators_audit_log() -> None:
    acts = {route.name: route.act for route in TABLE.routes if route.tag == "sessions"}
    assert {act for act in acts.values() if act} == {
        "link.made",
        "link.revoked",
        "session.ended",
        "sessions.ended",
    }
