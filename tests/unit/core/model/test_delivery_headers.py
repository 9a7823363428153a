from dataclasses import replace

import pytest
from tests.doubles.deliveries import NOW, a_delivery

from hookstream.core.model.delivery import DeferReason, Delivery, OnlyFor, Trigger, UnmatchedEvent
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
from hookstream.core.model.header_reading import MAX_CARRIED, MAX_CARRIED_BYTES, HeaderProblem
from hookstream.core.model.instant import DAY, SECOND
from hookstream.core.model.outcome import DeadReason
from hookstream.core.model.record import Headers, Origin, Record

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
DELIVERY = a_delivery(
    attempt=3,
    step=2,
    trigger=Trigger.RETRY,
    due_at=NOW + 5 * SECOND,
    deferrals=1,
    deferred_reason=DeferReason.PAUSED,
    deferred_since=NOW - DAY,
    last_outcome="failed",
    last_status=503,
    last_error="answered 503",
    traceparent=TRACE,
    tracestate="vendor=1",
)
UNMATCHED = UnmatchedEvent(
    Origin("printprice.order.generated", 2, 41, NOW - DAY),
    first_at=NOW,
    due_at=NOW + 5,
    deferrals=2,
    deferred_reason=DeferReason.SCHEMA_UNKNOWN,
    deferred_since=NOW - 1,
    trigger=Trigger.REDRIVE,
    traceparent=TRACE,
)
REPLAYED = replace(
    UNMATCHED,
    trigger=Trigger.REPLAY,
    only=OnlyFor("orders", "acme", "replay-7", as_granted_today=True),
)
RECORD = Record("printprice.order.generated", 2, 41, NOW, b"k", b"v", ())


def shown(headers: Headers) -> dict[str, str]:
    """Return the headers as a tool that keeps the last of equal names shows them."""
    assert len({name for name, _ in headers}) == len(headers)
    return {name: (value or b"").decode() for name, value in headers}


def test_a_tier_record_states_everything_about_its_delivery_as_text() -> None:
    found = shown(tier_headers(DELIVERY, (), written_at=NOW))

    assert found == {
        "hs-delivery-id": "msg_1",
        "hs-subscription-id": "orders",
        "hs-partner-id": "acme",
        "hs-event-type": "pricing.completed",
        "hs-event-id": "evt-1",
        "hs-attempt": "3",
        "hs-step": "2",
        "hs-trigger": "retry",
        "hs-first-at": "2023-11-14T22:13:20.000Z",
        "hs-expires-at": "2023-11-21T22:13:20.000Z",
        "hs-due-at": "2023-11-14T22:13:25.000Z",
        "hs-deferrals": "1",
        "hs-deferred-reason": "paused",
        "hs-deferred-since": "2023-11-13T22:13:20.000Z",
        "hs-written-at": "2023-11-14T22:13:20.000Z",
        "hs-origin-topic": "printprice.pricing.completed",
        "hs-origin-partition": "0",
        "hs-origin-offset": "7",
        "hs-origin-timestamp": "2023-11-14T22:13:20.000Z",
        "hs-last-outcome": "failed",
        "hs-last-status": "503",
        "hs-last-error": "answered 503",
        "traceparent": TRACE,
        "tracestate": "vendor=1",
    }


def test_a_dead_letter_states_what_failed_where_how_often_and_why_as_plain_text() -> None:
    """An SRE reads it at night with a console consumer and nothing of ours."""
    found = shown(
        dead_letter_headers(
            DELIVERY, (), DeadReason.EXPIRED, "not delivered by then", written_at=NOW
        )
    )

    tier = shown(tier_headers(DELIVERY, (), written_at=NOW))
    del tier["hs-due-at"]
    assert found == tier | {
        "hs-reason": "expired",
        "__connect.errors.topic": "printprice.pricing.completed",
        "__connect.errors.partition": "0",
        "__connect.errors.offset": "7",
        "__connect.errors.connector.name": "hookstream",
        "__connect.errors.stage": "TASK_PUT",
        "__connect.errors.exception.class.name": "expired",
        "__connect.errors.exception.message": "not delivered by then",
    }


def test_an_undecodable_record_states_its_origin_and_its_reason() -> None:
    found = shown(
        undecodable_headers(RECORD, Undecodable("not_framed", "begins with 7b"), written_at=NOW)
    )

    assert found == {
        "hs-trigger": "initial",
        "hs-first-at": "2023-11-14T22:13:20.000Z",
        "hs-deferrals": "0",
        "hs-origin-topic": "printprice.order.generated",
        "hs-origin-partition": "2",
        "hs-origin-offset": "41",
        "hs-origin-timestamp": "2023-11-14T22:13:20.000Z",
        "hs-written-at": "2023-11-14T22:13:20.000Z",
        "hs-reason": "not_framed",
        "__connect.errors.topic": "printprice.order.generated",
        "__connect.errors.partition": "2",
        "__connect.errors.offset": "41",
        "__connect.errors.connector.name": "hookstream",
        "__connect.errors.stage": "VALUE_CONVERTER",
        "__connect.errors.exception.class.name": "not_framed",
        "__connect.errors.exception.message": "begins with 7b",
    }


