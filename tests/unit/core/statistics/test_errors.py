"""Errors that differ in numbers, ids and addresses alone are one pattern."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.index_log import START, entry_for

from hookstream.core.statistics.errors import (
    LONGEST,
    MOST_PATTERNS,
    OTHERS,
    Fingerprint,
    fingerprint_of,
    normalised,
)
from hookstream.core.statistics.reading import LogStatistics, StatisticsBuilder


@pytest.mark.parametrize(
    ("one", "other", "text"),
    [
        ("answered 503", "answered 502", "answered <n>"),
        (
            "connect to 10.1.2.3:8443 failed",
            "connect to 192.168.0.1:443 failed",
            "connect to <address> failed",
        ),
        (
            "no route to [2001:db8::1]:443",
            "no route to [fe80::2]:8443",
            "no route to <address>",
        ),
        (
            "request 7d5f6d9e-6f2e-4b8e-9d53-6d7f2f1a4c11 refused",
            "request 11111111-6f2e-4b8e-9d53-6d7f2f1a4c11 refused",
            "request <id> refused",
        ),
        (
            "see https://a.example/x?id=7 for more",
            "see http://b.example/ for more",
            "see <url> for more",
        ),
        ("token 9f86d081884c7d65 expired", "token 0cc175b9c0f1b6a8 expired", "token <id> expired"),
        ("timed out after 15.0 s", "timed out after 1,500.25 s", "timed out after <n> s"),
        (
            "until 2026-11-24T08:15:30.123Z",
            "until 2027-01-01T00:00:00+01:00",
            "until <time>",
        ),
    ],
)
def test_what_differs_from_one_error_to_the_next_is_taken_out(
    one: str, other: str, text: str
) -> None:
    assert normalised(one) == normalised(other) == text


def test_a_text_of_words_alone_is_not_normalised() -> None:
    text = "TLS: certificate has expired, deadbeef face cafe"
    assert normalised(text) == text


@given(st.text(max_size=600))
def test_any_text_becomes_a_bounded_one_without_digits(text: str) -> None:
    found = normalised(text)
    assert len(found) <= LONGEST
    assert not any(each in found for each in "0123456789")
    assert normalised(found) == found


def test_a_delivered_or_cancelled_delivery_has_no_error() -> None:
    assert fingerprint_of(entry_for(1, at=START)) is None
    assert fingerprint_of(entry_for(1, at=START, outcome=None, disposition="cancel")) is None
    failed = entry_for(
        1, at=START, outcome="failed", disposition="retry", status=503, error="answered 503"
    )
    assert fingerprint_of(failed) == Fingerprint("shop", "failed", 503, "answered <n>")
    expired = entry_for(
        1, at=START, outcome=None, disposition="dead_letter", status=None, reason="expired"
    )
    assert fingerprint_of(expired) == Fingerprint("shop", "none", None, "expired")


def test_an_endpoint_that_never_fails_alike_fills_no_memory() -> None:
    counted = LogStatistics()
    words = ["".join(chr(97 + number // 26**at % 26) for at in range(3)) for number in range(500)]
    for number, word in enumerate(words):
        counted.entry(
            entry_for(number, at=START + number, disposition="retry", outcome="failed", error=word)
        )
    builder = StatisticsBuilder(START, START + 1, 60_000, now=START, whole=True)
    counted.into(builder)
    errors = builder.statistics(10_000).errors
    assert len(errors) == MOST_PATTERNS + 1
    assert errors[0].fingerprint == Fingerprint("shop", "none", None, OTHERS)
    assert errors[0].count == 500 - MOST_PATTERNS
