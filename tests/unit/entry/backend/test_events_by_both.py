"""Events are published and read alike on the cluster and through the API."""

import json
from functools import cache
from pathlib import Path

import pytest
from tests.doubles.api import ApiWorld
from tests.doubles.faces import ApiFace, MemoryBackend, Said, run
from tests.doubles.schemas import printprice

from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.access.scopes import Scope
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import OutgoingRecord, TopicPartition
from hookstream.entry.admin.event_pages import EventPosition, EventsAsked, EventsPart
from hookstream.entry.admin.schema_documents import SampleFormat, SchemaDocuments
from hookstream.entry.api.requests import LARGEST_BODY

TYPE = "pricing.completed"
TOPIC = f"printprice.{TYPE}"


@cache
def sample() -> JsonObject:
    documents = SchemaDocuments(SchemaBook([printprice(TYPE)]))
    return documents.sample(TYPE, None, SampleFormat.INPUT)


def event(number: int, environment: str = "production") -> JsonObject:
    return {
        **sample(),
        "environment": environment,
        "id": f"7d5f6d9e-6f2e-4b8e-9d53-6d7f2f1a{number:04}",
        "entity_id": f"job-{number}",
    }


def lines(count: int) -> bytes:
    return b"".join(json.dumps(event(n)).encode() + b"\n" for n in range(count))


def filled(count: int = 7) -> ApiWorld:
    made = ApiWorld()
    sent = made.services.topics.send(lines(count).splitlines(), "printprice.")
    assert (sent.sent, sent.refused) == (count, [])
    made.services.topics.append(OutgoingRecord(TOPIC, b"job-1", b"no event"))
    return made


def both(*arguments: str, world: ApiWorld | None = None) -> tuple[Said, Said]:
    made = filled() if world is None else world
    return run(MemoryBackend(made), *arguments), run(ApiFace(made), *arguments)


@pytest.mark.parametrize(
    "line",
    [
        "--from-beginning --no-follow",
        "--from-beginning --no-follow --where",
        f"--from-beginning --no-follow --topic {TOPIC} --type {TYPE}",
        "--from-beginning --no-follow --type order.generated",
    ],
)
def test_a_tail_shows_the_same_by_both(line: str) -> None:
    on_cluster, by_api = both("events", "tail", *line.split())
    # Of several partitions, any may come first.
    assert sorted(by_api.out.splitlines()) == sorted(on_cluster.out.splitlines())
    assert (by_api.err, by_api.code) == (on_cluster.err, on_cluster.code)
    assert on_cluster.err.startswith(f"{TOPIC}/1@3: not_framed")


def test_a_tail_of_many_parts_shows_each_record_once_in_the_order_of_its_partition() -> None:
    made = filled(401)
    face = ApiFace(made)
    said = run(face, "events", "tail", "--from-beginning", "-n", "401", "--where")
    shown = [json.loads(line) for line in said.out.splitlines()]
    for number in (0, 1):
        records = [each["record"] for each in shown if each["record"]["partition"] == number]
        assert [each["offset"] for each in records] == list(range(len(records)))
    assert len({each["id"] for each in shown}) == len(shown) == 401
    assert said.code == 0
    assert len(made.services.topics.asked) > 1


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 50])
async def test_parts_of_any_size_have_each_record_once(limit: int) -> None:
    made = filled(11)
    found: list[tuple[int, int]] = []
    body: dict[str, object] = {"start": "earliest", "limit": limit}
    while True:
        answer = (await made.send("POST", "/v1/events/read", body)).json
        assert len(answer["records"]) <= limit
        found += [(each["partition"], each["offset"]) for each in answer["records"]]
        if answer["over"]:
            break
        body = {"positions": answer["positions"], "limit": limit}
    assert sorted(found) == [
        (each.partition, each.offset) for each in made.services.topics.every()
    ]
    assert len(found) == 12
    # Payloads were read: operators' audit log says so.
    assert {(act, subject) for act, _, subject in made.services.uses} == {("topics.read", TOPIC)}


async def test_a_tail_that_follows_goes_on_with_what_is_published_later() -> None:
    made = filled(2)
    first = (await made.send("POST", "/v1/events/read", {"follow": True, "wait": 1})).json
    assert (first["records"], first["over"]) == ([], False)
    made.services.topics.send([json.dumps(event(5)).encode()], "printprice.")
    body = {"follow": True, "positions": first["positions"]}
    [record] = (await made.send("POST", "/v1/events/read", body)).json["records"]
    assert record["event"]["entity_id"] == "job-5"


