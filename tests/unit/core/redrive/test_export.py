"""An export has all that is needed to act elsewhere, no secret, and counts what it leaves out."""

from hookstream.core.model.record import Record
from hookstream.core.redrive.export import Export, ExportedEvent, first_line
from hookstream.core.redrive.ledger import ResolvedBy
from hookstream.core.redrive.marks import Purged
from hookstream.core.redrive.summary import summary_of

NOON = 1_795_000_000_000
LETTER = Record(
    "dead",
    3,
    17,
    NOON,
    b"crm",
    b"\xc3\x01",
    [
        ("hs-delivery-id", b"msg_a"),
        ("hs-reason", b"expired"),
        ("x-tenant", b"7"),
        ("x-raw", b"\xff"),
        ("x-none", None),
        ("Authorization", b"Bearer of-upstream"),
    ],
)
EVENT = ExportedEvent(b"\xc3\x01", from_origin=False, document={"type": "thing.done"})


def test_a_line_has_position_headers_reason_bytes_and_event() -> None:
    line = Export().line(LETTER, summary_of(LETTER), None, EVENT)
    assert (line["kind"], line["place"], line["reason"], line["open"]) == (
        "letter",
        "3@17",
        "expired",
        True,
    )
    assert line["headers"] == [
        {"name": "hs-delivery-id", "value": "msg_a"},
        {"name": "hs-reason", "value": "expired"},
        {"name": "x-tenant", "value": "7"},
        {"name": "x-raw", "base64": "/w=="},
        {"name": "x-none", "value": None},
        {"name": "Authorization", "hidden": True},
    ]
    assert (line["key"], line["value_base64"], line["value_from_origin"]) == (
        {"value": "crm"},
        "wwE=",
        False,
    )
    assert (line["event"], line["event_problem"]) == ({"type": "thing.done"}, None)


def test_a_record_whose_bytes_are_gone_is_exported_and_says_so() -> None:
    gone = ExportedEvent(None, from_origin=False, document="kept by reference")
    line = Export().line(LETTER, summary_of(LETTER), ResolvedBy("job"), gone)
    assert (line["value_base64"], line["event"], line["event_problem"]) == (
        None,
        None,
        "kept by reference",
    )
    assert (line["open"], line["resolved_by"]) == (False, "job")


def test_the_last_line_and_the_note_count_what_was_left_out() -> None:
    export = Export()
    export.leave_out(ResolvedBy("job"))
    export.leave_out(ResolvedBy("purge", Purged("ada@ops", "by mail", NOON)))
    export.line(LETTER, summary_of(LETTER), None, EVENT)
    export.line(
        LETTER, summary_of(LETTER), None, ExportedEvent(None, from_origin=False, document="gone")
    )
    assert export.last_line() == {
        "kind": "end",
        "letters": 2,
        "left_out": {"redriven": 1, "purged": 1},
        "without_value": 1,
        "not_decoded": 1,
        "hidden_headers": {"Authorization": 2},
        "began_again": False,
    }
    assert export.note() == (
        "2 exported, 1 left out as redriven, 1 left out as purged, 1 without the event's bytes,"
        " which are gone, 1 not decoded, 2 header values left out that may be secret"
    )


def test_names_of_hidden_headers_are_bounded() -> None:
    """They come from outside, and the count of them is kept until the end."""
    export = Export()
    for number in range(300):
        letter = Record("dead", 0, number, NOON, None, b"v", [(f"x-token-{number}", b"t")])
        export.line(letter, summary_of(letter), None, EVENT)
    assert (len(export.hidden), sum(export.hidden.values())) == (101, 300)


def test_the_first_line_says_what_was_asked() -> None:
    assert first_line("dead", {"reasons": ["gone"]}, NOON, with_resolved=True) == {
        "kind": "export",
        "format": 1,
        "topic": "dead",
        "selector": {"reasons": ["gone"]},
        "exported_at": "2026-11-18T11:06:40.000Z",
        "resolved_too": True,
    }