def test_an_undecodable_record_from_a_tier_keeps_its_first_origin() -> None:
    tier = Record("hookstream.retry.5s", 0, 9, NOW, b"k", b"v", ())
    problem = Undecodable("unknown_schema", "nobody published it")

    found = undecodable_headers(tier, problem, written_at=NOW, waited=UNMATCHED)

    expected = replace(UNMATCHED, due_at=None, undecodable_as="unknown_schema")
    assert read_unmatched(found) == expected


def test_an_undecodable_record_keeps_the_trace_that_it_came_with() -> None:
    record = replace(RECORD, headers=[("traceparent", TRACE.encode())])

    found = undecodable_headers(record, Undecodable("malformed", "x"), written_at=NOW)

    assert shown(found)["traceparent"] == TRACE


def test_a_tier_record_without_a_subscription_is_an_event_to_be_matched() -> None:
    headers = tier_headers(UNMATCHED, (), written_at=NOW)

    assert not is_for_subscription(headers)
    assert read_unmatched(headers) == UNMATCHED


def test_a_delivery_is_read_back_as_it_was_written() -> None:
    headers = tier_headers(DELIVERY, (), written_at=NOW)

    assert is_for_subscription(headers)
    assert read_delivery(headers) == DELIVERY


def test_the_run_of_a_job_is_named_in_tiers_and_dead_letters() -> None:
    delivery = replace(
        DELIVERY, trigger=Trigger.REPLAY, due_at=None, job="replay-7", as_granted_today=True
    )

    tier = tier_headers(delivery, (), written_at=NOW)
    dead = dead_letter_headers(delivery, (), DeadReason.EXPIRED, "late", written_at=NOW)

    for headers in (tier, dead):
        assert {("hs-job", b"replay-7"), ("hs-granted-today", b"yes")} <= set(headers)
        assert read_delivery(headers) == delivery


def test_an_event_for_one_subscription_names_it_so_that_an_older_release_sets_it_aside() -> None:
    """For one that knows no `hs-only-subscription` it is a delivery, whose state lacks an id."""
    headers = tier_headers(REPLAYED, (), written_at=NOW)

    assert not is_for_subscription(headers)
    assert read_unmatched(headers) == REPLAYED
    assert shown(headers)["hs-subscription-id"] == "orders"
    older = [(name, value) for name, value in headers if name != "hs-only-subscription"]
    assert is_for_subscription(older)
    assert read_delivery(older) == HeaderProblem("hs-delivery-id", "is missing or empty")


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("hs-job", None, HeaderProblem("hs-job", "is missing")),
        ("hs-job", b"a b", HeaderProblem("hs-job", "is 'a b', not the id of a job")),
        ("hs-job", b"a" * 129, HeaderProblem("hs-job", f"is '{'a' * 39}, not the id of a job")),
        (
            "hs-subscription-id",
            b"crm",
            HeaderProblem("hs-only-subscription", "is not that of hs-subscription-id"),
        ),
        (
            "hs-only-subscription",
            None,
            HeaderProblem("hs-only-subscription", "is missing or empty"),
        ),
        ("hs-granted-today", b"no", HeaderProblem("hs-granted-today", "is 'no', none of yes")),
    ],
)
def test_an_event_for_one_subscription_is_read_strictly(
    name: str, value: bytes | None, problem: HeaderProblem
) -> None:
    headers = [*tier_headers(REPLAYED, (), written_at=NOW), (name, value)]

    assert read_unmatched(headers) == problem


def test_a_job_without_a_subscription_is_refused_as_it_would_reach_everybody() -> None:
    headers = [*tier_headers(UNMATCHED, (), written_at=NOW), ("hs-job", b"replay-7")]

    assert read_unmatched(headers) == HeaderProblem("hs-only-subscription", "is missing or empty")


