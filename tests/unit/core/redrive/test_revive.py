"""A dead letter is redriven with its own bytes and its state as redriven, or refused with a reason."""

from dataclasses import replace

import pytest

from hookstream.core.model.delivery import Delivery, Trigger, UnmatchedEvent
from hookstream.core.model.delivery_headers import (
    dead_letter_headers,
    read_delivery,
    read_unmatched,
    tier_headers,
    undecodable_headers,
    unreadable_headers,
)
from hookstream.core.model.event import Undecodable, UndecodableReason
from hookstream.core.model.header_reading import HeaderProblem
from hookstream.core.model.instant import DAY
from hookstream.core.model.outcome import DeadReason
from hookstream.core.model.record import Headers, Origin, OutgoingRecord, Record
from hookstream.core.redrive.marks import Position
from hookstream.core.redrive.revive import Revival, Unredrivable

NOW = 1_795_000_000_000
ORIGIN = Origin("printprice.pricing", 3, 40, NOW - 9_000)
DELIVERY = Delivery(
    "msg_a",
    "crm",
    "acme",
    "pricing.completed",
    "e-1",
    ORIGIN,
    first_at=NOW - 8_000,
    expires_at=NOW,
    attempt=9,
    step=8,
    trigger=Trigger.RETRY,
    last_outcome="failed",
    last_status=503,
)
HEADERS = dead_letter_headers(
    DELIVERY, [("x-tenant", b"7")], DeadReason.EXPIRED, "", written_at=NOW - 1
)
DEAD = Record("dead", 1, 7, NOW - 1, b"crm", b"value", HEADERS)
AT_ORIGIN = Record(ORIGIN.topic, 3, 40, ORIGIN.timestamp, b"q-1", b"origin's", ())
TIER = Record(
    "t.retry.5s",
    0,
    3,
    NOW,
    b"msg_a",
    b"value",
    [
        ("hs-subscription-id", b"crm"),
        *(
            header
            for header in tier_headers(DELIVERY, (), written_at=NOW)
            if header[0] not in ("hs-subscription-id", "hs-step")
        ),
    ],
)


def revival(at_origin: Record | None = None) -> Revival:
    return Revival("t.retry.0s", lambda _: at_origin, lambda: NOW, lambda _: 2 * DAY)


def by_reference(dead: Record, headers: Headers = HEADERS) -> Record:
    return Record(dead.topic, dead.partition, dead.offset, dead.timestamp, dead.key, None, headers)


def test_a_dead_letter_is_redriven_with_its_own_bytes_and_a_fresh_schedule() -> None:
    back = revival().delivery(DEAD)
    assert isinstance(back, OutgoingRecord)
    assert (back.topic, back.key, back.value) == ("t.retry.0s", b"msg_a", b"value")
    assert ("x-tenant", b"7") in back.headers
    assert "hs-reason" not in dict(back.headers)
    assert read_delivery(back.headers) == replace(
        DELIVERY, trigger=Trigger.REDRIVE, step=0, expires_at=NOW + 2 * DAY
    )


def test_a_dead_letter_by_reference_takes_its_value_from_its_origin() -> None:
    back = revival(AT_ORIGIN).delivery(by_reference(DEAD))
    assert isinstance(back, OutgoingRecord)
    assert back.value == b"origin's"


def test_a_dead_letter_whose_origin_is_gone_stays_open() -> None:
    """The topic may have been created again: then another record has the same offset."""
    other = replace(AT_ORIGIN, timestamp=NOW)
    for at_origin in (None, other):
        refused = revival(at_origin).delivery(by_reference(DEAD))
        why = "it was kept without its value, and printprice.pricing-3@40 is no longer in the log"
        assert refused == Unredrivable(Position(1, 7), why)


def test_a_dead_letter_with_broken_headers_stays_open() -> None:
    refused = revival().delivery(replace(DEAD, headers=[("hs-delivery-id", b"msg_a")]))
    assert isinstance(refused, Unredrivable)
    assert refused.why.startswith("its headers hold no delivery: header hs-")


UNDECODABLE = Record(
    "undecodable",
    0,
    5,
    NOW - 1,
    b"q-1",
    b"bytes",
    undecodable_headers(
        AT_ORIGIN,
        Undecodable(UndecodableReason.UNKNOWN_SCHEMA, "never published"),
        written_at=NOW - 1,
    ),
)


def test_an_undecodable_record_goes_back_in_as_an_event_without_a_subscription() -> None:
    """Its active interval follows from its origin, and its wait for a schema starts again."""
    back = revival().unmatched(UNDECODABLE)
    assert isinstance(back, OutgoingRecord)
    assert (back.key, back.value) == (b"printprice.pricing/3/40", b"bytes")
    assert read_unmatched(back.headers) == UnmatchedEvent(
        ORIGIN, first_at=NOW, trigger=Trigger.REDRIVE, undecodable_as="unknown_schema"
    )
    assert "hs-subscription-id" not in dict(back.headers)


def test_a_tombstone_cannot_become_an_event_by_being_sent_again() -> None:
    """Its record is where it was: nothing is lost, and retention took nothing."""
    why = Undecodable(UndecodableReason.TOMBSTONE, "it has no value")
    headers = undecodable_headers(AT_ORIGIN, why, written_at=NOW - 1)
    tombstone = replace(UNDECODABLE, value=None, headers=headers)
    refused = revival(by_reference(AT_ORIGIN, ())).unmatched(tombstone)
    assert isinstance(refused, Unredrivable)
    assert refused.why == "the record has no value, so there is no event in it: purge it"


def test_an_undecodable_record_with_broken_headers_stays_open() -> None:
    refused = revival().unmatched(replace(UNDECODABLE, headers=()))
    assert isinstance(refused, Unredrivable)


@pytest.mark.parametrize(
    "headers",
    [
        unreadable_headers(TIER, HeaderProblem("hs-step", "is missing"), written_at=NOW),
        unreadable_headers(
            replace(TIER, headers=TIER.headers[1:]),
            HeaderProblem("", "the header name \\xff is not UTF-8"),
            written_at=NOW,
            reason="headers_unreadable",
        ),
    ],
)
def test_what_may_be_one_partners_delivery_is_never_matched_again(headers: Headers) -> None:
    """As an event without a subscription, every subscription would get it."""
    refused = revival().unmatched(replace(UNDECODABLE, headers=headers))
    assert isinstance(refused, Unredrivable)


def test_a_dead_letter_with_a_header_name_that_is_not_text_stays_open() -> None:
    problem = "the header name \\xff is not UTF-8"
    for refused in (
        revival().delivery(replace(DEAD, headers_problem=problem)),
        revival().unmatched(replace(UNDECODABLE, headers_problem=problem)),
    ):
        assert isinstance(refused, Unredrivable)
        assert refused.why == f"it cannot be read: {problem}"
