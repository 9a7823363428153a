"""Dead letters are counted in full and listed in part."""

from decimal import Decimal
from io import StringIO

import pytest

from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Header, Record
from hookstream.core.redrive.groups import GroupBy, Grouping
from hookstream.core.redrive.ledger import ResolvedBy
from hookstream.core.redrive.marks import Position, Purged
from hookstream.core.redrive.summary import DeadLetterSummary, summary_of
from hookstream.entry.admin.dead_letter_details import DeadLetterDetails, header_value, position_in
from hookstream.entry.admin.dead_letters import Listing
from hookstream.entry.cli.deadletters.kinds import DEAD_LETTERS, UNDECODABLE, Kind
from hookstream.entry.cli.deadletters.view import (
    listing_document,
    show_details,
    show_listing,
)
from hookstream.entry.cli.terminal import Terminal
from hookstream.errors import InputRefused

NOW = 1_795_000_000_000
PRICE = Decimal("12345678901234567890.5")


def dead_letter(offset: int, reason: bytes = b"expired") -> DeadLetterSummary:
    headers: list[Header] = [
        ("hs-delivery-id", b"msg_%d" % offset),
        ("hs-subscription-id", b"crm"),
        ("hs-event-type", b"order.generated"),
        ("hs-reason", reason),
        ("hs-last-status", b"503"),
        ("hs-origin-topic", b"things"),
        ("hs-origin-partition", b"0"),
        ("hs-origin-offset", b"7"),
        ("__connect.errors.exception.message", b"it ends too early"),
    ]
    return summary_of(Record("dead", 3, offset, NOW - 1_000 * (9 - offset), b"crm", b"v", headers))


def listing_of(kind: Kind, limit: int = 20, *, with_resolved: bool = False) -> Listing:
    return Listing(kind.source, limit, with_resolved)


def shown(listing: Listing, kind: Kind = DEAD_LETTERS) -> list[str]:
    out = StringIO()
    show_listing(Terminal(file=out, width=80), listing, kind, "dead", NOW)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_the_newest_dead_letters_are_listed_and_all_are_counted() -> None:
    listing = listing_of(DEAD_LETTERS, 2)
    for offset in (3, 1, 2):
        listing.add(dead_letter(offset), None)
    listing.add(dead_letter(4), ResolvedBy("job"))
    assert shown(listing) == [
        "dead: 3 open dead letters, 1 redriven",
        "letters  subscription  reason   oldest  newest",
        "      3  crm           expired  8s      6s",
        "",
        "The newest 2 (--limit for more):",
        "3@3         6s  expired (503)  msg_3",
        "                crm  order.generated",
        "3@2         7s  expired (503)  msg_2",
        "                crm  order.generated",
    ]


def test_redriven_dead_letters_are_listed_on_request() -> None:
    listing = listing_of(DEAD_LETTERS, with_resolved=True)
    listing.add(dead_letter(1), ResolvedBy("job"))
    assert shown(listing)[0] == "dead: 0 open dead letters, 1 redriven"
    assert shown(listing)[-1] == "                crm  order.generated  redriven by job"


def test_purged_dead_letters_say_who_purged_them_and_why() -> None:
    listing = listing_of(DEAD_LETTERS, with_resolved=True)
    listing.add(dead_letter(1), ResolvedBy("purge-1", Purged("ada@ops", "sent by mail", NOW)))
    listing.add(dead_letter(2), None)
    lines = shown(listing)
    assert lines[0] == "dead: 1 open dead letter, 1 purged"
    assert lines[-1].endswith("order.generated  purged by ada@ops (job purge-1): sent by mail")


def test_dead_letters_are_counted_by_another_property_on_request() -> None:
    listing = Listing(
        DEAD_LETTERS.source, 0, with_resolved=False, grouping=Grouping(GroupBy.STATUS)
    )
    for offset in (1, 2):
        listing.add(dead_letter(offset), None)
    listing.add(dead_letter(3), ResolvedBy("job"))
    assert shown(listing) == [
        "dead: 2 open dead letters, 1 redriven",
        "letters  oldest  newest  status",
        "      2  8s      7s      503",
    ]
    document = listing_document(listing, DEAD_LETTERS, "dead")
    assert (document["group_by"], document["groups"], document["smaller_groups"]) == (
        "status",
        [
            {
                "status": "503",
                "letters": 2,
                "oldest": "2026-11-18T11:06:32.000Z",
                "newest": "2026-11-18T11:06:33.000Z",
            }
        ],
        None,
    )


def test_undecodable_records_are_counted_by_origin_and_detail() -> None:
    listing = listing_of(UNDECODABLE)
    listing.add(dead_letter(1, b"malformed"), None)
    assert shown(listing, UNDECODABLE)[-2:] == [
        "3@1         8s  malformed (503)  things-0@7",
        "                it ends too early",
    ]


def test_an_empty_topic_is_one_line() -> None:
    assert shown(listing_of(DEAD_LETTERS)) == ["dead: 0 open dead letters"]


def test_dead_letters_are_counted_without_being_listed() -> None:
    listing = listing_of(DEAD_LETTERS, 0)
    listing.add(dead_letter(1), None)
    document = listing_document(listing, DEAD_LETTERS, "dead")
    assert document == {
        "topic": "dead",
        "open": 1,
        "redriven": 0,
        "purged": 0,
        "groups": [
            {
                "subscription_id": "crm",
                "reason": "expired",
                "letters": 1,
                "oldest": "2026-11-18T11:06:32.000Z",
                "newest": "2026-11-18T11:06:32.000Z",
            }
        ],
        "letters": [],
    }


@pytest.mark.parametrize(
    ("text", "place"),
    [("3@1042", Position(3, 1042)), ("t.dead-letters-3@1042", Position(3, 1042)), ("msg_x", None)],
)
def test_a_place_is_written_with_or_without_its_topic(text: str, place: Position | None) -> None:
    assert position_in(text, "t.dead-letters") == place


def test_a_place_in_another_topic_is_refused() -> None:
    with pytest.raises(InputRefused, match="another topic"):
        position_in("other-3@1", "t.dead-letters")


def test_a_header_that_is_not_text_is_shown_as_hex() -> None:
    values = [header_value(value) for value in (b"text", b"\xff\x00", None)]
    assert values == ["text", "0xff00", "(null)"]


def test_an_event_shows_each_number_as_its_text() -> None:
    record = Record("dead", 3, 7, NOW, b"crm", b"v", [])
    event: JsonObject = {"price": PRICE}
    details = DeadLetterDetails(record, summary_of(record), None, event, None)
    out = StringIO()

    show_details(Terminal(file=out, width=80), details, NOW)

    assert f'"price": {PRICE}' in out.getvalue()