def test_an_event_or_a_delivery_that_claims_to_be_a_test_is_unreadable_unless_a_job_sent_it() -> (
    None
):
    """A test has one attempt and is never kept: what only claims to be one would be lost."""
    for state in (UNMATCHED, REPLAYED):
        headers = [*tier_headers(state, (), written_at=NOW), ("hs-trigger", b"test")]
        assert read_unmatched(headers) == HeaderProblem(
            "hs-trigger", "is test, and the record is no delivery yet"
        )
    headers = [*tier_headers(DELIVERY, (), written_at=NOW), ("hs-trigger", b"test")]
    assert read_delivery(headers) == HeaderProblem(
        "hs-trigger", "is test, of a job's delivery only: hs-job is missing"
    )
    sent = replace(DELIVERY, trigger=Trigger.TEST, job="test-7")
    assert read_delivery(tier_headers(sent, (), written_at=NOW)) == sent


def test_todays_grant_alone_is_asked_only_where_a_job_says_so() -> None:
    headers = [*tier_headers(DELIVERY, (), written_at=NOW), ("hs-granted-today", b"yes")]

    problem = HeaderProblem("hs-granted-today", "is of a job's delivery only: hs-job is missing")
    assert read_delivery(headers) == problem


def test_a_fresh_delivery_leaves_out_what_is_not_known() -> None:
    headers = tier_headers(a_delivery(), (), written_at=NOW)

    assert read_delivery(headers) == a_delivery()
    assert not {"hs-due-at", "hs-last-status", "traceparent"} & shown(headers).keys()


# What upstream put on the record.


def test_upstreams_headers_travel_along_except_what_is_named_like_ours() -> None:
    """Upstream must not be able to write a delivery's state, nor replace its trace."""
    upstream = [
        ("source", b"pricing"),
        ("hs-attempt", b"0"),
        ("HS-Reason", b"x"),
        ("hs-", b""),
        ("__connect.errors.topic", b"x"),
        ("traceparent", b"forged"),
        ("Tracestate", b"forged"),
        ("flag", None),
        ("binary", b"\xff\x00"),
    ]

    found = tier_headers(DELIVERY, upstream, written_at=NOW)

    assert found[:3] == [("source", b"pricing"), ("flag", None), ("binary", b"\xff\x00")]
    assert found[3:] == tier_headers(DELIVERY, (), written_at=NOW)


def test_a_repeated_header_name_is_sent_once_with_its_last_value() -> None:
    """Kafbat UI shows the last only; so do Kafka's own clients take it."""
    upstream = [("a", b"1"), ("b", b"2"), ("a", b"3")]

    assert tier_headers(DELIVERY, upstream, written_at=NOW)[:2] == [("a", b"3"), ("b", b"2")]


def test_upstreams_headers_are_bounded_and_the_wire_formats_always_travel() -> None:
    """Without its schema's id the value could never be decoded again."""
    many = [(f"h{n}", b"x") for n in range(200)]
    upstream = [*many, ("huge", b"x" * MAX_CARRIED_BYTES), ("__value_schema_id", b"\x01" * 17)]

    found = tier_headers(UNMATCHED, upstream, written_at=NOW)

    ours = len(tier_headers(UNMATCHED, (), written_at=NOW))
    assert found[:-ours] == [*many[:MAX_CARRIED], ("__value_schema_id", b"\x01" * 17)]


def test_one_header_that_is_too_large_does_not_remove_the_others() -> None:
    upstream = [("huge", b"x" * MAX_CARRIED_BYTES), ("small", b"y")]

    assert tier_headers(DELIVERY, upstream, written_at=NOW)[0] == ("small", b"y")


def test_headers_written_over_and_over_never_grow() -> None:
    headers = tier_headers(DELIVERY, [("source", b"x"), ("__value_schema_id", b"1")], written_at=1)

    again = tier_headers(DELIVERY, headers, written_at=1)
    dead = dead_letter_headers(DELIVERY, again, DeadReason.GONE, "x", written_at=1)
    back = tier_headers(DELIVERY, dead, written_at=1)

    assert headers == again == back


def test_text_from_outside_can_forge_no_header_and_no_line() -> None:
    """An endpoint chooses what it answers; a terminal interprets control characters."""
    delivery = a_delivery(last_error="bad\r\nhs-reason: gone\x1b[2J\x00\u202e" + "x" * 9999)

    found = shown(tier_headers(delivery, (), written_at=NOW))

    assert found["hs-last-error"] == ("bad  hs-reason: gone [2J  " + "x" * 9999)[:512]


# What cannot be read.


def without(name: str) -> Headers:
    return [header for header in tier_headers(DELIVERY, (), written_at=NOW) if header[0] != name]


