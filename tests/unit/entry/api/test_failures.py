"""Failure groups over the API: operators see all of them and sums of them, a partner its own without operators' words."""

from dataclasses import replace

from tests.doubles.api import ApiWorld
from tests.doubles.api_records import (
    OUR_FAILURE,
    OUR_PAST_FAILURE,
    THEIR_FAILURE,
    failure_group,
)
from tests.doubles.clock import NOON
from tests.doubles.index import WINDOW
from tests.doubles.lives import FIRST

from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.published import own_schemas
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.index.answers import IndexedAttempt
from hookstream.core.access.scopes import Scope
from hookstream.core.failures.groups import GroupState
from hookstream.core.model.event import Event, Identified
from hookstream.core.model.instant import HOUR, to_rfc3339
from hookstream.core.model.record import Record

PATH = f"/v1/failure-groups/{OUR_FAILURE.id}"


async def ids(world: ApiWorld, query: str = "", token: str | None = None) -> list[str]:
    answer = await world.send("GET", f"/v1/failure-groups?{query}", token=token)
    assert answer.status == 200, answer.content
    return [each["id"] for each in answer.json["items"]]


def events(world: ApiWorld) -> list[dict[str, object]]:
    """Return the data of the operations events that were written."""
    codec, found = AvroCodec(SchemaBook(own_schemas())), []
    for each in world.tables.records:
        if each.topic == world.settings.topics_names.operations:
            record = Record(each.topic, 0, 0, NOON, each.key, each.value, ())
            identified = codec.identify(record)
            assert isinstance(identified, Identified)
            event = codec.decode(identified, record)
            assert isinstance(event, Event)
            data = event.fields["data"]
            assert isinstance(data, dict)
            found.append(data)
    return found


async def test_groups_are_listed_the_one_that_changed_last_first_and_filtered(
    world: ApiWorld,
) -> None:
    past, ours, theirs = OUR_PAST_FAILURE.id, OUR_FAILURE.id, THEIR_FAILURE.id
    every = await ids(world)
    assert (len(every), set(every[2:])) == (4, {ours, theirs})
    assert await ids(world, "subscription=crm") == [past, ours]
    assert await ids(world, "partner=acme&state=acknowledged&state=open") == [ours]
    assert await ids(world, "partner=acme&outcome=throttled") == []
    assert await ids(world, "", world.tokens[Scope.PARTNER_READ]) == [past, ours]
    assert await ids(world, "", world.rival) != [past, ours]


async def test_a_list_goes_on_where_the_page_before_ended(world: ApiWorld) -> None:
    found: list[str] = []
    path = "/v1/failure-groups?limit=1"
    while True:
        page = (await world.send("GET", path)).json
        found += [each["id"] for each in page["items"]]
        if page["next"] is None:
            break
        path = f"/v1/failure-groups?limit=1&cursor={page['next']}"
    assert found == await ids(world)


async def test_a_group_shows_its_state_and_what_the_index_has_of_it(world: ApiWorld) -> None:
    again = replace(FIRST, delivery_id="msg_ours_2", started_at=2_000, error="answered 503 again")
    other = replace(FIRST, delivery_id="msg_other", started_at=3_000, status=500)
    index = world.services.memory_index
    for at, entry in enumerate((again, replace(again, error="answered 503"), other), 10):
        index.found_attempts.append(IndexedAttempt(entry, NOON, 0, at))
    answer = await world.send("GET", PATH)
    group = answer.json["group"]
    assert answer.etag == '"2"'
    assert group == {
        "id": OUR_FAILURE.id,
        "subscription": "crm",
        "partner": "acme",
        "outcome": "failed",
        "status": 503,
        "error": "answered <n>",
        "state": "acknowledged",
        "opened_at": to_rfc3339(OUR_FAILURE.opened),
        "changed_at": to_rfc3339(OUR_FAILURE.changed),
        "actor": "operator",
        "partner_note": "",
        "by": "hush-operator",
        "note": "hush-note",
        "revision": 2,
        "first_seen": to_rfc3339(1_000),
        "last_seen": to_rfc3339(OUR_FAILURE.last_seen),
        "count": 2,
        "deliveries": 2,
        "deliveries_exact": True,
        "example": "answered 503",
        "delivery": "msg_ours_2",
    }
    assert [each["delivery"] for each in answer.json["attempts"]] == ["msg_ours", "msg_ours_2"]
    assert answer.json["since"] == to_rfc3339(WINDOW.since or 0)


