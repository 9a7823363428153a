"""An export says the same on the cluster and through the API, where it comes in parts, whole or not at all."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.doubles.api import ApiWorld
from tests.doubles.dead_letter_topic import dead_letter
from tests.doubles.faces import ApiFace, MemoryBackend, Said, run

from hookstream.adapters.http.api_connection import ApiReply
from hookstream.core.access.scopes import Scope
from hookstream.core.redrive.marks import Mark, OffsetRange, RedriveSource
from hookstream.entry.backend.api import exporting
from hookstream.entry.backend.api.exporting import MOST_TRIES, RECORDS_IN_PART

COUNT = 7
ODD = "\u202e\x1b[31m"


def world(count: int = COUNT) -> ApiWorld:
    """Return a console with so many dead letters, one of them with all that may be odd, in parts of two."""
    made = ApiWorld()
    letters = [
        dead_letter(at, f"{at}", subscription="crm", partner="acme")
        if at % 2 == 0
        else dead_letter(at, f"{at}", subscription="theirs", partner="rival", reason="gone")
        for at in range(count)
    ]
    secret = ("x-api-key", b"hush")
    letters[0] = replace(letters[0], headers=[*letters[0].headers, secret, ("odd", ODD.encode())])
    letters[4] = replace(letters[4], headers=[*letters[4].headers, secret], value=None)
    made.services.dead_topic.kept = letters
    for source in RedriveSource:
        mark = Mark("redrive-1", source, 0, (OffsetRange(2, 2),))
        made.services.ledger.add(mark)
    made.services.most_exported = 2
    return made


def asked_parts(face: ApiFace) -> int:
    return sum("/export" in target for _, target, _ in face.connection.sent)


@pytest.mark.parametrize(
    "line",
    [
        "dlq export -",
        "dlq export - --all",
        "dlq export - --subscription crm",
        "dlq export - --partner rival --reason gone",
        "dlq export - --since 2026-11-25T00:00:00Z",
        "dlq export - --until 2026-11-24T12:00:00Z",
        "undecodable export -",
        "undecodable export - --topic nobodys --reason tombstone",
    ],
)
def test_an_export_is_the_same_by_both(line: str) -> None:
    face = ApiFace(world())
    on_cluster, by_api = run(MemoryBackend(world()), *line.split()), run(face, *line.split())
    assert by_api.alike == on_cluster.alike
    first, *letters, last = map(json.loads, by_api.out.splitlines())
    assert (by_api.code, first["kind"], last["kind"]) == (0, "export", "end")
    assert last["letters"] == len(letters)
    assert asked_parts(face) >= len(letters) // 2


def test_a_file_is_the_same_by_both(tmp_path: Path) -> None:
    said: list[Said] = []
    for name, backend in (("cluster", MemoryBackend(world())), ("api", ApiFace(world()))):
        said.append(run(backend, "dlq", "export", str(tmp_path / name)))
    assert said[0] == said[1]
    assert said[0].err.startswith("dead letters: 6 exported, 1 left out as redriven, 1 without")
    on_cluster, by_api = (
        (tmp_path / name).read_bytes().splitlines() for name in ("cluster", "api")
    )
    assert on_cluster[1:] == by_api[1:]
    assert ODD.encode()[:3] in by_api[1]


def test_a_file_that_exists_is_replaced_with_force_alone(tmp_path: Path) -> None:
    file = tmp_path / "letters.jsonl"
    file.write_bytes(b"mine")
    face = ApiFace(world())
    refused = run(face, "dlq", "export", str(file))
    assert (refused.code, file.read_bytes(), asked_parts(face)) == (2, b"mine", 0)
    assert run(face, "dlq", "export", str(file), "--force").code == 0
    assert file.read_bytes().startswith(b'{"kind":"export"')


def test_of_a_topic_that_is_created_again_meanwhile_both_are_in_the_file(tmp_path: Path) -> None:
    made = world()
    face, topic = ApiFace(made), made.services.dead_topic

    def then(_method: str, target: str) -> None:
        if "cursor=" in target and topic.topic_id != "0f" * 16:
            topic.topic_id = "0f" * 16
            topic.kept = [dead_letter(0, "new", subscription="crm", partner="acme")]

    face.connection.before = then
    said = run(face, "dlq", "export", str(tmp_path / "letters.jsonl"))
    _, *letters, last = map(json.loads, (tmp_path / "letters.jsonl").read_bytes().splitlines())
    assert [each["event_id"] for each in letters] == ["e-0", "e-1", "e-new"]
    assert (said.code, last["letters"], last["began_again"]) == (1, 3, True)
    assert "; the topic was deleted and created again meanwhile: the rest" in said.err


@pytest.mark.parametrize("cuts", [[0], [1], [2], [3], [2, 1, 0], [2, 2, 2, 2]])
def test_a_part_that_was_cut_off_is_asked_for_again_and_no_record_is_there_twice(
    cuts: list[int],
) -> None:
    face = ApiFace(world())
    ordinary = run(ApiFace(world()), "dlq", "export", "-")

    def then(method: str, target: str) -> None:
        # The first part arrives, the next one does not.
        if "cursor=" in target and method == "GET" and "cut" not in seen:
            seen.append("cut")
            face.connection.cuts += cuts

    seen: list[str] = []
    face.connection.before = then
    said = run(face, "dlq", "export", "-")
    assert said.alike == ordinary.alike
    assert (seen, face.slept) == (["cut"], [float(2**at) for at in range(len(cuts))])


def test_an_export_that_is_cut_off_again_and_again_ends_without_a_file(tmp_path: Path) -> None:
    made = world()
    made.services.dead_topic.fails_after = 3
    face = ApiFace(made)
    # Its first lines arrive, so that it has begun.
    said = run(face, "dlq", "export", str(tmp_path / "letters.jsonl"))
    assert (said.code, [*tmp_path.iterdir()]) == (1, [])
    assert f"a part of it was cut off {MOST_TRIES} times, after 2 records: " in said.err
    printed = run(ApiFace(made), "dlq", "export", "-")
    kinds = [json.loads(line)["kind"] for line in printed.out.splitlines()]
    assert (printed.code, kinds) == (1, ["export", "letter", "letter"])


def test_a_console_that_does_not_answer_at_first_is_said_at_once() -> None:
    face = ApiFace(world())
    face.connection.before = lambda _method, _target: ApiReply(502, {}, b"<html>")
    said = run(face, "dlq", "export", "-")
    assert (said.code, face.slept) == (1, [])
    assert said.err == "hookstream: the API answered 502, and no problem document\n"


def answering(body: bytes) -> Callable[[str, str], ApiReply]:
    return lambda _method, _target: ApiReply(200, {}, body)


BEGIN = b'{"kind":"export"}\n'
END = b'{"kind":"end","letters":0,"left_out":{},"next":null}\n'


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "its last line is missing"),
        (BEGIN, "its last line is missing"),
        (END, "a line of the kind 'end'"),
        (BEGIN + BEGIN, "a line of the kind 'export'"),
        (BEGIN + END + END, "a line after its last one"),
        (BEGIN + b'{"kind":"news"}\n', "a line of the kind 'news'"),
        (b"<html>\n", "a line that cannot be read"),
        (BEGIN + b'{"kind":"end","letters":"many"}\n', "a line that cannot be read"),
        (BEGIN + b'{"kind":"letter"}\n{"kind":"end"}\n', "a line that cannot be read"),
    ],
)
def test_an_answer_that_is_no_export_is_refused(body: bytes, why: str) -> None:
    face = ApiFace(world())
    face.connection.before = answering(body)
    said = run(face, "dlq", "export", "-")
    assert (said.code, why in said.err, said.out) == (1, True, ""), said


def test_a_partner_exports_its_own_without_what_operators_see() -> None:
    face = ApiFace(world(), Scope.PARTNER_READ)
    said = run(face, "dlq", "export", "-")
    first, *letters, last = map(json.loads, said.out.splitlines())
    assert {each["subscription_id"] for each in letters} == {"crm"}
    assert (last["letters"], "hidden_headers" in last, "topic" in first) == (3, False, False)
    assert "hush" not in said.out
    assert said.err == "dead letters: 3 exported, 1 left out as redriven\n"
    refused = run(face, "undecodable", "export", "-")
    assert (refused.code, "operator:read" in refused.err) == (2, True)


def test_a_subscription_that_there_is_not_is_refused() -> None:
    said = run(ApiFace(world()), "dlq", "export", "-", "--subscription", "crn")
    assert (said.code, said.err) == (2, "hookstream: there is no subscription 'crn'\n")


def test_a_request_asks_for_a_bounded_part() -> None:
    face = ApiFace(world())
    run(face, "dlq", "export", "-")
    targets = [target for _, target, _ in face.connection.sent]
    assert all(f"limit={RECORDS_IN_PART}" in each for each in targets)
    assert len(targets) == 3


def test_a_part_that_cannot_be_kept_names_the_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    monkeypatch.setattr(exporting, "_IN_MEMORY", 1)
    monkeypatch.setattr(tempfile, "tempdir", f"{gone}")
    said = run(ApiFace(world()), "dlq", "export", str(tmp_path / "letters.jsonl"))
    assert said.code == 2
    assert said.err == (
        f"hookstream: a part of the export cannot be kept in {gone}: No such file or directory;"
        " set TMPDIR to another folder\n"
    )
    assert [*tmp_path.iterdir()] == []