def having(name: str, value: bytes) -> Headers:
    return [*without(name), (name, value)]


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ((), HeaderProblem("hs-delivery-id", "is missing or empty")),
        (without("hs-partner-id"), HeaderProblem("hs-partner-id", "is missing or empty")),
        (having("hs-event-id", b""), HeaderProblem("hs-event-id", "is missing or empty")),
        (having("hs-event-id", b"\xff"), HeaderProblem("hs-event-id", "is not UTF-8")),
        (without("hs-attempt"), HeaderProblem("hs-attempt", "is missing")),
        (
            having("hs-attempt", b"-1"),
            HeaderProblem("hs-attempt", "is '-1', not a decimal number"),
        ),
        (
            having("hs-attempt", b"9" * 30),
            HeaderProblem("hs-attempt", f"is '{'9' * 30}', not a decimal number"),
        ),
        (having("hs-step", b"02"), HeaderProblem("hs-step", "is '02', not a decimal number")),
        (without("hs-trigger"), HeaderProblem("hs-trigger", "is missing")),
        (
            having("hs-trigger", b"whim"),
            HeaderProblem(
                "hs-trigger", "is 'whim', none of initial, retry, redrive, replay, test"
            ),
        ),
        (without("hs-first-at"), HeaderProblem("hs-first-at", "is missing")),
        (
            having("hs-due-at", b"soon"),
            HeaderProblem("hs-due-at", "is 'soon', not an RFC 3339 time"),
        ),
        (
            having("hs-due-at", b"2026-01-01T00:00:00"),
            HeaderProblem("hs-due-at", "is '2026-01-01T00:00:00', not an RFC 3339 time"),
        ),
        (without("hs-origin-offset"), HeaderProblem("hs-origin-offset", "is missing")),
    ],
)
def test_headers_that_do_not_describe_a_delivery_are_a_problem_that_names_the_header(
    headers: Headers, problem: HeaderProblem
) -> None:
    """Guessing would lose an event, or send it for ever."""
    assert read_delivery(headers) == problem


def test_an_event_to_be_matched_is_read_as_strictly() -> None:
    assert read_unmatched([("hs-origin-topic", b"t")]) == HeaderProblem(
        "hs-origin-partition", "is missing"
    )


def test_a_problem_reads_as_a_sentence() -> None:
    assert str(HeaderProblem("hs-step", "is missing")) == "header hs-step is missing"


def test_an_unreadable_tier_record_is_undecodable_and_keeps_its_headers() -> None:
    record = Record(
        "hookstream.retry.5s",
        1,
        9,
        NOW,
        b"k",
        b"v",
        [("source", b"x"), ("hs-subscription-id", b"orders"), ("hs-step", b"\xff\n")],
    )

    found = shown(
        unreadable_headers(record, HeaderProblem("hs-step", "is not UTF-8"), written_at=NOW)
    )

    assert found == {
        "source": "x",
        "hs-subscription-id": "orders",
        "hs-step": "\ufffd ",
        "hs-reason": "not_decodable",
        "hs-written-at": "2023-11-14T22:13:20.000Z",
        "__connect.errors.topic": "hookstream.retry.5s",
        "__connect.errors.partition": "1",
        "__connect.errors.offset": "9",
        "__connect.errors.connector.name": "hookstream",
        "__connect.errors.stage": "TASK_PUT",
        "__connect.errors.exception.class.name": "not_decodable",
        "__connect.errors.exception.message": "header hs-step is not UTF-8",
    }


@pytest.mark.parametrize(
    "timestamp", [-(2**63), -62_135_596_800_001, 253_402_300_800_000, 2**63 - 1]
)
def test_an_origin_outside_the_years_of_rfc_3339_survives_and_an_older_release_reads_the_nearest(
    timestamp: int,
) -> None:
    delivery = replace(DELIVERY, origin=DELIVERY.origin._replace(timestamp=timestamp))

    headers = tier_headers(delivery, (), written_at=NOW)

    assert read_delivery(headers) == delivery
    assert tier_headers(read_delivery(headers), headers, written_at=NOW) == headers  # type: ignore[arg-type]
    older = [(name, value) for name, value in headers if name != "hs-origin-timestamp-ms"]
    read = read_delivery(older)
    assert isinstance(read, Delivery)
    nearest = -62_135_596_800_000 if timestamp < 0 else 253_402_300_799_999
    assert read.origin.timestamp == nearest


@pytest.mark.parametrize(
    "exact", ["1", "-0", "253402300799999", "9" * 30, "-253402300800001", "x", ""]
)
def test_milliseconds_that_contradict_the_origins_time_are_not_believed(exact: str) -> None:
    delivery = replace(DELIVERY, origin=DELIVERY.origin._replace(timestamp=2**62))
    headers = [
        (name, exact.encode() if name == "hs-origin-timestamp-ms" else value)
        for name, value in tier_headers(delivery, (), written_at=NOW)
    ]

    problem = read_delivery(headers)

    assert isinstance(problem, HeaderProblem)
    assert problem.header == "hs-origin-timestamp-ms"