async def test_errors_of_before_the_asked_time_are_not_counted(world: ApiWorld) -> None:
    answer = await world.send("GET", f"{PATH}?since={to_rfc3339(NOON + HOUR)}")
    group = answer.json["group"]
    assert (group["count"], group["example"], answer.json["attempts"]) == (0, None, [])
    wrong = await world.send("GET", f"{PATH}?since=yesterday")
    assert (wrong.status, wrong.json["field"]) == (422, "since")


async def test_operators_see_errors_summed_over_partners_and_partners_do_not(
    world: ApiWorld,
) -> None:
    world.put_failure_group(failure_group("filed", "acme", 500, GroupState.OPEN))
    page = (await world.send("GET", "/v1/failure-groups/by-error")).json
    assert [
        (
            each["status"],
            each["subscriptions"],
            each["partners"],
            each["open"],
            each["acknowledged"],
            each["resolved"],
            each["count"],
            each["deliveries"],
        )
        for each in page["items"]
    ] == [(500, 3, 2, 1, 0, 2, 0, 0), (503, 2, 2, 0, 2, 0, 2, 2)]
    for path in ("by-error?partner=acme&state=acknowledged", "by-error?limit=1"):
        [only] = (await world.send("GET", f"/v1/failure-groups/{path}")).json["items"]
        assert only["subscriptions"] in (1, 3)
    token = world.tokens[Scope.PARTNER_MANAGE]
    refused = await world.send("GET", "/v1/failure-groups/by-error", token=token)
    assert refused.status == 403


async def test_an_operator_acts_and_neither_the_event_nor_the_partner_learns_who(
    world: ApiWorld,
) -> None:
    done = await world.send(
        "POST", f"{PATH}/resolve", {"note": "INC-7"}, headers={"If-Match": '"2"'}
    )
    assert (done.status, done.json["state"], done.json["note"], done.etag) == (
        200,
        "resolved",
        "INC-7",
        '"3"',
    )
    assert done.json["by"].startswith("token tok-admin")
    [event] = events(world)
    assert (event["change"], event["actor"], event["changed_by"], event["note"]) == (
        "resolved",
        "operator",
        "",
        "",
    )
    act, token_id, subject = world.services.uses[0]
    assert (act, subject) == ("failure_group.resolved", OUR_FAILURE.id)
    assert token_id.startswith("tok-admin")
    shown = (await world.send("GET", PATH, token=world.tokens[Scope.PARTNER_READ])).json["group"]
    assert (shown["state"], shown["actor"], shown["partner_note"]) == ("resolved", "operator", "")
    assert {"by", "note"}.isdisjoint(shown)


async def test_a_partner_acts_on_its_own_group_and_both_see_its_note(world: ApiWorld) -> None:
    token = world.tokens[Scope.PARTNER_MANAGE]
    any_of_them = {"If-Match": "*"}
    done = await world.send(
        "POST", f"{PATH}/acknowledge", {"note": "our proxy"}, token=token, headers=any_of_them
    )
    assert (done.status, done.json["actor"], done.json["partner_note"]) == (
        200,
        "partner",
        "our proxy",
    )
    [event] = events(world)
    assert (event["actor"], event["note"]) == ("partner", "our proxy")
    shown = (await world.send("GET", PATH)).json["group"]
    assert (shown["note"], shown["partner_note"]) == ("our proxy", "our proxy")


async def test_an_act_that_the_state_does_not_allow_is_a_conflict(world: ApiWorld) -> None:
    any_of_them = {"If-Match": "*"}
    for path in (
        f"{PATH}/reopen",
        f"/v1/failure-groups/{OUR_PAST_FAILURE.id}/resolve",
        f"/v1/failure-groups/{OUR_PAST_FAILURE.id}/acknowledge",
    ):
        refused = await world.send("POST", path, {}, headers=any_of_them)
        assert (refused.status, refused.json["reason"]) == (409, "conflict")
    long = await world.send("POST", f"{PATH}/resolve", {"note": "x" * 501}, headers=any_of_them)
    assert (long.status, long.json["field"]) == (422, "note")
    assert events(world) == []


async def test_a_group_that_there_is_not_is_said_by_its_id_to_operators(world: ApiWorld) -> None:
    answer = await world.send("GET", "/v1/failure-groups/fg-nothing")
    assert (answer.status, answer.json["detail"]) == (
        404,
        "there is no failure group 'fg-nothing'",
    )
