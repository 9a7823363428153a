import pytest

from hookstream.core.model.instant import HOUR, MINUTE, SECOND, Millis, from_rfc3339
from hookstream.core.model.outcome import (
    AddressBlocked,
    Answer,
    Delivered,
    Failed,
    FailedForGood,
    FailureKind,
    Gone,
    Outcome,
    RefusalReason,
    Refused,
    Response,
    Throttled,
    TransportFailure,
)
from hookstream.core.outcome.classify import classify

NOW = from_rfc3339("2026-11-24T08:00:00Z")
LONGEST = 24 * HOUR


def came_to(answer: Answer, final_statuses: frozenset[int] = frozenset()) -> Outcome:
    return classify(answer, now=NOW, final_statuses=final_statuses, longest_tier=LONGEST)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 299])
def test_every_2xx_is_delivered(status: int) -> None:
    assert came_to(Response(status, retry_after="60")) == Delivered(status)


def test_410_is_gone() -> None:
    assert came_to(Response(410)) == Gone(410)


@pytest.mark.parametrize(
    "status", [100, 101, 301, 302, 307, 400, 401, 403, 404, 408, 425, 500, 502, 503, 504, 599]
)
def test_every_other_status_is_retried(status: int) -> None:
    """Partners deploy broken code: the field retries 4xx, and never follows 3xx."""
    assert came_to(Response(status)) == Failed(FailureKind.STATUS, f"answered {status}", status)


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_a_status_that_the_subscription_lists_ends_the_delivery(status: int) -> None:
    answer = Response(status, retry_after="5")

    assert came_to(answer, frozenset({status})) == FailedForGood(status)


def test_a_listed_410_still_disables_and_a_listed_2xx_still_delivers() -> None:
    listed = frozenset({200, 410})

    found = [came_to(Response(status), listed) for status in (200, 410)]

    assert found == [Delivered(200), Gone(410)]


@pytest.mark.parametrize("kind", list(FailureKind))
def test_no_answer_is_retried(kind: FailureKind) -> None:
    assert came_to(TransportFailure(kind, "after 5 s")) == Failed(kind, "after 5 s")


def test_a_blocked_address_is_our_own_refusal() -> None:
    assert came_to(AddressBlocked("127.0.0.1")) == Refused(
        RefusalReason.BLOCKED_ADDRESS, "127.0.0.1"
    )


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("0", 0),
        ("120", 120 * SECOND),
        (" 7 ", 7 * SECOND),
        ("1.5", 1500),
        ("0.0001", 1),
        ("2.", 2 * SECOND),
        ("86400", LONGEST),
        ("999999999999", LONGEST),
        ("9" * 120, LONGEST),
        ("Tue, 24 Nov 2026 08:05:00 GMT", 5 * MINUTE),
        ("Tuesday, 24-Nov-26 08:05:00 GMT", 5 * MINUTE),
        ("Tue Nov 24 08:05:00 2026", 5 * MINUTE),
        ("Tue, 24 Nov 2026 09:05:00 +0100", 5 * MINUTE),
        ("Tue, 24 Nov 2026 07:00:00 GMT", 0),
        ("Fri, 24 Nov 2028 08:00:00 GMT", LONGEST),
    ],
)
def test_retry_after_is_read_in_all_its_forms_and_capped(text: str, wait: Millis) -> None:
    """RFC 9110, 10.2.3 and 5.6.7: seconds, and three syntaxes of a date."""
    found = [came_to(Response(status, retry_after=text)) for status in (429, 503)]

    assert found == [Throttled(429, wait), Throttled(503, wait)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "soon",
        "-5",
        "+5",
        "1e3",
        "nan",
        "inf",
        "5 s",
        "0x10",
        "١٢",
        "Tue, 99 Nov 2026 08:05:00 GMT",
        "Tue, 24 Nov 99999 08:05:00 GMT",
        "9" * 200,
    ],
)
def test_an_unreadable_retry_after_counts_as_none(text: str) -> None:
    found = [came_to(Response(status, retry_after=text)) for status in (429, 503)]

    assert found == [Throttled(429, None), Failed(FailureKind.STATUS, "answered 503", 503)]


def test_retry_after_on_another_status_is_ignored() -> None:
    answer = Response(500, retry_after="60")

    assert came_to(answer) == Failed(FailureKind.STATUS, "answered 500", 500)
