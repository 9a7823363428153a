"""Exports over the API: whole or visibly not, each caller's own, bounded, and at a partner's rate."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.doubles.api import ApiReply, ApiWorld
from tests.doubles.api_records import ACME
from tests.doubles.dead_letter_topic import dead_letter

from hookstream.adapters.tables.rows import write_partner
from hookstream.core.access.scopes import Caller, Scope
from hookstream.entry.api.pieces import MOST_OF_CALLER, MOST_OF_PARTNERS, PieceSlots
from hookstream.entry.api.problems import RequestRefused
from hookstream.entry.api.requests import ApiRequest, ApiResponse, CutOff

PATH = "/v1/dead-letters/export"


def lines(answer: ApiReply) -> list[dict[str, Any]]:
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.content.splitlines()]


def acmes(world: ApiWorld, count: int) -> None:
    """Let the topic have so many dead letters of acme, each beside one of rival."""
    world.services.dead_topic.kept = [
        dead_letter(at, f"{at}", subscription="theirs", partner="rival")
        if at % 2
        else dead_letter(at, f"{at}", subscription="crm", partner="acme")
        for at in range(2 * count)
    ]


async def opened(world: ApiWorld, scope: Scope = Scope.PARTNER_READ) -> ApiResponse:
    """Ask for an export, and read nothing of it."""

    async def nothing(_: int) -> bytes:
        return b""

    sent = {"authorization": f"Bearer {world.tokens[scope]}"}
    return await world.dispatcher.answer(ApiRequest("GET", PATH, "", sent, nothing))


async def test_operators_get_every_record_with_its_bytes_and_a_count_at_the_end(
    world: ApiWorld,
) -> None:
    first, *letters, last = lines(await world.send("GET", PATH))
    assert (first["kind"], first["topic"]) == ("export", "hush-dead-letters")
    assert [each["event_id"] for each in letters] == ["e-ours", "e-foreign"]
    assert letters[0]["value_base64"] == "aHVzaC12YWx1ZQ=="
    assert (last["kind"], last["letters"], last["next"]) == ("end", 2, None)


async def test_a_partner_gets_its_own_without_places_bytes_and_details(world: ApiWorld) -> None:
    answer = await world.send("GET", PATH, token=world.tokens[Scope.PARTNER_READ])
    first, letter, last = lines(answer)
    assert (letter["subscription_id"], letter["event"]) == ("crm", {"id": "ours"})
    assert "topic" not in first
    assert not {"place", "origin", "value_base64", "headers", "detail", "key"} & {*letter}
    assert (last["letters"], "hidden_headers" in last) == (1, False)
    assert world.services.exported[0].partner_id == "acme"


async def test_of_what_was_not_granted_a_partner_learns_no_id(world: ApiWorld) -> None:
    world.services.dead_topic.kept = [
        dead_letter(0, "x", subscription="crm", partner="acme", reason="not_granted")
    ]
    answer = await world.send("GET", PATH, token=world.tokens[Scope.PARTNER_READ])
    assert lines(answer)[1]["event_id"] is None
    assert lines(await world.send("GET", PATH))[1]["event_id"] == "e-x"


async def test_another_partners_subscription_is_as_an_absent_one(world: ApiWorld) -> None:
    token = world.tokens[Scope.PARTNER_READ]
    answers = [
        await world.send(
            "GET", f"{PATH}?subscription={name}", token=token, headers={"X-Request-Id": "one"}
        )
        for name in ("theirs", "nobodys")
    ]
    assert {each.status for each in answers} == {404}
    assert answers[0].content == answers[1].content
    assert world.services.exported == []


async def test_an_export_goes_on_where_its_last_line_says_and_takes_nothing_newer(
    world: ApiWorld,
) -> None:
    acmes(world, 5)
    token, found, cursor = world.tokens[Scope.PARTNER_READ], [], ""
    for part in range(9):
        answer = lines(await world.send("GET", f"{PATH}?limit=2{cursor}", token=token))
        found += [each["event_id"] for each in answer[1:-1]]
        if part == 0:
            topic = world.services.dead_topic
            topic.kept.append(dead_letter(99, "late", subscription="crm", partner="acme"))
        if answer[-1]["next"] is None:
            break
        cursor = f"&cursor={answer[-1]['next']}"
    assert found == ["e-0", "e-2", "e-4", "e-6", "e-8"]


async def test_a_cursor_of_an_export_is_no_cursor_of_another_partner_or_list(
    world: ApiWorld,
) -> None:
    acmes(world, 2)
    token = world.tokens[Scope.PARTNER_READ]
    cursor = lines(await world.send("GET", f"{PATH}?limit=1", token=token))[-1]["next"]
    for path, by in (
        (f"{PATH}?limit=1", world.rival),
        (f"{PATH}?limit=1&reason=expired", token),
        ("/v1/undecodable/export?limit=1", world.tokens[Scope.ADMIN]),
    ):
        answer = await world.send("GET", f"{path}&cursor={cursor}", token=by)
        assert (answer.status, answer.json["reason"]) == (400, "invalid_cursor")


async def rest_of(world: ApiWorld, part: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return the answers after one."""
    answers: list[list[dict[str, Any]]] = []
    while part[-1]["next"] is not None:
        part = lines(await world.send("GET", f"{PATH}?limit=2&cursor={part[-1]['next']}"))
        answers.append(part)
    return answers


def ids(answers: list[list[dict[str, Any]]]) -> list[list[str]]:
    return [[each["event_id"] for each in part[1:-1]] for part in answers]


