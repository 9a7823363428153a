"""A repeated request gets the first one's answer; a key that was used for another is refused."""

import pytest

from hookstream.core.access.idempotency import (
    ANSWERS_KEPT,
    LARGEST_BODY,
    LONGEST_KEY,
    FirstRequest,
    InProgress,
    KeptAnswer,
    OtherRequest,
    Repeat,
    answer_of,
    checked_key,
    judged,
    request_hash,
)
from hookstream.errors import InputRefused

NOON = 1_764_072_000_000
ANSWER = KeptAnswer("r1", 201, b"{}", "h", at=NOON)


def test_the_same_request_gets_the_kept_answer_until_it_expires() -> None:
    assert judged(ANSWER, "r1", NOON) == Repeat(ANSWER)
    assert judged(ANSWER, "r1", NOON + ANSWERS_KEPT - 1) == Repeat(ANSWER)
    assert judged(ANSWER, "r1", NOON + ANSWERS_KEPT) == FirstRequest()


def test_another_request_of_the_same_key_is_refused() -> None:
    assert judged(ANSWER, "r2", NOON) == OtherRequest()
    assert judged(None, "r2", NOON, in_progress="r1") == OtherRequest()


def test_a_request_that_is_at_work_is_not_begun_again() -> None:
    assert judged(None, "r1", NOON, in_progress="r1") == InProgress()
    assert judged(None, "r1", NOON) == FirstRequest()


def test_a_body_that_shows_a_secret_or_is_too_large_is_not_kept() -> None:
    assert answer_of("r", 200, b"x").body == b"x"
    secret = answer_of("r", 201, b"whsec_abc", secret=True)
    assert secret.body is None
    assert "whsec" not in repr(secret)
    assert answer_of("r", 200, b"x" * (LARGEST_BODY + 1)).body is None


def test_each_part_of_a_request_counts_in_its_hash() -> None:
    hashes = {
        request_hash("PUT", "/v1/a", None, b"{}"),
        request_hash("PATCH", "/v1/a", None, b"{}"),
        request_hash("PUT", "/v1/b", None, b"{}"),
        request_hash("PUT", "/v1/a", '"1"', b"{}"),
        request_hash("PUT", "/v1/a", None, b"[]"),
        request_hash("PUT", "/v1/a{", None, b"}"),
    }
    assert len(hashes) == 6


@pytest.mark.parametrize("key", ["", "a b", "é", "a\n", "x" * (LONGEST_KEY + 1)])
def test_a_key_is_bounded_and_printable(key: str) -> None:
    with pytest.raises(InputRefused, match="Idempotency-Key"):
        checked_key(key)
