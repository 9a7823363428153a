"""Untrusted records in tiers, dead letters and the audit log are read strictly, or shown as they are."""

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests import untrusted
from tests.doubles.lives import FIELDS

from hookstream.adapters.avro.audit_reader import EVENT_TYPE, AuditReader
from hookstream.adapters.avro.published import own_schemas
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.core.audit.entry import AuditEntry, EntryProblem
from hookstream.core.model.delivery import Delivery, OnlyFor, Trigger, UnmatchedEvent
from hookstream.core.model.delivery_headers import (
    dead_letter_headers,
    is_for_subscription,
    read_delivery,
    read_unmatched,
    tier_headers,
    undecodable_headers,
    unreadable_headers,
)
from hookstream.core.model.event import Undecodable
from hookstream.core.model.header_reading import HeaderProblem
from hookstream.core.model.instant import DAY
from hookstream.core.model.outcome import DeadReason
from hookstream.core.model.record import Header, Origin, OutgoingRecord, Record
from hookstream.core.redrive.revive import Revival, Unredrivable
from hookstream.core.redrive.summary import summary_of

BOOK = SchemaBook(own_schemas())
READER = AuditReader(BOOK)
WRITER = BOOK.reader(EVENT_TYPE, BOOK.latest(EVENT_TYPE))
ENTRY = b"" if WRITER is None else WRITER.encode(FIELDS)

NOW = 1_795_000_000_000
DELIVERY = Delivery(
    "msg_a",
    "crm",
    "acme",
    "pricing.completed",
    "e-1",
    Origin("printprice.pricing", 3, 40, NOW - 9_000),
    first_at=NOW - 8_000,
    expires_at=NOW + DAY,
    attempt=2,
    step=1,
    trigger=Trigger.RETRY,
    due_at=NOW,
    last_outcome="failed",
    last_status=503,
    last_error="answered 503",
)
REPLAYED = UnmatchedEvent(
    DELIVERY.origin,
    NOW,
    trigger=Trigger.REPLAY,
    only=OnlyFor("crm", "acme", "replay-1", as_granted_today=True),
)
SOUND_HEADERS = (
    tier_headers(DELIVERY, [("x", b"1")], written_at=NOW),
    tier_headers(replace(DELIVERY, job="replay-1", as_granted_today=True), (), written_at=NOW),
    tier_headers(REPLAYED, (), written_at=NOW),
    dead_letter_headers(DELIVERY, (), DeadReason.EXPIRED, "late", written_at=NOW),
    undecodable_headers(
        Record("events", 0, 7, NOW, None, b"v", ()),
        Undecodable("not_framed", "no"),
        written_at=NOW,
    ),
)
REVIVAL = Revival("t.retry.0s", lambda _: None, lambda: NOW, lambda _: 2 * DAY)


def headers(random: Random) -> list[Header]:
    """The headers of a dead letter or a tier record, some of them untrusted."""
    found: list[Header] = list(random.choice(SOUND_HEADERS))
    for _ in range(random.randrange(1, 4)):
        at = random.randrange(len(found))
        name, kept = found[at]
        drawn = untrusted.text(random).encode("utf-8", "surrogatepass")
        match random.randrange(6):
            case 0:
                del found[at]
            case 1:
                found.insert(at, (name, drawn))
            case 2:
                found[at] = (name, None)
            case 3:
                found[at] = (name, untrusted.changed_bytes(random, kept or b""))
            case _:
                found[at] = (name, drawn)
    return found


@given(st.integers(0, 2**32))
@settings(max_examples=2_000)
def test_a_state_is_refused_or_can_be_written_again(seed: int) -> None:
    drawn = headers(Random(seed))
    record = Record("t.retry.5s", 0, 1, NOW, b"k", b"v", drawn)

    reads = read_delivery if is_for_subscription(drawn) else read_unmatched
    state = reads(drawn)

    if isinstance(state, HeaderProblem):
        written = unreadable_headers(record, state, written_at=NOW)
    else:
        written = tier_headers(state, drawn, written_at=NOW)
        assert reads(written) == state
    assert sum(len(name) + len(value or b"") for name, value in written) < 64 * 1024


@given(st.integers(0, 2**32))
@settings(max_examples=1_000)
def test_a_dead_letter_is_shown_and_redriven_or_refused_with_a_reason(seed: int) -> None:
    random = Random(seed)
    value = random.choice((None, b"v"))
    record = Record("dead", 0, 1, NOW, b"k", value, headers(random))

    summary_of(record).as_json(None)

    for revived in (REVIVAL.delivery(record), REVIVAL.unmatched(record)):
        assert isinstance(revived, OutgoingRecord | Unredrivable)


@given(st.integers(0, 2**32))
@settings(max_examples=1_000)
def test_an_audit_record_is_read_or_refused_with_a_reason(seed: int) -> None:
    random = Random(seed)
    value = untrusted.changed_bytes(random, ENTRY)
    assert isinstance(READER.read(value), AuditEntry | EntryProblem)