def test_a_log_that_does_not_come_to_its_end_ends_the_command() -> None:
    """Behind an open transaction there are records that nobody sees."""
    face = ApiFace(filled())
    part = EventsPart(positions=[EventPosition(TopicPartition(TOPIC, 0), 3, 5)])

    def silent(asked: EventsAsked) -> EventsPart:
        del asked
        face.seconds += 20
        return part

    face.connection.world.services.read_events = silent  # type: ignore[method-assign]
    said = run(face, "events", "tail", "--from-beginning", "--no-follow")
    assert (said.code, said.err) == (
        1,
        f"hookstream: {TOPIC} was not read to its end: nothing came for 30 s\n",
    )


async def test_names_that_nothing_has_are_refused() -> None:
    made = filled()
    for body, why in (
        ({"topics": ["printprice.nothing"]}, "no topic has that name"),
        ({"event_types": ["pricing.complete"]}, "did you mean"),
    ):
        answer = await made.send("POST", "/v1/events/read", body)
        assert (answer.status, why in answer.json["detail"]) == (422, True), answer.content


def sent_by_both(file: Path, *more: str) -> tuple[tuple[Said, ApiWorld], tuple[Said, ApiWorld]]:
    worlds = ApiWorld(), ApiWorld()
    faces = MemoryBackend(worlds[0]), ApiFace(worlds[1])
    said = [run(face, "events", "send", str(file), *more) for face in faces]
    return (said[0], worlds[0]), (said[1], worlds[1])


def values(world: ApiWorld) -> list[bytes | None]:
    return [each.value for each in world.services.topics.every()]


def test_lines_are_published_to_the_same_bytes_by_both(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    blank = json.dumps(event(8, "nowhere")).encode()
    file.write_bytes(lines(5) + b"\n  \n" + blank)
    (on_cluster, one), (by_api, other) = sent_by_both(file)
    assert by_api == on_cluster
    assert by_api.err.splitlines()[-1] == "6 sent, 0 refused"
    assert "pricing.completed in nowhere: 1 subscription, before their filters" in by_api.err
    assert values(one) == values(other)
    assert len(values(other)) == 6


BAD = [
    b"nonsense",
    b"[]",
    b'{"type": "pricing.completed", "type": "twice"}',
    b'{"type": "pricing.completed", "entity_id": 7, "data": {"total": NaN}, "more": 1}',
    b'{"type": "none.such", "entity_id": "a", "environment": "b", "data": {}}',
    b"\xff\xfe",
    b"{" * 200,
]


def test_lines_are_refused_for_the_same_reasons_by_both(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join([*BAD, lines(1)]))
    (on_cluster, _), (by_api, _) = sent_by_both(file)
    # What cannot even be sent is refused first.
    assert sorted(by_api.err.splitlines()) == sorted(on_cluster.err.splitlines())
    assert (by_api.code, by_api.out) == (on_cluster.code, on_cluster.out) == (1, "")
    assert by_api.err.splitlines()[-1] == "1 sent, 7 refused"


def test_as_many_lines_as_fit_are_in_each_request(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    too_long = json.dumps({"type": "x" * LARGEST_BODY}).encode()
    file.write_bytes(lines(1_201) + too_long)
    face = ApiFace(ApiWorld())
    said = run(face, "events", "send", str(file))
    assert said.err.splitlines()[0].startswith("line 1202: longer than the API accepts")
    assert said.err.splitlines()[-1] == "1201 sent, 1 refused"
    assert len(values(face.connection.world)) == 1_201
    assert 3 <= len(face.connection.sent) < 20


async def test_events_are_objects_or_texts_and_go_to_event_topics_alone() -> None:
    made = ApiWorld()
    body: dict[str, object] = {"topic_prefix": "printprice.", "events": [event(1)]}
    assert (await made.send("POST", "/v1/events", body)).json["sent"] == 1
    text = json.dumps(event(2)).replace('"job-2"', '"job\n2"')
    for prefix, given, why in (
        ("printprice.", text, "not JSON"),
        ("printprice.", "  ", "not JSON"),
        ("hookstream.", event(2), "hookstream.pricing.completed is not an event topic"),
        ("elsewhere.", event(2), "elsewhere.pricing.completed is not an event topic"),
    ):
        body = {"topic_prefix": prefix, "events": [given]}
        answer = (await made.send("POST", "/v1/events", body)).json
        [refused] = answer["refused"]
        assert (answer["sent"], refused["index"], why in refused["why"]) == (0, 0, True), refused
    assert len(values(made)) == 1


async def test_only_those_who_may_write_publish_and_only_operators_read() -> None:
    made = filled()
    body: dict[str, object] = {"topic_prefix": "printprice.", "events": [event(1)]}
    read = made.tokens[Scope.OPERATOR_READ]
    assert (await made.send("POST", "/v1/events", body, token=read)).status == 403
    partner = made.tokens[Scope.PARTNER_MANAGE]
    assert (await made.send("POST", "/v1/events/read", {}, token=partner)).status == 403
