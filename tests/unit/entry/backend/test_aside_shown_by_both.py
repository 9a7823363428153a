"""One dead letter, or undecodable record, is shown alike on the cluster and through the API."""

import json
from dataclasses import replace

import pytest
from tests.doubles.api import ApiWorld
from tests.doubles.dead_letter_topic import dead_letter
from tests.doubles.faces import ApiFace, MemoryBackend, run

from hookstream.core.access.scopes import Scope
from hookstream.core.model import header_names
from hookstream.core.redrive.marks import Mark, OffsetRange, RedriveSource

ODD = [("odd", b"\xff\x00"), ("none", None), ("odd", "\u202e".encode()), ("text", b"0xff00")]


def world() -> ApiWorld:
    """Return a console with a dead letter that has odd headers, one without a value, and one that was redriven."""
    made = ApiWorld()
    ours = dead_letter(7, "ours", subscription="crm", partner="acme")
    made.services.dead_topic.kept = [
        replace(ours, headers=[*ours.headers, *ODD]),
        replace(dead_letter(8, "gone", subscription="crm", partner="acme"), value=None),
        dead_letter(9, "theirs", subscription="theirs", partner="rival"),
    ]
    for source in RedriveSource:
        mark = Mark("redrive-1", source, 0, (OffsetRange(9, 9),))
        made.services.ledger.add(mark)
    return made


@pytest.mark.parametrize(
    "line",
    [
        "dlq show 0@7",
        "dlq show 0@7 --json",
        "dlq show hookstream.dead-letters-0@7 --json",
        "dlq show hookstream.undecodable-0@7",
        "dlq show msg_ours",
        "dlq show msg_ours --json",
        "dlq show 0@8",
        "dlq show 0@8 --json",
        "dlq show 0@9",
        "dlq show 0@9 --json",
        "dlq show 0@10",
        "undecodable show 0@7",
        "undecodable show 0@7 --json",
        "undecodable show 0@8 --json",
        "undecodable show 0@9",
        "undecodable show 0@10",
    ],
)
def test_a_record_is_shown_alike_by_both(line: str) -> None:
    on_cluster = run(MemoryBackend(world()), *line.split())
    by_api = run(ApiFace(world()), *line.split())
    limits = "the console's index begins at"
    said = [each for each in by_api.err.splitlines() if not each.startswith(limits)]
    assert (by_api.out, said) == (on_cluster.out, on_cluster.err.splitlines())
    assert by_api.code == on_cluster.code
    assert by_api.out or by_api.err


def test_an_event_keeps_each_digit_of_its_numbers() -> None:
    said = run(ApiFace(world()), "dlq", "show", "0@7", "--json")
    assert '"event":{"id":"ours","n":1.10}' in said.out


def test_what_is_no_place_is_refused_and_a_delivery_without_dead_letters_too() -> None:
    face = ApiFace(world())
    refused = run(face, "undecodable", "show", "msg_ours")
    assert (refused.code, "'msg_ours' is not a place such as 3@1042" in refused.err) == (2, True)
    face.connection.world.services.memory_index.dead.clear()
    nothing = run(face, "dlq", "show", "msg_ours")
    assert (nothing.code, "hookstream attempts show msg_ours" in nothing.err) == (2, True)


def test_a_record_that_another_topic_has_in_its_place_is_not_shown() -> None:
    made = world()
    made.services.dead_topic.kept[0] = dead_letter(7, "new", subscription="crm", partner="acme")
    said = run(ApiFace(made), "dlq", "show", "msg_ours")
    assert (said.code, said.out) == (2, "")


def test_a_partner_sees_its_dead_letter_without_headers_and_places() -> None:
    partner = ApiFace(world(), Scope.PARTNER_READ)
    said = run(partner, "dlq", "show", "msg_ours")
    assert (said.code, "hush" in said.out + said.err) == (0, False), said
    lines = said.out.splitlines()
    assert lines[0] == "Dead letter: open"
    assert any(line.split() == ["reason", "expired"] for line in lines)
    assert json.loads(run(partner, "dlq", "show", "msg_ours", "--json").out)["event"] == {
        "id": "ours",
        "n": 1.1,
    }
    for line in ("dlq show 0@7", "undecodable show 0@7"):
        refused = run(partner, *line.split())
        assert (refused.code, "operator:read" in refused.err) == (2, True), refused
    absent = run(partner, "dlq", "show", "msg_theirs")
    assert (absent.code, absent.err) == (2, "hookstream: Not found\n")


def test_both_backends_report_unreadable_marks() -> None:
    for backend in (MemoryBackend, ApiFace):
        made = world()
        made.services.dead_topic.marks = ("redrive-2: it is damaged",)
        said = run(backend(made), "dlq", "show", "0@7")
        assert "redrive-2: it is damaged" in said.err
        assert "may have been redriven or purged" in said.err


def test_that_the_index_does_not_reach_back_to_the_event_is_said() -> None:
    made = world()
    old = dead_letter(7, "ours", subscription="crm", partner="acme")
    at = (header_names.ORIGIN_TIMESTAMP, b"2026-11-01T00:00:00.000Z")
    made.services.dead_topic.kept[0] = replace(old, headers=[*old.headers, at])
    assert "earlier entries are not known" in run(ApiFace(made), "dlq", "show", "0@7").err
    at = (header_names.ORIGIN_TIMESTAMP, b"2026-11-24T11:30:00.000Z")
    made.services.dead_topic.kept[0] = replace(old, headers=[*old.headers, at])
    assert run(ApiFace(made), "dlq", "show", "0@7").err == ""
