"""A receiver's words are read as documented, and whatever else it says is ignored."""

import pytest

from hookstream.core.model.instant import HOUR, SECOND, Millis
from hookstream.core.model.outcome import (
    Complete,
    DeadLetter,
    DeadReason,
    Delivered,
    Disposition,
    Failed,
    FailedForGood,
    FailureKind,
    Gone,
    Outcome,
    RetryAt,
    Throttled,
)
from hookstream.core.outcome.answer_headers import ReceiverRequest, receiver_request, rest_in
from hookstream.core.outcome.policy import heed

BROKEN = Failed(FailureKind.STATUS, "answered 500", 500)
TIMED_OUT = Failed(FailureKind.TIMEOUT, "no answer")
LATER = RetryAt(7)
OVER = DeadLetter(DeadReason.GONE, "answered 410: the endpoint is retired", disable=True)


@pytest.mark.parametrize(
    ("value", "asked"),
    [
        ("disable", ReceiverRequest.DISABLE),
        (" DISABLE\t", ReceiverRequest.DISABLE),
        ("abort-message", ReceiverRequest.ABORT),
        ("abort-message, disable", ReceiverRequest.DISABLE),
        ("later,Abort-Message,", ReceiverRequest.ABORT),
        ("", None),
        ("disabled", None),
        ("disable;why=tired", None),
        ("abort message", None),
        ("disable," * 200, None),
    ],
)
def test_a_word_is_read_in_any_case_and_disable_takes_precedence(
    value: str, asked: ReceiverRequest | None
) -> None:
    assert receiver_request(value) is asked


@pytest.mark.parametrize(
    ("value", "rest"),
    [
        ('"default";r=0;t=30', 30 * SECOND),
        ('"default";t=30;r=0', 30 * SECOND),
        ('"default" ;r=0;t=30', None),
        ('"default";  r=0; t=30', 30 * SECOND),
        ('"default";r=0;t=0', 0),
        ('"default";r=1;t=30', None),
        ('"default";r=0', None),
        ('"default";t=30', None),
        ('"a";r=5;t=90,"b";r=0;t=10 ,\t"c";r=0;t=20', 20 * SECOND),
        ('"with \\"quotes\\", and a comma";r=0;t=5', 5 * SECOND),
        ('"default";r=0;t=30;pk=:cHsdsRa894==:;x;y=?1;z=token;q=1.5;s="a;r=9"', 30 * SECOND),
        ('"default";r=3;t=30;r=0', 30 * SECOND),
        ('"default";r=0;t=999999999999999', HOUR),
        ('"default";r=0;t=9999999999999999', None),
        ('"default";r=0;t=-30', None),
        ('"default";r=-1;t=30', None),
        ('"default";r=0.0;t=30', None),
        ('"default";r=0;t=30.5', None),
        ('"default";r="0";t=30', None),
        ('"default";R=0;t=30', None),
        ("default;r=0;t=30", None),
        ("limit=100, remaining=0, reset=5", None),
        ("0", None),
        ('("default";r=0;t=30)', None),
        ('"default";r=0;t=30,', None),
        ('"default";r=0;t=30 and more', None),
        ('"default;r=0;t=30', None),
        ('"default";r=0;t=30, "b";r=', None),
        ('"d\u00e9fault";r=0;t=30', None),
        ('"default";r=0;t=\u0663\u0660', None),
        ("", None),
        ('"a";r=0;t=3' + ',"a";r=1;t=3' * 100, None),
    ],
)
def test_a_rate_limit_with_nothing_remaining_says_when_it_is_reset(
    value: str, rest: Millis | None
) -> None:
    assert rest_in(value, longest=HOUR) == rest


@pytest.mark.parametrize(
    ("asked", "outcome", "before", "after"),
    [
        (
            ReceiverRequest.DISABLE,
            BROKEN,
            LATER,
            DeadLetter(
                DeadReason.ASKED, "answered 500 with webhook-delivery: disable", disable=True
            ),
        ),
        (
            ReceiverRequest.DISABLE,
            Throttled(429, None),
            LATER,
            DeadLetter(
                DeadReason.ASKED, "answered 429 with webhook-delivery: disable", disable=True
            ),
        ),
        (
            ReceiverRequest.DISABLE,
            Delivered(204),
            Complete(),
            Complete(asked="answered 204 with webhook-delivery: disable"),
        ),
        (
            ReceiverRequest.ABORT,
            BROKEN,
            LATER,
            DeadLetter(DeadReason.ABORTED, "answered 500 with webhook-delivery: abort-message"),
        ),
        (
            ReceiverRequest.ABORT,
            FailedForGood(422),
            DeadLetter(DeadReason.FINAL_STATUS, "answered 422, which is final"),
            DeadLetter(DeadReason.ABORTED, "answered 422 with webhook-delivery: abort-message"),
        ),
        (ReceiverRequest.ABORT, Delivered(200), Complete(), Complete()),
        (ReceiverRequest.ABORT, Gone(410), OVER, OVER),
        (ReceiverRequest.DISABLE, Gone(410), OVER, OVER),
        (ReceiverRequest.DISABLE, TIMED_OUT, LATER, LATER),
    ],
)
def test_a_word_ends_what_was_not_accepted_and_never_what_was(
    asked: ReceiverRequest, outcome: Outcome, before: Disposition, after: Disposition
) -> None:
    assert heed(asked, outcome, before) == after
