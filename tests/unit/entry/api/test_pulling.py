"""The pull door over HTTP: every refusal is a problem with its remedy, whatever is sent as a cursor."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.doubles.api import ApiReply, ApiWorld
from tests.doubles.pulling import PullWorld, pulled
from tests.doubles.virtual_time import run

from hookstream.core.access.scopes import Scope
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.pull.page import Busy, PullPage, PullRefusal
from hookstream.pipeline.pull.service import PullService

PATH = "/v1/subscriptions/crm/events"
READER = Scope.PARTNER_READ


@asynccontextmanager
async def door(world: ApiWorld, events: PullWorld) -> AsyncIterator[PullService]:
    """Serve the real door behind the API."""
    events.past.create("t")
    events.directory.put_subscription(pulled(id="theirs", partner_id="rival"))
    async with events.door() as served:
        world.services.pull = lambda: served  # type: ignore[method-assign]
        yield served


async def asked(world: ApiWorld, query: str = "", path: str = PATH) -> ApiReply:
    return await world.send("GET", f"{path}?{query}", token=world.tokens[READER])


async def test_a_page_goes_on_with_its_cursor_and_a_foreign_or_changed_one_is_refused(
    world: ApiWorld,
) -> None:
    events = PullWorld()
    async with door(world, events) as served:
        for name in ("a", "b"):
            events.event("t", name)
        first = await asked(world, "limit=1")
        assert first.status == 200
        assert [each["kind"] for each in first.json["entries"]] == ["event"]
        second = await asked(world, f"limit=5&cursor={first.json['cursor']}")
        assert len(second.json["entries"]) == 1
        assert (
            first.json["entries"][0]["headers"]["webhook-id"]
            != second.json["entries"][0]["headers"]["webhook-id"]
        )
        theirs = await served.page("theirs", None, 1, 0)
        assert isinstance(theirs, PullPage)
        cursor = first.json["cursor"]
        for hostile in (theirs.cursor, cursor[:-5], cursor[1:], cursor + "AAAA", "x", "%00"):
            refused = await asked(world, f"cursor={hostile}")
            assert (refused.status, refused.json["reason"]) == (400, "invalid_cursor"), hostile
            assert refused.json["field"] == "cursor"
        # Another partner's subscription and none are the same, with whatever cursor.
        answers = [
            await asked(world, f"cursor={theirs.cursor}", f"/v1/subscriptions/{name}/events")
            for name in ("theirs", "absent")
        ]
        assert {each.status for each in answers} == {404}
        assert len({each.content for each in answers}) == 1
        events.directory.put_subscription(pulled(active_from=events.clock.now()))
        gone = await asked(world, f"cursor={cursor}")
        assert (gone.status, gone.json["remedy"]) == (410, "start again without a cursor")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cursor=st.text(max_size=300)
    | st.binary(max_size=300).map(lambda found: found.decode("latin-1")),
    limit=st.sampled_from(["1", "0", "-1", "1001", "1e3", "\uff19", "", "x" * 50]),
    wait=st.sampled_from(["0", "30.1", "-0.1", "nan", "inf", "1e400", "", "0x1"]),
)
def test_whatever_is_sent_to_the_door_is_answered_with_a_page_or_a_refusal(
    world: ApiWorld, cursor: str, limit: str, wait: str
) -> None:
    async def send() -> None:
        events = PullWorld()
        async with door(world, events):
            query = f"cursor={quote(cursor)}&limit={quote(limit)}&wait={wait}"
            for each in (f"cursor={quote(cursor)}", query, cursor):
                answer = await asked(world, each)
                assert answer.status in (200, 400, 422), (answer.status, answer.content)

    run(send())


async def test_what_cannot_be_shown_now_is_503_with_the_seconds_to_wait(world: ApiWorld) -> None:
    events = PullWorld()
    async with door(world, events):
        events.directory.holds.put(Hold(HoldKind.PARTNER, "acme", 0, "hush", "kim", 1))
        held = await asked(world)
        events.directory.holds.drop(HoldKind.PARTNER, "acme")
        events.tables.is_current = False
        stale = await asked(world)
    for answer, seconds in ((held, "30"), (stale, "2")):
        assert (answer.status, answer.headers["Retry-After"]) == (503, seconds)
    assert held.json["detail"] == "delivery is suspended"
    assert b"hush" not in held.content

    class Full:
        async def page(self, *_: object, **__: object) -> PullRefusal:
            return Busy("too many readers are behind the head of the log", 2)

    world.services.pull = lambda: cast("PullService", Full())  # type: ignore[method-assign]
    full = await asked(world)
    assert (full.status, full.headers["Retry-After"]) == (503, "2")


async def test_a_token_revoked_while_its_request_waits_is_shown_nothing(world: ApiWorld) -> None:
    events = PullWorld()
    token = world.token(READER, "acme", token_id="tok-revoked")
    async with door(world, events), asyncio.TaskGroup() as group:
        begun = await world.send("GET", f"{PATH}?cursor=latest", token=token)
        query = f"cursor={begun.json['cursor']}&wait=30"
        waiting = group.create_task(world.send("GET", f"{PATH}?{query}", token=token))
        await asyncio.sleep(3)
        revoked = await world.send("POST", "/v1/tokens/tok-revoked/revoke")
        assert revoked.status in (200, 204), revoked.content
        events.event("t", "secret")
    answer = waiting.result()
    assert (answer.status, answer.json["reason"]) == (401, "unauthenticated")
    assert b"secret" not in answer.content
