"""Letters are counted in full and listed in part."""

from io import StringIO

import pytest
from rich.console import Console

from hookstream.core.model.record import Header, Record
from hookstream.core.redrive.marks import Place
from hookstream.core.redrive.summary import LetterFacts, facts_of
from hookstream.entry.cli.deadletters.show import place_in
from hookstream.entry.cli.deadletters.view import (
    DEAD,
    UNDECODABLE,
    Listing,
    header_value,
    listing_document,
    show_listing,
)
from hookstream.errors import InputRefused

NOW = 1_795_000_000_000


def letter(offset: int, reason: bytes = b"expired") -> LetterFacts:
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
    return facts_of(Record("dead", 3, offset, NOW - 1_000 * (9 - offset), b"crm", b"v", headers))


def shown(listing: Listing) -> list[str]:
    out = StringIO()
    show_listing(Console(file=out, width=80), listing, "dead", NOW)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_the_newest_letters_are_listed_and_all_are_counted() -> None:
    listing = Listing(DEAD, 2, all_=False)
    for offset in (3, 1, 2):
        listing.add(letter(offset), None)
    listing.add(letter(4), "job")
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


def test_redriven_letters_are_listed_where_they_are_asked_for() -> None:
    listing = Listing(DEAD, 20, all_=True)
    listing.add(letter(1), "job")
    assert shown(listing)[0] == "dead: 0 open dead letters, 1 redriven"
    assert shown(listing)[-1] == "                crm  order.generated  redriven by job"


def test_undecodable_records_are_told_by_origin_and_detail() -> None:
    listing = Listing(UNDECODABLE, 20, all_=False)
    listing.add(letter(1, b"malformed"), None)
    assert shown(listing)[-2:] == [
        "3@1         8s  malformed (503)  things-0@7",
        "                it ends too early",
    ]


def test_an_empty_topic_is_one_line() -> None:
    assert shown(Listing(DEAD, 20, all_=False)) == ["dead: 0 open dead letters"]


def test_no_letter_need_be_listed_to_be_counted() -> None:
    listing = Listing(DEAD, 0, all_=False)
    listing.add(letter(1), None)
    document = listing_document(listing, "dead")
    assert document == {
        "topic": "dead",
        "open": 1,
        "redriven": 0,
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
    [("3@1042", Place(3, 1042)), ("t.dead-letters-3@1042", Place(3, 1042)), ("msg_x", None)],
)
def test_a_place_is_written_with_or_without_its_topic(text: str, place: Place | None) -> None:
    assert place_in(text, "t.dead-letters") == place


def test_a_place_in_another_topic_is_refused() -> None:
    with pytest.raises(InputRefused, match="another topic"):
        place_in("other-3@1", "t.dead-letters")


def test_a_header_that_is_no_text_shows_as_hex() -> None:
    values = [header_value(value) for value in (b"text", b"\xff\x00", None)]
    assert values == ["text", "0xff00", "(null)"]