async def test_an_export_begins_at_the_start_of_a_topic_that_was_created_again_and_says_so(
    world: ApiWorld,
) -> None:
    acmes(world, 3)
    begun = lines(await world.send("GET", f"{PATH}?limit=4"))
    topic = world.services.dead_topic
    topic.topic_id = "0f" * 16
    topic.kept = [
        dead_letter(at, f"new-{at}", subscription="crm", partner="acme") for at in range(3)
    ]
    answers = await rest_of(world, begun)
    assert ids([begun]) == [["e-0", "e-1", "e-2", "e-3"]]
    assert ids(answers) == [["e-new-0", "e-new-1"], ["e-new-2"]]
    assert [part[-1]["began_again"] for part in (begun, *answers)] == [False, True, False]


async def test_what_is_read_while_the_topic_is_created_again_is_read_from_its_start_next(
    world: ApiWorld,
) -> None:
    """Of the answer meanwhile nobody knows whose records are in it; none of the new ones is missing."""
    acmes(world, 1)
    topic = world.services.dead_topic
    topic.next_id = "0f" * 16
    begun = lines(await world.send("GET", PATH))
    assert begun[-1]["next"] is not None
    topic.topic_id, topic.next_id = topic.next_id, ""
    answers = await rest_of(world, begun)
    assert (ids(answers), answers[0][-1]["began_again"]) == ([["e-0", "e-1"]], True)


@pytest.mark.parametrize(("before", "now"), [("", "0f" * 16), ("0f" * 16, ""), ("", "")])
async def test_a_cursor_without_the_id_of_its_topic_goes_on_where_it_ended(
    world: ApiWorld, before: str, now: str
) -> None:
    """It is of an earlier release, or the brokers have no ids."""
    acmes(world, 2)
    world.services.dead_topic.topic_id = before
    begun = lines(await world.send("GET", f"{PATH}?limit=2"))
    world.services.dead_topic.topic_id = now
    answers = await rest_of(world, begun)
    assert ids([begun, *answers]) == [["e-0", "e-1"], ["e-2", "e-3"]]
    assert answers[-1][-1]["began_again"] is False


async def test_an_export_that_cannot_be_finished_is_cut_off_and_has_no_end(
    world: ApiWorld,
) -> None:
    world.services.dead_topic.fails_after = 1
    response = await opened(world)
    assert response.pieces is not None
    with pytest.raises(CutOff):
        assert [piece async for piece in response.pieces]
    await response.pieces.aclose()
    events = [(event, fields.get("reason")) for _, event, fields in world.logger.lines]
    assert [event for event, _ in events] == ["api.cut_off", "api.request"]
    assert events[-1][1] == "cut_off"


async def test_a_caller_has_few_exports_at_once_and_a_closed_one_counts_no_more(
    world: ApiWorld,
) -> None:
    open_ones = [await opened(world) for _ in range(MOST_OF_CALLER)]
    refused = await opened(world)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "5")
    assert (await opened(world, Scope.ADMIN)).status == 200
    for each in open_ones:
        # One that nobody reads is closed as one that was read.
        assert each.pieces is not None
        await each.pieces.aclose()
        await each.pieces.aclose()
    assert (await opened(world)).status == 200


def test_exports_of_partners_leave_places_to_operators() -> None:
    slots = PieceSlots()
    of_partners = [Caller("t", Scope.PARTNER_READ, f"partner-{each // 2}") for each in range(7)]
    give_back = [slots.take(each) for each in of_partners[:MOST_OF_PARTNERS]]
    with pytest.raises(RequestRefused, match="at most 8"):
        slots.take(of_partners[-1])
    slots.take(Caller("operator", Scope.ADMIN, None))
    give_back[0]()
    slots.take(of_partners[-1])


async def test_a_refused_export_keeps_no_slot(world: ApiWorld) -> None:
    token = world.tokens[Scope.PARTNER_READ]
    for _ in range(MOST_OF_CALLER + 1):
        answer = await world.send("GET", f"{PATH}?since=yesterday", token=token)
        assert (answer.status, answer.json["field"]) == (422, "since")
    assert (await world.send("GET", PATH, token=token)).status == 200


async def test_records_are_read_for_a_partner_at_its_rate_over_all_requests(
    world: ApiWorld,
) -> None:
    slow = replace(ACME, limits=replace(ACME.limits, scanned_records_a_second=10))
    names = world.settings.topics_names
    world.tables.put(names.partners, slow.id, write_partner(slow))
    acmes(world, 600)
    token = world.tokens[Scope.PARTNER_READ]
    world.services.state()
    assert (await world.send("GET", PATH)).status == 200
    assert world.pauses == []
    # Batches of 500, 500 and 200: each waits for the one before, a minute at most.
    whole = lines(await world.send("GET", PATH, token=token))
    assert whole[-1]["letters"] == 600
    assert world.pauses == pytest.approx([49.0, 50.0, 20.0])
    world.services.note_scanned(world.services.caller(token), 100)  # type: ignore[arg-type]  # known
    refused = await world.send("GET", PATH, token=token)
    assert (refused.status, refused.json["reason"]) == (429, "too_many_requests")
    assert "scanned_records_a_second" in refused.json["remedy"]
    assert int(refused.headers["Retry-After"]) >= 9
    assert (await world.send("GET", PATH, token=world.rival)).status == 200


async def test_an_export_is_noted_for_operators_with_what_it_is_about(world: ApiWorld) -> None:
    for query in ("", "?subscription=crm", "?subscription=crm&subscription=theirs"):
        await world.send("GET", PATH + query)
    assert [(act, subject) for act, _, subject in world.services.uses] == [
        ("dead_letters.exported", ""),
        ("dead_letters.exported", "crm"),
        ("dead_letters.exported", ""),
    ]
