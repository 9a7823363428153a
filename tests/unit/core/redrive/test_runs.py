"""A replay, a resend and a test are written as what a worker reads: the same delivery, in a run of its own."""

from dataclasses import replace

import pytest
from tests.doubles.deliveries import NOW, a_delivery

from hookstream.core.model.delivery import Delivery, OnlyFor, Trigger, UnmatchedEvent
from hookstream.core.model.delivery_headers import (
    dead_letter_headers,
    is_for_subscription,
    read_delivery,
    read_unmatched,
)
from hookstream.core.model.event import Event, Revision
from hookstream.core.model.instant import DAY, HOUR, MINUTE
from hookstream.core.model.outcome import DeadReason
from hookstream.core.model.record import Origin, Record
from hookstream.core.model.subscription import (
    Endpoint,
    RetryPolicy,
    Subscription,
    UnreadableSubscription,
)
from hookstream.core.redrive.revive import redriven
from hookstream.core.redrive.runs import Run
from hookstream.errors import InvariantBroken

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ORIGIN = Origin("printprice.pricing.completed", 3, 41, NOW - 30 * DAY)
RECORD = Record(
    *ORIGIN,
    b"k",
    b"avro",
    [("source", b"x"), ("traceparent", TRACE.encode()), ("hs-job", b"upstreams-own")],
)
EVENT = Event(
    Revision("pricing.completed", 2, "0" * 16), "evt-1", 0, "q", "production", {}, RECORD, ORIGIN
)
CRM = Subscription(
    "crm",
    "acme",
    Endpoint("https://crm.example/hooks", ()),
    ("pricing.*",),
    active_from=NOW - DAY,
    retry=RetryPolicy(expires_after=2 * HOUR),
)
LOCKED = UnreadableSubscription("crm", "acme", ("*",), NOW, (), "no key")
REPLAY = Run("hs.retry.0s", "replay-7", as_granted_today=True)


def test_a_replay_begins_a_run_whose_schedule_and_expiry_count_from_now() -> None:
    written = REPLAY.replayed(EVENT, "msg_1", CRM, now=NOW)

    assert (written.topic, written.key, written.value) == ("hs.retry.0s", b"msg_1", b"avro")
    assert ("source", b"x") in written.headers
    assert is_for_subscription(written.headers)
    assert read_delivery(written.headers) == Delivery(
        "msg_1",
        "crm",
        "acme",
        "pricing.completed",
        "evt-1",
        ORIGIN,
        first_at=NOW,
        expires_at=NOW + 2 * HOUR,
        trigger=Trigger.REPLAY,
        traceparent=TRACE,
        job="replay-7",
        as_granted_today=True,
    )


def test_the_filter_of_a_subscription_that_cannot_be_read_is_asked_by_the_worker() -> None:
    for subscription, asked in ((CRM, False), (LOCKED, True)):
        written = REPLAY.replayed(EVENT, "msg_1", subscription, now=NOW, filter_asked=asked)
        delivery = read_delivery(written.headers)
        assert isinstance(delivery, Delivery)
        assert not delivery.filter_asked


def test_a_resend_keeps_nothing_of_another_run_but_who_it_is() -> None:
    old = a_delivery(
        attempt=9, step=8, trigger=Trigger.RETRY, last_status=503, job="replay-6", deferrals=3
    )
    dead = dead_letter_headers(old, (), DeadReason.GONE, "gone", written_at=NOW)
    record = Record("hs.dead", 0, 1, NOW, b"crm", b"avro", dead)

    written = Run("hs.retry.0s", "resend-8").resent(old, record, now=NOW, expires_after=HOUR)

    assert written.value == b"avro"
    assert read_delivery(written.headers) == a_delivery(
        attempt=0, trigger=Trigger.REPLAY, expires_at=NOW + HOUR, job="resend-8"
    )


def test_a_dead_letter_of_a_run_is_redriven_in_that_run() -> None:
    of_run = a_delivery(attempt=9, trigger=Trigger.REPLAY, job="replay-7", as_granted_today=True)
    dead = dead_letter_headers(of_run, (), DeadReason.GONE, "gone", written_at=NOW)

    again = redriven(dead, now=NOW, expires_after=HOUR)

    assert again == replace(of_run, trigger=Trigger.REDRIVE, expires_at=NOW + HOUR)


def test_an_event_of_an_unknown_schema_is_written_for_its_one_subscription() -> None:
    written = REPLAY.unidentified(RECORD, ORIGIN, CRM, now=NOW)

    assert written.key == b"printprice.pricing.completed/3/41"
    assert not is_for_subscription(written.headers)
    assert read_unmatched(written.headers) == UnmatchedEvent(
        ORIGIN,
        first_at=NOW,
        trigger=Trigger.REPLAY,
        traceparent=TRACE,
        only=OnlyFor("crm", "acme", "replay-7", as_granted_today=True),
    )


def test_a_test_is_over_after_a_minute() -> None:
    written = Run("hs.retry.0s", "test-9").tested(
        b"avro", (), "pricing.completed", "test-1", "msg_2", CRM, now=NOW
    )

    delivery = read_delivery(written.headers)
    assert isinstance(delivery, Delivery)
    assert (delivery.trigger, delivery.job) == (Trigger.TEST, "test-9")
    assert (delivery.first_at, delivery.expires_at) == (NOW, NOW + MINUTE)


def test_an_event_of_the_platform_is_never_written_as_a_test() -> None:
    with pytest.raises(InvariantBroken, match="'evt-1' is sent as a test, and is none"):
        Run("hs.retry.0s", "test-9").tested(
            b"avro", (), "pricing.completed", "evt-1", "msg_2", CRM, now=NOW
        )


@pytest.mark.parametrize("job", ["", "a b", "-x", "a\r\nset-cookie: x", "é", "a" * 129])
def test_a_job_that_no_header_may_name_is_refused(job: str) -> None:
    with pytest.raises(InvariantBroken, match="cannot be the id of a job"):
        Run("hs.retry.0s", job)
